"""Ids of calls that another provider made."""

import re

from hypothesis import given
from hypothesis import strategies as st

from arouter.providers.call_ids import bounded_id, nine_characters, plain


@given(st.text(max_size=100), st.integers(33, 80))
def test_an_id_fits_and_one_that_fits_stays(call_id: str, most: int) -> None:
    made = bounded_id(call_id, most)
    assert len(made) <= most
    assert (made == call_id) == (len(call_id) <= most)
    assert bounded_id(made, most) == made


@given(st.text(max_size=20) | st.from_regex(r"[a-zA-Z0-9]{9}", fullmatch=True))
def test_nine_characters(call_id: str) -> None:
    made = nine_characters(call_id)
    assert re.fullmatch(r"[a-zA-Z0-9]{9}", made)
    assert nine_characters(made) == made
    assert made == call_id or not re.fullmatch(r"[a-zA-Z0-9]{9}", call_id)


@given(st.text(max_size=20) | st.from_regex(r"[a-zA-Z0-9_-]+", fullmatch=True))
def test_a_plain_id_is_as_long_and_one_that_is_plain_stays(call_id: str) -> None:
    made = plain(call_id)
    assert re.fullmatch(r"[a-zA-Z0-9_-]*", made)
    assert len(made) == len(call_id)
    assert made == call_id or not re.fullmatch(r"[a-zA-Z0-9_-]*", call_id)


def test_different_ids_stay_different() -> None:
    ids = [f"toolu_{number:040}" for number in range(1000)]
    assert len({bounded_id(one, 40) for one in ids}) == len({nine_characters(one) for one in ids}) == 1000

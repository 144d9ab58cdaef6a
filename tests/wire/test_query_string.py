"""The query string: every byte of a user arrives, or the request is refused."""

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import InvalidRequest
from arouter.wire.query_string import read_query_string


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        (b"", []),
        (b"&&", []),
        (b"user=", [("user", "")]),
        (b"user", [("user", "")]),
        (b"user=a&user=b", [("user", "a"), ("user", "b")]),
        (b"user=+a+%20", [("user", " a  ")]),
        (b"user=a%2Bb", [("user", "a+b")]),
        (b"user=a=b", [("user", "a=b")]),
        (b"user=%C3%BC", [("user", "ü")]),
        ("user=ü".encode(), [("user", "ü")]),
        (b"user=u%CC%88", [("user", "u\u0308")]),
        (b"user=%zz%4", [("user", "%zz%4")]),
        (b"user=a;b=c", [("user", "a;b=c")]),
        (b"user=%00", [("user", "\x00")]),
        (b"user=%EF%BB%BFa", [("user", "\ufeffa")]),
    ],
)
def test_it_is_read_without_loss(raw: bytes, pairs: list[tuple[str, str]]) -> None:
    assert read_query_string(raw) == pairs


@pytest.mark.parametrize("raw", [b"user=%FF", b"user=\xff", b"user=%ED%A0%80", b"%FF=a"])
def test_what_is_not_utf_8_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_query_string(raw)
    assert refused.value.code == "invalid_parameter"


@given(st.lists(st.tuples(st.text(min_size=1), st.text())))
def test_reading_inverts_both_ways_of_escaping(pairs: list[tuple[str, str]]) -> None:
    assert read_query_string(urlencode(pairs).encode()) == pairs
    assert read_query_string(urlencode(pairs, quote_via=quote).encode()) == pairs

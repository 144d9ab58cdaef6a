"""A cursor is a place in the order of records, as opaque text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import Cursor


@given(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cursor_makes_the_round_trip_through_a_url(created_at_us: int, record_id: str) -> None:
    text = Cursor(created_at_us, record_id).to_text()
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert Cursor.from_text(text) == Cursor(created_at_us, record_id)


@pytest.mark.parametrize("text", ["", "a", "AAAA", "ü", "????", "AAAAAAAAAAD_"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Cursor.from_text(text)


@given(st.text())
def test_any_text_is_a_cursor_or_a_value_error(text: str) -> None:
    try:
        found = Cursor.from_text(text)
    except ValueError:
        return
    assert Cursor.from_text(found.to_text()) == found

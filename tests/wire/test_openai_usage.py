"""The cursor of OpenAI's pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.wire.openai_usage import PageCursor

INSTANTS = st.integers(-(2**63), 2**63 - 1)


@given(INSTANTS, INSTANTS)
def test_a_cursor_is_read_back(start_us: int, end_us: int) -> None:
    text = PageCursor(start_us, end_us).to_text()
    assert PageCursor.from_text(text) == PageCursor(start_us, end_us)
    assert text.startswith("page_")
    assert text.replace("-", "").replace("_", "").isalnum()


@given(st.text())
def test_anything_else_is_none(text: str) -> None:
    try:
        cursor = PageCursor.from_text(text)
    except ValueError:
        return
    assert PageCursor.from_text(cursor.to_text()) == cursor


@pytest.mark.parametrize("text", ["", "page_", "page_AAAA", "page_" + "A" * 23, "page_ä", "page_" + "*" * 22])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        PageCursor.from_text(text)

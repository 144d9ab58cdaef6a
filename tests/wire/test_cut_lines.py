"""Of an export that was cut anywhere: the whole lines, and the record behind which it goes on."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.activity import ActivityRow
from arouter.wire.activity_csv import encode_rows
from arouter.wire.activity_json import encode_lines
from arouter.wire.cut_lines import Whole, whole_of_csv, whole_of_ndjson
from tests.wire.activity_rows import ROWS, row

FORMS = pytest.mark.parametrize(("encode", "whole"), [(encode_rows, whole_of_csv), (encode_lines, whole_of_ndjson)])
Encode = Callable[[list[ActivityRow]], bytes]


@FORMS
@given(rows=ROWS, cut=st.floats(0, 1))
@settings(deadline=None)
def test_wherever_it_is_cut(
    encode: Encode, whole: Callable[[bytes], Whole], rows: list[ActivityRow], cut: float
) -> None:
    data = encode(rows)
    found = whole(data[: round(cut * len(data))])
    assert data[: found.size] == encode(rows[: found.lines])
    assert found.last == (rows[found.lines - 1].cursor if found.lines else None)
    more = encode(rows[: found.lines + 1])
    assert found.lines == len(rows) or len(more) > round(cut * len(data))


@FORMS
def test_a_text_with_ends_of_lines_is_not_an_end(encode: Encode, whole: Callable[[bytes], Whole]) -> None:
    rows = [row(n, user='a\r\nb "c"\n', id=f"=gen{n}\r\n") for n in range(3)]
    data = encode(rows)
    assert whole(data) == Whole(len(data), 3, rows[2].cursor)
    assert whole(data[:-1]) == Whole(len(encode(rows[:2])), 2, rows[1].cursor)


@FORMS
def test_less_than_a_line_is_nothing(encode: Encode, whole: Callable[[bytes], Whole]) -> None:
    assert whole(b"") == whole(encode([row()])[:-1]) == Whole(0, 0, None)

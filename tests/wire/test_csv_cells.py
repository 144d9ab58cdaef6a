"""Cells of CSV: RFC 4180, no formulas, and nothing lost."""

import csv
import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.wire import csv_cells
from tests.rfc4180 import read_csv, without_guard

TEXTS = st.text() | st.text(alphabet="'=+-@\t\r\n\",a")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        ("", '""'),
        (" ", '" "'),
        ("a,b", '"a,b"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\r\nlines", '"two\r\nlines"'),
        ("=cmd()", '"\'=cmd()"'),
        ("+1", '"\'+1"'),
        ("-1", '"\'-1"'),
        ("@SUM(A1)", '"\'@SUM(A1)"'),
        ("\t=1", '"\'\t=1"'),
        ("\r=1", '"\'\r=1"'),
        ("'=1", "\"''=1\""),
        ("'; DROP TABLE records; --", '"\'; DROP TABLE records; --"'),
        ("a=1", '"a=1"'),
        (-1, "-1"),
        (0, "0"),
        (-0.5, "-0.5"),
        (True, "true"),
        (False, "false"),
        (msgspec.Raw(b"-0.0012345"), "-0.0012345"),
        ((), '"[]"'),
        (("a", 'b"'), '"[""a"",""b\\""""]"'),
    ],
)
def test_each_kind_of_cell(value: csv_cells.Cell, written: str) -> None:
    assert csv_cells.cell(value) == written


@given(st.lists(st.lists(TEXTS | st.none(), min_size=2, max_size=2)))
def test_reading_inverts_writing(rows: list[list[str | None]]) -> None:
    read = read_csv("".join(csv_cells.row(row) for row in rows))
    assert [[None if cell is None else without_guard(cell) for cell in row] for row in read] == rows


@given(TEXTS)
def test_no_text_looks_like_a_formula(text: str) -> None:
    [[shown]] = read_csv(csv_cells.row([text]))
    assert shown is not None
    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r"))


@given(TEXTS, TEXTS)
def test_two_texts_never_become_one_cell(left: str, right: str) -> None:
    assert (csv_cells.text(left) == csv_cells.text(right)) is (left == right)


@given(st.lists(TEXTS, min_size=1))
def test_the_standard_library_reads_it(texts: list[str]) -> None:
    line = csv_cells.row(texts)
    [row] = list(csv.reader(io.StringIO(line, newline=""), strict=True))
    assert [without_guard(cell) for cell in row] == texts

"""Cells of comma-separated values.

RFC 4180, and three agreements where it is silent:

1. A text is always quoted, an unknown value is an empty cell without quotes. So the empty string (`""`) and no
   value are told apart, as PostgreSQL, DuckDB and Python's `csv.QUOTE_NOTNULL` do it.
2. A spreadsheet takes a cell that begins with `= + - @`, a tab or a carriage return for a formula. Such a text gets
   a leading apostrophe, OWASP's remedy for CSV injection. A text that begins with apostrophes and then one of those
   gets one more: so to have the original, remove one apostrophe where `'+[=+-@ TAB CR]` begins the cell; two
   different texts never become the same cell.
3. Numbers are written as JSON writes them, `true` and `false` likewise; only texts are ever altered.
"""

import re
from collections.abc import Iterable

import msgspec

LINE_END = "\r\n"

_FORMULA = re.compile(r"'*[=+\-@\t\r]")

Cell = str | int | float | bool | tuple[str | msgspec.Struct, ...] | msgspec.Raw | None
"""`msgspec.Raw` is a number with its exact digits; a tuple is written as a JSON array."""


def row(cells: Iterable[Cell]) -> str:
    """One line, with its end."""
    return ",".join([cell(value) for value in cells]) + LINE_END


def cell(value: Cell) -> str:
    """One cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    if isinstance(value, tuple):
        return text(msgspec.json.encode(value).decode()) if value else '"[]"'
    return msgspec.json.encode(value).decode()


def text(value: str) -> str:
    """A quoted text, neutralised if a spreadsheet would take it for a formula."""
    if _FORMULA.match(value):
        value = "'" + value
    return '"' + value.replace('"', '""') + '"'

"""A reader of RFC 4180 that tells an empty cell (None) from a quoted empty text, and removes nothing else."""

import re

_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)')


def read_csv(text: str) -> list[list[str | None]]:
    """Rows of cells; fails on anything that RFC 4180 does not allow."""
    rows: list[list[str | None]] = []
    row: list[str | None] = []
    place = 0
    while place < len(text):
        match = _CELL.match(text, place)
        assert match is not None, f"not RFC 4180 at {place}: {text[place : place + 40]!r}"
        quoted, plain, end = match.groups()
        row.append(quoted.replace('""', '"') if quoted is not None else plain or None)
        if end == "\r\n":
            rows.append(row)
            row = []
        place = match.end()
    assert not row, "the last line has no end"
    return rows


def without_guard(cell: str) -> str:
    """The text that was there before it was neutralised for spreadsheets."""
    return cell[1:] if re.match(r"'+[=+\-@\t\r]", cell) else cell

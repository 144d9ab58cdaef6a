"""Exports that were cut short: how far they are whole, and where they go on."""

import csv
import io
import re
from typing import NamedTuple

import msgspec

from arouter.domain.activity import Cursor
from arouter.wire.activity_json import COLUMNS
from arouter.wire.csv_cells import LINE_END
from arouter.wire.instants import read_instant

_CSV_END = LINE_END.encode()
_ID, _CREATED_AT = COLUMNS.index("id"), COLUMNS.index("created_at")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


class Whole(NamedTuple):
    """What is whole of a piece of an export that begins with a line."""

    size: int
    """Bytes, to the end of the last whole line."""
    lines: int
    last: Cursor | None
    """The record of the last whole line; None if there is none."""


class _Place(msgspec.Struct):
    id: str
    created_at: str


def whole_of_ndjson(data: bytes) -> Whole:
    """Of lines of NDJSON: a line feed is never within one."""
    size = data.rfind(b"\n") + 1
    if not size:
        return Whole(0, 0, None)
    start = data.rfind(b"\n", 0, size - 1) + 1
    place = msgspec.json.decode(data[start:size], type=_Place)
    return Whole(size, data.count(b"\n", 0, size), Cursor(read_instant(place.created_at), place.id))


def whole_of_csv(data: bytes) -> Whole:
    """Of lines of CSV, without the header: within quotes an end of line is a part of a text."""
    ends = []
    place = quotes = 0
    while (end := data.find(_CSV_END, place)) >= 0:
        quotes += data.count(b'"', place, end)
        place = end + len(_CSV_END)
        if quotes % 2 == 0:
            ends.append(place)
    if not ends:
        return Whole(0, 0, None)
    start = ends[-2] if len(ends) > 1 else 0
    [cells] = csv.reader(io.StringIO(data[start : ends[-1]].decode(), newline=""), strict=True)
    return Whole(ends[-1], len(ends), Cursor(read_instant(cells[_CREATED_AT]), _unguarded(cells[_ID])))


def _unguarded(text: str) -> str:
    return text[1:] if _GUARDED.match(text) else text

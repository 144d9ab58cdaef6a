"""Activity records as comma-separated values: the fields of `activity_json.ActivityRecord`, in their order."""

from collections.abc import Sequence

from arouter.domain.activity import ActivityRow
from arouter.wire import csv_cells
from arouter.wire.activity_json import COLUMNS, activity_record


def encode_header() -> bytes:
    """The first line."""
    return csv_cells.row(COLUMNS).encode()


def encode_rows(rows: Sequence[ActivityRow]) -> bytes:
    """One line a record."""
    return "".join([_line(row) for row in rows]).encode()


def _line(row: ActivityRow) -> str:
    record = activity_record(row)
    return csv_cells.row([getattr(record, column) for column in COLUMNS])

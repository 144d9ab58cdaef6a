"""What an export can be written as: records in, bytes out, a piece at a time.

Records come as rows or as columns, and make the same bytes. Nothing is loaded for columns before there are some.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from arouter.domain.activity import ActivityRow
from arouter.wire import activity_csv, activity_json, extras
from arouter.wire.compression import Compressor
from arouter.wire.focus import Focus

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = "arouter.wire.activity_columns"
LINES = "arouter.wire.activity_lines"
PARQUET = "arouter.wire.activity_parquet"
FOCUS = "arouter.wire.focus_columns"

Piece = bytes | memoryview


TURN, LONG_TURN = 50, 200


class Form(Protocol):
    """One export. The bytes of all calls, in their order, are the whole."""

    @property
    def turn(self) -> int:
        """How many rows are best encoded at once: few enough to take less than a millisecond, where that is cheap."""

    def start(self) -> Piece:
        """What comes before the records."""

    def rows(self, rows: Sequence[ActivityRow]) -> Piece:
        """More records."""

    def columns(self, batch: "pa.RecordBatch") -> Piece:
        """More records, of `activity_columns.SCHEMA`."""

    def end(self) -> Piece:
        """What comes behind them."""


class Lines:
    """NDJSON and CSV."""

    turn = TURN

    def __init__(self, header: bytes, encode: Callable[[Sequence[ActivityRow]], bytes], of_columns: str) -> None:
        """`of_columns` is the function of `activity_lines` that does the same for columns."""
        self._header = header
        self._encode = encode
        self._of_columns = of_columns

    def start(self) -> Piece:
        return self._header

    def rows(self, rows: Sequence[ActivityRow]) -> Piece:
        return self._encode(rows)

    def columns(self, batch: "pa.RecordBatch") -> Piece:
        encoded: Piece = getattr(extras.analytics(LINES), self._of_columns)(batch)
        return encoded

    def end(self) -> Piece:
        return b""


class JsonArray:
    """One array of all records, a line of its own."""

    turn = TURN

    def __init__(self) -> None:
        self._begun = False

    def start(self) -> Piece:
        return b"["

    def rows(self, rows: Sequence[ActivityRow]) -> Piece:
        return self._separated(msgspec.json.encode([activity_json.activity_record(row) for row in rows])[1:-1])

    def columns(self, batch: "pa.RecordBatch") -> Piece:
        # A line feed is escaped within a text: those that are left end the lines.
        lines = extras.analytics(LINES).encode_lines(batch)
        return self._separated(bytes(lines[:-1]).replace(b"\n", b","))

    def end(self) -> Piece:
        return b"]\n"

    def _separated(self, elements: bytes) -> bytes:
        if not elements:
            return b""
        before, self._begun = b"," if self._begun else b"", True
        return before + elements


class Parquet:
    """Row groups, and a directory at the end. Needs the extra `analytics`."""

    turn = LONG_TURN

    def __init__(self, metadata: Mapping[str, str]) -> None:
        """ExtraMissing. `metadata` is kept in the file. Loads what it needs: not for the event loop's thread."""
        self._columns = extras.analytics(COLUMNS)
        self._file = extras.analytics(PARQUET).ParquetFile(metadata)

    def start(self) -> Piece:
        return b""

    def rows(self, rows: Sequence[ActivityRow]) -> Piece:
        return self.columns(self._columns.columns_of(rows))

    def columns(self, batch: "pa.RecordBatch") -> Piece:
        ready: bytes = self._file.add(batch)
        return ready

    def end(self) -> Piece:
        rest: bytes = self._file.end()
        return rest


class FocusCsv:
    """FOCUS: the sums of each day. The records must come in ascending order."""

    turn = TURN

    def __init__(self) -> None:
        self._focus = Focus()

    def start(self) -> Piece:
        return self._focus.header()

    def rows(self, rows: Sequence[ActivityRow]) -> Piece:
        return self._focus.add(rows)

    def columns(self, batch: "pa.RecordBatch") -> Piece:
        return self._focus.add_sums(extras.analytics(FOCUS).sums_of(batch))

    def end(self) -> Piece:
        return self._focus.end()


class Compressed:
    """Another form, compressed so that each piece can be read when it arrives."""

    def __init__(self, form: Form, stream: Compressor) -> None:
        self.turn = form.turn
        self._form = form
        self._stream = stream

    def start(self) -> Piece:
        return self._added(self._form.start())

    def rows(self, rows: Sequence[ActivityRow]) -> Piece:
        return self._added(self._form.rows(rows))

    def columns(self, batch: "pa.RecordBatch") -> Piece:
        return self._added(self._form.columns(batch))

    def end(self) -> Piece:
        return b"".join((self._added(self._form.end()), self._stream.end()))

    def _added(self, piece: Piece) -> bytes:
        return self._stream.add(piece) if piece else b""


def ndjson() -> Form:
    return Lines(b"", activity_json.encode_lines, "encode_lines")


def csv() -> Form:
    return Lines(activity_csv.encode_header(), activity_csv.encode_rows, "encode_rows")

"""Columns of activity records as Parquet, piece by piece: what is written so far can be sent before the rest is known.

Records gather until there are enough for a row group; each row group is written as a whole. The file ends with its
directory: without that it cannot be read, so one that was cut short is worth nothing.

Needs the extra `analytics`, as `activity_columns` does.
"""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from arouter.wire.activity_columns import SCHEMA

ROWS_IN_GROUP = 16_384
"""A group is in memory while it is written, several times over: some ten megabytes in all."""

METADATA = "arouter."
"""What the names of our metadata begin with."""

_WITHOUT_DICTIONARY = frozenset({"id", "request_id", "upstream_id", "created_at", "completed_at"})
"""Every value is another one."""


class _Sink:
    """A file that is only written to, and whose bytes are taken away."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class ParquetFile:
    """One file. The bytes that `add` and `end` give are its content, in their order."""

    def __init__(self, metadata: Mapping[str, str], *, rows_in_group: int = ROWS_IN_GROUP) -> None:
        """`metadata` is kept in the file, each name behind `arouter.`."""
        self._sink = _Sink()
        self._rows_in_group = rows_in_group
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        told = {METADATA + name: value for name, value in metadata.items()}
        self._schema = SCHEMA.with_metadata(told)
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._sink, mode="w"),
            self._schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=_dictionary_columns(),
            store_schema=True,
        )

    def add(self, batch: pa.RecordBatch) -> bytes:
        """What can be sent after these records; often nothing."""
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= self._rows_in_group:
            self._write()
        return self._sink.taken()

    def end(self) -> bytes:
        """The rest."""
        if self._rows:
            self._write()
        self._writer.close()
        return self._sink.taken()

    def _write(self) -> None:
        table = pa.Table.from_batches(self._waiting, SCHEMA).unify_dictionaries()
        self._waiting, self._rows = [], 0
        self._writer.write_table(table.cast(self._schema), row_group_size=max(table.num_rows, 1))


def _dictionary_columns() -> list[str]:
    """By their paths in the file: those within a list are longer than its name."""
    flat = [field.name for field in SCHEMA if not pa.types.is_nested(field.type)]
    return [*(name for name in flat if name not in _WITHOUT_DICTIONARY), "tags.list.element"]

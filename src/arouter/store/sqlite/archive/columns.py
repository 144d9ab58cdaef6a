"""The columns of a sealed record, and how a batch of them becomes the bytes of a block and back.

A block is an Arrow RecordBatch without its schema, compressed as a whole with zstd. Columns that hold nothing but
unknown values are left out; which ones are there is a number with a bit for each.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import zstandard

from arouter.domain.errors import StorageUnavailable
from arouter.store.sqlite.rows import COLUMNS, NAMED, Row

ID_PREFIX: Final = "gen-"
_ID_TIME_DIGITS: Final = 15
_ID_RANDOM_DIGITS: Final = 17
_ID_RANDOM_BYTES: Final = 9
_TEXTS = ("request_id", "session_id", "upstream_id", "tried")


def _type(column: str) -> pa.DataType:
    if column in _TEXTS:
        return pa.string()
    if column in NAMED or column == "user_no":
        return pa.int32()
    return pa.int64()


def _fields() -> list[pa.Field]:
    fields = []
    for column in COLUMNS:
        if column == "id":
            fields += [pa.field("id_random", pa.binary(_ID_RANDOM_BYTES)), pa.field("id_text", pa.string())]
        elif column == "tags":
            fields.append(pa.field("tags", pa.list_(pa.int32())))
        elif column == "raw_usage":
            fields.append(pa.field("raw_usage", pa.binary()))
        else:
            fields.append(pa.field(column, _type(column)))
    return fields


SCHEMA: Final = pa.schema(_fields())
"""What `rows.COLUMNS` holds, by the same names, but for

- `id`: `id_random` has the last 17 hexadecimal digits of an id that `domain.ids.generation_id` made of the record's own
  `created_at_us`, as 9 bytes that begin with half a byte of zero; any other id is in `id_text`. One of them is null.
- `tags`: the numbers of the tags' names, in their order; null where there are none.
- `raw_usage`: the bytes.
"""
_CODEC: Final = pa.Codec("zstd", 3)


class _Decompressor(threading.local):
    """One for each thread: making one costs as much as a small block."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor()

    def of(self, data: bytes, size: int) -> bytes:
        plain = self._zstd.decompress(data, max_output_size=size)
        if len(plain) != size:
            raise ValueError(f"it holds {len(plain)} bytes, and should {size}")
        return plain


_DECOMPRESSOR: Final = _Decompressor()


@dataclass(frozen=True, slots=True)
class Packed:
    """A block's bytes. `present` has the bit of each column of `SCHEMA` that is there, `size` is before compression."""

    present: int
    size: int
    data: bytes


def pack(batch: pa.RecordBatch) -> Packed:
    """The bytes of a batch with columns of `SCHEMA`, in their order."""
    return next(pack_pieces(batch, [0, batch.num_rows]))


def pack_pieces(batch: pa.RecordBatch, edges: Sequence[int]) -> Iterator[Packed]:
    """The bytes of each piece of a batch with columns of `SCHEMA`, in their order: from one of `edges` to before the
    next. No piece may be empty, but the only one."""
    starts = edges[:-1]
    always = 0
    present = np.zeros(len(starts), np.int64)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        bit = 1 << SCHEMA.get_field_index(name)
        if column.null_count == len(column):
            continue
        if not column.null_count:
            always |= bit
            continue
        # Once for all pieces: to ask each piece for its nulls takes as long as to compress it.
        valid = column.is_valid().to_numpy(zero_copy_only=False)[edges[0] : edges[-1]]
        there = np.logical_or.reduceat(valid, np.array(starts) - edges[0])
        present |= np.where(there, bit, 0)
    chosen: dict[int, pa.RecordBatch] = {}
    for start, end, some in zip(starts, edges[1:], present.tolist(), strict=True):
        kept = always | some
        if kept not in chosen:
            schema = _schema(kept)
            chosen[kept] = pa.RecordBatch.from_arrays([batch.column(name) for name in schema.names], schema=schema)
        # A slice has the buffers of the whole; IPC cuts them.
        buffer = chosen[kept].slice(start, end - start).serialize()
        yield Packed(kept, buffer.size, _CODEC.compress(buffer, asbytes=True))


def unpack(present: int, size: int, data: bytes) -> pa.RecordBatch:
    """The batch of a block, with the columns that are there. StorageUnavailable if it is damaged."""
    try:
        return pa.ipc.read_record_batch(pa.py_buffer(_DECOMPRESSOR.of(data, size)), _schema(present))
    except (pa.ArrowException, zstandard.ZstdError, OSError, ValueError) as exc:
        raise StorageUnavailable("A block of sealed records is damaged.", detail=str(exc)) from exc


def whole(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same with every column of `SCHEMA`."""
    there = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns = [there[field.name] if field.name in there else pa.nulls(batch.num_rows, field.type) for field in SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


@cache
def _schema(present: int) -> pa.Schema:
    return pa.schema([field for place, field in enumerate(SCHEMA) if present >> place & 1])


def own_id(created_at_us: int, record_id: str) -> bytes | None:
    """The random part of an id that was made of this time; None for any other id."""
    beginning = f"{ID_PREFIX}{created_at_us:0{_ID_TIME_DIGITS}x}"
    digits = record_id[len(beginning) :]
    if not record_id.startswith(beginning) or len(digits) != _ID_RANDOM_DIGITS:
        return None
    if not all(digit in "0123456789abcdef" for digit in digits):
        return None
    return bytes.fromhex("0" + digits)


def id_text(created_at_us: int, random: bytes) -> str:
    """The id that `own_id` took apart."""
    return f"{ID_PREFIX}{created_at_us:0{_ID_TIME_DIGITS}x}{random.hex()[1:]}"


_SEQ = COLUMNS.index("seq")
_ID = COLUMNS.index("id")
_CREATED_AT = COLUMNS.index("created_at_us")
_RAW_USAGE = COLUMNS.index("raw_usage")


def from_rows(rows: Sequence[Row], tags: Mapping[object, Sequence[int]]) -> pa.RecordBatch:
    """A batch of rows as the ledger reads them, and of their tags' numbers by `seq`."""
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
    arrays: list[pa.Array] = []
    for place, name in enumerate(COLUMNS):
        values = columns[place]
        if place == _ID:
            randoms = [own_id(at, text) for at, text in zip(columns[_CREATED_AT], values, strict=True)]
            others = [text if own is None else None for text, own in zip(values, randoms, strict=True)]
            arrays += [pa.array(randoms, pa.binary(_ID_RANDOM_BYTES)), pa.array(others, pa.string())]
            continue
        if place == _RAW_USAGE:
            values = [None if value is None else bytes.fromhex(value) for value in values]
        elif name == "tags":
            values = [tags.get(seq) for seq in columns[_SEQ]]
        arrays.append(pa.array(values, SCHEMA.field(name).type))
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def numbers_in(column: pa.Array | pa.ChunkedArray) -> np.ndarray[Any, np.dtype[Any]]:
    """A column of whole numbers that are all known."""
    found: np.ndarray[Any, np.dtype[Any]] = (
        column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
    )
    return found


def to_rows(table: pa.Table | pa.RecordBatch) -> tuple[list[list[Any]], dict[object, Sequence[int]]]:
    """Rows as the ledger reads them, and the numbers of their tags by `seq`."""
    count = table.num_rows
    there = dict(zip(table.schema.names, table.columns, strict=True))
    nothing = [None] * count

    def values(name: str) -> list[Any]:
        column = there.get(name)
        if column is None:
            return nothing
        plain = not column.null_count and pa.types.is_integer(column.type)
        listed: list[Any] = numbers_in(column).tolist() if plain else column.to_pylist()
        return listed

    created_at = values("created_at_us")
    columns: list[Sequence[Any]] = []
    for name in COLUMNS:
        if name == "id":
            parts = zip(created_at, values("id_random"), values("id_text"), strict=True)
            columns.append([id_text(at, random) if text is None else text for at, random, text in parts])
        elif name == "raw_usage":
            columns.append([None if value is None else value.hex() for value in values(name)])
        elif name == "tags":
            tags = values(name)
            columns.append([0 if value is None else len(value) for value in tags])
        else:
            columns.append(values(name))
    rows = [list(row) for row in zip(*columns, strict=True)]
    return rows, {row[_SEQ]: numbers for row, numbers in zip(rows, tags, strict=True) if numbers}

"""Records into blocks: the rows of `time_blocks` and `user_blocks` that a day becomes."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from arouter.store.sqlite.archive.columns import pack

ROWS_BY_TIME: Final = 4096
ROWS_BY_USER: Final = 128
"""At most, in one block."""
USERS_IN_BUCKET: Final = 64
MARKED: Final = (
    ("workspaces", ("workspace_no",)),
    ("keys", ("key_no",)),
    ("models", ("model_no", "requested_model_no")),
    ("providers", ("provider_no",)),
    ("endpoints", ("endpoint_no",)),
    ("statuses", ("status_no",)),
)
"""The columns of `time_blocks` that tell which numbers are in a block, and the columns that they tell of."""

TIME_COLUMNS: Final = (
    "day_no",
    "organization_no",
    "first_us",
    "last_us",
    "first_seq",
    "last_seq",
    "records",
    *(name for name, _ in MARKED),
    "present",
    "size",
    "data",
)
USER_COLUMNS: Final = (
    "day_no",
    "organization_no",
    "bucket",
    "day",
    "part",
    "users",
    "first_us",
    "last_us",
    "records",
    "present",
    "size",
    "data",
)

Numbers = np.ndarray[Any, np.dtype[np.int64]]


def numbers(batch: pa.RecordBatch | pa.Table, column: str) -> Numbers:
    """A column of whole numbers, 0 for unknown ones."""
    place = batch.schema.get_field_index(column)
    if place < 0:
        return np.zeros(batch.num_rows, np.int64)
    values = batch.column(place)
    if values.null_count:
        values = values.fill_null(0)
    found = values.to_numpy() if isinstance(values, pa.ChunkedArray) else values.to_numpy(zero_copy_only=False)
    # Of one width, whether a block has the column or not: blocks are put together.
    made: Numbers = found.astype(np.int64, copy=False)
    return made


def bits(values: Numbers) -> int:
    """The bit (value mod 64) of each value, as SQLite's signed number."""
    marks = np.left_shift(np.uint64(1), (values & 63).astype(np.uint64))
    return signed(int(np.bitwise_or.reduce(marks, initial=np.uint64(0))))


def signed(number: int) -> int:
    """64 bits as SQLite takes them."""
    return number - 2**64 if number >= 2**63 else number


def time_block(batch: pa.RecordBatch, day_no: int, organization_no: int) -> tuple[object, ...]:
    """The values of `TIME_COLUMNS` of records in the order of (created_at_us, id)."""
    created, seqs = numbers(batch, "created_at_us"), numbers(batch, "seq")
    marks = [bits(np.concatenate([numbers(batch, column) for column in columns])) for _, columns in MARKED]
    packed = pack(batch)
    return (
        day_no,
        organization_no,
        int(created[0]),
        int(created[-1]),
        int(seqs.min()),
        int(seqs.max()),
        batch.num_rows,
        *marks,
        packed.present,
        packed.size,
        packed.data,
    )


def user_blocks(batch: pa.RecordBatch, day_no: int, organization_no: int, day: int) -> Iterator[tuple[object, ...]]:
    """The values of `USER_COLUMNS` of each block of records in the order of (created_at_us, id).

    They are brought into the order of users. All records of a bucket must be in one call.
    """
    users = numbers(batch, "user_no")
    if (np.diff(users) < 0).any():
        order = np.argsort(users, kind="stable")
        users = users[order]
        batch = batch.take(pa.array(order))
    created = numbers(batch, "created_at_us")
    buckets = users // USERS_IN_BUCKET
    starts = [0, *(np.flatnonzero(np.diff(buckets)) + 1).tolist(), len(users)]
    for start, end in itertools.pairwise(starts):
        for part, (first, behind) in enumerate(_even_pieces(start, end)):
            packed = pack(batch.slice(first, behind - first))
            times = created[first:behind]
            yield (
                day_no,
                organization_no,
                int(buckets[start]),
                day,
                part,
                bits(users[first:behind]),
                int(times.min()),
                int(times.max()),
                behind - first,
                packed.present,
                packed.size,
                packed.data,
            )


def _even_pieces(start: int, end: int) -> Sequence[tuple[int, int]]:
    """From one place to another in as few pieces of `ROWS_BY_USER` as can be, of equal size."""
    count = end - start
    pieces = -(-count // ROWS_BY_USER)
    edges = [start + count * piece // pieces for piece in range(pieces + 1)] if pieces else []
    return list(itertools.pairwise(edges))

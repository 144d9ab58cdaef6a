"""Records into blocks: the rows of `time_blocks` and `user_blocks` that a day becomes."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from arouter.store.sqlite.archive.columns import numbers_in, pack, pack_pieces

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
    # Of one width, whether a block has the column or not: blocks are put together.
    made: Numbers = numbers_in(values).astype(np.int64, copy=False)
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


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where records in the order of users are cut into blocks: at `edges`, one more than there are blocks."""

    edges: Sequence[int]
    buckets: Sequence[int]
    parts: Sequence[int]
    """Which block of its bucket each is."""

    def some(self, first: int, behind: int) -> "Cuts":
        """Those blocks, of a batch of their records alone."""
        start = self.edges[first]
        edges = [edge - start for edge in self.edges[first : behind + 1]]
        return Cuts(edges, self.buckets[first:behind], self.parts[first:behind])


def cuts_of(users: Numbers) -> Cuts:
    """Of the numbers of rising users, all records of each bucket among them."""
    buckets = users // USERS_IN_BUCKET
    starts = [0, *(np.flatnonzero(np.diff(buckets)) + 1).tolist(), len(users)]
    edges = [0]
    found: list[int] = []
    parts: list[int] = []
    for start, end in itertools.pairwise(starts):
        pieces = _even_pieces(start, end)
        edges += [behind for _, behind in pieces]
        found += [int(buckets[start])] * len(pieces)
        parts += range(len(pieces))
    return Cuts(edges, found, parts)


def cut_by_user(
    batch: pa.RecordBatch, cuts: Cuts, day_no: int, organization_no: int, day: int
) -> Iterator[tuple[object, ...]]:
    """The values of `USER_COLUMNS` of each block of records in the order of (user_no, created_at_us, id)."""
    created, users = numbers(batch, "created_at_us"), numbers(batch, "user_no")
    starts = np.array(cuts.edges[:-1])
    marks = np.left_shift(np.uint64(1), (users & 63).astype(np.uint64))
    columns = (
        cuts.buckets,
        cuts.parts,
        np.bitwise_or.reduceat(marks, starts).view(np.int64).tolist(),
        np.minimum.reduceat(created, starts).tolist(),
        np.maximum.reduceat(created, starts).tolist(),
        np.diff(cuts.edges).tolist(),
        pack_pieces(batch, cuts.edges),
    )
    for bucket, part, marked, first_us, last_us, records, packed in zip(*columns, strict=True):
        yield (
            day_no,
            organization_no,
            bucket,
            day,
            part,
            marked,
            first_us,
            last_us,
            records,
            packed.present,
            packed.size,
            packed.data,
        )


def user_blocks(batch: pa.RecordBatch, day_no: int, organization_no: int, day: int) -> Iterator[tuple[object, ...]]:
    """The values of `USER_COLUMNS` of each block of records in the order of (created_at_us, id).

    They are brought into the order of users. All records of a bucket must be in one call, and at least one record.
    """
    users = numbers(batch, "user_no")
    if (np.diff(users) < 0).any():
        order = np.argsort(users, kind="stable")
        users = users[order]
        batch = batch.take(pa.array(order))
    yield from cut_by_user(batch, cuts_of(users), day_no, organization_no, day)


def _even_pieces(start: int, end: int) -> Sequence[tuple[int, int]]:
    """From one place to another in as few pieces of `ROWS_BY_USER` as can be, of equal size."""
    count = end - start
    pieces = -(-count // ROWS_BY_USER)
    edges = [start + count * piece // pieces for piece in range(pieces + 1)] if pieces else []
    return list(itertools.pairwise(edges))

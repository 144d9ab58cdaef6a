"""The next sealed records in the order of a query, as one batch of the archive's own columns."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import apsw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arouter.domain.activity import Cursor
from arouter.store.sqlite.archive.blocks import numbers
from arouter.store.sqlite.archive.columns import unpack
from arouter.store.sqlite.archive.reader import cut, id_at, matching, of_user, sources, taken
from arouter.store.sqlite.selection import Wanted

_LEAST_OF_A_USER: Final = 100
_MOST_BLOCKS: Final = 32
"""Are looked through for one stretch, once anything was found."""
_NOT_EXPORTED: Final = frozenset(
    {"raw_usage", "written_at_us", "rated_cost", "reported_cost", "upstream_model_no", "service_tier_no"}
)


@dataclass(slots=True)
class Stretch:
    """Sealed records in the order of the query."""

    batch: pa.RecordBatch
    """With those columns of `columns.SCHEMA` that are there and that an export needs."""
    descending: bool
    is_last: bool
    """Whether no sealed record comes after it."""

    @property
    def records(self) -> int:
        count: int = self.batch.num_rows
        return count

    @property
    def last(self) -> Cursor:
        place = self.records - 1
        return Cursor(self.batch.column("created_at_us")[place].as_py(), id_at(self.batch, place))

    def cut(self, place: Cursor, *, inclusive: bool = False) -> None:
        """Keep what comes before the place; with `inclusive`, the record of that place too."""
        created = numbers(self.batch, "created_at_us")
        before = created > place.created_at_us if self.descending else created < place.created_at_us
        for twin in np.flatnonzero(created == place.created_at_us).tolist():
            record_id = id_at(self.batch, twin)
            before[twin] = record_id > place.id if self.descending else record_id < place.id
            before[twin] |= inclusive and record_id == place.id
        kept = int(before.sum())
        if kept < self.records:
            self.batch, self.is_last = self.batch.slice(0, kept), False


class _Last(threading.local):
    """The block that was unpacked last: a stretch nearly always ends with the end of a block, and the next one has to
    look there for records of the cursor's microsecond. It is known by its bytes."""

    def __init__(self) -> None:
        self._told: tuple[int, int, bytes] | None = None
        self._block: pa.RecordBatch = None

    def unpack(self, present: int, size: int, data: bytes) -> pa.RecordBatch:
        """What `columns.unpack` makes of it. StorageUnavailable if the block is damaged."""
        told = present, size, data
        if told != self._told:
            self._told, self._block = None, None
            self._block = unpack(present, size, data)
            self._told = told
        return self._block


_LAST: Final = _Last()
_NOTHING: Final = pa.record_batch([pa.array([], pa.int64())], names=["created_at_us"])


def read(connection: apsw.Connection, wanted: Wanted, *, descending: bool, limit: int, after: Cursor | None) -> Stretch:
    """At most `limit` records behind the cursor, and one at least if there is any."""
    users = 1 if wanted.users is None else max(1, len(wanted.users))
    of_each = max(limit // users, min(limit, _LEAST_OF_A_USER))
    pieces: list[pa.RecordBatch] = []
    ends: list[Cursor] = []
    for blocks, user in sources(connection, wanted, descending, _LAST.unpack):
        found, is_all = _first(_matching(connection, blocks, wanted, user, descending, after), of_each)
        pieces += found
        if not is_all:
            ends.append(Stretch(found[-1], descending, is_last=False).last)
    if not pieces:
        return Stretch(_NOTHING, descending, is_last=True)
    stretch = Stretch(_joined(pieces), descending, is_last=not ends)
    if users > 1:
        stretch.batch = _ordered(stretch.batch, descending)
        if ends:
            # What other users have behind the end of one may have to wait for more of that one.
            stretch.cut(max(ends, key=_place) if descending else min(ends, key=_place), inclusive=True)
        if stretch.records > limit:
            stretch.batch, stretch.is_last = stretch.batch.slice(0, limit), False
    return stretch


def _place(cursor: Cursor) -> tuple[int, str]:
    return cursor.created_at_us, cursor.id


def _matching(
    connection: apsw.Connection,
    blocks: Iterator[pa.RecordBatch],
    wanted: Wanted,
    user: int | None,
    descending: bool,
    after: Cursor | None,
) -> Iterator[pa.RecordBatch]:
    """What is wanted of each block, in the order of the query; often nothing."""
    for block in blocks:
        batch = block if user is None else of_user(block, user)
        mask = matching(connection, batch, wanted)
        if after is not None:
            cut(batch, mask, after, descending)
        places = np.flatnonzero(mask)
        batch = batch.select([name for name in batch.schema.names if name not in _NOT_EXPORTED])
        if not len(places):
            yield batch.slice(0, 0)
        elif descending:
            yield batch.take(pa.array(places[::-1]))
        else:
            yield taken(batch, places)


def _first(batches: Iterator[pa.RecordBatch], limit: int) -> tuple[list[pa.RecordBatch], bool]:
    """Whole batches as far as they go, at most `limit` records; and whether that is all there is."""
    found: list[pa.RecordBatch] = []
    count = 0
    for looked, batch in enumerate(batches, 1):
        if count + batch.num_rows > limit:
            if not found:
                found.append(batch.slice(0, limit))
            return found, False
        if batch.num_rows:
            found.append(batch)
            count += batch.num_rows
        # Another whole block might not fit, and would be unpacked in vain.
        if found and (count > limit // 2 or looked >= _MOST_BLOCKS):
            return found, False
    return found, True


def _joined(pieces: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """One batch, with the columns that any of them has."""
    if len(pieces) == 1:
        return pieces[0]
    joined = pa.concat_tables([pa.Table.from_batches([piece]) for piece in pieces], promote_options="default")
    return joined.combine_chunks().to_batches()[0]


def _ordered(batch: pa.RecordBatch, descending: bool) -> pa.RecordBatch:
    ids = pa.array([id_at(batch, place) for place in range(batch.num_rows)], pa.string())
    direction = "descending" if descending else "ascending"
    order = pc.sort_indices(
        pa.table({"time": batch.column("created_at_us"), "id": ids}),
        sort_keys=[("time", direction), ("id", direction)],
    )
    return batch.take(order)

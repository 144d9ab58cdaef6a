"""What proves sealed records: their two copies, the sums, and the chain of hashes."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import add

import apsw
import numpy as np
import pyarrow as pa

from arouter.store.sqlite.archive.blocks import USERS_IN_BUCKET, numbers
from arouter.store.sqlite.archive.columns import to_rows, unpack, whole
from arouter.store.sqlite.archive.sums import Grouping, measures, rollups_of
from arouter.store.sqlite.archive.writer import blocks_of, joined, passes, rows_of_buckets
from arouter.store.sqlite.names import fetch
from arouter.store.sqlite.rollups import ROLLUP_COLUMNS, ROLLUP_KEY
from arouter.store.sqlite.rows import COLUMNS, Row
from arouter.store.sqlite.sealed import Day
from arouter.store.sqlite.statements import queries

_SEQ = COLUMNS.index("seq")
_KEY = len(ROLLUP_KEY)
_COSTS = ROLLUP_COLUMNS[_KEY:].index("cost_units")
_HOUR_US = 3_600_000_000

Counted = Callable[[Day, int], Sequence[Sequence[int]]]
"""The roll-ups that the rows of a day and a slot make, which came after it was sealed."""


def copies_differ(connection: apsw.Connection, day: Day) -> bool:
    """Whether the blocks by time and those by user hold anything else."""
    for first, last in passes(rows_of_buckets(connection, day)):
        by_time = []
        for batch in blocks_of(connection, day.no):
            buckets = numbers(batch, "user_no") // USERS_IN_BUCKET
            by_time.append(whole(batch).filter(pa.array((buckets >= first) & (buckets <= last))))
        found = connection.execute(queries()["user_blocks_of_buckets"], (day.no, first, last))
        by_user = [whole(unpack(present, size, data)) for present, size, data in found]
        if not by_user or not _sorted(by_time).equals(_sorted(by_user)):
            return True
    counts = connection.execute(queries()["counts_of_blocks"], (day.no, day.no, day.no)).fetchone()
    return counts is None or len({*counts}) != 1


def differing_rollups(
    connection: apsw.Connection, day: Day, grouping: Grouping, counted: Counted
) -> tuple[int, Mapping[tuple[int, int], tuple[int, int]]]:
    """How many roll-ups of a day are not what its records add up to; what those on own keys cost by key and hour."""
    table = rollups_of(connection, blocks_of(connection, day.no), grouping)
    slots = table.column("slot").to_numpy()
    sql = queries()["rollups_of_slot"].format(columns=", ".join(ROLLUP_COLUMNS))
    differing = 0
    for slot in range(day.start_us // 900_000_000, day.end_us // 900_000_000):
        there = table.filter(pa.array(slots == slot))
        sums: dict[tuple[int, ...], tuple[int, ...]] = {}
        for row in zip(*(column.to_pylist() for column in there.columns), strict=True):
            sums[row[:_KEY]] = row[_KEY:]
        for more in counted(day, slot):
            key, adding = tuple(more[:_KEY]), tuple(more[_KEY:])
            sums[key] = tuple(map(add, sums[key], adding)) if key in sums else adding
        expected = {(*key, *each) for key, each in sums.items()}
        found = {tuple(row) for row in fetch(connection, sql, day.organization_no, slot, 1, 0)}
        differing += len(expected ^ found)
    return differing, _own_keys(connection, day, grouping)


def _own_keys(connection: apsw.Connection, day: Day, grouping: Grouping) -> Mapping[tuple[int, int], tuple[int, int]]:
    spent: dict[tuple[int, int], tuple[int, int]] = {}
    for batch in blocks_of(connection, day.no):
        own = numbers(batch, "is_byok") == 1
        if own.any():
            chosen = batch.filter(pa.array(own))
            units, rest = measures(connection, chosen, grouping)[_COSTS : _COSTS + 2]
            hours = numbers(chosen, "created_at_us") // _HOUR_US
            found = zip(numbers(chosen, "key_no").tolist(), hours.tolist(), units.tolist(), rest.tolist(), strict=True)
            for key_no, hour, more_units, more_rest in found:
                before = spent.get((key_no, hour), (0, 0))
                spent[key_no, hour] = (before[0] + more_units, before[1] + more_rest)
    return spent


def blocks_hash(connection: apsw.Connection, day_no: int, before: bytes) -> tuple[bytes, int]:
    """The hash of a batch that was loaded as blocks, after another one; and how many records there are."""
    chain = hashlib.sha256(before)
    records = 0
    for data, count in connection.execute(queries()["bytes_of_day"], (day_no,)):
        assert isinstance(data, bytes)
        assert isinstance(count, int)
        chain.update(data)
        records += count
    return chain.digest(), records


class SealedRows:
    """Sealed records by `seq`, taken in its order: a block is read when its first record is due."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._blocks = iter(fetch(connection, queries()["blocks_by_seq"]))
        self._next: Sequence[int] | None = next(self._blocks, None)
        self._rows: dict[int, tuple[Row, Sequence[int]]] = {}

    def take(self, first_seq: int, last_seq: int) -> Iterator[tuple[Row, Sequence[int]]]:
        """Those from one number to another, both included, with the numbers of their tags."""
        while self._next is not None and self._next[0] <= last_seq:
            self._read(self._next[1])
            self._next = next(self._blocks, None)
        if len(self._rows) < last_seq - first_seq:
            due = sorted(seq for seq in self._rows if first_seq <= seq <= last_seq)
        else:
            due = [seq for seq in range(first_seq, last_seq + 1) if seq in self._rows]
        for seq in due:
            yield self._rows.pop(seq)

    def _read(self, block_no: int) -> None:
        row = self._connection.execute(queries()["time_block"], (block_no,)).fetchone()
        assert row is not None
        present, size, data = row
        table = pa.Table.from_batches([unpack(present, size, data)])
        rows, tags = to_rows(table)
        for each in rows:
            self._rows[each[_SEQ]] = each, tags.get(each[_SEQ], ())


def _sorted(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    batch = joined(batches)
    return batch.take(pa.array(np.argsort(numbers(batch, "seq"), kind="stable")))

"""A day's records into blocks, read from rows or given as a table, with bounded memory."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw
import numpy as np
import pyarrow as pa

from arouter.store.sqlite.archive.blocks import (
    ROWS_BY_TIME,
    TIME_COLUMNS,
    USER_COLUMNS,
    USERS_IN_BUCKET,
    Numbers,
    numbers,
    time_block,
    user_blocks,
)
from arouter.store.sqlite.archive.columns import from_rows, unpack, whole
from arouter.store.sqlite.names import fetch, to_json
from arouter.store.sqlite.rows import COLUMNS, READ_SQL, Row
from arouter.store.sqlite.sealed import Day
from arouter.store.sqlite.statements import insert_rows, queries

_ROWS_AT_ONCE: Final = 512
"""As many are read by one call, which holds the interpreter's lock for a millisecond or two."""
ROWS_IN_PASS: Final = 200_000
"""Records that are brought into the order of users at once."""
_BYTES_IN_STEP: Final = 256 * 1024
"""Of blocks that are written in one transaction, about."""
_SEQ = COLUMNS.index("seq")
_ID = COLUMNS.index("id")
_CREATED_AT = COLUMNS.index("created_at_us")
_TAGS = COLUMNS.index("tags")
_SEALED_ID_COLUMNS = ("id", "day_no", "created_at_us")


@dataclass(frozen=True, slots=True)
class Step:
    """What is written in one transaction: rows of one table of blocks, and ids that do not tell their time."""

    table: str
    blocks: Sequence[tuple[object, ...]]
    ids: Sequence[tuple[object, ...]]
    records: int

    def write(self, connection: apsw.Connection) -> None:
        columns = TIME_COLUMNS if self.table == "time_blocks" else USER_COLUMNS
        sql = queries()["add_blocks"].format(
            table=self.table, columns=", ".join(columns), places=", ".join("?" * len(columns))
        )
        for block in self.blocks:
            connection.execute(sql, block)
        insert_rows(connection, "add_sealed_ids", _SEALED_ID_COLUMNS, self.ids)


def by_time(batches: Iterable[pa.RecordBatch], day: Day) -> Iterator[Step]:
    """The blocks by time of batches that come in the order of (created_at_us, id)."""
    for batch in _of_size(batches, ROWS_BY_TIME):
        yield Step(
            "time_blocks",
            [time_block(batch, day.no, day.organization_no)],
            _other_ids(batch, day.no),
            batch.num_rows,
        )


def by_user(connection: apsw.Connection, day: Day) -> Iterator[Step]:
    """The blocks by user of a day whose blocks by time are written."""
    for first, last in passes(rows_of_buckets(connection, day)):
        pieces = []
        for batch in blocks_of(connection, day.no):
            buckets = numbers(batch, "user_no") // USERS_IN_BUCKET
            mask = (buckets >= first) & (buckets <= last)
            if mask.any():
                pieces.append(whole(batch).filter(pa.array(mask)))
        yield from in_steps(user_blocks(joined(pieces), day.no, day.organization_no, day.day))


def in_steps(blocks: Iterable[tuple[object, ...]]) -> Iterator[Step]:
    """Blocks by user, as many as one transaction takes."""
    waiting: list[tuple[object, ...]] = []
    size = records = 0
    for block in blocks:
        data, count = block[-1], block[_USER_RECORDS]
        assert isinstance(data, bytes)
        assert isinstance(count, int)
        waiting.append(block)
        size += len(data)
        records += count
        if size >= _BYTES_IN_STEP:
            yield Step("user_blocks", waiting, (), records)
            waiting, size, records = [], 0, 0
    if waiting:
        yield Step("user_blocks", waiting, (), records)


def read_rows(connection: apsw.Connection, day: Day) -> Iterator[pa.RecordBatch]:
    """The rows of a day in the order of (created_at_us, id), each piece read in a transaction of its own."""
    sql = queries()["rows_to_seal"].format(columns=READ_SQL)
    start_us, after = day.start_us, (day.start_us - 1, "")
    while True:
        values = (day.organization_no, start_us, day.end_us, *after, day.last_seq, _ROWS_AT_ONCE)
        rows: list[list[Any]] = fetch(connection, sql, *values)
        if not rows:
            return
        rows.sort(key=lambda row: (row[_CREATED_AT], row[_ID]))
        yield from_rows(rows, _tags_of(connection, rows))
        start_us, after = rows[-1][_CREATED_AT], (rows[-1][_CREATED_AT], rows[-1][_ID])
        if len(rows) < _ROWS_AT_ONCE:
            return


def blocks_of(connection: apsw.Connection, day_no: int) -> Iterator[pa.RecordBatch]:
    """The blocks by time of a day, in order."""
    for _, present, size, data in connection.execute(queries()["time_blocks_of_day"], (day_no,)):
        yield unpack(present, size, data)


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of the same columns as one."""
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _of_size(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    """The same records in batches of `size`, but for the last."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        if count >= size:
            whole_batch = joined(waiting)
            for start in range(0, count - count % size, size):
                yield whole_batch.slice(start, size)
            waiting = [whole_batch.slice(count - count % size)] if count % size else []
            count %= size
    if count:
        yield joined(waiting)


def rows_of_buckets(connection: apsw.Connection, day: Day) -> Counter[int]:
    """How many records of a day are of the users of each bucket."""
    counts: Counter[int] = Counter()
    for batch in blocks_of(connection, day.no):
        buckets, rows = np.unique(numbers(batch, "user_no") // USERS_IN_BUCKET, return_counts=True)
        counts.update(dict(zip(buckets.tolist(), rows.tolist(), strict=True)))
    return counts


def passes(counts: Counter[int]) -> Iterator[tuple[int, int]]:
    """Ranges of buckets with about `ROWS_IN_PASS` rows each; a bucket is never divided."""
    first: int | None = None
    last = rows = 0
    for bucket in sorted(counts):
        if first is not None and rows + counts[bucket] > ROWS_IN_PASS:
            yield first, last
            first, rows = None, 0
        if first is None:
            first = bucket
        last = bucket
        rows += counts[bucket]
    if first is not None:
        yield first, last


def _other_ids(batch: pa.RecordBatch, day_no: int) -> Sequence[tuple[object, ...]]:
    place = batch.schema.get_field_index("id_text")
    if place < 0 or batch.column(place).null_count == batch.num_rows:
        return ()
    created: Numbers = numbers(batch, "created_at_us")
    texts = batch.column(place).to_pylist()
    return [(text, day_no, at) for text, at in zip(texts, created.tolist(), strict=True) if text is not None]


def _tags_of(connection: apsw.Connection, rows: Sequence[Row]) -> dict[object, list[int]]:
    tagged = [row[_SEQ] for row in rows if row[_TAGS]]
    tags: dict[object, list[Any]] = {}
    if tagged:
        for seq, _, tag_no in sorted(fetch(connection, queries()["tags_of_records"], to_json(tagged))):
            tags.setdefault(seq, []).append(tag_no)
    return tags


_USER_RECORDS = USER_COLUMNS.index("records")

"""The feed of SQLite: transactions are the rows of `batches`, records have their `seq`.

The mark of a place is the hash of its transaction in the chain: another ledger, or one that was put back to what it was
earlier, does not have it.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import apsw

from arouter.domain.money import Picodollars
from arouter.store.feed import (
    Changes,
    ExpiredDay,
    ForeignPosition,
    Position,
    Stretch,
    WrittenAdjustment,
    WrittenRecord,
)
from arouter.store.sqlite.adjuster import StoredAdjustment, read_adjustments
from arouter.store.sqlite.names import Texts, fetch, to_json
from arouter.store.sqlite.pages import SealedTags, assemble
from arouter.store.sqlite.readers import Readers
from arouter.store.sqlite.rows import COLUMNS, READ_SQL
from arouter.store.sqlite.sealed import archive, has_sealed_days
from arouter.store.sqlite.statements import queries

_SEQ = COLUMNS.index("seq")


class SqliteFeed:
    """`Feed` over one file, each answer from one state of it."""

    def __init__(self, readers: Readers, settled_us: Callable[[], Awaitable[int]]) -> None:
        self._readers = readers
        self._settled_us = settled_us
        self._texts = Texts()

    async def after(self, position: Position, *, limit: int) -> Stretch | None:
        return await self._readers.read(lambda connection: _measure(connection, position, limit))

    async def read(self, stretch: Stretch) -> Changes:
        return await self._readers.read(lambda connection: _read(connection, self._texts, stretch))

    async def size_after(self, position: Position) -> int:
        values = (position.record, position.transaction)
        return int(
            await self._readers.read(lambda connection: connection.execute(queries()["size_to_copy"], values).get)
        )

    async def expired_days(self) -> Sequence[ExpiredDay]:
        found = await self._readers.read(lambda connection: fetch(connection, queries()["days_that_expired"]))
        return [ExpiredDay(organization_id=organization_id, day=day) for organization_id, day in sorted(found)]

    async def settled_us(self) -> int:
        return await self._settled_us()


def _measure(connection: apsw.Connection, position: Position, limit: int) -> Stretch | None:
    as_of_us = _check(connection, position)
    left, until = limit, position
    while batches := fetch(connection, queries()["batches_to_copy"], until.transaction):
        for no, first_seq, last_seq, written_at_us, adjustments, mark in batches:
            # A batch of adjustments has no records: its first is beyond its last.
            first = max(first_seq, until.record + 1)
            size = max(0, last_seq - first + 1) + adjustments
            if size > left:
                if left == limit and not adjustments:
                    until = Position(transaction=until.transaction, record=first + limit - 1, mark=until.mark)
                    return Stretch(after=position, until=until, size=limit, as_of_us=as_of_us)
                if left < limit:
                    return Stretch(after=position, until=until, size=limit - left, as_of_us=as_of_us)
            left -= size
            as_of_us = written_at_us
            until = Position(transaction=no, record=max(last_seq, until.record), mark=mark)
    return None if until == position else Stretch(after=position, until=until, size=limit - left, as_of_us=as_of_us)


def _check(connection: apsw.Connection, position: Position) -> int:
    """When the transaction of the place was written. ForeignPosition if this ledger has none such."""
    if position.transaction == 0:
        return 0
    row = connection.execute(queries()["batch_to_copy_from"], (position.transaction,)).fetchone()
    if row is None or row[0] != position.mark:
        raise ForeignPosition("what was copied is not what this ledger holds")
    return int(row[1])


def _read(connection: apsw.Connection, texts: Texts, stretch: Stretch) -> Changes:
    _check(connection, stretch.until)
    first, last = stretch.after.record + 1, stretch.until.record
    rows: dict[int, Any] = {}
    tags: dict[object, Sequence[int]] = {}
    if first <= last:
        sql = queries()["records_between"].format(columns=READ_SQL)
        rows = {row[_SEQ]: row for row in fetch(connection, sql, first, last)}
        if len(rows) < last - first + 1 and has_sealed_days(connection):
            found = archive("feeding").between(connection, first, last)
            tags |= found.tags
            rows |= {row[_SEQ]: row for row in found.rows}
    return Changes(
        records=[made for _, made in _written(connection, texts, [rows[seq] for seq in sorted(rows)], tags)],
        adjustments=[*_adjustments(connection, texts, stretch)],
    )


def _written(
    connection: apsw.Connection, texts: Texts, rows: Sequence[Any], tags: SealedTags
) -> Iterable[tuple[int, WrittenRecord]]:
    """Records with their numbers, as they were written: no adjustment is named."""
    bare = [[*row[: len(COLUMNS)], None] for row in rows]
    made = assemble(connection, texts, bare, tags)
    return [
        (row[_SEQ], WrittenRecord(record=one.record, written_at_us=one.written_at_us))
        for row, one in zip(bare, made, strict=True)
    ]


def _adjustments(connection: apsw.Connection, texts: Texts, stretch: Stretch) -> Iterable[WrittenAdjustment]:
    between = (stretch.after.transaction, stretch.until.transaction)
    found = read_adjustments(connection, "batch_no > ? AND batch_no <= ?", *between)
    if not found:
        return
    seqs = sorted({one.record_seq for one in found})
    targets = _targets(connection, texts, seqs)
    holding: dict[int, Picodollars | None] = {seq: one.record.cost for seq, one in targets.items()}
    for one in _earlier(connection, seqs, found[0].no):
        holding[one.record_seq] = one.adjustment.cost
    for one in found:
        target = targets.get(one.record_seq)
        if target is None:
            # The record has expired, and the copy is told to forget it.
            continue
        yield WrittenAdjustment(
            no=one.no,
            adjustment=replace(one.adjustment, record_id=target.record.opening.id),
            written_at_us=one.written_at_us,
            target=target,
            cost_before=holding[one.record_seq],
        )
        holding[one.record_seq] = one.adjustment.cost


def _earlier(connection: apsw.Connection, seqs: Sequence[int], before: int) -> Sequence[StoredAdjustment]:
    condition = "record_seq IN (SELECT value FROM json_each(?)) AND adjustments.no < ?"
    return read_adjustments(connection, condition, to_json([*seqs]), before)


def _targets(connection: apsw.Connection, texts: Texts, seqs: Sequence[int]) -> Mapping[int, WrittenRecord]:
    sql = queries()["records_of_seqs"].format(columns=READ_SQL)
    rows: dict[int, Any] = {row[_SEQ]: row for row in fetch(connection, sql, to_json([*seqs]))}
    tags: dict[object, Sequence[int]] = {}
    others = [seq for seq in seqs if seq not in rows]
    if others and has_sealed_days(connection):
        found = archive("feeding").of_seqs(connection, others)
        tags |= found.tags
        rows |= {row[_SEQ]: row for row in found.rows}
    return dict(_written(connection, texts, [*rows.values()], tags))

"""The feed of PostgreSQL: transactions are the rows of `batches`, by their numbers, which rise as they are committed.

Whoever appends holds the chain's head until it has committed: who sees a batch sees all with a lesser number, and no
other ever comes between them. A place within a transaction is that of a record in its batch. The mark of a place is the
hash of its transaction in the chain: another ledger, or one that was put back to what it was earlier, does not have it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

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
from arouter.store.postgres.pages import ADJUSTMENT_COLUMNS, adjustment_of
from arouter.store.postgres.pool import Pool
from arouter.store.postgres.rows import COLUMNS, as_json, decode_record_row, decode_row, record_of
from arouter.store.postgres.statements import queries
from arouter.store.postgres.texts import listed

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

BATCHES_AT_ONCE: Final = 1_000
"""That are looked at in one statement."""
_DECODED_AT_ONCE: Final = 50
"""So many rows are decoded where they are; more on a thread."""
_PLACES: Final = 2**24
"""More than a batch of adjustments has places."""
_BEHIND_RECORD: Final = len(COLUMNS)
_STATED: Final = as_json(
    (
        *(f"adjustments.{column}" for column in ADJUSTMENT_COLUMNS),
        "batches.no",
        "adjustments.place",
        "batches.written_at_us",
    )
)
_RECORD_ID: Final = ADJUSTMENT_COLUMNS.index("record_id")

Result = TypeVar("Result")


class PostgresFeed:
    """`Feed` over one database."""

    def __init__(self, pool: Pool, settled_us: Callable[[], Awaitable[int]]) -> None:
        """`settled_us` is that of `Feed`."""
        self._pool = pool
        self._settled_us = settled_us

    async def after(self, position: Position, *, limit: int) -> Stretch | None:
        async with self._pool.lend() as connection:
            return await _measure(connection, position, limit)

    async def read(self, stretch: Stretch) -> Changes:
        async with self._pool.transaction("repeatable_read", readonly=True) as connection:
            await _check(connection, stretch.until)
            records = await _records(connection, stretch)
            return Changes(records=records, adjustments=await _adjustments(connection, stretch))

    async def size_after(self, position: Position) -> int:
        async with self._pool.lend() as connection:
            sql = queries("feed")["size_to_copy"]
            return int(await connection.fetchval(sql, position.transaction, position.record))

    async def expired_days(self) -> Sequence[ExpiredDay]:
        async with self._pool.lend() as connection:
            rows = await connection.fetch(queries("feed")["days_that_expired"])
        return [ExpiredDay(organization_id=row["organization_id"], day=row["day"]) for row in rows]

    async def settled_us(self) -> int:
        return await self._settled_us()


async def _measure(connection: "Connection", position: Position, limit: int) -> Stretch | None:
    # What was committed does not change: each statement may see more at the end, and nothing else.
    as_of_us = await _check(connection, position)
    left, until = limit, position
    while True:
        at_once = min(left + 1, BATCHES_AT_ONCE)  # each holds something
        batches = await connection.fetch(queries("feed")["batches_to_copy"], until.transaction, at_once)
        for no, written_at_us, mark, records, adjustments in batches:
            size = max(0, records - until.record) + adjustments
            if size > left:
                if left == limit and not adjustments:
                    within = Position(transaction=until.transaction, record=until.record + limit, mark=until.mark)
                    return Stretch(after=position, until=within, size=limit, as_of_us=as_of_us)
                if left < limit:
                    return Stretch(after=position, until=until, size=limit - left, as_of_us=as_of_us)
            left -= size
            as_of_us = written_at_us
            until = Position(transaction=no, mark=mark)
            if left <= 0:
                return Stretch(after=position, until=until, size=limit - left, as_of_us=as_of_us)
        if len(batches) < at_once:
            return (
                None
                if until == position
                else Stretch(after=position, until=until, size=limit - left, as_of_us=as_of_us)
            )


async def _check(connection: "Connection", position: Position) -> int:
    """When the transaction of the place was written. ForeignPosition if this ledger has none such."""
    if position.transaction == 0:
        return 0
    row = await connection.fetchrow(queries("feed")["batch_to_copy_from"], position.transaction)
    if row is None or row["mark"] != position.mark:
        raise ForeignPosition("what was copied is not what this ledger holds")
    return int(row["written_at_us"])


async def _records(connection: "Connection", stretch: Stretch) -> Sequence[WrittenRecord]:
    after, until = stretch.after, stretch.until
    sql = queries("feed")["records_to_copy"].format(columns=_columns("stretch"))
    places = (after.transaction + 1, after.record, until.transaction + 1, until.record)
    return await _decoded(_written, [row[0] for row in await connection.fetch(sql, *places)])


async def _adjustments(connection: "Connection", stretch: Stretch) -> Sequence[WrittenAdjustment]:
    sql = queries("feed")["adjustments_to_copy"].format(columns=_STATED)
    rows = await connection.fetch(sql, stretch.after.transaction, stretch.until.transaction)
    if not rows:
        return ()
    stated = await _decoded(lambda texts: [decode_row(text) for text in texts], [row[0] for row in rows])
    sql = queries("feed")["records_of_adjustments"].format(columns=_columns("batches"))
    ids = listed({values[_RECORD_ID] for values in stated})
    found = await _decoded(_written, [row[0] for row in await connection.fetch(sql, ids)])
    targets = {one.record.opening.id: one for one in found}
    return _with_targets(stated, targets, stretch.after.transaction)


def _with_targets(
    stated: Sequence[Sequence[Any]], targets: Mapping[str, WrittenRecord], after: int
) -> Sequence[WrittenAdjustment]:
    """Those behind a transaction. All of a record are among them, in the order of writing."""
    holding: dict[str, Picodollars | None] = {record_id: one.record.cost for record_id, one in targets.items()}
    made = []
    for *values, no, place, written_at_us in stated:
        adjustment = adjustment_of(values)
        target = targets.get(adjustment.record_id)
        if target is None:
            # The record has expired, and the copy is told to forget it.
            continue
        if no > after:
            one = WrittenAdjustment(
                no=no * _PLACES + place,
                adjustment=adjustment,
                written_at_us=written_at_us,
                target=target,
                cost_before=holding[adjustment.record_id],
            )
            made.append(one)
        holding[adjustment.record_id] = adjustment.cost
    return made


def _columns(batches: str) -> str:
    return as_json((*(f"records.{column}" for column in COLUMNS), f"{batches}.written_at_us"))


def _written(texts: Sequence[str]) -> Sequence[WrittenRecord]:
    made = []
    for text in texts:
        values = decode_record_row(text)
        made.append(WrittenRecord(record=record_of(values), written_at_us=values[_BEHIND_RECORD]))
    return made


async def _decoded(decode: Callable[[Sequence[str]], Result], texts: Sequence[str]) -> Result:
    return decode(texts) if len(texts) <= _DECODED_AT_ONCE else await asyncio.to_thread(decode, texts)

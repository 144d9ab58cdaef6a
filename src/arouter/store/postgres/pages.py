"""Records read back: one, or a page of them; and the adjustments of one."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from arouter.domain.activity import ActivityQuery, ActivityRow, Page
from arouter.domain.adjustment import Adjustment, AdjustmentKind, adjusted
from arouter.domain.money import Picodollars
from arouter.store.postgres.rows import COLUMNS, as_json, decode_record_row, decode_row, record_of
from arouter.store.postgres.selection import of_records
from arouter.store.postgres.statements import queries

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

ADJUSTMENT_COLUMNS = (
    "id",
    "record_id",
    "created_at_us",
    "kind",
    "cost",
    "price_source",
    "price_version",
    "reason",
    "author",
)
_READ = as_json(
    (
        *(f"records.{column}" for column in COLUMNS),
        "batches.written_at_us",
        "keys.name",
        "keys.creator",
        "adjusting.written_at_us",
        *(f"adjustments.{column}" for column in ADJUSTMENT_COLUMNS),
    )
)
_BEHIND_RECORD = len(COLUMNS)
_AT_ONCE = 50
"""So many rows are decoded where they are; more on a thread."""


async def read_one(connection: "Connection", organization_id: str, record_id: str) -> ActivityRow | None:
    text = await connection.fetchval(queries("reading")["record"].format(columns=_READ), organization_id, record_id)
    return None if text is None else _row(text)


async def read_page(connection: "Connection", query: ActivityQuery) -> Page:
    made = of_records(query.scope, query.filters)
    if query.after is not None:
        place = f"({made.place(query.after.created_at_us, 'bigint')}, {made.place(query.after.id, 'text')})"
        made.add(f"(created_at_us, id) {'<' if query.descending else '>'} {place}")
    limit = made.place(query.limit + 1, "bigint")
    sql = queries("reading")["page"].format(
        columns=_READ, where=made.where, direction="DESC" if query.descending else "ASC", limit=limit
    )
    texts = [row[0] for row in await connection.fetch(sql, *made.values)]
    shown = texts[: query.limit]
    rows = _rows(shown) if len(shown) <= _AT_ONCE else await asyncio.to_thread(_rows, shown)
    return Page(rows=rows, next_cursor=rows[-1].cursor if rows and len(texts) > len(rows) else None)


async def read_adjustments(connection: "Connection", organization_id: str, record_id: str) -> Sequence[Adjustment]:
    """Every adjustment to a record, in the order of writing."""
    columns = as_json([f"adjustments.{column}" for column in ADJUSTMENT_COLUMNS])
    sql = queries("reading")["adjustments_of"].format(columns=columns)
    rows = await connection.fetch(sql, organization_id, record_id)
    return tuple(adjustment_of(decode_row(row[0])) for row in rows)


def adjustment_of(values: Sequence[Any]) -> Adjustment:
    """Of the values of `ADJUSTMENT_COLUMNS`."""
    adjustment_id, record_id, created_at_us, kind, cost, source, version, reason, author = values
    return Adjustment(
        id=adjustment_id,
        record_id=record_id,
        created_at_us=created_at_us,
        kind=AdjustmentKind(kind),
        cost=None if cost is None else Picodollars(cost),
        price_source=source,
        price_version=version,
        reason=reason,
        author=author,
    )


def _rows(texts: Sequence[str]) -> tuple[ActivityRow, ...]:
    return tuple([_row(text) for text in texts])


def _row(text: str) -> ActivityRow:
    values = decode_record_row(text)
    record = record_of(values)
    written_at_us, key_name, creator, adjusted_at_us, *stated = values[_BEHIND_RECORD:]
    adjustment = None if stated[0] is None else adjustment_of(stated)
    return ActivityRow(
        record=record if adjustment is None else adjusted(record, adjustment),
        written_at_us=written_at_us,
        adjustment=adjustment,
        adjusted_at_us=adjusted_at_us,
        original_cost=record.cost,
        key_name="" if key_name is None else key_name,
        creator=creator,
    )

"""Spans of sums and records as something that SQL can add up: all with the same columns.

Times that a summary groups by become one number, that of the buckets that a quarter of an hour lies in: SQL is told
where each begins. So buckets are Python's, and no other time zone data than Python's has a say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from arouter.domain.activity import TIME_DIMENSIONS, Dimension, SummaryQuery
from arouter.store.buckets import SLOT_US, Bucket, bucket_ranges
from arouter.store.planning import Source, Span, in_rollups, plan, too_many_records
from arouter.store.postgres.measures import RECORD_METERS
from arouter.store.postgres.retention import kept_spans
from arouter.store.postgres.selection import (
    Conditions,
    add_filters,
    add_scope,
    add_times,
    add_users,
    add_writing,
)
from arouter.store.postgres.statements import queries

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

COLUMNS = {
    Dimension.USER: "end_user",
    Dimension.MODEL: "model",
    Dimension.PROVIDER: "provider",
    Dimension.API_KEY: "key_hash",
    Dimension.WORKSPACE: "workspace_id",
    Dimension.ORGANIZATION: "organization_id",
    Dimension.ENDPOINT: "endpoint",
    Dimension.STATUS: "status",
    Dimension.TAG: "tag",
}


@dataclass(slots=True)
class Times:
    """The combinations of buckets that a summary groups by."""

    dimensions: tuple[Dimension, ...]
    starts: list[int] = field(default_factory=list)
    """The slots in which they begin; the place of a slot among these is its bucket's number, from 1."""
    buckets: list[Bucket] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a summary is read from."""

    pieces: str
    """A statement with a row for each sum and record."""
    made: Conditions
    """Its values."""
    times: Times
    names: tuple[str, ...]
    """The names of its columns that are grouped by, one for each dimension that is no time, behind `bucket`."""


async def sources_of(connection: "Connection", query: SummaryQuery, zone: ZoneInfo) -> Sources | None:
    """None if nothing can match. InvalidRequest if it is more than the query may cost."""
    slots = await connection.fetchrow(queries("reading")["slots"], query.scope.organization_id)
    if slots is None or slots[0] is None:
        return None
    planned = plan(query, (slots[0], slots[1]))
    kept = await kept_spans(connection, query.scope.organization_id, planned.spans, planned.reasons)
    spans = await _bounded(connection, query, kept, planned.reasons)
    if not spans:
        return None
    times = await _times(connection, query, zone, slots[0], slots[1] + 1)
    made = Conditions()
    pieces = [piece_of(query, span, times, made) for span in spans]
    return Sources(pieces=" UNION ALL ".join(pieces), made=made, times=times, names=names_of(query, times))


async def _bounded(
    connection: "Connection", query: SummaryQuery, spans: Sequence[Span], reasons: Sequence[str]
) -> Sequence[Span]:
    """The spans, those of too many records as sums where that can be told from sums."""
    most = query.bounds.most_records
    if most is None:
        return spans
    bounded = []
    for span in spans:
        if span.source is Source.RECORDS:
            count = await _count(connection, query, span, most + 1)
            if count > most:
                whole = None if reasons else in_rollups(span)
                if whole is None:
                    raise too_many_records(query, reasons)
                bounded.append(whole)
                continue
            most -= count
        bounded.append(span)
    return bounded


async def _count(connection: "Connection", query: SummaryQuery, span: Span, most: int) -> int:
    """How many records have to be read, as far as an index tells; no more than `most` are counted."""
    made = Conditions()
    add_scope(made, query.scope)
    add_users(made, query.filters)
    add_times(made, span.first, span.beyond)
    sql = queries("reading")["count_up_to"].format(where=made.where, most=made.place(most, "bigint"))
    return int(await connection.fetchval(sql, *made.values))


def times_of(query: SummaryQuery) -> tuple[Dimension, ...]:
    return tuple(one for one in query.group_by if one in TIME_DIMENSIONS)


async def _times(connection: "Connection", query: SummaryQuery, zone: ZoneInfo, lowest: int, highest: int) -> Times:
    times = Times(times_of(query))
    if not times.dimensions:
        return times
    start_us, end_us = query.filters.start_us, query.filters.end_us
    first = lowest if start_us is None else max(lowest, start_us // SLOT_US)
    beyond = highest if end_us is None else min(highest, -(-end_us // SLOT_US))
    rows = await connection.fetch(queries("reading")["occupied_days"], query.scope.organization_id, first, beyond)
    for start, _, bucket in bucket_ranges([row[0] for row in rows], first, beyond, times.dimensions, zone):
        times.starts.append(start)
        times.buckets.append(bucket)
    return times


def names_of(query: SummaryQuery, times: Times) -> tuple[str, ...]:
    """What is grouped by, as columns."""
    others = tuple(COLUMNS[one] for one in query.group_by if one not in TIME_DIMENSIONS)
    return (*(("bucket",) if times.dimensions else ()), *others)


def piece_of(query: SummaryQuery, span: Span, times: Times, made: Conditions) -> str:
    """The statement for a span; its values are added to those of `made`."""
    if span.source is Source.ROLLUPS:
        conditions = Conditions(made.values)
        add_scope(conditions, query.scope)
        add_filters(conditions, query.filters)
        conditions.add(f"slot >= {conditions.place(span.first, 'bigint')}")
        conditions.add(f"slot < {conditions.place(span.beyond, 'bigint')}")
        groups = expressions(query, times, conditions, "slot")
        return queries("reading")["rollup_piece"].format(groups=groups, where=conditions.where)
    where = of_records(query, span.first, span.beyond, made).where
    groups = expressions(query, times, made, f"records.created_at_us / {SLOT_US}")
    return queries("reading")["record_piece"].format(groups=groups, where=where, tags=tags_of(query), **RECORD_METERS)


def of_records(query: SummaryQuery, start_us: int | None, end_us: int | None, made: Conditions) -> Conditions:
    """The conditions of the records of a span."""
    conditions = Conditions(made.values)
    filters = replace(query.filters, start_us=start_us, end_us=end_us)
    add_scope(conditions, query.scope)
    add_filters(conditions, filters)
    add_times(conditions, start_us, end_us)
    add_writing(conditions, filters)
    return conditions


def expressions(query: SummaryQuery, times: Times, made: Conditions, slot: str) -> str:
    """The columns that are grouped by, each with a comma behind it."""
    found = []
    for name in names_of(query, times):
        if name == "bucket":
            found.append(f"width_bucket({slot}, {made.place(times.starts, 'bigint[]')}) AS bucket, ")
        elif name != "end_user":  # which is a column in any case
            found.append(f"{name}, ")
    return "".join(found)


def tags_of(query: SummaryQuery) -> str:
    """What records are joined with, if a summary groups by tag."""
    return queries("reading")["each_tag"] if Dimension.TAG in query.group_by else ""


def without_groups(query: SummaryQuery) -> SummaryQuery:
    """The same records, each once, however many tags it has."""
    return replace(query, group_by=())

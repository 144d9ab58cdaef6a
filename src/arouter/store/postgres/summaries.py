"""Sums by group: planned, read from sums and records, put together, ordered and cut.

The database adds up and tells one row for each group; what is shown of them is decided on a thread. Everything is read
in one transaction, so that what the sources hold agrees.
"""

import asyncio
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from arouter.domain.activity import (
    PERCENTILES,
    TIME_DIMENSIONS,
    Dimension,
    Filters,
    Rest,
    Scope,
    Summary,
    SummaryQuery,
    SummaryRow,
    Totals,
)
from arouter.domain.ranking import rank, value_of
from arouter.store import tally
from arouter.store.buckets import SLOT_US, bucket_text, time_zone
from arouter.store.postgres.pieces import (
    Sources,
    Times,
    expressions,
    names_of,
    of_records,
    sources_of,
    tags_of,
    times_of,
    without_groups,
)
from arouter.store.postgres.rows import decode_row
from arouter.store.postgres.selection import Conditions
from arouter.store.postgres.statements import queries
from arouter.store.tally import MEASURES, NO_PERCENTILES, Measures, Percentiles

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

Group = tuple[str | int | None, ...]
"""A value for each dimension of the query; of a time the instant at which its bucket begins."""

_SUMS = ", ".join(f"coalesce(sum({name}), 0)" for name in MEASURES)
_AT_ONCE = 50
_UTC = ZoneInfo("UTC")


@dataclass(slots=True)
class Found:
    """What the database told: rows as JSON, each a group and its values."""

    sums: Sequence[str] = ()
    users: Sequence[str] = ()
    percentiles: Sequence[str] = ()
    total: Measures = tally.NOTHING
    total_users: int = 0
    total_percentiles: Percentiles = NO_PERCENTILES
    times: Times = field(default_factory=lambda: Times(()))


async def read_summary(connection: "Connection", query: SummaryQuery) -> Summary:
    zone = time_zone(query.timezone)
    sources = await sources_of(connection, query, zone)
    found = Found(times=Times(times_of(query))) if sources is None else await _read(connection, query, sources)
    if len(found.sums) <= _AT_ONCE:
        return _answer(found, query, zone)
    return await asyncio.to_thread(_answer, found, query, zone)


async def read_user_costs(connection: "Connection", scope: Scope, filters: Filters) -> Sequence[int]:
    """What each user cost, greatest first."""
    query = SummaryQuery(scope=scope, filters=filters, group_by=(Dimension.USER,), metrics=frozenset({"cost"}))
    sources = await sources_of(connection, query, _UTC)
    if sources is None:
        return ()
    sql = queries("reading")["user_costs"].format(pieces=sources.pieces)
    return [int(row[0]) for row in await connection.fetch(sql, *sources.made.values)]


async def _read(connection: "Connection", query: SummaryQuery, sources: Sources) -> Found:
    found = Found(times=sources.times)
    names = sources.names
    found.sums = await _fetch(connection, "sums", sources, sums=_SUMS)
    by_tag = Dimension.TAG in query.group_by
    if by_tag:
        # Each record once, however many tags it has.
        whole = await sources_of(connection, without_groups(query), _UTC)
        assert whole is not None  # there is one with groups
        (total,) = await _fetch(connection, "sums", whole, sums=_SUMS)
        found.total = tuple(decode_row(total))
    if query.asks_for("users"):
        if names and "end_user" not in names:
            found.users = await _fetch(connection, "users_of_groups", sources)
        if "end_user" not in names or by_tag:
            alone = Sources(pieces=sources.pieces, made=sources.made, times=sources.times, names=())
            (count,) = await _fetch(connection, "users_of_groups", alone)
            (found.total_users,) = decode_row(count)
    if any(map(query.asks_for, PERCENTILES)):
        found.percentiles = await _percentiles(connection, query, sources.times)
        told = await _percentiles(connection, without_groups(query), Times(()))
        p50, p95 = decode_row(told[0]) if told else NO_PERCENTILES
        found.total_percentiles = p50, p95
    return found


async def _fetch(connection: "Connection", name: str, sources: Sources, **filled: str) -> Sequence[str]:
    sql = queries("reading")[name].format(
        groups="".join(f"{each}, " for each in sources.names),
        pieces=sources.pieces,
        group_by=_group_by(sources.names),
        **filled,
    )
    return [row[0] for row in await connection.fetch(sql, *sources.made.values)]


async def _percentiles(connection: "Connection", query: SummaryQuery, times: Times) -> Sequence[str]:
    made = Conditions()
    names = names_of(query, times)
    columns = expressions(query, times, made, f"records.created_at_us / {SLOT_US}")
    if "end_user" in names:
        columns += "end_user, "
    where = of_records(query, query.filters.start_us, query.filters.end_us, made).where
    sql = queries("reading")["latencies"].format(
        groups="".join(f"{each}, " for each in names),
        partition=", ".join(names) if names else "true",
        expressions=columns,
        tags=tags_of(query),
        where=where,
        group_by=_group_by(names),
    )
    return [row[0] for row in await connection.fetch(sql, *made.values)]


def _group_by(names: Sequence[str]) -> str:
    return f" GROUP BY {', '.join(names)}" if names else ""


# ---------------------------------------------------------------- without I/O


class _Groups:
    """What was found, by group."""

    def __init__(self, found: Found, query: SummaryQuery) -> None:
        self._buckets = found.times.buckets
        told = [*found.times.dimensions, *(one for one in query.group_by if one not in TIME_DIMENSIONS)]
        self._places = [told.index(one) for one in query.group_by]
        self._size = len(names_of(query, found.times))
        self.sums: dict[Group, Measures] = {}
        for text in found.sums:
            group, values = self._split(text)
            if values[0]:
                self.sums[group] = tuple(values)
        by_tag = Dimension.TAG in query.group_by
        self.total = found.total if by_tag else tally.total(self.sums.values())
        self.percentiles = {group: (each[0], each[1]) for group, each in map(self._split, found.percentiles)}
        self.users: Mapping[Group, int] = {}
        self.total_users = found.total_users
        if Dimension.USER in query.group_by:
            place = query.group_by.index(Dimension.USER)
            self.users = {group: int(group[place] is not None) for group in self.sums}
            if not by_tag:
                self.total_users = len({group[place] for group in self.sums} - {None})
        elif query.group_by:
            self.users = {group: each[0] for group, each in map(self._split, found.users)}
        else:
            self.users = {(): found.total_users}

    def _split(self, text: str) -> tuple[Group, Sequence[Any]]:
        values = decode_row(text)
        key: list[Any] = values[: self._size]
        if self._buckets:
            key[:1] = self._buckets[key[0] - 1]
        return tuple([key[place] for place in self._places]), values[self._size :]


def _answer(found: Found, query: SummaryQuery, zone: ZoneInfo) -> Summary:
    """The rows that are shown, and the others as one."""
    groups = _Groups(found, query)
    named = _in_order(groups, _candidates(groups, query), query, zone)
    shown = rank([*named.values()], query.group_by, query.order, query.limit)
    total = tally.totals(groups.total, groups.total_users if query.asks_for("users") else None, found.total_percentiles)
    other = None
    if len(shown.rows) < len(groups.sums):
        kept = {row.group for row in shown.rows}
        other = _other(groups, {group for group, row in named.items() if row.group in kept}, query)
    return Summary(rows=shown.rows, totals=total, other=other, groups=len(groups.sums))


def _candidates(groups: _Groups, query: SummaryQuery) -> Sequence[Group]:
    """The groups that may be among the first: of the others no rows are made. All that are equal to the last of them
    are, since the order of equal ones goes by their values."""
    everything = [*groups.sums]
    order, limit = query.order, query.limit
    if limit is None or len(everything) <= limit or order is None:
        return everything
    if order.by in [dimension.value for dimension in query.group_by]:
        return everything
    values = {group: value_of(order.by, _totals(groups, group, query)) for group in everything}
    known = sorted((value for value in values.values() if value is not None), reverse=order.descending)
    if len(known) < limit:
        return everything
    last = known[limit - 1]
    if order.descending:
        return [group for group, value in values.items() if value is not None and value >= last]
    return [group for group, value in values.items() if value is not None and value <= last]


def _totals(groups: _Groups, group: Group, query: SummaryQuery) -> Totals:
    return tally.totals(
        groups.sums[group],
        groups.users.get(group, 0) if query.asks_for("users") else None,
        groups.percentiles.get(group, NO_PERCENTILES),
    )


def _other(groups: _Groups, shown: Set[Group], query: SummaryQuery) -> Rest:
    """Everything but those that are shown."""
    hidden = groups.sums.keys() - shown
    users = None
    if Dimension.USER in query.group_by:
        place = query.group_by.index(Dimension.USER)
        users = len({group[place] for group in hidden} - {None})
    sums = tally.total(groups.sums[group] for group in hidden)
    return Rest(groups=len(hidden), totals=tally.totals(sums, 0), users=users)


def _in_order(
    groups: _Groups, candidates: Sequence[Group], query: SummaryQuery, zone: ZoneInfo
) -> Mapping[Group, SummaryRow]:
    """Rows in the order of their values: none first, texts by code point, times by instant."""
    ordered = sorted(candidates, key=lambda group: [(value is not None, value) for value in group])
    return {
        group: SummaryRow(group=tuple([_text(value, zone) for value in group]), totals=_totals(groups, group, query))
        for group in ordered
    }


def _text(value: str | int | None, zone: ZoneInfo) -> str | None:
    return bucket_text(value, zone) if isinstance(value, int) else value

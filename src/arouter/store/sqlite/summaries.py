"""Sums by group: planned, read from day columns, roll-ups and records, put together, ordered and cut.

Everything is read in one transaction, so that what the sources hold agrees.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import apsw

from arouter.domain.activity import (
    PERCENTILES,
    TIME_DIMENSIONS,
    Dimension,
    Rest,
    Summary,
    SummaryQuery,
    SummaryRow,
    Totals,
)
from arouter.domain.ranking import rank, value_of
from arouter.store import tally
from arouter.store.buckets import bucket_text, time_zone
from arouter.store.planning import plan
from arouter.store.sqlite.names import Texts, fetch, numbers_of, to_json
from arouter.store.sqlite.pieces import Piece, Pieces, Times, connection_slots
from arouter.store.sqlite.rollups import whole_cost
from arouter.store.sqlite.selection import Value
from arouter.store.sqlite.statements import queries
from arouter.store.tally import MEASURES, NO_PERCENTILES, Measures, Percentiles

_STORED_SUMS = len(MEASURES) + 1
_COST = MEASURES.index("cost")

Group = tuple[int, ...]
"""A number for each dimension of the query: of a name or a user, 0 for none; where the bucket of a time begins."""


@dataclass(slots=True)
class Groups:
    """What was found, before names are looked up."""

    sums: dict[Group, Measures] = field(default_factory=dict)
    users: dict[Group, int] = field(default_factory=dict)
    percentiles: dict[Group, Percentiles] = field(default_factory=dict)
    total: Measures = tally.NOTHING
    total_users: int = 0
    total_percentiles: Percentiles = NO_PERCENTILES


def read_summary(connection: apsw.Connection, texts: Texts, query: SummaryQuery) -> Summary:
    zone = time_zone(query.timezone)
    groups = _read(connection, query, zone)
    return _answer(connection, texts, groups, query, zone)


# ---------------------------------------------------------------- reading


def _read(connection: apsw.Connection, query: SummaryQuery, zone: ZoneInfo) -> Groups:
    organization_no = numbers_of(connection, [query.scope.organization_id]).get(query.scope.organization_id)
    groups = Groups()
    if organization_no is None:
        return groups
    times = Times(tuple(one for one in query.group_by if one in TIME_DIMENSIONS), zone)
    maker = Pieces(connection, query, organization_no, times)
    spans = plan(query, connection_slots(connection, organization_no)).spans
    pieces = [piece for piece in map(maker.of, spans) if piece is not None]
    if not pieces:
        return groups
    place = _placer(query, times)
    for piece in pieces:
        for key, sums in read_sums(connection, piece):
            _add(groups.sums, place(key), sums)
    groups.total = tally.total(groups.sums.values())
    if Dimension.TAG in query.group_by:
        groups.total = _total_of_records(connection, query, organization_no)
    if query.asks_for("users"):
        groups.users = {place(key): count for *key, count in _users(connection, pieces)}
        groups.total_users = _all_users(connection, pieces)
    if any(map(query.asks_for, PERCENTILES)):
        _read_percentiles(connection, maker, groups, place)
    return groups


def read_sums(connection: apsw.Connection, piece: Piece) -> Sequence[tuple[Sequence[int], Measures]]:
    """The sums of each group that has any records."""
    sql, values = sums_statement(piece)
    size = len(piece.groups)
    return [(row[:size], from_stored(row[size:])) for row in fetch(connection, sql, *values) if row[size]]


def sums_statement(piece: Piece) -> tuple[str, tuple[Value, ...]]:
    """One row for each group: its numbers, then the sums with the cost as two."""
    sql = queries()["grouped"].format(
        columns=_columns(len(piece.groups) + _STORED_SUMS),
        values=", ".join((*piece.groups, piece.sums)),
        source=piece.source,
        where=piece.where,
        group_by=f"GROUP BY {', '.join(map(str, range(1, len(piece.groups) + 1)))}" if piece.groups else "",
    )
    return sql, piece.values


def from_stored(sums: Sequence[int]) -> Measures:
    """The cost, which is kept as two, as one."""
    return (*sums[:_COST], whole_cost(sums[_COST], sums[_COST + 1]), *sums[_COST + 2 :])


def _add(groups: dict[Group, Measures], group: Group, sums: Measures) -> None:
    before = groups.get(group)
    groups[group] = sums if before is None else tally.added(before, sums)


def _placer(query: SummaryQuery, times: Times) -> "Placer":
    of_times = {dimension: place for place, dimension in enumerate(times.dimensions)}
    return Placer(query.group_by, of_times, times)


@dataclass(frozen=True, slots=True)
class Placer:
    """Puts the numbers that a piece groups by into the order of the query, times in the places of their numbers."""

    group_by: tuple[Dimension, ...]
    of_times: Mapping[Dimension, int]
    times: Times

    def __call__(self, key: Sequence[int]) -> Group:
        if not self.of_times:
            return tuple(key)
        bucket = self.times.buckets[key[0]]
        others = iter(key[1:])
        return tuple(
            bucket[self.of_times[dimension]] if dimension in self.of_times else next(others)
            for dimension in self.group_by
        )


def _pairs(pieces: Sequence[Piece], *, grouped: bool) -> tuple[str, tuple[Value, ...]]:
    """Each user of each group once; they may be in several pieces."""
    texts = []
    values: tuple[Value, ...] = ()
    for piece in pieces:
        expressions = (*(piece.groups if grouped else ()), piece.user)
        texts.append(
            queries()["pairs"].format(
                values=", ".join(expressions), source=piece.source, where=piece.where, user=piece.user
            )
        )
        values += piece.values
    return " UNION ".join(texts), values


def _users(connection: apsw.Connection, pieces: Sequence[Piece]) -> Sequence[Sequence[int]]:
    """The numbers of each group, and its distinct users."""
    size = len(pieces[0].groups)
    if not size:
        return [(_all_users(connection, pieces),)]
    pairs, values = _pairs(pieces, grouped=True)
    return fetch(connection, queries()["users_of_groups"].format(columns=_columns(size), pairs=pairs), *values)


def _all_users(connection: apsw.Connection, pieces: Sequence[Piece]) -> int:
    pairs, values = _pairs(pieces, grouped=False)
    return int(connection.execute(queries()["distinct_users"].format(pairs=pairs), values).get)


def _total_of_records(connection: apsw.Connection, query: SummaryQuery, organization_no: int) -> Measures:
    """Each record once, however many tags it has."""
    maker = Pieces(connection, SummaryQuery(scope=query.scope, filters=query.filters), organization_no, Times((), _UTC))
    piece = maker.records(query.filters.start_us, query.filters.end_us)
    return tally.NOTHING if piece is None else tally.total(sums for _, sums in read_sums(connection, piece))


def _read_percentiles(connection: apsw.Connection, maker: Pieces, groups: Groups, place: Placer) -> None:
    filters = maker.query.filters
    piece = maker.records(filters.start_us, filters.end_us)
    if piece is None:
        return
    latencies: dict[Group, list[int]] = {}
    values = ", ".join((*piece.groups, "latency_us", "records.seq"))
    sql = queries()["latencies"].format(
        columns=_columns(len(piece.groups) + 2), values=values, source=piece.source, where=piece.where
    )
    everything: dict[int, int] = {}
    for *key, latency_us, seq in fetch(connection, sql, *piece.values):
        latencies.setdefault(place(key), []).append(latency_us)
        everything[seq] = latency_us
    groups.percentiles = {group: tally.percentiles(each) for group, each in latencies.items()}
    groups.total_percentiles = tally.percentiles([*everything.values()])


def _columns(count: int) -> str:
    return ", ".join(f"c{number}" for number in range(count))


_UTC = ZoneInfo("UTC")


# ---------------------------------------------------------------- answering


def _answer(connection: apsw.Connection, texts: Texts, groups: Groups, query: SummaryQuery, zone: ZoneInfo) -> Summary:
    """The rows that are shown, with their texts, and the others as one."""
    named = _in_order(connection, texts, groups, _candidates(groups, query), query, zone)
    shown = rank([*named.values()], query.group_by, query.order, query.limit)
    total = tally.totals(
        groups.total, groups.total_users if query.asks_for("users") else None, groups.total_percentiles
    )
    other = None
    if len(shown.rows) < len(groups.sums):
        kept = {row.group for row in shown.rows}
        other = _other(groups, {group for group, row in named.items() if row.group in kept}, query)
    return Summary(rows=shown.rows, totals=total, other=other, groups=len(groups.sums))


def _candidates(groups: Groups, query: SummaryQuery) -> Sequence[Group]:
    """The groups that may be among the first: names are looked up for these only. All that are equal to the last of
    them are, since the order of equal ones goes by their texts."""
    everything = [*groups.sums]
    if query.limit is None or len(everything) <= query.limit or query.order is None:
        return everything
    if query.order.by in [dimension.value for dimension in query.group_by]:
        return everything
    by = query.order.by
    values = {group: value_of(by, _totals(groups, group, query)) for group in everything}
    known = sorted((value for value in values.values() if value is not None), reverse=query.order.descending)
    if len(known) < query.limit:
        return everything
    last = known[query.limit - 1]
    if query.order.descending:
        return [group for group, value in values.items() if value is not None and value >= last]
    return [group for group, value in values.items() if value is not None and value <= last]


def _totals(groups: Groups, group: Group, query: SummaryQuery) -> Totals:
    return tally.totals(
        groups.sums[group],
        groups.users.get(group, 0) if query.asks_for("users") else None,
        groups.percentiles.get(group, NO_PERCENTILES),
    )


def _other(groups: Groups, shown: Set[Group], query: SummaryQuery) -> Rest:
    """Everything but those that are shown."""
    left = groups.sums.keys() - shown
    users = None
    if Dimension.USER in query.group_by:
        place = query.group_by.index(Dimension.USER)
        users = len({group[place] for group in left} - {0})
    sums = tally.total(groups.sums[group] for group in left)
    return Rest(groups=len(left), totals=tally.totals(sums, 0), users=users)


def _in_order(
    connection: apsw.Connection,
    texts: Texts,
    groups: Groups,
    candidates: Sequence[Group],
    query: SummaryQuery,
    zone: ZoneInfo,
) -> Mapping[Group, SummaryRow]:
    """Groups with their texts: none first, texts by code point, times by instant."""
    columns = [_texts_of(connection, texts, candidates, place, each) for place, each in enumerate(query.group_by)]
    values = {
        group: tuple(
            value if dimension in TIME_DIMENSIONS else column[value]
            for column, value, dimension in zip(columns, group, query.group_by, strict=True)
        )
        for group in candidates
    }
    ordered = sorted(candidates, key=lambda group: [(value is not None, value) for value in values[group]])
    return {
        group: SummaryRow(
            group=tuple(bucket_text(value, zone) if isinstance(value, int) else value for value in values[group]),
            totals=_totals(groups, group, query),
        )
        for group in ordered
    }


def _texts_of(
    connection: apsw.Connection, texts: Texts, groups: Sequence[Group], place: int, dimension: Dimension
) -> Mapping[int, str | None]:
    """The texts of the numbers in one place of the groups; times have none."""
    if dimension in TIME_DIMENSIONS:
        return {}
    numbers = {group[place] for group in groups} - {0}
    if dimension is Dimension.USER:
        users: dict[int, str | None] = dict(fetch(connection, queries()["texts_of_users"], to_json([*numbers])))
        return users | {0: None}
    names = texts.of(connection, numbers)
    return {number: names[number] for number in numbers} | {0: None}

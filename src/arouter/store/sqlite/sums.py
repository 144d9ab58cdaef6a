"""Sums by group, as SQL adds them up: what there is of each group, before names are looked up."""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import apsw

from arouter.domain.activity import PERCENTILES, Dimension, SummaryQuery
from arouter.store import tally
from arouter.store.sqlite.names import fetch
from arouter.store.sqlite.pieces import Piece, Pieces, Times
from arouter.store.sqlite.rollups import whole_cost
from arouter.store.sqlite.sealed_sums import sealed_latencies, sealed_piece
from arouter.store.sqlite.selection import Value
from arouter.store.sqlite.statements import queries
from arouter.store.tally import MEASURES, NO_PERCENTILES, Measures, Percentiles

_STORED_SUMS = len(MEASURES) + 1
_COST = MEASURES.index("cost")
_UTC = ZoneInfo("UTC")

Group = tuple[int, ...]
"""A number for each dimension of the query: of a name or a user, 0 for none; where the bucket of a time begins."""


@dataclass(slots=True)
class Groups:
    """What was found."""

    sums: dict[Group, Measures] = field(default_factory=dict)
    """Of all groups, or of those that may be among the first."""
    users: dict[Group, int] = field(default_factory=dict)
    percentiles: dict[Group, Percentiles] = field(default_factory=dict)
    total: Measures = tally.NOTHING
    total_users: int = 0
    total_percentiles: Percentiles = NO_PERCENTILES
    count: int = 0
    """How many groups there are."""
    users_besides: Callable[[Set[Group]], int] | None = None
    """Where groups are by user and not all in `sums`: how many users have any other group than these."""


class Placer:
    """Puts the numbers that a piece groups by into the order of the query, times in the places of their numbers."""

    def __init__(self, group_by: tuple[Dimension, ...], times: Times) -> None:
        self._times = times
        others = [one for one in group_by if one not in times.dimensions]
        told = [*times.dimensions, *others]
        self._places = [told.index(one) for one in group_by]

    def __call__(self, key: Sequence[int]) -> Group:
        if not self._times.dimensions:
            return tuple(key)
        told = (*self._times.buckets[key[0]], *key[1:])
        return tuple([told[place] for place in self._places])

    def groups(self, keys: Sequence[list[int]], count: int) -> Iterable[Group]:
        """The same of so many, by column."""
        if not self._times.dimensions:
            return zip(*keys, strict=True) if keys else [()] * count
        of_times = [
            [self._times.buckets[number][place] for number in keys[0]] for place in range(len(self._times.dimensions))
        ]
        told = [*of_times, *keys[1:]]
        return zip(*(told[place] for place in self._places), strict=True)


def read_groups(connection: apsw.Connection, maker: Pieces, pieces: Sequence[Piece]) -> Groups:
    """Everything that the pieces hold; there is at least one."""
    query = maker.query
    groups = Groups()
    place = Placer(query.group_by, maker.times)
    for piece in pieces:
        for key, sums in read_sums(connection, piece):
            _add(groups.sums, place(key), sums)
    groups.count = len(groups.sums)
    if Dimension.TAG in query.group_by:
        groups.total = _total_of_records(connection, maker)
    else:
        groups.total = tally.total(groups.sums.values())
    if query.asks_for("users"):
        groups.users = {place(key): count for *key, count in _users(connection, pieces)}
        groups.total_users = _all_users(connection, pieces)
    if any(map(query.asks_for, PERCENTILES)):
        _read_percentiles(connection, maker, groups, place)
    return groups


def read_sums(connection: apsw.Connection, piece: Piece) -> Sequence[tuple[Sequence[int], Measures]]:
    """The sums of each group that has any records."""
    return [(key, whole_sums(stored)) for key, stored in read_stored(connection, piece)]


def read_stored(connection: apsw.Connection, piece: Piece) -> Sequence[tuple[Sequence[int], Sequence[int]]]:
    """The same, with the cost as two."""
    sql, values = sums_statement(piece)
    size = len(piece.groups)
    return [(row[:size], row[size:]) for row in fetch(connection, sql, *values) if row[size]]


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


def read_pairs(connection: apsw.Connection, piece: Piece) -> Sequence[Sequence[int]]:
    """The numbers of each group and each of its users, once."""
    pairs, values = _pairs([piece], grouped=True)
    columns = _columns(len(piece.groups) + 1)
    return fetch(connection, queries()["each_pair"].format(columns=columns, pairs=pairs), *values)


def whole_sums(stored: Sequence[int]) -> Measures:
    """The cost, which is kept as two, as one."""
    return (*stored[:_COST], whole_cost(stored[_COST], stored[_COST + 1]), *stored[_COST + 2 :])


def whole_columns(stored: Sequence[list[int]]) -> Iterable[Measures]:
    """The same of many rows, by column."""
    costs = map(whole_cost, stored[_COST], stored[_COST + 1])
    return zip(*stored[:_COST], costs, *stored[_COST + 2 :], strict=True)


def _add(groups: dict[Group, Measures], group: Group, sums: Measures) -> None:
    before = groups.get(group)
    groups[group] = sums if before is None else tally.added(before, sums)


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


def _total_of_records(connection: apsw.Connection, maker: Pieces) -> Measures:
    """Each record once, however many tags it has."""
    query = SummaryQuery(scope=maker.query.scope, filters=maker.query.filters)
    everything = Pieces(connection, query, maker.organization_no, Times((), _UTC))
    span = query.filters.start_us, query.filters.end_us
    pieces = [piece for piece in (everything.records(*span), sealed_piece(everything, *span)) if piece is not None]
    return tally.total(sums for piece in pieces for _, sums in read_sums(connection, piece))


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
    sealed = sealed_latencies(maker, filters.start_us, filters.end_us)
    for *key, latency_us, seq in (*fetch(connection, sql, *piece.values), *sealed):
        latencies.setdefault(place(key), []).append(latency_us)
        everything[seq] = latency_us
    groups.percentiles = {group: tally.percentiles(each) for group, each in latencies.items()}
    groups.total_percentiles = tally.percentiles([*everything.values()])


def _columns(count: int) -> str:
    return ", ".join(f"c{number}" for number in range(count))

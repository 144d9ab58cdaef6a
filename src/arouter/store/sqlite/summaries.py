"""Sums over records, by SQL; time buckets of a zone are folded here from quarters of an hour.

`users` are distinct and cannot be added up: where buckets are folded, the users of each are collected.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import apsw

from arouter.domain.activity import TIME_DIMENSIONS, Dimension, Summary, SummaryQuery, SummaryRow, Totals
from arouter.domain.record import Status
from arouter.store import tally
from arouter.store.buckets import SLOT_US, bucket_start, bucket_text, time_zone
from arouter.store.sqlite.names import Texts, fetch, numbers_of, to_json
from arouter.store.sqlite.rollups import whole_cost
from arouter.store.sqlite.selection import Selection, select
from arouter.store.sqlite.statements import queries, sums
from arouter.store.tally import MEASURES, Measures

_COLUMNS = {
    Dimension.USER: "user_no",
    Dimension.MODEL: "model_no",
    Dimension.PROVIDER: "provider_no",
    Dimension.API_KEY: "key_no",
    Dimension.WORKSPACE: "workspace_no",
    Dimension.ORGANIZATION: "organization_no",
    Dimension.ENDPOINT: "endpoint_no",
    Dimension.STATUS: "status_no",
}
_SLOT = f"created_at_us / {SLOT_US}"
_STORED_SUMS = len(MEASURES) + 1
_COST = MEASURES.index("cost")
_NOTHING = Totals()

Group = tuple[int | None, ...]
"""Numbers of names and users as SQL groups by them, a time as its slot or the start of its bucket."""


@dataclass(slots=True)
class _Sums:
    measures: Measures
    users: set[int] | int


def read_summary(connection: apsw.Connection, texts: Texts, query: SummaryQuery) -> Summary:
    zone = time_zone(query.timezone)
    selection = select(connection, query.scope, query.filters)
    if selection is None:
        return Summary(rows=(), totals=_NOTHING)
    groups = _read_groups(connection, selection, query)
    if any(dimension in TIME_DIMENSIONS for dimension in query.group_by):
        groups = _fold(groups, _read_users(connection, selection, query), query, zone)
    if not groups:
        return Summary(rows=(), totals=_NOTHING)
    where, values = selection.where()
    users = connection.execute(queries()["distinct_users"].format(index=selection.index, where=where), values).get
    totals = tally.totals(tally.total(each.measures for each in groups.values()), int(users))
    return Summary(rows=_in_order(connection, texts, groups, query, zone), totals=totals)


def summary_statement(
    connection: apsw.Connection, selection: Selection, query: SummaryQuery
) -> tuple[str, tuple[int | str | None, ...]]:
    """One row for each group: its values, the sums with the cost as two, the distinct users."""
    where, values = selection.where()
    expressions = _expressions(query)
    statuses = numbers_of(connection, (Status.SUCCESS.value, Status.REJECTED.value))
    sql = queries()["summary"].format(
        columns=_columns(len(expressions) + _STORED_SUMS + 1),
        groups=_list(expressions),
        sums=sums(success=statuses.get(Status.SUCCESS.value, 0), rejected=statuses.get(Status.REJECTED.value, 0)),
        index=selection.index,
        where=where,
        group_by=f"GROUP BY {', '.join(expressions)}" if expressions else "",
    )
    return sql, values


def _read_groups(connection: apsw.Connection, selection: Selection, query: SummaryQuery) -> dict[Group, _Sums]:
    sql, values = summary_statement(connection, selection, query)
    size = len(query.group_by)
    groups = {}
    for row in fetch(connection, sql, *values):
        stored, users = row[size:-1], row[-1]
        cost = whole_cost(stored[_COST], stored[_COST + 1])
        if stored[0]:
            groups[tuple(row[:size])] = _Sums((*stored[:_COST], cost, *stored[_COST + 2 :]), users)
    return groups


def _read_users(connection: apsw.Connection, selection: Selection, query: SummaryQuery) -> Sequence[tuple[Group, int]]:
    where, values = selection.where()
    expressions = _expressions(query)
    sql = queries()["users_of_groups"].format(
        columns=_columns(len(expressions) + 1), groups=_list(expressions), index=selection.index, where=where
    )
    return [(tuple(row[:-1]), row[-1]) for row in fetch(connection, sql, *values)]


def _fold(
    groups: Mapping[Group, _Sums], users: Sequence[tuple[Group, int]], query: SummaryQuery, zone: ZoneInfo
) -> dict[Group, _Sums]:
    """Slots into the buckets that they lie in."""
    to_bucket = _bucketer(query, zone)
    folded: dict[Group, _Sums] = {}
    for group, each in groups.items():
        bucket = to_bucket(group)
        before = folded.get(bucket)
        measures = each.measures if before is None else tally.added(before.measures, each.measures)
        folded[bucket] = _Sums(measures, set())
    for group, user in users:
        into = folded[to_bucket(group)].users
        assert isinstance(into, set)
        into.add(user)
    return folded


def _bucketer(query: SummaryQuery, zone: ZoneInfo) -> Callable[[Group], Group]:
    known: dict[tuple[int, Dimension], int] = {}

    def start(slot: int, dimension: Dimension) -> int:
        if (slot, dimension) not in known:
            known[slot, dimension] = bucket_start(slot * SLOT_US, dimension, zone)
        return known[slot, dimension]

    def to_bucket(group: Group) -> Group:
        return tuple(
            start(value, dimension) if dimension in TIME_DIMENSIONS and value is not None else value
            for value, dimension in zip(group, query.group_by, strict=True)
        )

    return to_bucket


def _in_order(
    connection: apsw.Connection, texts: Texts, groups: Mapping[Group, _Sums], query: SummaryQuery, zone: ZoneInfo
) -> tuple[SummaryRow, ...]:
    """Groups with their texts: none first, texts by code point, times by instant."""
    columns = [_texts_of(connection, texts, groups, place, each) for place, each in enumerate(query.group_by)]
    values = {
        group: tuple(column.get(value, value) for column, value in zip(columns, group, strict=True)) for group in groups
    }
    ordered = sorted(groups, key=lambda group: [(value is not None, value) for value in values[group]])
    return tuple(
        SummaryRow(
            group=tuple(bucket_text(value, zone) if isinstance(value, int) else value for value in values[group]),
            totals=tally.totals(groups[group].measures, _count(groups[group].users)),
        )
        for group in ordered
    )


def _texts_of(
    connection: apsw.Connection, texts: Texts, groups: Mapping[Group, _Sums], place: int, dimension: Dimension
) -> Mapping[int | None, str | None]:
    """The texts of the numbers in one place of the groups; times have none."""
    numbers = {group[place] for group in groups}
    if dimension in TIME_DIMENSIONS:
        return {}
    if dimension is Dimension.USER:
        return dict(fetch(connection, queries()["texts_of_users"], to_json([*numbers])))
    names = texts.of(connection, numbers)
    return {number: names[number] for number in numbers}


def _count(users: set[int] | int) -> int:
    return users if isinstance(users, int) else len(users)


def _expressions(query: SummaryQuery) -> list[str]:
    return [_COLUMNS.get(dimension, _SLOT) for dimension in query.group_by]


def _list(expressions: Sequence[str]) -> str:
    return "".join(f"{expression}, " for expression in expressions)


def _columns(count: int) -> str:
    return ", ".join(f"c{number}" for number in range(count))

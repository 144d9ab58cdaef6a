"""Sums by group: planned, read from day columns, roll-ups and records, put together, ordered and cut.

Everything is read in one transaction, so that what the sources hold agrees.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import TypeVar, cast
from zoneinfo import ZoneInfo

import apsw

from arouter.domain.activity import TIME_DIMENSIONS, Dimension, Rest, Summary, SummaryQuery, SummaryRow, Totals
from arouter.domain.ranking import rank, value_of
from arouter.store import tally
from arouter.store.buckets import bucket_text, time_zone
from arouter.store.planning import Plan, Source, Span, in_rollups, plan, too_many_records
from arouter.store.sqlite.expired import require_kept
from arouter.store.sqlite.folded import FoldedDay, folded_days, reading
from arouter.store.sqlite.names import Texts, fetch, numbers_of, to_json
from arouter.store.sqlite.pieces import Piece, Pieces, Times, slots_of
from arouter.store.sqlite.sealed_sums import sealed_count, sealed_piece_of
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.sums import Group, Groups, read_groups
from arouter.store.tally import NO_PERCENTILES

Found = TypeVar("Found")


def _go_on() -> None:
    """Nothing ends it."""


def read_summary(
    connection: apsw.Connection, texts: Texts, query: SummaryQuery, check: Callable[[], None] = _go_on
) -> Summary:
    """`check` is called now and then, and raises what ends the summary early."""
    zone = time_zone(query.timezone)
    groups = _read(connection, query, zone, check)
    check()
    return _answer(connection, texts, groups, query, zone)


def _read(connection: apsw.Connection, query: SummaryQuery, zone: ZoneInfo, check: Callable[[], None]) -> Groups:
    found = planned(connection, query, zone, check)
    if found is None:
        return Groups()
    maker, days, pieces = found
    if days:
        return cast(Groups, reading().read_groups(connection, maker, days, pieces))
    return read_groups(connection, maker, pieces) if pieces else Groups()


def planned(
    connection: apsw.Connection, query: SummaryQuery, zone: ZoneInfo, check: Callable[[], None] = _go_on
) -> tuple[Pieces, Sequence[FoldedDay], Sequence[Piece]] | None:
    """What a summary is read from: the days with columns, and the pieces beside them. None if nothing can match."""
    organization_no = numbers_of(connection, [query.scope.organization_id]).get(query.scope.organization_id)
    if organization_no is None:
        return None
    times = Times(tuple(one for one in query.group_by if one in TIME_DIMENSIONS), zone)
    maker = Pieces(connection, query, organization_no, times, check)
    folded = folded_days(connection, organization_no)
    found = plan(query, slots_of(connection, organization_no), [(one.first, one.beyond) for one in folded])
    found = replace(found, spans=tuple(require_kept(connection, organization_no, found.spans, found.reasons)))
    of_columns = [span for span in found.spans if span.source is Source.COLUMNS]
    days = [one for one in folded if any(_lies_in(one, span) for span in of_columns)]
    return maker, days, _pieces(maker, found)


def _pieces(maker: Pieces, planned: Plan) -> Sequence[Piece]:
    """What is added up by SQL, and what of sealed records is. InvalidRequest if it is more than the query may cost."""
    most = maker.query.bounds.most_records
    pieces: list[Piece | None] = []
    for span in planned.spans:
        if span.source is Source.COLUMNS:
            continue
        piece = maker.of(span)
        count = 0 if most is None else _count(maker, span, piece, most + 1)
        if most is not None and count > most and (whole := in_rollups(span)) is not None and not planned.reasons:
            # Users with so many records: their roll-ups are fewer than that, among those of all.
            pieces.append(maker.of(whole))
            continue
        if most is not None:
            if count > most:
                raise too_many_records(maker.query, planned.reasons)
            most -= count
        pieces += (piece, sealed_piece_of(maker, span))
    return [piece for piece in pieces if piece is not None]


def _count(maker: Pieces, span: Span, piece: Piece | None, most: int) -> int:
    """How many records have to be read, rows and sealed ones; no more than `most` rows are counted."""
    return (0 if piece is None else maker.count(piece, most)) + sealed_count(maker, span)


def _lies_in(day: FoldedDay, span: Span) -> bool:
    return span.first is not None and span.beyond is not None and span.first <= day.first < span.beyond


def _answer(connection: apsw.Connection, texts: Texts, groups: Groups, query: SummaryQuery, zone: ZoneInfo) -> Summary:
    """The rows that are shown, with their texts, and the others as one."""
    named = _in_order(connection, texts, groups, _candidates(groups, query), query, zone)
    shown = rank([*named.values()], query.group_by, query.order, query.limit)
    total = tally.totals(
        groups.total, groups.total_users if query.asks_for("users") else None, groups.total_percentiles
    )
    other = None
    if len(shown.rows) < groups.count:
        kept = {row.group for row in shown.rows}
        other = _other(groups, {group for group, row in named.items() if row.group in kept}, query)
    return Summary(rows=shown.rows, totals=total, other=other, groups=groups.count)


def _candidates(groups: Groups, query: SummaryQuery) -> Sequence[Group]:
    """The groups that may be among the first: names are looked up for these only. All that are equal to the last of
    them are, since the order of equal ones goes by their texts."""
    everything = [*groups.sums]
    if query.limit is None or len(everything) <= query.limit or query.order is None:
        return everything
    if query.order.by in [dimension.value for dimension in query.group_by]:
        return everything
    by = query.order.by
    totals = _totals_by(groups, query)
    values = {group: value_of(by, totals(group)) for group in everything}
    known = sorted((value for value in values.values() if value is not None), reverse=query.order.descending)
    if len(known) < query.limit:
        return everything
    last = known[query.limit - 1]
    if query.order.descending:
        return [group for group, value in values.items() if value is not None and value >= last]
    return [group for group, value in values.items() if value is not None and value <= last]


def _totals_by(groups: Groups, query: SummaryQuery) -> Callable[[Group], Totals]:
    """What tells the totals of each group."""
    sums, percentiles = groups.sums, groups.percentiles
    users = groups.users if query.asks_for("users") else None

    def totals(group: Group) -> Totals:
        count = None if users is None else users.get(group, 0)
        return tally.totals(sums[group], count, percentiles.get(group, NO_PERCENTILES))

    return totals


def _other(groups: Groups, shown: Set[Group], query: SummaryQuery) -> Rest:
    """Everything but those that are shown."""
    users = None
    if Dimension.USER in query.group_by:
        if groups.users_besides is None:
            place = query.group_by.index(Dimension.USER)
            users = len({group[place] for group in groups.sums.keys() - shown} - {0})
        else:
            users = groups.users_besides(shown)
    if Dimension.TAG in query.group_by:
        # Groups overlap: what is left of the total is not what they add up to.
        sums = tally.total(groups.sums[group] for group in groups.sums.keys() - shown)
    else:
        sums = tally.less(groups.total, tally.total(groups.sums[group] for group in shown))
    return Rest(groups=groups.count - len(shown), totals=tally.totals(sums, 0), users=users)


def _in_order(
    connection: apsw.Connection,
    texts: Texts,
    groups: Groups,
    candidates: Sequence[Group],
    query: SummaryQuery,
    zone: ZoneInfo,
) -> Mapping[Group, SummaryRow]:
    """Groups with their texts: none first, texts by code point, times by instant."""
    count = len(candidates)
    columns = [*zip(*candidates, strict=True)] if candidates else [()] * len(query.group_by)
    told = [
        _texts_of(connection, texts, {*column}, by, zone) for column, by in zip(columns, query.group_by, strict=True)
    ]
    # Each number's place in the order of its column: the order of groups is told by numbers alone.
    placed = [_places(of, by) for of, by in zip(told, query.group_by, strict=True)]
    places, names = _across(placed, columns, count), _across(told, columns, count)
    totals = _totals_by(groups, query)
    return {
        candidates[at]: SummaryRow(group=names[at], totals=totals(candidates[at]))
        for at in sorted(range(count), key=places.__getitem__)
    }


def _across(
    found: Sequence[Mapping[int, Found]], columns: Sequence[tuple[int, ...]], count: int
) -> Sequence[tuple[Found, ...]]:
    """What is found for the numbers of each group, by column."""
    if not columns:
        return [()] * count
    return [*zip(*([of[number] for number in column] for of, column in zip(found, columns, strict=True)), strict=True)]


def _places(texts: Mapping[int, str | None], dimension: Dimension) -> Mapping[int, int]:
    """Where each number's text stands among the others: none first, times by instant."""
    if dimension in TIME_DIMENSIONS:
        return {value: value for value in texts}
    ordered = sorted(texts, key=lambda value: ((text := texts[value]) is not None, text))
    return {value: place for place, value in enumerate(ordered)}


def _texts_of(
    connection: apsw.Connection, texts: Texts, numbers: Set[int], dimension: Dimension, zone: ZoneInfo
) -> Mapping[int, str | None]:
    """The texts of the numbers of one dimension."""
    if dimension in TIME_DIMENSIONS:
        return {number: bucket_text(number, zone) for number in numbers}
    numbers = numbers - {0}
    if dimension is Dimension.USER:
        users: dict[int, str | None] = dict(fetch(connection, queries()["texts_of_users"], to_json([*numbers])))
        return users | {0: None}
    names = texts.of(connection, numbers)
    return {number: names[number] for number in numbers} | {0: None}

"""Summaries out of the copy: asked in one statement, put together, ordered and cut as every ledger does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from arouter.domain.activity import TIME_DIMENSIONS, Dimension, Rest, Summary, SummaryQuery, SummaryRow, Totals
from arouter.domain.ranking import rank
from arouter.store import tally
from arouter.store.buckets import DAY_US, SLOT_US, SLOTS_OF_DAY, bucket_ranges, bucket_start, bucket_text, time_zone
from arouter.store.clickhouse.sums import COLUMNS, First, Times, has_own_totals, is_cut, needs_times
from arouter.store.tally import MEASURES, Measures


@dataclass(frozen=True, slots=True)
class _Group:
    """A row of the statement. `place` is where it stands: none first, texts by code point, times by instant."""

    values: tuple[str | None, ...]
    place: tuple[tuple[bool, str | int], ...]
    sums: Measures
    users: int | None
    percentiles: tuple[int | None, int | None]

    def row(self) -> SummaryRow:
        return SummaryRow(group=self.values, totals=tally.totals(self.sums, self.users, self.percentiles))


def times_of(query: SummaryQuery, days: Sequence[int]) -> Times | None:
    """Where buckets begin on days of UTC with records, rising; None where the statement knows by itself.

    ValueError for a time zone that does not exist.
    """
    zone = time_zone(query.timezone)
    if not needs_times(query):
        return None
    filters = query.filters
    first = None if filters.start_us is None else filters.start_us // DAY_US
    last = None if filters.end_us is None else (filters.end_us - 1) // DAY_US
    known = [day for day in days if (first is None or day >= first) and (last is None or day <= last)]
    dimensions = [one for one in query.group_by if one in TIME_DIMENSIONS]
    bounds = (known[0] * SLOTS_OF_DAY, (known[-1] + 1) * SLOTS_OF_DAY) if known else (0, 0)
    pieces = bucket_ranges(known, *bounds, dimensions, zone)
    return Times(days=known, starts=[start for start, _, _ in pieces])


def firsts_of(queries: Sequence[SummaryQuery], rows: Sequence[Sequence[Any]]) -> tuple[Mapping[int, First], int]:
    """What the rows of `sums.first_statement` tell, by the numbers of questions that have any group, and how many rows
    the table had then."""
    users: dict[int, list[str | None]] = {}
    counts: dict[int, tuple[int, int]] = {}
    for number, user, groups, named in rows:
        users.setdefault(number, []).append(user)
        counts[number] = groups, named
    size, _ = counts.pop(len(queries))
    return {
        number: First(users=users[number], groups=groups, named=named) for number, (groups, named) in counts.items()
    }, size


def size_of(queries: Sequence[SummaryQuery], rows: Sequence[Sequence[Any]]) -> int:
    """How many rows the table had for `sums.statement` with what was found first."""
    place = COLUMNS.index("requests")
    return next(int(row[place]) for row in rows if row[0] == len(queries))


def answers(
    queries: Sequence[SummaryQuery], rows: Sequence[Sequence[Any]], firsts: Mapping[int, First] | None = None
) -> Sequence[Summary]:
    """The answers to questions out of the rows of their statement, without `as_of_us`."""
    found: list[list[dict[str, Any]]] = [[] for _ in queries]
    for row in rows:
        value = dict(zip(COLUMNS, row, strict=True))
        if value["question"] < len(queries):
            found[value["question"]].append(value)
    known = {} if firsts is None else firsts
    return [
        _answer(query, some, known.get(number)) for number, (query, some) in enumerate(zip(queries, found, strict=True))
    ]


def _answer(query: SummaryQuery, values: Sequence[dict[str, Any]], first: First | None) -> Summary:
    zone = time_zone(query.timezone)
    together = next((value for value in values if value["part"] == 1), None)
    own = None if together is None else _totals_of(together)
    if not query.group_by and own is not None:
        return _shown(query, [SummaryRow(group=(), totals=own)] if own.requests else [], own)
    some = [value for value in values if value["part"] == 0]
    groups = sorted([_group(query, value, zone) for value in some], key=lambda group: group.place)
    rows = tuple(group.row() for group in groups)
    if first is not None:
        assert together is not None
        rows = tuple(row for row in rows if row.group[0] in first.users)
        return _cut(query, rows, (*_sums(together), first.named), first.groups, None)
    if not is_cut(query):
        return _shown(query, rows, _whole(query, rows) if own is None else own)
    if not some:
        return Summary(rows=(), totals=_whole(query, ()) if own is None else own)
    return _cut(query, rows, tuple(map(int, some[0]["whole"])), some[0]["groups"], own)


def _shown(query: SummaryQuery, rows: Sequence[SummaryRow], totals: Totals) -> Summary:
    shown = rank(rows, query.group_by, query.order, query.limit)
    return Summary(rows=shown.rows, totals=totals, other=shown.rest, groups=len(rows))


def _cut(
    query: SummaryQuery, rows: Sequence[SummaryRow], whole: Sequence[int], groups: int, own: Totals | None
) -> Summary:
    """The others are what the shown ones leave of the sums over all, behind which is the number of users."""
    shown = rank(rows, query.group_by, query.order, query.limit).rows
    *sums, named = whole
    users = named if query.group_by == (Dimension.USER,) else None
    totals = tally.totals(tuple(sums), users if query.asks_for("users") else None)
    other = None
    if groups > len(shown):
        left = tally.less(tuple(sums), tally.total([_measures(row.totals) for row in shown]))
        others = None if users is None else users - sum(row.group[0] is not None for row in shown)
        other = Rest(groups=groups - len(shown), totals=tally.totals(left, 0), users=others)
    return Summary(rows=shown, totals=totals if own is None else own, other=other, groups=groups)


def _whole(query: SummaryQuery, rows: Sequence[SummaryRow]) -> Totals:
    """Everything together, where it follows from the groups: see `sums.has_own_totals`."""
    assert not has_own_totals(query)
    users = None
    if query.asks_for("users"):
        users = sum(row.group[0] is not None for row in rows)
    return tally.totals(tally.total([_measures(row.totals) for row in rows]), users)


def _measures(totals: Totals) -> Measures:
    return tuple(getattr(totals, measure) for measure in MEASURES)


def _totals_of(value: dict[str, Any]) -> Totals:
    return tally.totals(_sums(value), value["users"], (value["p50"], value["p95"]))


def _sums(value: dict[str, Any]) -> Measures:
    return tuple(int(value[measure]) for measure in MEASURES)


def _group(query: SummaryQuery, value: dict[str, Any], zone: ZoneInfo) -> _Group:
    texts = iter(value["keys"])
    values: list[str | None] = []
    place: list[tuple[bool, str | int]] = []
    for dimension in query.group_by:
        if dimension in TIME_DIMENSIONS:
            start_us = bucket_start(value["slot"] * SLOT_US, dimension, zone)
            values.append(bucket_text(start_us, zone))
            place.append((True, start_us))
        else:
            text = next(texts)
            values.append(text)
            place.append((text is not None, "" if text is None else text))
    return _Group(
        values=tuple(values),
        place=tuple(place),
        sums=_sums(value),
        users=value["users"],
        percentiles=(value["p50"], value["p95"]),
    )

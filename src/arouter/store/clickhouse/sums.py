"""Summaries as SQL: each question one or two pieces of one statement, so that all of them see the same state.

Every piece has the same columns: see `COLUMNS`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from arouter.domain.activity import METRICS, PERCENTILES, TIME_DIMENSIONS, Dimension, SummaryQuery
from arouter.store.buckets import DAY_US, HOUR_US, SLOT_US
from arouter.store.clickhouse.conditions import filter_conditions, range_conditions, scope_conditions, updated_since
from arouter.store.clickhouse.schema import ADDING
from arouter.store.clickhouse.spans import Span, spans_of
from arouter.store.tally import MEASURES

_COLUMN_OF: Final = {
    Dimension.USER: "user",
    Dimension.MODEL: "model",
    Dimension.PROVIDER: "provider",
    Dimension.API_KEY: "key_hash",
    Dimension.WORKSPACE: "workspace_id",
    Dimension.ORGANIZATION: "organization_id",
    Dimension.ENDPOINT: "endpoint",
    Dimension.STATUS: "status",
}
_UTC_LENGTHS: Final = {Dimension.HOUR: HOUR_US, Dimension.DAY: DAY_US}
_TAG: Final = "arrayJoin(if(empty(tags), [NULL], arrayDistinct(CAST(tags, 'Array(Nullable(String))'))))"

COLUMNS: Final = ("question", "part", "keys", "slot", *MEASURES, "users", "p50", "p95", "groups", "whole")
"""`part` is 0 for a group and 1 for everything; `keys` are the texts of a group's dimensions that are no times, in
their order; `slot` is a quarter of an hour within its times. `groups` is how many groups there are, and `whole` are the
sums over all of them and the number of users, where only the first are told. The statement gives them in this order, by
other names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How a question's times are told apart."""

    days: Sequence[int]
    """The days of UTC with records, rising, counted from the epoch."""
    starts: Sequence[int]
    """The quarters of an hour at which a bucket begins on one of these days."""


def needs_times(query: SummaryQuery) -> bool:
    """Whether `Times` must be known."""
    dimensions = {*query.group_by} & TIME_DIMENSIONS
    return bool(dimensions) and not (query.timezone == "UTC" and dimensions <= {*_UTC_LENGTHS})


def is_cut(query: SummaryQuery) -> bool:
    """Whether only the first groups are told: the others, added up, need not be known one by one."""
    if query.limit is None or query.order is None or Dimension.TAG in query.group_by or not query.group_by:
        return False
    return Dimension.USER not in query.group_by or query.group_by == (Dimension.USER,)


def has_own_totals(query: SummaryQuery) -> bool:
    """Whether everything together is asked for beside the groups: not where it follows from them."""
    follows = Dimension.TAG not in query.group_by and not _asks_percentiles(query)
    return not follows or (query.asks_for("users") and query.group_by != (Dimension.USER,))


def statement(table: str, queries: Sequence[SummaryQuery], times: Sequence[Times | None]) -> str:
    """All questions at once; `times` has those of each that `needs_times`."""
    pieces = []
    for number, (query, known) in enumerate(zip(queries, times, strict=True)):
        question = _Question(table, query, known)
        if query.group_by or not has_own_totals(query):
            pieces.append(question.groups(number))
        if has_own_totals(query):
            pieces.append(question.totals(number))
    return " UNION ALL ".join(pieces)


def days_statement(table: str, query: SummaryQuery) -> str:
    """The days of UTC with records of the organization."""
    day = f"intDiv(created_at_us, {SLOT_US})"
    condition = scope_conditions(query.scope)[0]
    return f"SELECT DISTINCT intDiv({day}, 96) FROM {table} WHERE {condition}"


def _asks_percentiles(query: SummaryQuery) -> bool:
    return any(query.asks_for(name) for name in PERCENTILES)


class _Question:
    def __init__(self, table: str, query: SummaryQuery, times: Times | None) -> None:
        self._table = table
        self._query = query
        self._times = times
        self._texts = [one for one in query.group_by if one not in TIME_DIMENSIONS]
        self._with_times = len(self._texts) < len(query.group_by)
        self._with_users = query.asks_for("users")
        self._with_percentiles = _asks_percentiles(query)

    def groups(self, number: int) -> str:
        """A row for each group; only the first of them where the question is cut."""
        keys = [f"k{place}" for place in range(len(self._texts))]
        grouped = self._grouped(keys, with_times=self._with_times)
        slot = "slot" if self._with_times else "0"
        told = f"[{', '.join(f'CAST({key}, {_TEXT})' for key in keys)}]" if keys else f"CAST([], {_TEXTS})"
        columns = (
            f"{number} AS q, 0 AS p, {told} AS t, CAST({slot}, 'Int64') AS at, {', '.join(MEASURES)}, users, p50, p95"
        )
        if not is_cut(self._query):
            return f"SELECT {columns}, {_NO_WHOLE} FROM ({grouped}) WHERE requests > 0"
        # The last one: how many users, which is known where there is a group for each.
        named = f"isNotNull({keys[0]})" if self._query.group_by == (Dimension.USER,) else "0"
        whole = ", ".join(f"CAST(sum({summed}) OVER (), 'Int128')" for summed in (*MEASURES, named))
        numbered = f"SELECT *, count() OVER () AS groups, [{whole}] AS whole FROM ({grouped}) WHERE requests > 0"
        first = f"ORDER BY {self._order(keys)} LIMIT {self._query.limit}"
        return f"SELECT {columns}, CAST(groups, 'UInt64') AS n, whole AS w FROM ({numbered}) {first}"

    def totals(self, number: int) -> str:
        """One row."""
        columns = f"{number} AS q, 1 AS p, {_NO_KEYS}, {', '.join(MEASURES)}, users, p50, p95"
        return f"SELECT {columns}, {_NO_WHOLE} FROM ({self._grouped((), with_times=False)})"

    def _order(self, keys: Sequence[str]) -> str:
        """As `domain.ranking` orders rows: what is unknown last, equal ones by their group values, none first."""
        order = self._query.order
        assert order is not None
        direction = "DESC" if order.descending else "ASC"
        ties = []
        names = iter(keys)
        by = None
        for dimension in self._query.group_by:
            value = "slot" if dimension in TIME_DIMENSIONS else next(names)
            ties.append(f"{value} ASC NULLS FIRST")
            if dimension.value == order.by:
                by = value
        if by is None:
            assert order.by in METRICS
            by = _METRIC_SQL.get(order.by, order.by)
        return ", ".join((f"{by} {direction} NULLS LAST", *ties))

    def _grouped(self, keys: Sequence[str], *, with_times: bool) -> str:
        """The sums of each group, from all spans together."""
        by_user = Dimension.USER in self._texts and bool(keys)
        names = [*keys, *(("slot",) if with_times else ())]
        with_users = self._with_users
        inner_names = [*names, *(("u",) if with_users and not by_user else ())]
        # Everything together needs no group: coarser sums may tell it.
        query = self._query if names or self._times is not None else replace(self._query, group_by=())
        spans = spans_of(query, with_users=with_users or Dimension.USER in query.group_by)
        # An empty range is one of no record.
        spans = spans or [Span(unit_us=1, first=0, beyond=0)]
        inner = " UNION ALL ".join(self._of_span(span, inner_names) for span in spans)
        each_is_one = by_user and self._query.group_by == (Dimension.USER,)
        users = f"CAST(NULL, {_COUNT})"
        if with_users:
            user = keys[self._texts.index(Dimension.USER)] if by_user else "u"
            users = f"CAST({f'isNotNull({user})' if each_is_one else f'uniqExact({user})'}, {_COUNT})"
        if len(spans) == 1 and not self._with_percentiles and (each_is_one or not with_users):
            # It is grouped already.
            told = (*(f"s_{name} AS {name}" for name in MEASURES), f"{users} AS users", *_NO_PERCENTILES)
            return f"SELECT {', '.join((*names, *told))} FROM ({inner})"
        percentiles = self._percentiles() if self._with_percentiles else _NO_PERCENTILES
        told = (*(f"sum(s_{name}) AS {name}" for name in MEASURES), f"{users} AS users", *percentiles)
        group_by = f" GROUP BY {', '.join(names)}" if names else ""
        return f"SELECT {', '.join((*names, *told))} FROM ({inner}){group_by}"

    def _percentiles(self) -> Sequence[str]:
        """By nearest rank."""
        return (
            "arraySort(groupArrayArray(latencies)) AS sorted",
            *(
                f"if(empty(sorted), CAST(NULL, {_COUNT}), sorted[intDiv(length(sorted) * {percent} + 99, 100)]) "
                f"AS p{percent}"
                for percent in PERCENTILES.values()
            ),
        )

    def _of_span(self, span: Span, names: Sequence[str]) -> str:
        query = self._query
        columns = []
        texts = iter(self._texts)
        for name in names:
            if name == "slot":
                columns.append(f"{self._slot(span)} AS slot")
            elif name == "u":
                columns.append("user AS u")
            else:
                dimension = next(texts)
                columns.append(f"{_TAG if dimension is Dimension.TAG else _COLUMN_OF[dimension]} AS {name}")
        conditions = [
            *scope_conditions(query.scope),
            *filter_conditions(query.filters),
            *updated_since(query.filters, query.scope, self._table),
            *self._range(span),
        ]
        columns += [f"{adding} AS s_{name}" for name, adding in zip(MEASURES, ADDING, strict=True)]
        if self._with_percentiles:
            columns.append("groupArray(latency_us) AS latencies")
        group_by = f" GROUP BY {', '.join(names)}" if names else ""
        return f"SELECT {', '.join(columns)} FROM {self._table} WHERE {' AND '.join(conditions)}{group_by}"

    def _range(self, span: Span) -> list[str]:
        if span.unit_us == 1:
            made = range_conditions(span.first, span.beyond)
        else:
            unit = f"intDiv(created_at_us, {span.unit_us})"
            made = [f"{unit} >= {span.first}"] if span.first is not None else []
            if span.beyond is not None:
                made.append(f"{unit} < {span.beyond}")
        if self._times is not None:
            made.append(self._on_known_days(span))
        return made

    def _on_known_days(self, span: Span) -> str:
        """Of a day that is not known yet nobody could say in which bucket it is."""
        assert self._times is not None
        days = self._times.days
        if not days:
            return "0"
        unit_us = max(span.unit_us, SLOT_US)
        day = f"intDiv(created_at_us, {unit_us})" if unit_us == DAY_US else _day_of_slot(span)
        if days[-1] - days[0] + 1 == len(days):
            return f"{day} >= {days[0]} AND {day} <= {days[-1]}"
        return f"{day} IN ({', '.join(map(str, days))})"

    def _slot(self, span: Span) -> str:
        """The first quarter of an hour of the bucket, or of what a question's range has of it."""
        slot = (
            f"intDiv(created_at_us, {DAY_US}) * 96" if span.unit_us == DAY_US else f"intDiv(created_at_us, {SLOT_US})"
        )
        if self._times is not None:
            return f"roundDown({slot}, [{', '.join(map(str, self._times.starts))}])" if self._times.starts else slot
        length = min(_UTC_LENGTHS[one] for one in self._query.group_by if one in TIME_DIMENSIONS)
        width = length // SLOT_US
        return f"intDiv({slot}, {width}) * {width}"


def _day_of_slot(span: Span) -> str:
    return f"intDiv(intDiv(created_at_us, {SLOT_US}), 96)"


_COUNT: Final = "'Nullable(Int64)'"
_TEXT: Final = "'Nullable(String)'"
_TEXTS: Final = "'Array(Nullable(String))'"
_WHOLE: Final = "'Array(Int128)'"
_NO_KEYS: Final = f"CAST([], {_TEXTS}) AS t, CAST(0, 'Int64') AS at"
_NO_WHOLE: Final = f"CAST(0, 'UInt64') AS n, CAST([], {_WHOLE}) AS w"
_NO_PERCENTILES: Final = (f"CAST(NULL, {_COUNT}) AS p50", f"CAST(NULL, {_COUNT}) AS p95")
_METRIC_SQL: Final = {
    "mean_latency_ms": "if(requests_with_latency = 0, NULL, round(latency_us / requests_with_latency))",
    "latency_ms_p50": "p50",
    "latency_ms_p95": "p95",
}
"""Metrics that are no sums."""

"""Summaries as SQL: each question one or two pieces of one statement, so that all of them see the same state.

Every piece has the same columns: see `COLUMNS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from arouter.domain.activity import METRICS, PERCENTILES, TIME_DIMENSIONS, Dimension, SummaryQuery
from arouter.store.buckets import DAY_US, HOUR_US, SLOT_US
from arouter.store.clickhouse.conditions import (
    hash_conditions,
    other_conditions,
    range_conditions,
    scope_conditions,
    updated_since,
    user_conditions,
)
from arouter.store.clickhouse.schema import ADDING, DAYS_BY_USER, number_of
from arouter.store.clickhouse.spans import Span, projection_of, reads_sums, spans_of
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


MOST_FIRST: Final = 100
"""So many users are asked for by name: their sums by day are a few rows each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """What is known of the groups of a question that `is_found_first`."""

    users: Sequence[str | None]
    """Those that are told, in no order."""
    groups: int
    """How many there are in all."""
    named: int
    """How many of these are users."""


def needs_times(query: SummaryQuery) -> bool:
    """Whether `Times` must be known."""
    dimensions = {*query.group_by} & TIME_DIMENSIONS
    return bool(dimensions) and not (query.timezone == "UTC" and dimensions <= {*_UTC_LENGTHS})


def is_cut(query: SummaryQuery) -> bool:
    """Whether only the first groups are told: the others, added up, need not be known one by one."""
    if query.limit is None or query.order is None or Dimension.TAG in query.group_by or not query.group_by:
        return False
    return Dimension.USER not in query.group_by or query.group_by == (Dimension.USER,)


def is_found_first(query: SummaryQuery) -> bool:
    """Whether the first users are better found by the one sum that orders them, before all of theirs are asked for."""
    if not is_cut(query) or query.group_by != (Dimension.USER,) or query.filters.users or query.filters.unattributed:
        return False
    assert query.limit is not None
    assert query.order is not None
    return query.limit <= MOST_FIRST and query.order.by in _ORDERS and reads_sums(query)


def has_own_totals(query: SummaryQuery) -> bool:
    """Whether everything together is asked for beside the groups: not where it follows from them."""
    follows = Dimension.TAG not in query.group_by and not _asks_percentiles(query)
    return not follows or (query.asks_for("users") and query.group_by != (Dimension.USER,))


def first_statement(table: str, queries: Sequence[SummaryQuery]) -> str:
    """Rows of `number, user, groups, named`: the first users of each question that `is_found_first`, and how many
    there are; the last number has as its groups how many rows the table has."""
    pieces = [
        _Question(table, query, None).first(number) for number, query in enumerate(queries) if is_found_first(query)
    ]
    rows = f"SELECT {len(queries)} AS q, CAST(NULL, {_TEXT}) AS k, count() AS n, CAST(0, 'UInt64') AS m FROM {table}"
    return " UNION ALL ".join((*pieces, rows))


def statement(
    table: str,
    queries: Sequence[SummaryQuery],
    times: Sequence[Times | None],
    firsts: Mapping[int, First] | None = None,
) -> str:
    """All questions at once; `times` has those of each that `needs_times`.

    With `firsts`, by the numbers of questions, one row more: its question is the number behind the last one, and its
    requests are how many rows the table has. What was found first holds if that is the same as then.
    """
    pieces: list[str] = []
    for number, (query, known) in enumerate(zip(queries, times, strict=True)):
        first = None if firsts is None else firsts.get(number)
        if first is not None:
            pieces += _of_first(table, query, first, number)
            continue
        question = _Question(table, query, known)
        if query.group_by or not has_own_totals(query):
            pieces.append(question.groups(number))
        if has_own_totals(query):
            pieces.append(question.totals(number))
    if firsts:
        counted = ", ".join("count()" if name == "requests" else f"CAST(0, {_SUM})" for name in MEASURES)
        no_more = f"CAST(NULL, {_COUNT}), CAST(NULL, {_COUNT}), CAST(NULL, {_COUNT})"
        pieces.append(f"SELECT {len(queries)} AS q, 2 AS p, {_NO_KEYS}, {counted}, {no_more}, {_NO_WHOLE} FROM {table}")
    return " UNION ALL ".join(pieces)


def _of_first(table: str, query: SummaryQuery, first: First, number: int) -> Sequence[str]:
    """The rows of these users, with some of others perhaps, and everything together."""
    names = tuple(user for user in first.users if user is not None)
    filters = replace(query.filters, users=names, unattributed=None in first.users)
    theirs = replace(query, filters=filters, order=None, limit=None)
    everything = replace(query, group_by=(), metrics=frozenset[str](), order=None, limit=None)
    found = _Question(table, theirs, None, by_hash_alone=True)
    return found.groups(number), _Question(table, everything, None).totals(number)


def days_statement(table: str, query: SummaryQuery) -> str:
    """The days of UTC with records of the organization."""
    day = number_of(DAY_US)
    return f"SELECT {day} AS day FROM {table} WHERE {scope_conditions(query.scope)[0]} GROUP BY day"


def _asks_percentiles(query: SummaryQuery) -> bool:
    return any(query.asks_for(name) for name in PERCENTILES)


class _Question:
    def __init__(self, table: str, query: SummaryQuery, times: Times | None, *, by_hash_alone: bool = False) -> None:
        """`by_hash_alone`: sums of users may come with those of others whose hashes are the same."""
        self._table = table
        self._query = query
        self._times = times
        self._by_hash_alone = by_hash_alone
        self._texts = [one for one in query.group_by if one not in TIME_DIMENSIONS]
        self._with_times = len(self._texts) < len(query.group_by)
        self._with_users = query.asks_for("users")
        self._with_percentiles = _asks_percentiles(query)

    def first(self, number: int) -> str:
        """The users of the first groups, with how many groups there are."""
        order = self._query.order
        assert order is not None
        # There is no group without a request: an adjustment is where its record is.
        grouped = self._grouped(["k0"], with_times=False, measures=_ORDERS[order.by])
        numbered = f"SELECT *, count() OVER () AS n, count(k0) OVER () AS m FROM ({grouped})"
        first = f"ORDER BY {self._order(['k0'])} LIMIT {self._query.limit}"
        return f"SELECT {number} AS q, CAST(k0, {_TEXT}) AS k, n, m FROM ({numbered}) {first}"

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
        return f"SELECT {columns}, {_NO_WHOLE} FROM ({self._everything()})"

    def _everything(self) -> str:
        query = self._query
        users = replace(query, group_by=(Dimension.USER,), metrics=frozenset[str](), order=None, limit=None)
        if not self._with_users or self._times is not None or not reads_sums(replace(query, group_by=())):
            return self._grouped((), with_times=False)
        if not reads_sums(users):
            return self._grouped((), with_times=False)
        # Users are counted where each has a row, and not by the sets of all days.
        sums = _Question(self._table, replace(users, group_by=()), None)._grouped((), with_times=False)
        each = _Question(self._table, users, None)._grouped(["k0"], with_times=False, measures=())
        names = ", ".join(MEASURES)
        return (
            f"SELECT {names}, CAST(c, {_COUNT}) AS users, p50, p95 FROM ({sums}) AS everything "
            f"CROSS JOIN (SELECT count(k0) AS c FROM ({each})) AS everybody"
        )

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

    def _grouped(self, keys: Sequence[str], *, with_times: bool, measures: Sequence[str] = MEASURES) -> str:
        """The sums of each group, from all spans together."""
        by_user = Dimension.USER in self._texts and bool(keys)
        names = [*keys, *(("slot",) if with_times else ())]
        counts_users = self._with_users and not by_user
        filters = self._query.filters
        # Of a few users, each has rows of its own; else there are sets of them.
        told_apart = counts_users and bool(filters.users or filters.unattributed)
        inner_names = [*names, *(("u",) if told_apart else ())]
        # Everything together needs no group: coarser sums may tell it.
        query = self._query if names or self._times is not None else replace(self._query, group_by=())
        spans = spans_of(query)
        # An empty range is one of no record.
        spans = spans or [Span(unit_us=1, first=0, beyond=0)]
        with_sets = counts_users and not told_apart
        inner = " UNION ALL ".join(self._of_span(span, inner_names, measures, with_sets=with_sets) for span in spans)
        is_grouped = len(spans) == 1 and not self._with_percentiles and not told_apart
        users = f"CAST(NULL, {_COUNT})"
        if self._with_users:
            if by_user:
                counted = f"isNotNull({keys[self._texts.index(Dimension.USER)]})"
            elif told_apart:
                counted = "uniqExact(u)"
            else:
                counted = "finalizeAggregation(s_users)" if is_grouped else "uniqExactMerge(s_users)"
            users = f"CAST({counted}, {_COUNT})"
        percentiles = self._percentiles() if self._with_percentiles else _NO_PERCENTILES
        sums = [f"s_{name} AS {name}" if is_grouped else f"sum(s_{name}) AS {name}" for name in measures]
        group_by = f" GROUP BY {', '.join(names)}" if names and not is_grouped else ""
        return f"SELECT {', '.join((*names, *sums, f'{users} AS users', *percentiles))} FROM ({inner}){group_by}"

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

    def _of_span(self, span: Span, names: Sequence[str], measures: Sequence[str], *, with_sets: bool) -> str:
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
            *self._users(span),
            *other_conditions(query.filters),
            *updated_since(query.filters, query.scope, self._table),
            *self._range(span),
        ]
        columns += [f"{_ADDING[name]} AS s_{name}" for name in measures]
        if with_sets:
            columns.append("uniqExactState(user) AS s_users")
        if self._with_percentiles:
            columns.append("groupArray(latency_us) AS latencies")
        group_by = f" GROUP BY {', '.join(names)}" if names else ""
        # It would be found among all of them, but each is looked into for that.
        projection = DAYS_BY_USER if self._finds_by_hash_alone(span) else projection_of(span, query)
        hint = f" SETTINGS preferred_optimize_projection_name = '{projection}'" if projection else ""
        return f"SELECT {', '.join(columns)} FROM {self._table} WHERE {' AND '.join(conditions)}{group_by}{hint}"

    def _users(self, span: Span) -> list[str]:
        filters = self._query.filters
        if self._finds_by_hash_alone(span):
            return hash_conditions(filters)
        return [*user_conditions(filters), *(hash_conditions(filters) if span.unit_us == DAY_US else ())]

    def _finds_by_hash_alone(self, span: Span) -> bool:
        return self._by_hash_alone and span.unit_us == DAY_US

    def _range(self, span: Span) -> list[str]:
        if span.unit_us == 1:
            made = range_conditions(span.first, span.beyond)
        else:
            unit = number_of(span.unit_us)
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
        day = number_of(DAY_US) if unit_us == DAY_US else _day_of_slot()
        if days[-1] - days[0] + 1 == len(days):
            return f"{day} >= {days[0]} AND {day} <= {days[-1]}"
        return f"{day} IN ({', '.join(map(str, days))})"

    def _slot(self, span: Span) -> str:
        """The first quarter of an hour of the bucket, or of what a question's range has of it."""
        slot = f"{number_of(DAY_US)} * 96" if span.unit_us == DAY_US else number_of(SLOT_US)
        if self._times is not None:
            return f"roundDown({slot}, [{', '.join(map(str, self._times.starts))}])" if self._times.starts else slot
        length = min(_UTC_LENGTHS[one] for one in self._query.group_by if one in TIME_DIMENSIONS)
        width = length // SLOT_US
        return f"intDiv({slot}, {width}) * {width}"


def _day_of_slot() -> str:
    return f"intDiv({number_of(SLOT_US)}, 96)"


_ADDING: Final = dict(zip(MEASURES, ADDING, strict=True))
_COUNT: Final = "'Nullable(Int64)'"
_SUM: Final = "'Int64'"
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
_ORDERS: Final[Mapping[str, Sequence[str]]] = {
    **{name: (name,) for name in MEASURES if name in METRICS},
    "mean_latency_ms": ("latency_us", "requests_with_latency"),
    Dimension.USER.value: (),
}
"""The sums that must be known to order users by a metric."""

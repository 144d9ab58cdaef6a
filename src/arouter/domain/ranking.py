"""The order of a summary's rows, and what becomes of those beyond a limit.

1. Without an `order_by` the dearest group comes first; where a time leads the grouping, the earliest.
2. A value that is not known comes last, in either order.
3. Equal rows keep the order of their group values.
4. What a limit cuts off is added up, so that the rows and the rest together are still everything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from arouter.domain.activity import TIME_DIMENSIONS, Dimension, SummaryRow, Totals

METRICS = (
    "requests",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost",
    "requests_without_usage",
    "requests_without_price",
    "users",
    "mean_latency_ms",
)
"""What a summary tells of a group, and what it can be ordered by."""

_Value = int | float | str | datetime | None
_SUMMED = tuple(field.name for field in fields(Totals) if field.name != "users")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`by` is one of `METRICS` or the name of a dimension that the summary groups by."""

    by: str
    descending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The rows that a limit cut off, as one."""

    groups: int
    totals: Totals
    """Exact sums; for `users` see the next field."""
    users: int | None
    """Distinct users, where the groups tell: a person may be in several groups, so counts cannot be added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    rows: tuple[SummaryRow, ...]
    rest: Rest | None


def default_order(group_by: Sequence[Dimension]) -> Order:
    """Rule 1."""
    if group_by and group_by[0] in TIME_DIMENSIONS:
        return Order(by=group_by[0].value, descending=False)
    return Order(by="cost", descending=True)


def mean_latency_ms(totals: Totals) -> float | None:
    """Milliseconds, to the microsecond; None where no latency is known."""
    if not totals.requests_with_latency:
        return None
    return round(totals.latency_us / totals.requests_with_latency) / 1000


def rank(rows: Sequence[SummaryRow], group_by: Sequence[Dimension], order: Order, limit: int) -> Ranking:
    """The first `limit` rows in `order`, and the rest."""
    ordered = _ordered(rows, _reader(order.by, group_by), descending=order.descending)
    return Ranking(rows=tuple(ordered[:limit]), rest=_rest(ordered[limit:], group_by))


def _reader(by: str, group_by: Sequence[Dimension]) -> Callable[[SummaryRow], _Value]:
    names = [dimension.value for dimension in group_by]
    if by in names:
        place = names.index(by)
        if group_by[place] in TIME_DIMENSIONS:
            return lambda row: _instant(row.group[place])
        return lambda row: row.group[place]
    if by == "mean_latency_ms":
        return lambda row: mean_latency_ms(row.totals)
    return lambda row: getattr(row.totals, by)


def _instant(text: str | None) -> datetime | None:
    """Buckets are ordered as instants: the text of an autumn night's second 01:00 sorts before the first's."""
    return None if text is None else datetime.fromisoformat(text)


def _ordered(
    rows: Sequence[SummaryRow], value: Callable[[SummaryRow], _Value], *, descending: bool
) -> list[SummaryRow]:
    known = [row for row in rows if value(row) is not None]
    unknown = [row for row in rows if value(row) is None]
    # The values of one column are all numbers, all texts or all instants.
    return sorted(known, key=value, reverse=descending) + unknown  # type: ignore[arg-type]


def _rest(rows: Sequence[SummaryRow], group_by: Sequence[Dimension]) -> Rest | None:
    if not rows:
        return None
    sums = {name: sum(getattr(row.totals, name) for row in rows) for name in _SUMMED}
    users = None
    if Dimension.USER in group_by:
        place = list(group_by).index(Dimension.USER)
        users = len({row.group[place] for row in rows} - {None})
    return Rest(groups=len(rows), totals=replace(Totals(), **sums), users=users)

"""The order of a summary's rows, and what becomes of those beyond a limit.

1. Without an `order_by` the dearest group comes first; where a time leads the grouping, the earliest.
2. A value that is not known comes last, in either order.
3. Equal rows keep the order of their group values.
4. What a limit cuts off is added up, so that the rows and the rest together are still everything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from arouter.domain.activity import METRICS, TIME_DIMENSIONS, Dimension, Order, Rest, SummaryRow, Totals

__all__ = ["METRICS", "Order", "Ranking", "Rest", "default_order", "mean_latency_ms", "rank", "value_of"]

Value = int | float | str | datetime | None
_NOT_SUMMED = ("users", "latency_us_p50", "latency_us_p95")
_SUMMED = tuple(field.name for field in fields(Totals) if field.name not in _NOT_SUMMED)


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


def value_of(metric: str, totals: Totals) -> int | float | None:
    """One of `METRICS`; None where it is not known. Money is in picodollars, times are in milliseconds."""
    if metric == "mean_latency_ms":
        return mean_latency_ms(totals)
    if metric == "latency_ms_p50":
        return None if totals.latency_us_p50 is None else totals.latency_us_p50 / 1000
    if metric == "latency_ms_p95":
        return None if totals.latency_us_p95 is None else totals.latency_us_p95 / 1000
    value: int | None = getattr(totals, metric)
    return value


def rank(rows: Sequence[SummaryRow], group_by: Sequence[Dimension], order: Order | None, limit: int | None) -> Ranking:
    """The first `limit` rows in `order`, and the rest. Without an order they stay as they are."""
    ordered = rows if order is None else _ordered(rows, _reader(order.by, group_by), descending=order.descending)
    shown = len(rows) if limit is None else limit
    return Ranking(rows=tuple(ordered[:shown]), rest=_rest(ordered[shown:], group_by))


def _reader(by: str, group_by: Sequence[Dimension]) -> Callable[[SummaryRow], Value]:
    names = [dimension.value for dimension in group_by]
    if by in names:
        place = names.index(by)
        if group_by[place] in TIME_DIMENSIONS:
            return lambda row: _instant(row.group[place])
        return lambda row: row.group[place]
    return lambda row: value_of(by, row.totals)


def _instant(text: str | None) -> datetime | None:
    """Buckets are ordered as instants: the text of an autumn night's second 01:00 sorts before the first's."""
    return None if text is None else datetime.fromisoformat(text)


def _ordered(rows: Sequence[SummaryRow], value: Callable[[SummaryRow], Value], *, descending: bool) -> list[SummaryRow]:
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

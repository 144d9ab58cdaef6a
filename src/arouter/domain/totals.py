"""Sums put together from finer ones: rows of a summary without some of their dimensions."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar

from arouter.domain.activity import SummaryRow, Totals

Group = TypeVar("Group", bound=Hashable)

_NOT_SUMMED = frozenset({"users", "latency_us_p50", "latency_us_p95"})
SUMMED = tuple(field.name for field in fields(Totals) if field.name not in _NOT_SUMMED)
"""The fields of sums that can be added up."""
_sums_of = attrgetter(*SUMMED)


def total(many: Iterable[Totals]) -> Totals:
    """All together, exactly. `users` is 0: distinct users of several groups cannot be added, nor can percentiles."""
    sums: Any = map(sum, zip(*map(_sums_of, many), strict=True))
    return Totals(**dict(zip(SUMMED, sums, strict=False)))


def regrouped(rows: Iterable[SummaryRow], group: Callable[[SummaryRow], Group | None]) -> dict[Group, Totals]:
    """Rows added up by what `group` says of them, in the order in which groups come first; None leaves a row out."""
    groups: dict[Group, list[Totals]] = {}
    for row in rows:
        key = group(row)
        if key is not None:
            groups.setdefault(key, []).append(row.totals)
    return {key: total(many) for key, many in groups.items()}

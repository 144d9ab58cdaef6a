"""Sums put together from finer ones: rows of a summary without some of their dimensions."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import fields
from typing import TypeVar

from arouter.domain.activity import SummaryRow, Totals

Group = TypeVar("Group", bound=Hashable)

_SUMMED = tuple(field.name for field in fields(Totals) if field.name != "users")


def added(left: Totals, right: Totals) -> Totals:
    """Both together, exactly. `users` is 0: distinct users of two groups cannot be added."""
    return Totals(**{name: getattr(left, name) + getattr(right, name) for name in _SUMMED})


def total(many: Iterable[Totals]) -> Totals:
    """All together, `users` as in `added`."""
    sums = Totals()
    for each in many:
        sums = added(sums, each)
    return sums


def regrouped(rows: Iterable[SummaryRow], group: Callable[[SummaryRow], Group | None]) -> dict[Group, Totals]:
    """Rows added up by what `group` says of them, in the order in which groups come first; None leaves a row out."""
    groups: dict[Group, list[Totals]] = {}
    for row in rows:
        key = group(row)
        if key is not None:
            groups.setdefault(key, []).append(row.totals)
    return {key: total(many) for key, many in groups.items()}

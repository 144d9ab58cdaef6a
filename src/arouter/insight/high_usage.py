"""Who uses most, and how few make how much: from a range's first users, its totals, and the same of the range before.

1. Users come by the measure, the greatest first; equal ones share a rank, and are in the order of their names.
2. What a limit leaves out is what is left of the totals, so that the rows are everything, in both ranges.
3. Requests without a user are told apart, and have no rank.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from operator import attrgetter, neg

from arouter.domain.activity import Totals
from arouter.domain.high_usage import MEASURES, Concentration, HighUsage, RankedUser, Standing, TopShare, Usage

TOP_PERCENTS = (1, 10)
_NOT_SUMMED = ("users", "latency_us_p50", "latency_us_p95")
_SUMMED = tuple(field.name for field in fields(Totals) if field.name not in _NOT_SUMMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What is known of one of the ranges."""

    named: Mapping[str, Totals]
    """Of users. Of the range itself those that are told, by the measure, equal ones by name; of the one before, at
    least those of them that it had."""
    unattributed: Totals
    everything: Totals


def high_usage(now: Side, before: Side, order_by: str, costs: Sequence[int]) -> HighUsage:
    """By `order_by`, one of `MEASURES`. `costs` are those of all users of the range, greatest first."""
    value_of = attrgetter(MEASURES[order_by])
    whole = value_of(now.everything)

    def usage(totals: Totals, previous: Totals) -> Usage:
        value = value_of(totals)
        return Usage(totals=totals, value=value, previous=value_of(previous), share=_share(value, whole))

    users: list[RankedUser] = []
    rank = 0
    for place, (user, totals) in enumerate(now.named.items(), 1):
        if not users or value_of(totals) < users[-1].usage.value:
            rank = place
        users.append(RankedUser(rank=rank, user=user, usage=usage(totals, before.named.get(user, Totals()))))
    told = [before.named[user] for user in now.named if user in before.named]
    rest = _less(now.everything, added([*now.named.values(), now.unattributed]))
    rest_before = _less(before.everything, added([*told, before.unattributed]))
    return HighUsage(
        users=tuple(users),
        unattributed=_if_any(usage, now.unattributed, before.unattributed),
        other=_if_any(usage, rest, rest_before),
        everything=usage(now.everything, before.everything),
        concentration=concentration(costs),
    )


def added(totals: Sequence[Totals]) -> Totals:
    """The sums of totals that have no user in common."""
    sums = {name: sum(getattr(each, name) for each in totals) for name in _SUMMED}
    return Totals(**sums, users=sum(0 if each.users is None else each.users for each in totals))


def concentration(costs: Sequence[int]) -> Concentration:
    """Of what each user cost, greatest first."""
    whole = 0
    sums = [0]
    for cost in costs:
        whole += cost
        sums.append(whole)
    tops = []
    for percent in TOP_PERCENTS:
        users = -(-len(costs) * percent // 100)
        tops.append(TopShare(percent=percent, users=users, cost=sums[users], share=_share(sums[users], whole)))
    return Concentration(users=len(costs), cost=whole, tops=tuple(tops), users_of_half=_users_of_half(sums, whole))


def standing(costs: Sequence[int], mine: int | None) -> Standing:
    """Of a user that cost `mine`, among all users of a range, itself included, greatest first. None: it is not among
    them."""
    if mine is None:
        return Standing(users=len(costs), rank=None, percentile=None)
    more = bisect_left(costs, -mine, key=neg)
    less = len(costs) - bisect_right(costs, -mine, key=neg)
    others = len(costs) - 1
    return Standing(users=len(costs), rank=more + 1, percentile=None if others < 1 else Fraction(100 * less, others))


def _users_of_half(sums: Sequence[int], whole: int) -> int | None:
    if whole <= 0:
        return None
    for users, so_far in enumerate(sums):
        if 2 * so_far >= whole:
            return users
    return None


def _if_any(usage: Callable[[Totals, Totals], Usage], now: Totals, before: Totals) -> Usage | None:
    return usage(now, before) if now.requests or before.requests else None


def _less(whole: Totals, part: Totals) -> Totals:
    sums = {name: getattr(whole, name) - getattr(part, name) for name in _SUMMED}
    users = None if whole.users is None or part.users is None else whole.users - part.users
    return Totals(**sums, users=users)


def _share(part: int, whole: int) -> Fraction | None:
    return None if whole == 0 else Fraction(part, whole)

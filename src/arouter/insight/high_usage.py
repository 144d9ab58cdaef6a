"""Who uses most, and how few make how much: from a range's sums by user and those of the range before.

1. Users are ordered by the measure; equal ones share a rank, and are in the order of their names.
2. What a limit leaves out is added up, so that the rows are everything, in both ranges.
3. Requests without a user are told apart, and have no rank.
"""

from collections.abc import Sequence
from dataclasses import fields
from fractions import Fraction
from operator import attrgetter

from arouter.domain.activity import Summary, SummaryRow, Totals
from arouter.domain.high_usage import MEASURES, Concentration, HighUsage, RankedUser, Standing, TopShare, Usage

TOP_PERCENTS = (1, 10)
_SUMMED = tuple(field.name for field in fields(Totals))


def high_usage(now: Summary, before: Summary, order_by: str, limit: int) -> HighUsage:
    """The first `limit` users by `order_by`, one of `MEASURES`. Both summaries are grouped by user alone."""
    value_of = attrgetter(MEASURES[order_by])
    previous = {row.group[0]: value_of(row.totals) for row in before.rows}
    everything = value_of(now.totals)

    def usage(totals: Totals, previous: int) -> Usage:
        value = value_of(totals)
        return Usage(totals=totals, value=value, previous=previous, share=_share(value, everything))

    named = [row for row in now.rows if row.group[0] is not None]
    named.sort(key=lambda row: (-value_of(row.totals), row.group[0]))
    users: list[RankedUser] = []
    rank = 0
    for place, row in enumerate(named[:limit], 1):
        if not users or value_of(row.totals) < users[-1].usage.value:
            rank = place
        user = _user(row)
        users.append(RankedUser(rank=rank, user=user, usage=usage(row.totals, previous.get(user, 0))))
    nobody = next((row.totals for row in now.rows if row.group[0] is None), None)
    unattributed = None
    if nobody is not None or None in previous:
        unattributed = usage(Totals() if nobody is None else nobody, previous.get(None, 0))
    rest = named[limit:]
    told = {one.user for one in users} | {None}
    other = None
    if rest or previous.keys() - told:
        other = usage(
            added([row.totals for row in rest]), sum(value for user, value in previous.items() if user not in told)
        )
    return HighUsage(
        users=tuple(users),
        unattributed=unattributed,
        other=other,
        everything=usage(now.totals, value_of(before.totals)),
        concentration=concentration([row.totals.cost for row in named]),
    )


def added(totals: Sequence[Totals]) -> Totals:
    """The sums of totals that have no user in common."""
    return Totals(**{name: sum(getattr(each, name) for each in totals) for name in _SUMMED})


def concentration(costs: Sequence[int]) -> Concentration:
    """Of what each user cost, in any order."""
    ordered = sorted(costs, reverse=True)
    whole = sum(ordered)
    tops = []
    for percent in TOP_PERCENTS:
        users = -(-len(ordered) * percent // 100)
        cost = sum(ordered[:users])
        tops.append(TopShare(percent=percent, users=users, cost=cost, share=_share(cost, whole)))
    return Concentration(users=len(ordered), cost=whole, tops=tuple(tops), users_of_half=_users_of_half(ordered, whole))


def standing(rows: Sequence[SummaryRow], user: str) -> Standing:
    """A user among those of a summary that is grouped by user alone."""
    costs = {_user(row): row.totals.cost for row in rows if row.group[0] is not None}
    if user not in costs:
        return Standing(users=len(costs), rank=None, percentile=None)
    mine = costs[user]
    less = sum(cost < mine for cost in costs.values())
    more = sum(cost > mine for cost in costs.values())
    others = len(costs) - 1
    return Standing(users=len(costs), rank=more + 1, percentile=None if others == 0 else Fraction(100 * less, others))


def _users_of_half(ordered: Sequence[int], whole: int) -> int | None:
    if whole <= 0:
        return None
    so_far = 0
    for users, cost in enumerate(ordered, 1):
        so_far += cost
        if 2 * so_far >= whole:
            return users
    return None


def _share(part: int, whole: int) -> Fraction | None:
    return None if whole == 0 else Fraction(part, whole)


def _user(row: SummaryRow) -> str:
    user = row.group[0]
    assert user is not None
    return user

"""Where a month is heading: what was seen of it, and the rest at the rate of the days before.

The days that are over are taken for draws that are independent of each other and spread alike. From two whole weeks on
each weekday has a mean of its own, before that all days share one. The rest of the month is the sum of its days' means.

The interval is the one that linear regression gives for a sum of new observations (Student's t; Seber and Lee, Linear
Regression Analysis, section 5.3.1). With s² the variance around the means, n_g the days of a group that were seen and
r_g those to come, the error of the sum has the variance s² · Σ (r_g + r_g² / n_g): the first term is the days' own
spread, the second is that the means are not known exactly. For normal days it holds in 80 of 100 months exactly. It is
too narrow for who grows or shrinks, and for days that follow each other (a project that lasts a week); a day without
precedent is in none.

All arithmetic is exact, and rounded once: no amount passes through a float.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, floor, isqrt

from arouter.domain.projection import ComingDay, Projection, SeenDay

LEAST_DAYS = 3
MOST_DAYS = 28
"""Four weeks: longer ago is another person's habit."""
DAYS_BY_WEEKDAY = 14

_T_THOUSANDTHS = (
    *(3078, 1886, 1638, 1533, 1476, 1440, 1415, 1397, 1383, 1372, 1363, 1356, 1350, 1345),
    *(1341, 1337, 1333, 1330, 1328, 1325, 1323, 1321, 1319, 1318, 1316, 1315, 1314),
)
"""The 90th percentile of Student's t with 1, 2, … degrees of freedom: what lies between it and its negative is 80 %."""


def project(seen: int, days: Sequence[SeenDay], coming: Sequence[ComingDay]) -> Projection | None:
    """The month's total. `seen` is what it came to so far, `days` are the whole days that are over, the oldest first,
    whichever month they belong to; of more than `MOST_DAYS` the last count. None if they are fewer than `LEAST_DAYS`.
    """
    days = days[-MOST_DAYS:]
    if len(days) < LEAST_DAYS:
        return None
    by_weekday = len(days) >= DAYS_BY_WEEKDAY
    groups = _grouped(days, by_weekday=by_weekday)
    means = {group: Fraction(sum(amounts), len(amounts)) for group, amounts in groups.items()}
    shares = dict.fromkeys(groups, Fraction(0))
    for day in coming:
        shares[day.weekday if by_weekday else 0] += day.share
    rest = sum((means[group] * share for group, share in shares.items()), Fraction(0))
    squares = sum(((amount - means[group]) ** 2 for group in groups for amount in groups[group]), Fraction(0))
    freedom = len(days) - len(groups)
    spread = sum((share + share**2 / len(groups[group]) for group, share in shares.items()), Fraction(0))
    half = _root(squares / freedom * spread * Fraction(_T_THOUSANDTHS[freedom - 1], 1000) ** 2)
    low = seen + floor(rest - half)
    return Projection(
        amount=seen + round(rest),
        # What was spent already is not taken back, except where it was before: corrections can be below zero.
        low=low if any(day.amount < 0 for day in days) else max(seen, low),
        high=seen + ceil(rest + half),
        days=len(days),
        by_weekday=by_weekday,
    )


def _grouped(days: Sequence[SeenDay], *, by_weekday: bool) -> Mapping[int, Sequence[int]]:
    groups: dict[int, list[int]] = {}
    for day in days:
        groups.setdefault(day.weekday if by_weekday else 0, []).append(day.amount)
    return groups


def _root(square: Fraction) -> Fraction:
    """The square root, to a millionth of the unit."""
    scale = 10**6
    return Fraction(isqrt(ceil(square * scale**2)), scale)

"""Who uses most, and how few make how much."""

from collections.abc import Collection, Mapping
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import Totals
from arouter.domain.high_usage import MEASURES, HighUsage
from arouter.domain.money import Picodollars
from arouter.insight.high_usage import Side, added, concentration, high_usage, standing

Figures = Mapping[str | None, tuple[int, int, int]]
FIGURES = st.tuples(st.integers(1, 3), st.integers(0, 9), st.integers(0, 10**15))
RANGES = st.dictionaries(st.none() | st.sampled_from(["", "a", "b", "c", "ü"]), FIGURES)


def totals(requests: int, tokens: int, cost: int, users: int = 1) -> Totals:
    return Totals(requests=requests, total_tokens=tokens, cost=Picodollars(cost), users=users)


def side(users: Figures, order_by: str = "cost", limit: int = 100, told: Collection[str] | None = None) -> Side:
    """Of requests, tokens and cost by user: the first users, or those in `told`."""
    named = {user: totals(*figures) for user, figures in users.items() if user is not None}
    nobody = totals(*users[None], users=0) if None in users else Totals()
    by = MEASURES[order_by]
    first = sorted(named.items(), key=lambda one: (-getattr(one[1], by), one[0]))
    return Side(
        named={user: one for user, one in first if user in told} if told is not None else dict(first[:limit]),
        unattributed=nobody,
        everything=added([*named.values(), nobody]),
    )


def ranked(now: Figures, before: Figures, order_by: str = "cost", limit: int = 100) -> HighUsage:
    told = side(now, order_by, limit)
    costs = sorted((cost for user, (_, _, cost) in now.items() if user is not None), reverse=True)
    return high_usage(told, side(before, order_by, told=told.named.keys()), order_by, costs)


def costs(**users: int) -> Figures:
    return {user: (1, 1, cost) for user, cost in users.items()}


def test_users_are_ranked_beside_the_range_before() -> None:
    found = ranked(costs(a=10, b=30, c=60), costs(a=20, b=15, gone=5), limit=2)
    assert [(one.rank, one.user, one.usage.value, one.usage.previous) for one in found.users] == [
        (1, "c", 60, 0),
        (2, "b", 30, 15),
    ]
    first, second = (one.usage for one in found.users)
    assert (first.share, first.change, first.ratio) == (Fraction(6, 10), 60, None)
    assert (second.share, second.change, second.ratio) == (Fraction(3, 10), 15, Fraction(2))
    assert found.other is not None
    assert (found.other.totals.users, found.other.value, found.other.previous) == (1, 10, 25)
    assert found.unattributed is None


def test_equal_users_share_a_rank() -> None:
    found = ranked(costs(d=1, b=2, a=2, c=2), {})
    assert [(one.rank, one.user) for one in found.users] == [(1, "a"), (1, "b"), (1, "c"), (4, "d")]


def test_requests_without_a_user_are_told_apart() -> None:
    found = ranked({None: (5, 1, 70), "a": (1, 1, 30)}, {None: (1, 1, 7)})
    assert [one.user for one in found.users] == ["a"]
    assert found.unattributed is not None
    assert (found.unattributed.value, found.unattributed.previous, found.unattributed.ratio) == (70, 7, Fraction(10))
    assert found.concentration.cost == 30


def test_nothing_at_all() -> None:
    found = ranked({}, {}, "tokens")
    assert (found.users, found.unattributed, found.other) == ((), None, None)
    assert (found.everything.share, found.everything.ratio) == (None, None)
    assert (found.concentration.users, found.concentration.users_of_half) == (0, None)


@given(RANGES, RANGES, st.sampled_from(sorted(MEASURES)), st.integers(1, 6))
def test_the_rows_are_everything_in_both_ranges(
    now: Figures,
    before: Figures,
    order_by: str,
    limit: int,
) -> None:
    found = ranked(now, before, order_by, limit)
    rows = [one.usage for one in found.users]
    rows += [one for one in (found.unattributed, found.other) if one is not None]
    for name in ("value", "previous", "change"):
        assert sum(getattr(one, name) for one in rows) == getattr(found.everything, name)
    for name in ("requests", "total_tokens", "cost", "users"):
        assert sum(getattr(one.totals, name) for one in rows) == getattr(found.everything.totals, name)
    if found.everything.value:
        assert sum(one.share for one in rows if one.share is not None) == 1


def test_few_make_half() -> None:
    found = concentration([60, 50] + [1] * 100)
    assert (found.users, found.cost, found.users_of_half) == (102, 210, 2)
    one, ten = found.tops
    assert (one.percent, one.users, one.cost, one.share) == (1, 2, 110, Fraction(110, 210))
    assert (ten.percent, ten.users, ten.cost) == (10, 11, 119)


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=300))
def test_half_is_made_by_no_fewer(values: list[int]) -> None:
    ordered = sorted(values, reverse=True)
    found = concentration(ordered)
    if found.users_of_half is None:
        assert found.cost == 0
    else:
        assert 2 * sum(ordered[: found.users_of_half]) >= found.cost > 2 * sum(ordered[: found.users_of_half - 1])
    for top in found.tops:
        assert top.users * 100 >= len(values) * top.percent > (top.users - 1) * 100
        assert top.cost == sum(ordered[: top.users])


def test_a_user_stands_among_the_others() -> None:
    everybody = [9, 2, 2, 1]
    assert [(standing(everybody, mine).rank, standing(everybody, mine).percentile) for mine in (1, 2, 9)] == [
        (4, Fraction(0)),
        (2, Fraction(100, 3)),
        (1, Fraction(100)),
    ]
    nobody = standing(everybody, None)
    assert (nobody.users, nobody.rank, nobody.percentile) == (4, None, None)
    alone = standing([1], 1)
    assert (alone.rank, alone.percentile) == (1, None)

"""Who uses most, and how few make how much."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import Summary, SummaryRow, Totals
from arouter.domain.high_usage import MEASURES
from arouter.domain.money import Picodollars
from arouter.insight.high_usage import added, concentration, high_usage, standing

FIGURES = st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 10**15))
RANGES = st.dictionaries(st.none() | st.sampled_from(["", "a", "b", "c", "ü"]), FIGURES)


def summary(users: dict[str | None, tuple[int, int, int]]) -> Summary:
    """Of requests, tokens and cost by user."""
    rows = tuple(
        SummaryRow(
            group=(user,),
            totals=Totals(
                requests=requests, total_tokens=tokens, cost=Picodollars(cost), users=0 if user is None else 1
            ),
        )
        for user, (requests, tokens, cost) in users.items()
    )
    return Summary(rows=rows, totals=added([row.totals for row in rows]))


def costs(**users: int) -> Summary:
    return summary({user: (1, 1, cost) for user, cost in users.items()})


def test_users_are_ranked_beside_the_range_before() -> None:
    found = high_usage(costs(a=10, b=30, c=60), costs(a=20, b=15, gone=5), "cost", 2)
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
    found = high_usage(costs(d=1, b=2, a=2, c=2), Summary(rows=(), totals=Totals()), "cost", 10)
    assert [(one.rank, one.user) for one in found.users] == [(1, "a"), (1, "b"), (1, "c"), (4, "d")]


def test_requests_without_a_user_are_told_apart() -> None:
    found = high_usage(summary({None: (5, 1, 70), "a": (1, 1, 30)}), summary({None: (1, 1, 7)}), "cost", 10)
    assert [one.user for one in found.users] == ["a"]
    assert found.unattributed is not None
    assert (found.unattributed.value, found.unattributed.previous, found.unattributed.ratio) == (70, 7, Fraction(10))
    assert found.concentration.cost == 30


def test_nothing_at_all() -> None:
    nothing = Summary(rows=(), totals=Totals())
    found = high_usage(nothing, nothing, "tokens", 10)
    assert (found.users, found.unattributed, found.other) == ((), None, None)
    assert (found.everything.share, found.everything.ratio) == (None, None)
    assert (found.concentration.users, found.concentration.users_of_half) == (0, None)


@given(RANGES, RANGES, st.sampled_from(sorted(MEASURES)), st.integers(1, 6))
def test_the_rows_are_everything_in_both_ranges(
    now: dict[str | None, tuple[int, int, int]],
    before: dict[str | None, tuple[int, int, int]],
    order_by: str,
    limit: int,
) -> None:
    found = high_usage(summary(now), summary(before), order_by, limit)
    rows = [one.usage for one in found.users]
    rows += [one for one in (found.unattributed, found.other) if one is not None]
    for name in ("value", "previous", "change"):
        assert sum(getattr(one, name) for one in rows) == getattr(found.everything, name)
    for name in ("requests", "total_tokens", "cost", "users"):
        assert sum(getattr(one.totals, name) for one in rows) == getattr(found.everything.totals, name)
    if found.everything.value:
        assert sum(one.share for one in rows if one.share is not None) == 1


def test_few_make_half() -> None:
    found = concentration([1] * 100 + [60, 50])
    assert (found.users, found.cost, found.users_of_half) == (102, 210, 2)
    one, ten = found.tops
    assert (one.percent, one.users, one.cost, one.share) == (1, 2, 110, Fraction(110, 210))
    assert (ten.percent, ten.users, ten.cost) == (10, 11, 119)


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=300))
def test_half_is_made_by_no_fewer(values: list[int]) -> None:
    found = concentration(values)
    ordered = sorted(values, reverse=True)
    if found.users_of_half is None:
        assert found.cost == 0
    else:
        assert 2 * sum(ordered[: found.users_of_half]) >= found.cost > 2 * sum(ordered[: found.users_of_half - 1])
    for top in found.tops:
        assert top.users * 100 >= len(values) * top.percent > (top.users - 1) * 100
        assert top.cost == sum(ordered[: top.users])


def test_a_user_stands_among_the_others() -> None:
    rows = costs(a=1, b=2, c=2, d=9).rows
    assert [(standing(rows, user).rank, standing(rows, user).percentile) for user in "abcd"] == [
        (4, 0),
        (2, Fraction(100, 3)),
        (2, Fraction(100, 3)),
        (1, 100),
    ]
    nobody = standing(rows, "x")
    assert (nobody.users, nobody.rank, nobody.percentile) == (4, None, None)
    alone = standing(costs(a=1).rows, "a")
    assert (alone.rank, alone.percentile) == (1, None)

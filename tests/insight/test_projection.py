"""Where a month is heading."""

from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.projection import CONFIDENCE_PERCENT, ComingDay, SeenDay
from arouter.insight.projection import DAYS_BY_WEEKDAY, LEAST_DAYS, MOST_DAYS, project

AMOUNTS = st.integers(0, 10**15)
COMING = st.lists(st.builds(ComingDay, weekday=st.integers(0, 6), share=st.fractions(0, 1)), max_size=31)


def days(*amounts: int) -> list[SeenDay]:
    """The first is a Monday."""
    return [SeenDay(weekday=number % 7, amount=amount) for number, amount in enumerate(amounts)]


def coming(count: int, first: int = 0) -> list[ComingDay]:
    return [ComingDay(weekday=(first + number) % 7, share=Fraction(1)) for number in range(count)]


def test_equal_days_leave_no_doubt() -> None:
    found = project(70, days(*[10] * 7), coming(23))
    assert found is not None
    assert (found.amount, found.low, found.high) == (300, 300, 300)
    assert (found.days, found.by_weekday) == (7, False)


@pytest.mark.parametrize("count", range(LEAST_DAYS))
def test_too_short_a_history_says_nothing(count: int) -> None:
    assert project(5, days(*[1] * count), coming(10)) is None
    assert project(5, days(*[1] * LEAST_DAYS), coming(10)) is not None


def test_from_two_weeks_on_weekends_are_weekends() -> None:
    week = (10, 10, 10, 10, 10, 0, 0)
    found = project(0, days(*week, *week), coming(2, first=5))
    assert found is not None
    assert (found.amount, found.low, found.high, found.by_weekday) == (0, 0, 0, True)
    almost = project(0, days(*week, *week)[1:], coming(2, first=5))
    assert almost is not None
    assert (almost.by_weekday, almost.days) == (False, DAYS_BY_WEEKDAY - 1)
    assert almost.amount > 0


def test_of_today_only_what_is_left_is_to_come() -> None:
    found = project(5, days(8, 8, 8), [ComingDay(weekday=3, share=Fraction(1, 4))])
    assert found is not None
    assert found.amount == 5 + 2


def test_only_the_last_four_weeks_count() -> None:
    old, new = [1000] * 7, [1] * MOST_DAYS
    found = project(0, days(*old, *new), coming(3))
    assert found is not None
    assert (found.amount, found.days) == (3, MOST_DAYS)


def test_the_interval_is_that_of_the_textbook() -> None:
    # Days of 10, 11, 12: mean 11, variance 1, two degrees of freedom, t = 1.886; one day to come: √(1 + 1/3).
    found = project(10**6, days(10 * 10**6, 11 * 10**6, 12 * 10**6), coming(1))
    assert found is not None
    assert found.amount == 12 * 10**6
    half = 1_886_000 * (4 / 3) ** 0.5
    assert found.low == pytest.approx(12 * 10**6 - half, abs=2)
    assert found.high == pytest.approx(12 * 10**6 + half, abs=2)


@given(AMOUNTS, st.lists(AMOUNTS, max_size=40), COMING)
def test_the_interval_holds_the_projection_and_nothing_is_taken_back(
    seen: int, amounts: list[int], left: list[ComingDay]
) -> None:
    found = project(seen, days(*amounts), left)
    if found is not None:
        assert seen <= found.low <= found.amount <= found.high


@given(st.lists(st.integers(-(10**15), 10**15), min_size=LEAST_DAYS, max_size=40), COMING)
def test_days_below_zero_have_an_interval_too(amounts: list[int], left: list[ComingDay]) -> None:
    found = project(0, days(*amounts), left)
    assert found is not None
    assert found.low <= found.amount <= found.high


@given(AMOUNTS, st.lists(AMOUNTS, min_size=LEAST_DAYS, max_size=40), COMING, st.integers(1, 10**6))
def test_it_scales_with_the_data(seen: int, amounts: list[int], left: list[ComingDay], factor: int) -> None:
    one = project(seen, days(*amounts), left)
    many = project(seen * factor, days(*[amount * factor for amount in amounts]), left)
    assert one is not None
    assert many is not None
    for single, multiple in ((one.amount, many.amount), (one.low, many.low), (one.high, many.high)):
        assert abs(single * factor - multiple) <= 2 * factor


@given(AMOUNTS, st.lists(AMOUNTS, min_size=LEAST_DAYS, max_size=30))
def test_at_the_end_of_the_month_it_is_what_was_seen(seen: int, amounts: list[int]) -> None:
    found = project(seen, days(*amounts), [])
    assert found is not None
    assert found.low == found.amount == found.high == seen


@pytest.mark.parametrize("history", [3, 5, 10, 13, 14, 20, 28])
@pytest.mark.parametrize("left", [1, 10, 27])
def test_it_covers_at_its_nominal_rate_where_days_are_normal(history: int, left: int) -> None:
    """A busy week and quiet weekends, from two weeks of history on; before that all days alike."""
    random = Random(f"{history} {left}")
    tries = 1500
    held = 0
    for _ in range(tries):
        amounts = [max(0, round(random.gauss(_mean(day, history), 1_000_000))) for day in range(history + left)]
        found = project(0, days(*amounts[:history]), coming(left, first=history % 7))
        assert found is not None
        held += found.low <= sum(amounts[history:]) <= found.high
    assert held / tries == pytest.approx(CONFIDENCE_PERCENT / 100, abs=0.04)


def _mean(day: int, history: int) -> int:
    return 4_000_000 if history >= DAYS_BY_WEEKDAY and day % 7 >= 5 else 10_000_000


def test_it_covers_nearly_so_often_where_days_are_skewed() -> None:
    random = Random(1)
    tries = 1500
    held = 0
    for _ in range(tries):
        amounts = [round(random.expovariate(1e-6)) for _ in range(28 + 15)]
        found = project(0, days(*amounts[:28]), coming(15))
        assert found is not None
        held += found.low <= sum(amounts[28:]) <= found.high
    assert 0.72 < held / tries < 0.88

"""The windows of limits: midnight in UTC, Monday, the 1st."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.keys import LimitReset
from arouter.domain.windows import DAY_US, Windows, next_reset_us, windows_at

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = st.integers(0, 250_000_000_000_000_000)


def us(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return (datetime(year, month, day, hour, minute, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("now_us", "expected"),
    [
        (
            us(2026, 11, 22, 17, 14),  # a Sunday
            Windows(day_us=us(2026, 11, 22), week_us=us(2026, 11, 16), month_us=us(2026, 11, 1)),
        ),
        (
            us(2026, 11, 23),  # a Monday, at its first microsecond
            Windows(day_us=us(2026, 11, 23), week_us=us(2026, 11, 23), month_us=us(2026, 11, 1)),
        ),
        (
            us(2026, 11, 23) - 1,
            Windows(day_us=us(2026, 11, 22), week_us=us(2026, 11, 16), month_us=us(2026, 11, 1)),
        ),
        (
            us(2026, 1, 1),
            Windows(day_us=us(2026, 1, 1), week_us=us(2025, 12, 29), month_us=us(2026, 1, 1)),
        ),
        (0, Windows(day_us=0, week_us=-3 * DAY_US, month_us=0)),
    ],
)
def test_where_windows_begin(now_us: int, expected: Windows) -> None:
    assert windows_at(now_us) == expected


@pytest.mark.parametrize(
    ("reset", "expected"),
    [
        (LimitReset.DAILY, us(2026, 12, 1)),
        (LimitReset.WEEKLY, us(2026, 12, 7)),
        (LimitReset.MONTHLY, us(2026, 12, 1)),
        (None, None),
    ],
)
def test_when_a_limit_starts_again(reset: LimitReset | None, expected: int | None) -> None:
    assert next_reset_us(reset, us(2026, 11, 30, 12)) == expected


def test_a_year_ends() -> None:
    assert next_reset_us(LimitReset.MONTHLY, us(2026, 12, 31, 23, 59)) == us(2027, 1, 1)


@given(NOW)
def test_a_window_holds_its_instant(now_us: int) -> None:
    windows = windows_at(now_us)
    for reset, start_us in (
        (LimitReset.DAILY, windows.day_us),
        (LimitReset.WEEKLY, windows.week_us),
        (LimitReset.MONTHLY, windows.month_us),
    ):
        end_us = next_reset_us(reset, now_us)
        assert end_us is not None
        assert start_us <= now_us < end_us
        assert next_reset_us(reset, start_us) == end_us
    assert (EPOCH + timedelta(microseconds=windows.week_us)).weekday() == 0
    assert (EPOCH + timedelta(microseconds=windows.month_us)).day == 1

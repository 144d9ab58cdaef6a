"""The windows that limits and usage figures are counted in: they begin at 00:00 UTC, on Monday, on the 1st.

All times are microseconds since the epoch.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from arouter.domain.limits import LimitReset

DAY_US = 86_400_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAYS_FROM_MONDAY_TO_EPOCH = 3
"""1970-01-01 was a Thursday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Where the current day, week and month began."""

    day_us: int
    week_us: int
    month_us: int


def windows_at(now_us: int) -> Windows:
    """The windows that `now_us` lies in. An instant at a boundary belongs to the window that begins there."""
    day = now_us // DAY_US
    monday = day - (day + _DAYS_FROM_MONDAY_TO_EPOCH) % 7
    first = (_EPOCH + timedelta(days=day)).replace(day=1)
    return Windows(day_us=day * DAY_US, week_us=monday * DAY_US, month_us=_to_us(first))


def next_reset_us(reset: LimitReset | None, now_us: int) -> int | None:
    """When a limit with that reset starts again; None for a limit that never does."""
    windows = windows_at(now_us)
    match reset:
        case None:
            return None
        case LimitReset.DAILY:
            return windows.day_us + DAY_US
        case LimitReset.WEEKLY:
            return windows.week_us + 7 * DAY_US
        case LimitReset.MONTHLY:
            first = _EPOCH + timedelta(microseconds=windows.month_us)
            return _to_us((first + timedelta(days=31)).replace(day=1))


def _to_us(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND

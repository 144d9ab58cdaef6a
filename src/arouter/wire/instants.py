"""Instants as text, read generously and written in one form.

Read: RFC 3339 (`2026-11-22T06:00:00.5+01:00`), the same with a space for the `T`, without seconds or without an
offset, a date alone (its midnight), and Unix seconds with or without decimals. Without an offset the caller's zone
holds. An offset may begin with a space: that is what an unescaped `+` becomes in a query string.

Digits beyond the microsecond are rounded up. Of a half-open range of whole microseconds that is exact at both ends:
`t >= x` and `t < x` hold for the same whole `t` if `x` is replaced by the next whole number.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import ROUND_CEILING, Decimal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_YEAR, _LAST_YEAR = 1900, 9999
_EARLIEST_US = (datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LATEST_US = (datetime(_LAST_YEAR, 12, 31, tzinfo=UTC) - _EPOCH) // _MICROSECOND

_UNIX = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?")
_CALENDAR = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,20}))?)?"
    r"(?:([Zz])|([-+ ])([0-9]{2}):?([0-9]{2}))?)?"
)


def read_instant(text: str, zone: tzinfo = UTC) -> int:
    """Microseconds since the epoch. ValueError, with a message for the client, if `text` is no instant."""
    if _UNIX.fullmatch(text):
        return _within_range(int((Decimal(text) * 1_000_000).to_integral_value(ROUND_CEILING)), text)
    match = _CALENDAR.fullmatch(text)
    if match is None:
        raise ValueError(f"not an instant: {text[:64]!r}; give RFC 3339, a date or Unix seconds")
    year, month, day, hour, minute, second, fraction, utc, sign, offset_hours, offset_minutes = match.groups(default="")
    if utc:
        zone = UTC
    elif sign:
        zone = _offset(sign, int(offset_hours), int(offset_minutes), text)
    leap = second == "60"  # RFC 3339 knows leap seconds; the clock here does not: it is the next second.
    try:
        whole = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), 59 if leap else int(second or 0),
            tzinfo=zone,
        )  # fmt: skip
        since = whole - _EPOCH
    except (ValueError, OverflowError) as exc:
        raise ValueError(f"not an instant: {text[:64]!r} ({exc})") from exc
    part_us = (Decimal(f"0.{fraction or 0}") * 1_000_000).to_integral_value(ROUND_CEILING)
    return _within_range(since // _MICROSECOND + int(part_us) + (1_000_000 if leap else 0), text)


def write_instant(instant_us: int) -> str:
    """RFC 3339 in UTC with six decimals: `2026-11-22T06:00:00.123456Z`."""
    return (_EPOCH + timedelta(microseconds=instant_us)).isoformat(timespec="microseconds")[:-6] + "Z"


def _offset(sign: str, hours: int, minutes: int, text: str) -> timezone:
    if hours > 23 or minutes > 59:
        raise ValueError(f"not an instant: {text[:64]!r} (no such offset from UTC)")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if sign == "-" else offset)


def _within_range(instant_us: int, text: str) -> int:
    if not _EARLIEST_US <= instant_us <= _LATEST_US:
        raise ValueError(f"out of range: {text[:64]!r}; Unix times are in seconds, not milliseconds")
    return instant_us

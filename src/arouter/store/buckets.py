"""Where an hour, a day, a week and a month begin in a time zone.

A bucket is told by the instant at which it begins, so that a repeated hour in autumn is two buckets, a day may have
23 or 25 hours, and buckets sort by time. Offsets are taken to be multiples of 15 minutes, as they are everywhere
since 1972: all instants of one quarter of an hour in UTC fall into the same bucket.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from arouter.domain.activity import Dimension

SLOT_US = 15 * 60 * 1_000_000
HOUR_US = 60 * 60 * 1_000_000
SLOTS_OF_DAY = 96
"""Quarters of an hour in a day of UTC."""
DAY_US = SLOTS_OF_DAY * SLOT_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UTC_LENGTHS = {Dimension.HOUR: HOUR_US, Dimension.DAY: DAY_US}


def time_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name. ValueError if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError) as exc:
        raise ValueError(f"not a time zone: {name!r}") from exc


def bucket_start(at_us: int, dimension: Dimension, zone: ZoneInfo) -> int:
    """The instant, in microseconds, at which the bucket of `at_us` begins in `zone`."""
    if zone.key == "UTC" and dimension in _UTC_LENGTHS:
        return at_us - at_us % _UTC_LENGTHS[dimension]
    local = (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone)
    if dimension is Dimension.HOUR:
        # `replace` keeps the fold: the second 01:30 of an autumn night belongs to the second hour.
        start = local.replace(minute=0, second=0, microsecond=0)
    else:
        day = datetime(local.year, local.month, local.day, tzinfo=zone)
        if dimension is Dimension.WEEK:
            day -= timedelta(days=local.weekday())
        elif dimension is Dimension.MONTH:
            day = day.replace(day=1)
        start = day
    return (start.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def days_around(at_us: int, zone: ZoneInfo, *, before: int, after: int) -> list[int]:
    """The instants at which days begin in `zone`: `before` days, the day of `at_us`, and `after` days behind it."""
    today = local_day(at_us, zone)
    starts = []
    for distance in range(-before, after + 1):
        day = today + timedelta(days=distance)
        start = datetime(day.year, day.month, day.day, tzinfo=zone)
        starts.append((start.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1))
    return starts


def local_day(at_us: int, zone: ZoneInfo) -> date:
    """The day of `at_us` in `zone`."""
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone).date()


def bucket_text(start_us: int, zone: ZoneInfo) -> str:
    """RFC 3339 with the zone's offset at that instant, `Z` in UTC."""
    text = (_EPOCH + timedelta(microseconds=start_us)).astimezone(zone).isoformat()
    return text.removesuffix("+00:00") + "Z" if zone.key == "UTC" else text


Bucket = tuple[int, ...]
"""For several dimensions at once: where the bucket of each begins, in microseconds."""


def bucket_ranges(
    days: Sequence[int], first: int, beyond: int, dimensions: Sequence[Dimension], zone: ZoneInfo
) -> list[tuple[int, int, Bucket]]:
    """The slots from `first` to before `beyond`, as far as they lie in `days` of UTC, cut where a bucket begins.

    `days` are counted from the epoch and rise. Each piece is its first slot, the one after its last, and its bucket.
    """
    pieces: list[tuple[int, int, Bucket]] = []
    for day in days:
        for opens, closes, bucket in _of_day(day, dimensions, zone):
            start, end = max(opens, first), min(closes, beyond)
            if start >= end:
                continue
            if pieces and pieces[-1][2] == bucket:
                # Between them lies at most what is empty.
                pieces[-1] = (pieces[-1][0], end, bucket)
            else:
                pieces.append((start, end, bucket))
    return pieces


def _of_day(day: int, dimensions: Sequence[Dimension], zone: ZoneInfo) -> Iterator[tuple[int, int, Bucket]]:
    def bucket(slot: int) -> Bucket:
        return tuple(bucket_start(slot * SLOT_US, dimension, zone) for dimension in dimensions)

    def cut(first: int, last: int, of_first: Bucket, of_last: Bucket) -> Iterator[tuple[int, int, Bucket]]:
        # Buckets follow each other and never come back.
        if of_first == of_last:
            yield first, last + 1, of_first
            return
        middle = (first + last) // 2
        yield from cut(first, middle, of_first, bucket(middle))
        yield from cut(middle + 1, last, bucket(middle + 1), of_last)

    first, last = day * SLOTS_OF_DAY, (day + 1) * SLOTS_OF_DAY - 1
    if zone.key == "UTC" and dimensions and _UTC_LENGTHS.keys() >= {*dimensions}:
        length = min(_UTC_LENGTHS[dimension] for dimension in dimensions) // SLOT_US
        for start in range(first, last + 1, length):
            yield start, start + length, bucket(start)
        return
    yield from cut(first, last, bucket(first), bucket(last))

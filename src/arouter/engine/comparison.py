"""A summary beside that of the range before.

1. The range before has the same length and ends where the range begins. For whole months of the zone it is as many
   months, for whole days as many days, else as many seconds.
2. A row is compared with the row of the same group; one that is not there is nothing, which is zero.
3. Times are compared by their place: the third day with the third. A bucket that the range before does not have, such
   as the 31st of a month of 30 days, is compared with nothing at all: None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from arouter.domain.activity import TIME_DIMENSIONS, Dimension, Summary, SummaryQuery, Totals
from arouter.domain.errors import InvalidRequest
from arouter.store.base import Ledger
from arouter.store.buckets import DAY_US, SLOT_US, bucket_ranges, bucket_start, bucket_text, time_zone

MOST_DAYS = 400
"""Of a range that is compared by times."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the rows of a summary were in the range before."""

    start_us: int
    end_us: int
    rows: tuple[Totals | None, ...]
    """In their order; None where the range before has no such bucket."""
    totals: Totals


def previous_range(start_us: int, end_us: int, zone: ZoneInfo) -> tuple[int, int]:
    """Rule 1. Microseconds since the epoch."""
    first, beyond = _local_date(start_us, zone), _local_date(end_us, zone)
    if all(bucket_start(at, Dimension.MONTH, zone) == at for at in (start_us, end_us)):
        months = (beyond.year - first.year) * 12 + beyond.month - first.month
        place = first.year * 12 + first.month - 1 - months
        return _midnight(date(place // 12, place % 12 + 1, 1), zone), start_us
    if all(bucket_start(at, Dimension.DAY, zone) == at for at in (start_us, end_us)):
        return _midnight(first - (beyond - first), zone), start_us
    return start_us - (end_us - start_us), start_us


async def compare(ledger: Ledger, query: SummaryQuery, summary: Summary, *, now_us: int) -> Comparison:
    """Ask for the range before that of `query`, whose answer is `summary`; without an end it ends now.

    InvalidRequest if it has no start, or is too long.
    """
    filters, zone = query.filters, time_zone(query.timezone)
    start_us, end_us = filters.start_us, now_us if filters.end_us is None else filters.end_us
    if start_us is None:
        raise _invalid("needs a `start`: what is before everything is nothing")
    if end_us <= start_us:
        raise _invalid("needs an `end` after `start`")
    if end_us - start_us > MOST_DAYS * DAY_US and {*query.group_by} & TIME_DIMENSIONS:
        raise _invalid(f"takes at most {MOST_DAYS} days where a time is grouped by")
    first_us, beyond_us = previous_range(start_us, end_us, zone)
    before = replace(
        query, filters=replace(filters, start_us=first_us, end_us=beyond_us), group_by=(), order=None, limit=None
    )
    total = await ledger.summary(before)
    if not query.group_by:
        return Comparison(start_us=first_us, end_us=beyond_us, rows=(total.totals,), totals=total.totals)
    rows = await ledger.summary(_for_the_same_rows(replace(before, group_by=query.group_by), summary))
    known = {row.group: row.totals for row in rows.rows}
    nothing = Totals(users=0 if query.asks_for("users") else None)
    buckets = _buckets_before(query, zone, (start_us, end_us), (first_us, beyond_us))
    groups = [_group_before(row.group, query.group_by, buckets) for row in summary.rows]
    return Comparison(
        start_us=first_us,
        end_us=beyond_us,
        rows=tuple(None if group is None else known.get(group, nothing) for group in groups),
        totals=total.totals,
    )


def _for_the_same_rows(query: SummaryQuery, summary: Summary) -> SummaryQuery:
    """Of many users only those that are shown."""
    if Dimension.USER not in query.group_by or summary.other is None:
        return query
    place = query.group_by.index(Dimension.USER)
    users = {row.group[place] for row in summary.rows}
    filters = replace(
        query.filters, users=tuple(sorted(user for user in users if user is not None)), unattributed=None in users
    )
    return replace(query, filters=filters)


def _buckets_before(
    query: SummaryQuery, zone: ZoneInfo, now: tuple[int, int], before: tuple[int, int]
) -> Mapping[tuple[str, ...], tuple[str, ...]]:
    """Rule 3: from the buckets of a range to those of the one before."""
    times = [dimension for dimension in query.group_by if dimension in TIME_DIMENSIONS]
    if not times:
        return {}
    left, right = _buckets(now, times, zone), _buckets(before, times, zone)
    return dict(zip(left, islice(right, len(left)), strict=False))


def _buckets(span: tuple[int, int], times: Sequence[Dimension], zone: ZoneInfo) -> list[tuple[str, ...]]:
    start_us, end_us = span
    days = range(start_us // DAY_US, (end_us - 1) // DAY_US + 1)
    ranges = bucket_ranges(days, start_us // SLOT_US, -(-end_us // SLOT_US), times, zone)
    return [tuple(bucket_text(start, zone) for start in bucket) for _, _, bucket in ranges]


def _group_before(
    group: Sequence[str | None],
    group_by: Sequence[Dimension],
    buckets: Mapping[tuple[str, ...], tuple[str, ...]],
) -> tuple[str | None, ...] | None:
    now = tuple(
        value
        for value, dimension in zip(group, group_by, strict=True)
        if dimension in TIME_DIMENSIONS and value is not None
    )
    if not now:
        return tuple(group)
    if now not in buckets:
        return None
    before = iter(buckets[now])
    return tuple(
        next(before) if dimension in TIME_DIMENSIONS else value
        for value, dimension in zip(group, group_by, strict=True)
    )


def _local_date(at_us: int, zone: ZoneInfo) -> date:
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone).date()


def _midnight(day: date, zone: ZoneInfo) -> int:
    """Where a day begins, which need not be at 00:00."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
    return bucket_start((noon - _EPOCH) // _MICROSECOND, Dimension.DAY, zone)


def _invalid(what: str) -> InvalidRequest:
    return InvalidRequest(f"`compare` {what}.", code="invalid_parameter", param="compare")

"""A report is read here: which summaries it is made of, where its days begin, and what it is compared with.

Without a start and an end a report is on the last 30 days, today included. What is compared with it:

- a range of whole months: as many months before;
- a range of whole days: as many days before;
- any other range: one of the same length before.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from arouter.domain.activity import Dimension, Filters, Scope, Summary, SummaryQuery
from arouter.domain.report import KeyName, Report, ReportHead, Span, Sums, make_report
from arouter.store.base import Directory, Ledger
from arouter.store.buckets import bucket_start, bucket_text, time_zone

DEFAULT_DAYS = 30
MOST_DAYS = 400
"""Longer ranges are told by month."""
MOST_MONTHS = 240

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY_US = 24 * 60 * 60 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants a report on. Missing ends of the range are chosen."""

    title: str
    scope: Scope
    filters: Filters
    timezone: str = "UTC"
    limit: int
    made_by: str


async def read_report(directory: Directory, ledger: Ledger, asked: Asked, *, now_us: int) -> Report:
    """The report as of now. ValueError for a range that is too long or ends before it begins, saying so."""
    zone = time_zone(asked.timezone)
    head = _head(asked, zone, now_us)
    daily = head.asked.end_us - head.asked.start_us <= MOST_DAYS * _DAY_US
    sums = await _read_sums(ledger, head, daily=daily)
    # A copy of the ledger that answered may lag.
    head = replace(head, as_of_us=min(now_us, sums.users.as_of_us))
    hashes = [row.group[0] for row in sums.keys.rows if row.group[0] is not None]
    labels = await directory.label_keys(asked.scope.organization_id, hashes)
    # To sort hundreds of thousands of users takes its time.
    return await asyncio.to_thread(
        make_report,
        head,
        sums,
        days=_both(head, Dimension.DAY, zone) if daily else ((), ()),
        months=_both(head, Dimension.MONTH, zone),
        keys={key_hash: KeyName(name=label.name, creator=label.creator) for key_hash, label in labels.items()},
        limit=asked.limit,
    )


async def _read_sums(ledger: Ledger, head: ReportHead, *, daily: bool) -> Sums:
    """The one place where a report asks the ledger."""

    def query(span: Span, dimension: Dimension) -> SummaryQuery:
        filters = replace(head.filters, start_us=span.start_us, end_us=span.end_us)
        return SummaryQuery(scope=head.scope, filters=filters, group_by=(dimension,), timezone=head.timezone)

    breakdowns = (Dimension.MODEL, Dimension.API_KEY, Dimension.USER, Dimension.STATUS)
    steps = (Dimension.MONTH, *((Dimension.DAY,) if daily else ()))
    answers = await ledger.summaries(
        [
            *(query(head.span, dimension) for dimension in breakdowns),
            *(query(span, step) for step in steps for span in (head.span, head.before)),
        ]
    )
    models, keys, users, statuses, *over_time = answers
    return Sums(
        models=models,
        keys=keys,
        users=users,
        statuses=statuses,
        months=_pair(over_time[:2]),
        days=_pair(over_time[2:]) if daily else None,
    )


def _pair(summaries: Sequence[Summary]) -> tuple[Summary, Summary]:
    this, before = summaries
    return this, before


# ---------------------------------------------------------------- the range


def _head(asked: Asked, zone: ZoneInfo, now_us: int) -> ReportHead:
    whole = _asked_span(asked.filters, zone, now_us)
    # What is asked for beyond now is not over yet. The microsecond of now is: a record may have begun in it.
    until_us = max(whole.start_us, min(whole.end_us, now_us + 1))
    before = span_before(whole, zone)
    return ReportHead(
        title=asked.title,
        scope=asked.scope,
        filters=replace(asked.filters, start_us=None, end_us=None),
        timezone=asked.timezone,
        asked=whole,
        span=Span(start_us=whole.start_us, end_us=until_us),
        before=replace(before, end_us=min(before.end_us, before.start_us + until_us - whole.start_us))
        if until_us < whole.end_us
        else before,
        as_of_us=now_us,
        made_by=asked.made_by,
    )


def _asked_span(filters: Filters, zone: ZoneInfo, now_us: int) -> Span:
    end_us, start_us = filters.end_us, filters.start_us
    if end_us is None:
        tomorrow_us = _midnight(_local(now_us, zone).date() + timedelta(days=1), zone)
        end_us = tomorrow_us if start_us is None else max(tomorrow_us, start_us)
    if start_us is None:
        # The day before the end begins within the last day of the range.
        last = _local(end_us - 1, zone).date()
        start_us = _midnight(last - timedelta(days=DEFAULT_DAYS - 1), zone)
    if end_us < start_us:
        raise ValueError("lies before `start`")
    if _months(_local(start_us, zone), _local(end_us, zone)) > MOST_MONTHS:
        raise ValueError(f"lies more than {MOST_MONTHS} months after `start`")
    return Span(start_us=start_us, end_us=end_us)


def span_before(span: Span, zone: ZoneInfo) -> Span:
    """What a range is compared with."""
    start, end = _local(span.start_us, zone), _local(span.end_us, zone)
    if span.end_us > span.start_us and _is_midnight(start, zone) and _is_midnight(end, zone):
        if start.day == end.day == 1:
            before = _shifted(start.date(), -_months(start, end))
        else:
            before = start.date() - (end.date() - start.date())
        return Span(start_us=_midnight(before, zone), end_us=span.start_us)
    return Span(start_us=span.start_us - (span.end_us - span.start_us), end_us=span.start_us)


def bucket_starts(span: Span, dimension: Dimension, zone: ZoneInfo) -> list[int]:
    """The starts of all days or months that have a part in the range, in microseconds."""
    if span.end_us <= span.start_us:
        return []
    day = _local(bucket_start(span.start_us, dimension, zone), zone).date()
    starts: list[int] = []
    while True:
        # A day that a zone left out when it crossed the date line begins where the next one does.
        start_us = bucket_start(_midnight(day, zone), dimension, zone)
        if start_us >= span.end_us:
            return starts
        if not starts or start_us > starts[-1]:
            starts.append(start_us)
        day = day + timedelta(days=1) if dimension is Dimension.DAY else _shifted(day.replace(day=1), 1)


def _both(head: ReportHead, dimension: Dimension, zone: ZoneInfo) -> tuple[list[str], list[str]]:
    this, before = (
        [bucket_text(start_us, zone) for start_us in bucket_starts(span, dimension, zone)]
        for span in (head.span, head.before)
    )
    return this, before


def _local(at_us: int, zone: ZoneInfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return (datetime.combine(day, time(), tzinfo=zone).astimezone(UTC) - _EPOCH) // _MICROSECOND


def _is_midnight(local: datetime, zone: ZoneInfo) -> bool:
    """Whether a day begins then: not at 00:00 where the clock skips that hour."""
    return _midnight(local.date(), zone) == (local.astimezone(UTC) - _EPOCH) // _MICROSECOND


def _months(start: datetime, end: datetime) -> int:
    return (end.year - start.year) * 12 + end.month - start.month


def _shifted(day: date, months: int) -> date:
    """The same day of another month; the first of one is the first of the other."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, day.day)

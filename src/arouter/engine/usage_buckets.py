"""Sums by buckets of time in UTC, from whatever part of a range to whatever part of it.

The edges between buckets are whole minutes, hours or days in UTC. The first bucket begins where the range does, as
OpenAI's does, so that every bucket says exactly what it counts. Hours and days are read as summaries. Minutes are
finer than anything that is kept in sums: they are added up from the records, of which there may be only so many.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from arouter.domain.activity import (
    ActivityQuery,
    Cursor,
    Dimension,
    Filters,
    Scope,
    SummaryQuery,
    SummaryRow,
)
from arouter.domain.record import Record
from arouter.store import tally
from arouter.store.base import Ledger

MOST_RECORDS = 50_000
"""As many records are read for one page of minutes."""

_PAGE = 200
"""Records are added up on the event loop: a page must not hold up the requests beside it."""

_Place = tuple[int, tuple[str | None, ...]]
"""The minute and the group that a record counts in."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class BucketWidth(StrEnum):
    """As OpenAI names them."""

    MINUTE = "1m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def duration_us(self) -> int:
        return _DURATIONS_US[self]


_DURATIONS_US = {
    BucketWidth.MINUTE: 60_000_000,
    BucketWidth.HOUR: 3_600_000_000,
    BucketWidth.DAY: 86_400_000_000,
}
_DIMENSIONS = {BucketWidth.HOUR: Dimension.HOUR, BucketWidth.DAY: Dimension.DAY}

_VALUES: Mapping[Dimension, Callable[[Record], str | None]] = {
    Dimension.USER: lambda record: record.opening.user,
    Dimension.MODEL: lambda record: record.model,
    Dimension.PROVIDER: lambda record: record.provider,
    Dimension.API_KEY: lambda record: record.opening.key_hash,
    Dimension.WORKSPACE: lambda record: record.opening.workspace_id,
    Dimension.ORGANIZATION: lambda record: record.opening.organization_id,
    Dimension.ENDPOINT: lambda record: record.opening.endpoint,
    Dimension.STATUS: lambda record: record.status.value,
}


class TooManyRecords(Exception):
    """The minutes asked for hold more than may be added up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A bucket's range in microseconds, half-open."""

    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    span: Span
    rows: tuple[SummaryRow, ...]
    """One for each group that has requests; their `users` are not counted."""


def spans(start_us: int, end_us: int, width: BucketWidth, most: int) -> tuple[Span, ...]:
    """The first `most` buckets of a range; none of an empty one."""
    found: list[Span] = []
    while start_us < end_us and len(found) < most:
        edge_us = min(next_edge(start_us, width), end_us)
        found.append(Span(start_us=start_us, end_us=edge_us))
        start_us = edge_us
    return tuple(found)


def next_edge(at_us: int, width: BucketWidth) -> int:
    """The first edge between buckets that lies behind an instant."""
    return (at_us // width.duration_us + 1) * width.duration_us


async def read_buckets(
    ledger: Ledger,
    scope: Scope,
    filters: Filters,
    group_by: Sequence[Dimension],
    width: BucketWidth,
    wanted: Sequence[Span],
    *,
    most_records: int = MOST_RECORDS,
) -> tuple[Bucket, ...]:
    """A bucket for each of the spans, which must follow each other; those without requests have no rows.

    The range of `filters` is replaced. TooManyRecords for minutes that hold more than `most_records`.
    """
    if not wanted:
        return ()
    filters = replace(filters, start_us=wanted[0].start_us, end_us=wanted[-1].end_us)
    if width is BucketWidth.MINUTE:
        sums = await _minutes(ledger, scope, filters, group_by, most_records)
        return await asyncio.to_thread(_buckets_of_minutes, sums, wanted)
    query = SummaryQuery(scope=scope, filters=filters, group_by=(_DIMENSIONS[width], *group_by))
    summary = await ledger.summary(query)
    return await asyncio.to_thread(_buckets_of_rows, summary.rows, width, wanted)


def _buckets_of_rows(rows: Iterable[SummaryRow], width: BucketWidth, wanted: Iterable[Span]) -> tuple[Bucket, ...]:
    """Rows by time and whatever else."""
    timed = ((instant_us(row.group[0]), SummaryRow(group=row.group[1:], totals=row.totals)) for row in rows)
    return _sorted_into(wanted, width, timed)


def _buckets_of_minutes(sums: Mapping[_Place, tally.Measures], wanted: Iterable[Span]) -> tuple[Bucket, ...]:
    timed = ((at_us, SummaryRow(group=group, totals=tally.totals(each, 0))) for (at_us, group), each in sums.items())
    return _sorted_into(wanted, BucketWidth.MINUTE, timed)


def _sorted_into(
    wanted: Iterable[Span], width: BucketWidth, timed: Iterable[tuple[int, SummaryRow]]
) -> tuple[Bucket, ...]:
    by_edge: dict[int, list[SummaryRow]] = {}
    for at_us, row in timed:
        by_edge.setdefault(next_edge(at_us, width), []).append(row)
    return tuple(Bucket(span=span, rows=tuple(by_edge.get(next_edge(span.start_us, width), ()))) for span in wanted)


def instant_us(text: str | None) -> int:
    """Where the bucket of a summary's row begins."""
    assert text is not None, "every record has a time"
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


async def _minutes(
    ledger: Ledger, scope: Scope, filters: Filters, group_by: Sequence[Dimension], left: int
) -> dict[_Place, tally.Measures]:
    sums: dict[_Place, tally.Measures] = {}
    after: Cursor | None = None
    while True:
        page = await ledger.page(
            ActivityQuery(scope=scope, filters=filters, descending=False, limit=_PAGE, after=after)
        )
        left -= len(page.rows)
        if left < 0:
            raise TooManyRecords
        for row in page.rows:
            group = tuple(_VALUES[dimension](row.record) for dimension in group_by)
            place = next_edge(row.record.opening.created_at_us, BucketWidth.MINUTE) - BucketWidth.MINUTE.duration_us
            sums[place, group] = tally.added(sums.get((place, group), tally.NOTHING), tally.measures(row.record))
        after = page.next_cursor
        if after is None:
            return sums

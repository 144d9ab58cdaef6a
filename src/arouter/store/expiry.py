"""What can still be told of days whose records have expired: their sums, by whole quarters of an hour."""

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

from arouter.domain.errors import InvalidRequest
from arouter.domain.windows import DAY_US
from arouter.store.buckets import bucket_text
from arouter.store.planning import Source, Span, in_rollups

_UTC: Final = ZoneInfo("UTC")


def kept_spans(spans: Sequence[Span], reasons: Sequence[str], expired: Sequence[int]) -> list[Span]:
    """The spans of a summary, those of records of which some have expired read from sums. `reasons` say what only
    records can tell, `expired` are the organization's days with expired records.

    InvalidRequest where only records could tell: it names the first day from which on all of them are there.
    """
    kept = []
    for span in spans:
        if span.source is not Source.RECORDS or not _meets(span, expired):
            kept.append(span)
            continue
        whole = None if reasons else in_rollups(span)
        if whole is None:
            raise _expired(max(expired) + 1, reasons)
        kept.append(whole)
    return kept


def _meets(span: Span, expired: Sequence[int]) -> bool:
    return any(
        (span.first is None or span.first < (day + 1) * DAY_US) and (span.beyond is None or span.beyond > day * DAY_US)
        for day in expired
    )


def _expired(first_whole_day: int, reasons: Sequence[str]) -> InvalidRequest:
    since = bucket_text(first_whole_day * DAY_US, _UTC)
    what = reasons[0] if reasons else "a range that does not begin and end on a quarter of an hour"
    return InvalidRequest(
        f"Records before {since} have expired, and {what} needs them: ask from start={since} on.",
        code="records_expired",
    )

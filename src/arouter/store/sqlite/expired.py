"""Days whose records have expired: what was noted of them before they were deleted. Their sums stay."""

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

import apsw

from arouter.domain.errors import InvalidRequest
from arouter.store.buckets import SLOT_US, bucket_text
from arouter.store.planning import Source, Span
from arouter.store.sqlite.names import fetch
from arouter.store.sqlite.sealed import DAY_US
from arouter.store.sqlite.statements import queries

_UTC: Final = ZoneInfo("UTC")


def has_expired_days(connection: apsw.Connection) -> bool:
    """Also if the first of them is just expiring."""
    return bool(connection.execute(queries()["has_expired_days"]).get)


def expired_records(connection: apsw.Connection) -> int | None:
    """How many records have expired; None while a day is expiring, and nobody can tell."""
    count = connection.execute(queries()["expired_records"]).get
    return None if count is None else int(count)


def require_kept(
    connection: apsw.Connection, organization_no: int, spans: Sequence[Span], reasons: Sequence[str]
) -> list[Span]:
    """The spans of a summary, those of records of which some have expired read from sums.

    InvalidRequest where only records could tell: it names the first day from which on all of them are there.
    """
    kept = []
    for span in spans:
        expired: Sequence[int] = ()
        if span.source is Source.RECORDS:
            first = 0 if span.first is None else span.first // DAY_US
            last = 2**62 if span.beyond is None else (span.beyond - 1) // DAY_US
            expired = fetch(connection, queries()["expired_between"], organization_no, first, last)
        if not expired:
            kept.append(span)
        elif reasons or span.first is None or span.beyond is None or span.first % SLOT_US or span.beyond % SLOT_US:
            raise _expired(connection, organization_no, reasons)
        else:
            kept.append(Span(source=Source.ROLLUPS, first=span.first // SLOT_US, beyond=span.beyond // SLOT_US))
    return kept


def _expired(connection: apsw.Connection, organization_no: int, reasons: Sequence[str]) -> InvalidRequest:
    day = int(connection.execute(queries()["first_whole_day"], (organization_no,)).get)
    since = bucket_text(day * DAY_US, _UTC)
    what = reasons[0] if reasons else "a range that does not begin and end on a quarter of an hour"
    return InvalidRequest(
        f"Records before {since} have expired, and {what} needs them: ask from start={since} on.",
        code="records_expired",
    )

"""Days whose records have expired: what was noted of them before they were deleted. Their sums stay."""

from collections.abc import Sequence

import apsw

from arouter.store.expiry import kept_spans
from arouter.store.planning import Source, Span
from arouter.store.sqlite.names import fetch
from arouter.store.sqlite.statements import queries


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
    """As `kept_spans`."""
    if not any(span.source is Source.RECORDS for span in spans):
        return list(spans)
    return kept_spans(spans, reasons, fetch(connection, queries()["expired_days_of"], organization_no))

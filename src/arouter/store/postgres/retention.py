"""Records expire day by day: they are deleted, and what they add up to is noted. Their sums stay."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec

from arouter.domain.audit import OPERATOR, AuditAction
from arouter.domain.errors import InvalidRequest
from arouter.domain.windows import DAY_US
from arouter.store.buckets import bucket_text
from arouter.store.planning import Source, Span, in_rollups
from arouter.store.postgres.audit import append_entry
from arouter.store.postgres.measures import RECORD_METERS
from arouter.store.postgres.pool import Pool
from arouter.store.postgres.statements import queries
from arouter.store.stores import Expired
from arouter.store.tally import MEASURES

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

AT_ONCE: Final = 2_000
"""Records that are deleted in one transaction."""
_UTC: Final = ZoneInfo("UTC")
_LAST_DAY: Final = 2**31 - 1


class Retention:
    """See `stores.Retention`."""

    def __init__(self, pool: Pool, clock: Callable[[], int]) -> None:
        self._pool = pool
        self._clock = clock

    async def expire(
        self,
        *,
        default_days: int | None,
        now_us: int,
        on_progress: Callable[[int], None] = lambda records: None,
        at_once: int = AT_ONCE,
    ) -> Expired | None:
        """Delete the records of days that ended more than so many days ago; their sums stay. None if another process
        is at it. An organization's own number of days goes before the default; None keeps everything."""
        async with self._pool.lend() as connection:
            if not await connection.fetchval(queries("retention")["take_turn"]):
                return None
            try:
                days = await connection.fetch(queries("retention")["days_to_expire"], now_us, default_days)
                records = 0
                for organization_id, day in days:
                    while gone := await _expire_some(connection, organization_id, day, at_once):
                        records += gone
                        on_progress(gone)
                return Expired(days=len(days), records=records)
            finally:
                await connection.execute(queries("retention")["end_turn"])

    async def retention_days(self, organization_id: str) -> int | None:
        """How many days an organization keeps its records; None for as the settings say."""
        async with self._pool.lend() as connection:
            days: int | None = await connection.fetchval(queries("retention")["retention_of"], organization_id)
            return days

    async def set_retention_days(self, organization_id: str, days: int | None) -> None:
        async with self._pool.transaction() as connection:
            was = await connection.fetchval(queries("retention")["retention_of"], organization_id)
            if await connection.fetchval(queries("retention")["set_retention"], organization_id, days) is None:
                return
            await append_entry(
                connection,
                OPERATOR,
                AuditAction.UPDATE_ORGANIZATION,
                organization_id=organization_id,
                target_id=organization_id,
                was=msgspec.json.encode({"retention_days": was}).decode(),
                now=msgspec.json.encode({"retention_days": days}).decode(),
                at_us=self._clock(),
            )


async def kept_spans(
    connection: "Connection", organization_id: str, spans: Sequence[Span], reasons: Sequence[str]
) -> list[Span]:
    """The spans of a summary, those of records of which some have expired read from sums.

    InvalidRequest where only records could tell: it names the first day from which on all of them are there.
    """
    kept = []
    for span in spans:
        expired = False
        if span.source is Source.RECORDS:
            first = 0 if span.first is None else min(span.first // DAY_US, _LAST_DAY)
            last = _LAST_DAY if span.beyond is None else min((span.beyond - 1) // DAY_US, _LAST_DAY)
            expired = await connection.fetchval(queries("retention")["expired_between"], organization_id, first, last)
        whole = None if reasons else in_rollups(span)
        if not expired:
            kept.append(span)
        elif whole is None:
            raise await _expired(connection, organization_id, reasons)
        else:
            kept.append(whole)
    return kept


async def _expire_some(connection: "Connection", organization_id: str, day: int, at_once: int) -> int:
    start_us = day * DAY_US
    gone = await connection.fetchval(_expire(), organization_id, start_us, start_us + DAY_US, at_once)
    return 0 if gone is None else int(gone)


async def _expired(connection: "Connection", organization_id: str, reasons: Sequence[str]) -> InvalidRequest:
    day = int(await connection.fetchval(queries("retention")["first_whole_day"], organization_id))
    since = bucket_text(day * DAY_US, _UTC)
    what = reasons[0] if reasons else "a range that does not begin and end on a quarter of an hour"
    return InvalidRequest(
        f"Records before {since} have expired, and {what} needs them: ask from start={since} on.",
        code="records_expired",
    )


@cache
def _expire() -> str:
    return queries("retention")["expire_some"].format(
        columns=", ".join(MEASURES),
        sums=", ".join(f"sum({each})" for each in MEASURES),
        added=", ".join(f"{each} = kept.{each} + excluded.{each}" for each in MEASURES),
        piece=queries("reading")["record_piece"].format(groups="", where="true", tags="", **RECORD_METERS),
    )

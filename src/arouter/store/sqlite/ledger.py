"""`Ledger` in SQLite."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import apsw

from arouter.domain.activity import ActivityQuery, ActivityRow, Filters, Page, Scope, Summary, SummaryQuery
from arouter.domain.adjustment import Adjustment
from arouter.domain.errors import StorageUnavailable
from arouter.domain.money import Picodollars
from arouter.domain.record import Opening, Record
from arouter.domain.users import UsersPage, UserSpan, UsersQuery
from arouter.store.base import CheckReport, ColumnPage, Spending
from arouter.store.buckets import HOUR_US
from arouter.store.sqlite.adjuster import NoRows, Sealed, Target, adjust, read_adjustments, target_of
from arouter.store.sqlite.appender import last_batch
from arouter.store.sqlite.checks import check_ledger
from arouter.store.sqlite.column_pages import read_columns
from arouter.store.sqlite.items import take_turn
from arouter.store.sqlite.names import Texts, fetch, numbers_of, to_json
from arouter.store.sqlite.owners import remove_lock_files
from arouter.store.sqlite.pages import find_row, read_one, read_page
from arouter.store.sqlite.readers import Readers, Watch
from arouter.store.sqlite.recovery import recover, who_is_dead
from arouter.store.sqlite.rollups import whole_cost
from arouter.store.sqlite.rows import COLUMNS
from arouter.store.sqlite.sealed import archive
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.summaries import read_summary
from arouter.store.sqlite.user_costs import read_user_costs
from arouter.store.sqlite.users import read_span, read_users
from arouter.store.sqlite.writer import Writer
from arouter.store.written import Tell, Written

_SEQ = COLUMNS.index("seq")
_ID = COLUMNS.index("id")
_ORGANIZATION = COLUMNS.index("organization_no")


class SqliteLedger:
    """Appends through the writer, answers from the readers."""

    def __init__(
        self, path: str, writer: Writer, readers: Readers, summaries: Readers, clock: Callable[[], int]
    ) -> None:
        """Summaries have readers of their own: those of pages never wait for them."""
        self._path = path
        self._writer = writer
        self._readers = readers
        self._summaries = summaries
        self._clock = clock
        self._texts = Texts()
        self.close_then: Callable[[Record, Tell], None] = writer.append

    def close(self, record: Record) -> Awaitable[None]:
        written = Written(asyncio.get_running_loop())
        self._writer.append(record, written.tell)
        return written

    def open(self, opening: Opening) -> None:
        failure = self._writer.last_error
        if failure is not None:
            raise StorageUnavailable(failure.message, detail=failure.detail)
        self._writer.open(opening)

    def adjust(
        self, adjustments: Sequence[Adjustment], *, seen: Mapping[str, str | None] | None = None
    ) -> Awaitable[int]:
        return self._adjusted(self._adjust(adjustments, seen, {}), adjustments, seen)

    def _adjust(
        self, adjustments: Sequence[Adjustment], seen: Mapping[str, str | None] | None, sealed: Sealed
    ) -> Awaitable[int | NoRows]:
        numbers = self._writer.appender.numbers
        return self._writer.command(
            lambda connection: adjust(connection, numbers, adjustments, self._clock(), seen, sealed)
        )

    async def _adjusted(
        self,
        adjusting: Awaitable[int | NoRows],
        adjustments: Sequence[Adjustment],
        seen: Mapping[str, str | None] | None,
    ) -> int:
        """What became of it, tried again with the sealed records among them for as long as there are others."""
        sealed: dict[str, Target | None] = {}
        while isinstance(answer := await adjusting, NoRows):
            sealed |= await self._readers.read(partial(_sealed_targets, record_ids=answer.record_ids))
            adjusting = self._adjust(adjustments, seen, sealed)
        return answer

    async def adjustments_of(self, organization_id: str, record_id: str) -> Sequence[Adjustment]:
        def read(connection: apsw.Connection) -> Sequence[Adjustment]:
            row = find_row(connection, record_id)
            if row is None or row[_ORGANIZATION] != numbers_of(connection, [organization_id]).get(organization_id):
                return ()
            found = read_adjustments(connection, "record_seq = ?", row[_SEQ])
            return tuple(replace(one.adjustment, record_id=record_id) for one in found)

        return await self._readers.read(read)

    async def recover(self, *, now_us: int, dead: Collection[str] = ()) -> int:
        # What the dead left in files is booked before the command runs; that they are dead is known before that.
        gone = await self._readers.read(lambda connection: who_is_dead(connection, self._path), apart=True)
        if gone is None:
            return 0
        count = await self._writer.command(
            lambda connection: recover(
                connection, self._writer.appender, dead=gone, now_us=now_us, written_at_us=self._clock()
            )
        )
        remove_lock_files(self._path, gone)
        return int(count)

    async def get(self, organization_id: str, record_id: str) -> ActivityRow | None:
        return await self._readers.read(
            lambda connection: read_one(connection, self._texts, organization_id, record_id)
        )

    async def page(self, query: ActivityQuery) -> Page:
        return await self._readers.read(lambda connection: read_page(connection, self._texts, query))

    async def columns(self, query: ActivityQuery) -> ColumnPage | None:
        """What is sealed comes as columns: see `ColumnarLedger`."""
        return await self._readers.read(lambda connection: read_columns(connection, self._texts, query))

    async def written_until(self) -> int | None:
        return await self._readers.read(lambda connection: last_batch(connection).written_at_us or None)

    async def summary(self, query: SummaryQuery) -> Summary:
        as_of_us = await self.behind_all_writes()
        watch = Watch(query.bounds.timeout_s)
        found = await self._summaries.read(
            lambda connection: read_summary(connection, self._texts, query, watch.check), watch
        )
        return replace(found, as_of_us=as_of_us)

    async def behind_all_writes(self) -> int:
        """An instant before which nothing was written that a reader who begins now does not see.

        A transaction takes the time before it commits. Whoever had done so by now has committed when an empty one of
        ours, which has to wait for it, is through. While nothing can be written, what is there is all that there is.
        """
        now_us = self._clock()
        with suppress(StorageUnavailable):
            await self._writer.command(take_turn)
        return now_us

    async def summaries(self, queries: Sequence[SummaryQuery]) -> Sequence[Summary]:
        if not queries:
            return ()
        as_of_us = await self.behind_all_writes()
        watch = Watch(queries[0].bounds.timeout_s)
        # One read transaction, which sees nothing that is written meanwhile.
        found = await self._summaries.read(
            lambda connection: [read_summary(connection, self._texts, query, watch.check) for query in queries], watch
        )
        return tuple(replace(one, as_of_us=as_of_us) for one in found)

    async def user_span(self, scope: Scope, user: str) -> UserSpan | None:
        return await self._readers.read(lambda connection: read_span(connection, scope, user))

    async def list_users(self, query: UsersQuery) -> UsersPage:
        return await self._readers.read(lambda connection: read_users(connection, query))

    async def user_costs(self, scope: Scope, filters: Filters) -> Sequence[int]:
        return await self._readers.read(lambda connection: read_user_costs(connection, scope, filters))

    async def spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        return await self._spending("key_hours", key_hash, day_us, week_us, month_us)

    async def byok_spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        return await self._spending("own_key_hours", key_hash, day_us, week_us, month_us)

    async def last_used(self, key_hashes: Sequence[str]) -> Mapping[str, int]:
        sql, hashes = queries()["last_used"], to_json(sorted({*key_hashes}))
        return dict(await self._readers.read(lambda connection: fetch(connection, sql, hashes)))

    async def _spending(self, hours: str, key_hash: str, *starts_us: int) -> Spending:
        """Four sums, each as units and rest."""
        if any(start % HOUR_US for start in starts_us):
            raise ValueError("spending is known since the starts of hours only")
        sql = queries()["spending"].format(hours=hours)
        parameters = (key_hash, *(start // HOUR_US for start in starts_us))
        row = await self._readers.read(lambda connection: connection.execute(sql, parameters).fetchone())
        assert row is not None
        total, daily, weekly, monthly = (
            Picodollars(whole_cost(units, rest)) for units, rest in zip(row[::2], row[1::2], strict=True)
        )
        return Spending(total=total, daily=daily, weekly=weekly, monthly=monthly)

    async def check(self) -> CheckReport:
        return await self._readers.read(lambda connection: check_ledger(connection, self._path))


def _sealed_targets(connection: apsw.Connection, record_ids: frozenset[str]) -> Mapping[str, Target | None]:
    found = archive("reader").find(connection, record_ids)
    targets = {row[_ID]: target_of(row) for row in found.rows}
    return {record_id: targets.get(record_id) for record_id in record_ids}

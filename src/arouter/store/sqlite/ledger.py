"""`Ledger` in SQLite."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import apsw
import msgspec

from arouter.domain.activity import ActivityQuery, ActivityRow, Page, Summary, SummaryQuery
from arouter.domain.adjustment import Adjustment
from arouter.domain.errors import StorageUnavailable
from arouter.domain.interruption import interrupted
from arouter.domain.money import Picodollars
from arouter.domain.record import Opening, Record
from arouter.store.base import CheckReport, Spending
from arouter.store.buckets import HOUR_US
from arouter.store.sqlite.adjuster import adjust, read_adjustments
from arouter.store.sqlite.checks import check_ledger
from arouter.store.sqlite.leases import end_leases_of
from arouter.store.sqlite.names import Texts, fetch, to_json
from arouter.store.sqlite.owners import living_owners, remove_lock_files
from arouter.store.sqlite.pages import read_one, read_page
from arouter.store.sqlite.readers import Readers
from arouter.store.sqlite.rollups import whole_cost
from arouter.store.sqlite.statements import effective_cost, queries
from arouter.store.sqlite.summaries import read_summary
from arouter.store.sqlite.writer import Writer


class SqliteLedger:
    """Appends through the writer, answers from the readers."""

    def __init__(self, path: str, writer: Writer, readers: Readers, clock: Callable[[], int]) -> None:
        self._path = path
        self._writer = writer
        self._readers = readers
        self._clock = clock
        self._texts = Texts()

    def open(self, opening: Opening) -> None:
        failure = self._writer.last_error
        if failure is not None:
            raise StorageUnavailable(failure.message, detail=failure.detail)
        self._writer.open(opening)

    def close(self, record: Record) -> Awaitable[None]:
        return self._writer.append(record)

    def adjust(
        self, adjustments: Sequence[Adjustment], *, seen: Mapping[str, str | None] | None = None
    ) -> Awaitable[int]:
        numbers = self._writer.appender.numbers
        return self._writer.command(lambda connection: adjust(connection, numbers, adjustments, self._clock(), seen))

    async def adjustments_of(self, organization_id: str, record_id: str) -> Sequence[Adjustment]:
        if await self.get(organization_id, record_id) is None:
            return ()
        found = await self._readers.read(lambda connection: read_adjustments(connection, "records.id = ?", record_id))
        return tuple(one.adjustment for one in found)

    async def recover(self, *, now_us: int) -> int:
        def run(connection: apsw.Connection) -> tuple[int, set[int]]:
            alive, dead = living_owners(connection, self._path)
            left = fetch(connection, queries()["open_of_others"], to_json(sorted(alive)))
            records = [interrupted(msgspec.json.decode(opening, type=Opening), now_us=now_us) for _, opening in left]
            problems = self._writer.appender.append(connection, records, self._clock())
            stored = [record.opening.id for record, problem in zip(records, problems, strict=True) if problem is None]
            self._writer.appender.close(connection, stored)
            for owner in dead:
                end_leases_of(connection, owner)
                connection.execute(queries()["forget_owner"], (owner,))
            return len(stored), dead

        if not await self._readers.read(self._is_something_left):
            return 0
        count, dead = await self._writer.command(run)
        remove_lock_files(self._path, dead)
        return int(count)

    def _is_something_left(self, connection: apsw.Connection) -> bool:
        """Without a lock, for the many times that nothing is: who registers while this is read is alive."""
        alive, dead = living_owners(connection, self._path)
        return bool(dead) or bool(fetch(connection, queries()["open_of_others"], to_json(sorted(alive))))

    async def get(self, organization_id: str, record_id: str) -> ActivityRow | None:
        return await self._readers.read(
            lambda connection: read_one(connection, self._texts, organization_id, record_id)
        )

    async def page(self, query: ActivityQuery) -> Page:
        return await self._readers.read(lambda connection: read_page(connection, self._texts, query))

    async def summary(self, query: SummaryQuery) -> Summary:
        return await self._readers.read(lambda connection: read_summary(connection, self._texts, query))

    async def spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        starts = (day_us, week_us, month_us)
        if any(start % HOUR_US for start in starts):
            raise ValueError("spending is known since the starts of hours only")
        return await self._spending(queries()["spending"], key_hash, *(start // HOUR_US for start in starts))

    async def byok_spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        sql = queries()["byok_spending"].format(cost=effective_cost())
        return await self._spending(sql, key_hash, day_us, week_us, month_us)

    async def _spending(self, sql: str, *parameters: str | int) -> Spending:
        """Four sums, each as units and rest."""
        row = await self._readers.read(lambda connection: connection.execute(sql, parameters).fetchone())
        assert row is not None
        total, daily, weekly, monthly = (
            Picodollars(whole_cost(units, rest)) for units, rest in zip(row[::2], row[1::2], strict=True)
        )
        return Spending(total=total, daily=daily, weekly=weekly, monthly=monthly)

    async def check(self) -> CheckReport:
        return await self._readers.read(lambda connection: check_ledger(connection, self._path))

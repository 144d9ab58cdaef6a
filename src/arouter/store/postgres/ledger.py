"""`Ledger` in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar, cast

import asyncpg

from arouter.domain.activity import ActivityQuery, ActivityRow, Filters, Page, Scope, Summary, SummaryQuery
from arouter.domain.adjustment import Adjustment
from arouter.domain.errors import InvalidRequest, RateLimited, StorageUnavailable
from arouter.domain.money import Picodollars
from arouter.domain.record import Opening, Record
from arouter.domain.users import UsersPage, UserSpan, UsersQuery
from arouter.store.base import CheckReport, Spending
from arouter.store.buckets import HOUR_US, time_zone
from arouter.store.postgres.adjuster import check_adjustments, write_adjustments
from arouter.store.postgres.appender import CONFLICTS, Appender
from arouter.store.postgres.checks import check_ledger
from arouter.store.postgres.errors import storage_errors
from arouter.store.postgres.owners import GRACE_S, living_owners
from arouter.store.postgres.pages import read_adjustments, read_one, read_page
from arouter.store.postgres.pool import STATEMENT_TIMEOUT_S, Pool, connect
from arouter.store.postgres.recovery import is_something_left, recover_some
from arouter.store.postgres.statements import queries
from arouter.store.postgres.summaries import read_summary, read_user_costs
from arouter.store.postgres.texts import listed
from arouter.store.postgres.users import read_span, read_users

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

MOST_SUMMARIES: Final = 3
"""That are read at once by one process."""
MOST_WAITING: Final = 24
"""That wait for their turn; whoever comes then is refused."""
CHECK_TIMEOUT_S: Final = 3600.0
_TRIES: Final = 20

Result = TypeVar("Result")


class PostgresLedger:
    """Appends through the appender, answers from the pool."""

    def __init__(self, pool: Pool, appender: Appender, *, clock: Callable[[], int], grace_s: float = GRACE_S) -> None:
        """`grace_s`: how long a process may be neither seen nor connected before it is dead."""
        self._pool = pool
        self._appender = appender
        self._clock = clock
        self._grace_s = grace_s
        self._turns = asyncio.Semaphore(MOST_SUMMARIES)
        self._summaries = 0

    def open(self, opening: Opening) -> None:
        self._appender.open(opening)

    def close(self, record: Record) -> Awaitable[None]:
        return self._appender.append(record)

    async def adjust(self, adjustments: Sequence[Adjustment], *, seen: Mapping[str, str | None] | None = None) -> int:
        check_adjustments(adjustments)

        async def write(connection: "Connection") -> int:
            async with connection.transaction():
                return await write_adjustments(connection, adjustments, self._clock(), seen)

        return await self._insist(write)

    async def adjustments_of(self, organization_id: str, record_id: str) -> Sequence[Adjustment]:
        async with self._reading() as connection:
            return await read_adjustments(connection, organization_id, record_id)

    async def recover(self, *, now_us: int) -> int:
        async with self._pool.transaction() as connection:
            if not await is_something_left(connection, grace_s=self._grace_s):
                return 0
        count, more = 0, True
        while more:
            found, more = await self._insist(
                lambda connection: recover_some(
                    connection, now_us=now_us, written_at_us=self._clock(), grace_s=self._grace_s
                )
            )
            count += found
        return count

    async def get(self, organization_id: str, record_id: str) -> ActivityRow | None:
        async with self._reading() as connection:
            return await read_one(connection, organization_id, record_id)

    async def page(self, query: ActivityQuery) -> Page:
        async with self._reading() as connection:
            return await read_page(connection, query)

    async def written_until(self) -> int | None:
        async with self._pool.lend() as connection:
            until_us: int | None = await connection.fetchval(queries("ledger")["written_until"])
            return until_us

    async def summary(self, query: SummaryQuery) -> Summary:
        (summary,) = await self.summaries([query])
        return summary

    async def summaries(self, queries: Sequence[SummaryQuery]) -> Sequence[Summary]:
        if not queries:
            return ()
        for query in queries:
            time_zone(query.timezone)
        async with self._turn():
            as_of_us = await self._behind_all_writes()
            async with self._reading(queries[0].bounds.timeout_s) as connection:
                found = [await read_summary(connection, query) for query in queries]
        return tuple(replace(one, as_of_us=as_of_us) for one in found)

    async def user_span(self, scope: Scope, user: str) -> UserSpan | None:
        async with self._reading() as connection:
            return await read_span(connection, scope, user)

    async def list_users(self, query: UsersQuery) -> UsersPage:
        async with self._reading() as connection:
            return await read_users(connection, query)

    async def user_costs(self, scope: Scope, filters: Filters) -> Sequence[int]:
        async with self._reading() as connection:
            return await read_user_costs(connection, scope, filters)

    async def spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        return await self._spending("cost", key_hash, day_us, week_us, month_us)

    async def byok_spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        return await self._spending("own_key_cost", key_hash, day_us, week_us, month_us)

    async def last_used(self, key_hashes: Sequence[str]) -> Mapping[str, int]:
        async with self._pool.lend() as connection:
            rows = await connection.fetch(queries("ledger")["last_used"], listed(sorted({*key_hashes})))
        return {row["key_hash"]: row["last_used_us"] for row in rows}

    async def check(self) -> CheckReport:
        async with self._pool.transaction() as connection:
            _, dead = await living_owners(connection, grace_s=self._grace_s)
        with storage_errors():
            session = await connect(self._pool.url, statement_timeout_s=CHECK_TIMEOUT_S)
            try:
                async with session.transaction(isolation="repeatable_read", readonly=True):
                    return await check_ledger(cast("Connection", session), sorted(dead))
            finally:
                await session.close()

    async def _spending(self, cost: str, key_hash: str, *starts_us: int) -> Spending:
        if any(start % HOUR_US for start in starts_us):
            raise ValueError("spending is known since the starts of hours only")
        sql = queries("ledger")["spending"].format(cost=cost)
        async with self._pool.lend() as connection:
            row = await connection.fetchrow(sql, key_hash, *(start // HOUR_US for start in starts_us))
        assert row is not None  # sums of nothing are a row, too
        total, daily, weekly, monthly = (Picodollars(int(value)) for value in row)
        return Spending(total=total, daily=daily, weekly=weekly, monthly=monthly)

    @asynccontextmanager
    async def _reading(self, timeout_s: float | None = None) -> AsyncIterator["Connection"]:
        """One state of the ledger. InvalidRequest if what is asked takes longer than that."""
        async with self._pool.transaction("repeatable_read", readonly=True) as connection:
            try:
                if timeout_s is not None:
                    await connection.execute(f"SET LOCAL statement_timeout = {max(1, int(timeout_s * 1000))}")
                yield connection
            except asyncpg.QueryCanceledError as exc:
                raise _took_too_long(timeout_s) from exc

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Summaries leave connections for everybody else. RateLimited if too many wait."""
        if self._summaries >= MOST_SUMMARIES + MOST_WAITING:
            raise RateLimited(
                "Too many summaries are being made at the moment; ask again soon.",
                code="too_many_queries",
                retry_after_s=1,
            )
        self._summaries += 1
        try:
            async with self._turns:
                yield
        finally:
            self._summaries -= 1

    async def _behind_all_writes(self) -> int:
        """An instant before which nothing was written that a reader who begins now does not see.

        Whatever is written bears the time of the chain's head at least. Where that is earlier than now it is set to
        now, which waits for whoever holds it. While nothing can be written, what is there is all that there is.
        """
        now_us = self._clock()
        with suppress(StorageUnavailable):
            async with self._pool.lend() as connection:
                if await connection.fetchval(queries("ledger")["head_time"]) < now_us:
                    await connection.execute(queries("ledger")["pass_time"], now_us)
        return now_us

    async def _insist(self, run: "Callable[[Connection], Awaitable[Result]]") -> Result:
        """What a transaction brings, tried again where it collided with another one."""
        async with self._pool.lend() as connection:
            for _ in range(_TRIES - 1):
                with suppress(*CONFLICTS, asyncpg.UniqueViolationError):
                    return await run(connection)
            return await run(connection)


def _took_too_long(timeout_s: float | None) -> InvalidRequest:
    return InvalidRequest(
        f"The answer took longer than {STATEMENT_TIMEOUT_S if timeout_s is None else timeout_s:g} s. Narrow the range "
        "from `start` to `end`, group by fewer dimensions, or leave `users` and percentiles out of `metrics`.",
        code="query_too_heavy",
    )

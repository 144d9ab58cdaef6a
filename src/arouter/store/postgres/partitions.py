"""The partitions of `records`: one for each month of UTC, made before it begins, dropped once it is over and empty."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from arouter.domain.errors import StorageUnavailable
from arouter.store.postgres.pool import Pool
from arouter.store.postgres.statements import queries

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

FIRST_YEAR, BEYOND_YEAR = 2020, 2200
"""Records of other years lie in `records_before` and `records_beyond`."""
AHEAD: Final = 2
"""Months that are made before they begin: whoever is away for one of them is still in time."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US = (datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_BEYOND_US = (datetime(BEYOND_YEAR, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)

Month = tuple[int, int]
"""Year and month."""
_BUSY = (
    *(asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError),
    *(asyncpg.UndefinedTableError, TimeoutError),
)
"""It would take too long now, so that others had to wait; or another process dropped it at this moment."""


def month_of(at_us: int) -> Month | None:
    """The month whose partition holds an instant; None where it has none of its own."""
    if not _FIRST_US <= at_us < _BEYOND_US:
        return None
    at = _EPOCH + timedelta(microseconds=at_us)
    return at.year, at.month


def name_of(month: Month) -> str:
    return f"records_{month[0]:04}_{month[1]:02}"


def bounds_of(month: Month) -> tuple[int, int]:
    """Its first instant and that of the next, in microseconds."""
    year, number = month
    first = datetime(year, number, 1, tzinfo=UTC)
    beyond = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return (first - _EPOCH) // timedelta(microseconds=1), (beyond - _EPOCH) // timedelta(microseconds=1)


def month_of_name(name: str) -> Month | None:
    """The month whose partition is called so; None for the partitions of many years."""
    year, _, number = name.removeprefix("records_").partition("_")
    return (int(year), int(number)) if year.isdecimal() and number.isdecimal() else None


def next_month(month: Month) -> Month:
    year, number = month
    return year + number // 12, number % 12 + 1


def months_ahead(now_us: int) -> list[Month]:
    """The month of an instant and the next ones, as far as they have partitions of their own."""
    months: list[Month] = []
    month = month_of(now_us)
    while month is not None and month[0] < BEYOND_YEAR and len(months) <= AHEAD:
        months.append(month)
        month = next_month(month)
    return months


class Partitions:
    """Looked after beside requests. Any number of processes may do so at once."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def make_ahead(self, *, now_us: int) -> None:
        """Make those of this month and the next ones, so that no record waits for its month's. StorageUnavailable if
        that cannot be done now."""
        async with self._pool.lend() as connection:
            await make_partitions(connection, months_ahead(now_us))

    async def drop_empty(self, *, now_us: int) -> int:
        """Drop those of months that are over in which nothing is any more; how many. One that cannot be had within a
        moment is left to the next time. StorageUnavailable if that cannot be done now."""
        dropped = 0
        for month in await self._over(now_us):
            try:
                if await self._is_vacated(month):
                    dropped += await self._drop(month)
            except StorageUnavailable as exc:
                if not isinstance(exc.__cause__, _BUSY):
                    raise
        return dropped

    async def _over(self, now_us: int) -> list[Month]:
        async with self._pool.lend() as connection:
            rows = await connection.fetch(queries("ledger")["partitions"])
        months = [month for row in rows if (month := month_of_name(row["relname"])) is not None]
        return [month for month in sorted(months) if bounds_of(month)[1] <= now_us]

    async def _is_vacated(self, month: Month) -> bool:
        """Whether the partition has no page any more: then nobody sees anything in it, as of any moment. The pages of
        deleted records are given back here, if nobody may see those still."""
        name = name_of(month)
        async with self._pool.lend() as connection:
            if not await connection.fetchval(queries("ledger")["partition_empty"].format(name=name)):
                return False
            if await _has_pages(connection, month):
                await connection.execute(queries("ledger")["vacate_partition"].format(name=name))
            return not await _has_pages(connection, month)

    async def _drop(self, month: Month) -> bool:
        """If it has no page still, behind locks that everybody waits for: they are not waited for for long, and what is
        done behind them takes no time. Who has a record for the month makes the partition anew."""
        async with self._pool.transaction() as connection:
            await connection.execute(queries("ledger")["lock_partitions"], month[0] * 12 + month[1])
            await connection.execute(queries("ledger")["hold_records"])
            there = await connection.fetchval(queries("ledger")["partition_there"], name_of(month))
            if not there or await _has_pages(connection, month):
                return False
            await connection.execute(queries("ledger")["drop_partition"].format(name=name_of(month)))
            return True


async def _has_pages(connection: "Connection", month: Month) -> bool:
    return bool(await connection.fetchval(queries("ledger")["partition_bytes"], name_of(month)))


async def make_partitions(connection: "Connection", months: Iterable[Month]) -> None:
    """Make those that are missing, each in a transaction of its own. Several processes may want them at once."""
    for month in sorted(months):
        name = name_of(month)
        if await connection.fetchval(queries("ledger")["partition_there"], name):
            continue
        first, beyond = bounds_of(month)
        async with connection.transaction():
            await connection.execute(queries("ledger")["lock_partitions"], month[0] * 12 + month[1])
            if not await connection.fetchval(queries("ledger")["partition_there"], name):
                made = queries("ledger")["make_partition"].format(name=name, first=first, beyond=beyond)
                await connection.execute(made)

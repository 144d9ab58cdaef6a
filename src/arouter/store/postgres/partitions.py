"""The partitions of `records`: one for each month of UTC."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from arouter.store.postgres.statements import queries

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

FIRST_YEAR, BEYOND_YEAR = 2020, 2200
"""Records of other years lie in `records_before` and `records_beyond`."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US = (datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_BEYOND_US = (datetime(BEYOND_YEAR, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)

Month = tuple[int, int]
"""Year and month."""


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

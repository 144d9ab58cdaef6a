"""The configured database, opened for the time of one command; a gateway may be running on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from arouter.cli.output import Failure
from arouter.domain.activity import ActivityQuery, SummaryQuery
from arouter.engine.clock import SystemClock
from arouter.settings import Settings
from arouter.store.base import Home
from arouter.store.sqlite import SqliteStore
from arouter.store.stores import Database, Store
from arouter.wiring.storage import database_path, find_home, open_store


def require_database(settings: Settings) -> None:
    """Failure if there is no file: a question makes no database. A server answers for itself."""
    path = database_path(settings)
    if path is not None and not path.exists():
        raise Failure(
            f"there is no database at {path}; `arouter serve` and `arouter db migrate` make it, "
            "and storage.url says where it is"
        )


def require_file(settings: Settings, *, instead: str) -> Path:
    """The file of a database that is there. Failure if there is none, or for PostgreSQL, with what to do `instead`."""
    path = database_path(settings)
    if path is None:
        raise Failure(f"this is for SQLite, and the database is PostgreSQL's: {instead}")
    require_database(settings)
    return path


@asynccontextmanager
async def opened_file(settings: Settings) -> AsyncIterator[tuple[SqliteStore, Home]]:
    """The store of a file, for what others cannot: see `require_file`."""
    async with opened(settings) as (store, home):
        assert isinstance(store, SqliteStore)
        yield store, home


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Database, Home]]:
    """The store, made or migrated where needed, and its home."""
    clock = SystemClock()
    store = open_store(settings, clock=clock)
    await store.start()
    try:
        yield store, await find_home(store, clock)
    finally:
        await store.close()


async def count_records(store: Store, query: ActivityQuery) -> int:
    """How many records `query` matches, whatever its limit: for a bar that shows how far one is."""
    # Of all moments: sums by hours know nothing of when a record was written, and a bar need not be exact.
    filters = replace(query.filters, written_until_us=None)
    sums = await store.ledger.summary(SummaryQuery(scope=query.scope, filters=filters))
    return sums.totals.requests

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
from arouter.wiring.storage import database_path, find_home, open_store


def existing_path(settings: Settings) -> Path:
    """The file. Failure if there is none: a question makes no database."""
    path = database_path(settings)
    if not path.exists():
        raise Failure(
            f"there is no database at {path}; `arouter serve` and `arouter db migrate` make it, "
            "and storage.url says where it is"
        )
    return path


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[SqliteStore, Home]]:
    """The store, made or migrated where needed, and its home."""
    clock = SystemClock()
    store = open_store(settings, clock=clock)
    await store.start()
    try:
        yield store, await find_home(store, clock)
    finally:
        await store.close()


async def count_records(store: SqliteStore, query: ActivityQuery) -> int:
    """How many records `query` matches, whatever its limit: for a bar that shows how far one is."""
    # Of all moments: sums by hours know nothing of when a record was written, and a bar need not be exact.
    filters = replace(query.filters, written_until_us=None)
    sums = await store.ledger.summary(SummaryQuery(scope=query.scope, filters=filters))
    return sums.totals.requests

"""One PostgreSQL database with everything in it, which any number of gateways share: opened, started, closed."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import asyncpg

from arouter.domain.errors import StorageUnavailable
from arouter.store.moving import refuse_unfinished
from arouter.store.postgres.appender import Appender
from arouter.store.postgres.counters import PostgresCounters
from arouter.store.postgres.directory import PostgresDirectory
from arouter.store.postgres.errors import storage_errors
from arouter.store.postgres.feed import PostgresFeed
from arouter.store.postgres.ledger import PostgresLedger
from arouter.store.postgres.listener import DirectoryListener
from arouter.store.postgres.moved_records import read_copy_state
from arouter.store.postgres.owners import GRACE_S, Owner
from arouter.store.postgres.partitions import Partitions
from arouter.store.postgres.pool import Pool, connect
from arouter.store.postgres.retention import Retention
from arouter.store.postgres.statements import queries
from arouter.store.stores import CommitStats, OnCommit, PostgresStatus, without_password


class PostgresStore:
    """The protocols over one database. `open` it, then `start` it on the event loop that will use it."""

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], int],
        durability: str,
        on_commit: OnCommit,
        on_directory_change: Callable[[], None],
        grace_s: float,
        name: str = "",
    ) -> None:
        self._url = url
        self._on_directory_change = on_directory_change
        self.stats = CommitStats(on_commit)
        self._pool = Pool(url)
        self._owner = Owner(url, grace_s=grace_s, name=name)
        self._appender = Appender(
            self._pool,
            self._owner,
            clock=clock,
            durability="relaxed" if durability == "relaxed" else "strict",
            on_commit=self.stats.add,
        )
        self._beside: list[asyncio.Task[None]] = []
        self.directory = PostgresDirectory(self._pool, clock, self._appender.settled)
        self.ledger = PostgresLedger(self._pool, self._appender, clock=clock, grace_s=grace_s)
        self.feed = PostgresFeed(self._pool, self.ledger.settled_us)
        self.retention = Retention(self._pool, clock)
        self.partitions = Partitions(self._pool)
        self.counters = PostgresCounters(self._pool, self._owner, self._appender.settled)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        clock: Callable[[], int],
        durability: str = "strict",
        on_commit: OnCommit = lambda records, seconds: None,
        on_directory_change: Callable[[], None] = lambda: None,
        grace_s: float = GRACE_S,
        name: str = "",
    ) -> "PostgresStore":
        """The store in the database of that URL, which has to be there; its tables are made, or brought to the present
        schema, where needed.

        `clock` tells microseconds since the epoch. `on_directory_change` is called on the event loop after any
        process changed the directory, and when something may have been missed. `grace_s`: how long a process may be
        neither seen nor connected before the others take what it had; `name` is that of this process, by which they may
        be told sooner. StorageUnavailable, with a text for the
        operator, if the database cannot be used. Blocks until that is known.
        """
        with ThreadPoolExecutor(1) as aside:  # where no event loop runs yet
            aside.submit(asyncio.run, _prepare(url)).result()
        return cls(
            url,
            clock=clock,
            durability=durability,
            on_commit=on_commit,
            on_directory_change=on_directory_change,
            grace_s=grace_s,
            name=name,
        )

    @property
    def url(self) -> str:
        """With its password: for connecting, never for a log."""
        return self._url

    @property
    def healthy(self) -> bool:
        """Whether the last write succeeded: while it did not, nothing should be started that must be recorded."""
        return self.last_error is None

    @property
    def last_error(self) -> StorageUnavailable | None:
        """What went wrong with the last write."""
        return self._appender.last_error

    @property
    def unwritten(self) -> int:
        """0: what could not be written was told to whoever waited for it, and is not kept."""
        return 0

    @property
    def delayed(self) -> int:
        """0, for the same reason."""
        return 0

    @property
    def lost(self) -> int:
        """Records that cannot be stored, since the start."""
        return self._appender.lost

    async def start(self) -> None:
        """StorageUnavailable, with a text for the operator, if the server cannot be reached."""
        await self._pool.start()
        self._appender.start()
        loop = asyncio.get_running_loop()
        listener = DirectoryListener(self._url, self._on_directory_change)
        self._beside = [loop.create_task(self._owner.keep_beating()), loop.create_task(listener.run())]

    async def close(self) -> None:
        """Writes what is queued first, and gives up what this process has leased."""
        await self._appender.stop()
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        with suppress(StorageUnavailable):
            await self.counters.end()
        await self._owner.forget()
        await self._pool.close()

    async def status(self) -> PostgresStatus:
        async with self._pool.transaction("repeatable_read", readonly=True) as connection:
            row = await connection.fetchrow(queries("database")["status"])
        assert row is not None
        return PostgresStatus(url=without_password(self._url), **row)


async def version_of(url: str) -> int:
    """The schema version of a database, without changing it; 0 if there is nothing in it.

    StorageUnavailable, with a text for the operator.
    """
    with _for_operators(url):
        connection = await connect(url)
        try:
            return int(await connection.fetchval(queries("database")["schema_version"]) or 0)
        except asyncpg.UndefinedTableError:
            return 0
        finally:
            await connection.close()


async def _prepare(url: str) -> None:
    """Make the tables, or bring them to the present schema."""
    with _for_operators(url):
        pool = Pool(url)
        await pool.start()
        try:
            async with pool.lend() as connection:
                refuse_unfinished(await read_copy_state(connection))
        finally:
            await pool.close()


@contextmanager
def _for_operators(url: str) -> Iterator[None]:
    """Says which database it is that cannot be used, and why. Never the password."""
    try:
        with storage_errors():
            yield
    except StorageUnavailable as failure:
        if failure.detail is None:
            raise  # the database is there, and what is wrong with it is said
        raise StorageUnavailable(
            f"The PostgreSQL database at {without_password(url)} cannot be used.", detail=failure.detail
        ) from failure

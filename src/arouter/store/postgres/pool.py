"""The connections to one PostgreSQL database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

import asyncpg

from arouter.domain.errors import StorageUnavailable
from arouter.store.postgres.errors import storage_errors
from arouter.store.postgres.migrating import migrate
from arouter.store.postgres.texts import use_texts

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

MOST_CONNECTIONS = 8
CONNECT_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_S = 30.0
_SESSION_SETTINGS = {
    "application_name": "arouter",
    "timezone": "UTC",
    "jit": "off",  # to compile a summary takes longer than to run it
    # The server finds within half a minute that a machine is gone, and gives up what that had locked.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    # And of a process that stands still in the middle of a transaction.
    "idle_in_transaction_session_timeout": "30s",
}
OLDEST_SERVER = 15

Isolation = Literal["read_committed", "repeatable_read", "serializable"]


class Pool:
    """Opens connections as they are needed and lends them out. Everything it raises is StorageUnavailable."""

    def __init__(self, url: str, *, most_connections: int = MOST_CONNECTIONS) -> None:
        self._url = url
        self._most_connections = most_connections
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    @property
    def url(self) -> str:
        """With its password: for connecting, never for a log."""
        return self._url

    async def start(self) -> None:
        """Connect, and bring the database to the schema of this program. StorageUnavailable if either cannot be."""
        with storage_errors():
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=self._most_connections,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=STATEMENT_TIMEOUT_S,
                init=use_texts,
                server_settings=_SESSION_SETTINGS,
            )
        try:
            async with self.lend() as connection:
                version = connection.get_server_version().major
                if version < OLDEST_SERVER:
                    raise StorageUnavailable(f"PostgreSQL {version} is too old; use {OLDEST_SERVER} or later.")
                await migrate(connection)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Waits for what runs, for a moment."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            with storage_errors():
                await pool.close()
        except StorageUnavailable:
            pool.terminate()

    @asynccontextmanager
    async def lend(self) -> "AsyncIterator[Connection]":
        """A connection without a transaction: each statement is one."""
        if self._pool is None:
            raise StorageUnavailable("The storage is closed.")
        with storage_errors():
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(
        self, isolation: Isolation = "read_committed", *, readonly: bool = False
    ) -> "AsyncIterator[Connection]":
        """A connection within a transaction; it is rolled back if anything is raised."""
        async with self.lend() as connection, connection.transaction(isolation=isolation, readonly=readonly):
            yield connection


async def connect(url: str, *, statement_timeout_s: float = CONNECT_TIMEOUT_S) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection of one's own, outside of any pool: for what belongs to a session. Raises what the driver raises."""
    connection = await asyncpg.connect(
        url, timeout=CONNECT_TIMEOUT_S, command_timeout=statement_timeout_s, server_settings=_SESSION_SETTINGS
    )
    await use_texts(connection)
    return connection

"""Who may have open records and leases: each process that does is seen by the others for as long as it lives.

Two signs of life, by the server's clock. A session holds an advisory lock that ends with its process, and the row in
`owners` says when the process was seen last. Dead is who has no lock **and** was not seen for longer than a grace: a
lock alone would be lost by every restart of the server and every short cut of the network. After a start of the server
everybody gets the grace anew. Who was taken for dead although it lives finds that out by its next beat, or when it
registers for its next transaction, and goes on under another number.

The session must be the process's own: a pooler between (PgBouncer) has to pool sessions, not transactions.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import asyncpg

from arouter.domain.errors import StorageUnavailable
from arouter.store.postgres.errors import FAILURES, storage_errors
from arouter.store.postgres.pool import CONNECT_TIMEOUT_S, connect
from arouter.store.postgres.statements import queries

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

GRACE_S: Final = 20.0
"""How long a process may be neither seen nor connected before the others take what it had."""
_BEATS_IN_A_GRACE: Final = 4
MOST_BETWEEN_BEATS_S: Final = 5.0
"""However long the grace is. By so much less than the grace a process may be out of reach before it is dead: a grace
has to be that much longer than a process may go on without the server."""
_LOCK_CLASS: Final = 0x4152_4F57
"""The first half of the advisory locks of owners; the second is the owner's number."""


class Owner:
    """This process's place among the owners; taken when it first has something to own."""

    def __init__(self, url: str, *, grace_s: float = GRACE_S) -> None:
        self._url = url
        self._grace_s = grace_s
        self._number: int | None = None
        self._session: asyncpg.Connection[asyncpg.Record] | None = None
        self._has_lock = False
        self._busy = asyncio.Lock()

    @property
    def number(self) -> int | None:
        """None if nothing was ever opened, or after it was taken for dead until it registers again."""
        return self._number

    @property
    def grace_s(self) -> float:
        return self._grace_s

    @property
    def between_beats_s(self) -> float:
        """How often this process is to be seen."""
        return min(self._grace_s / _BEATS_IN_A_GRACE, MOST_BETWEEN_BEATS_S)

    async def register(self, connection: "Connection") -> int:
        """This process's number, which nobody takes for dead until the caller's transaction on `connection` has ended.

        The transaction has to be of the isolation "read_committed". StorageUnavailable if there is no session.
        """
        while True:
            number = self._number
            if number is None:
                number = await self._take_number()
            with storage_errors():
                if await connection.fetchval(queries("owners")["hold_owner"], number) is not None:
                    return number
            self._lose(number)

    async def beat(self) -> bool:
        """Be seen. False if this process was taken for dead meanwhile. StorageUnavailable if the server is not there.

        To be called a few times in a grace: see `keep_beating`.
        """
        async with self._busy:
            number = self._number
            if number is None:
                return True
            with self._session_errors():
                session = await self._connected()
                if not self._has_lock:
                    # Where the server has not noticed yet that the last session is gone, it still holds the lock.
                    self._has_lock = await session.fetchval(queries("owners")["lock_owner"], _LOCK_CLASS, number)
                seen = await session.fetchval(queries("owners")["see_owner"], number)
            if seen is None:
                self._lose(number)
                await self._disconnect()
            return seen is not None

    async def keep_beating(self) -> None:
        """Beat for ever, whatever fails."""
        while True:
            await asyncio.sleep(self.between_beats_s)
            with suppress(Exception):  # whatever it is, who does not beat is taken for dead
                await self.beat()

    async def forget(self) -> None:
        """End in peace: the others need not wait until they take what this process leaves."""
        async with self._busy:
            number, self._number = self._number, None
            try:
                if number is not None:
                    with self._session_errors():
                        await self._leave(await self._connected(), number)
            except StorageUnavailable:
                return
            finally:
                await self._disconnect()

    async def _take_number(self) -> int:
        async with self._busy:
            if self._number is not None:
                return self._number
            with self._session_errors():
                session = await self._connected()
                added = queries("owners")["add_owner"]
                number = int(await session.fetchval(added, socket.gethostname(), os.getpid()))
                # Seen just now: nobody takes it for dead before the lock is there.
                self._has_lock = await session.fetchval(queries("owners")["lock_owner"], _LOCK_CLASS, number)
            self._number = number
            return number

    async def _leave(self, session: "asyncpg.Connection[asyncpg.Record]", number: int) -> None:
        try:
            await session.execute(queries("owners")["forget_owner"], number)
        except asyncpg.ForeignKeyViolationError:
            await session.execute(queries("owners")["leave_owner"], number)

    @contextmanager
    def _session_errors(self) -> Iterator[None]:
        """Turns what the driver raises into StorageUnavailable. The next one begins with a new session."""
        try:
            with storage_errors():
                yield
        except StorageUnavailable:
            session, self._session = self._session, None
            if session is not None:
                session.terminate()
            raise

    def _lose(self, number: int) -> None:
        """This process was taken for dead."""
        if self._number == number:
            self._number = None

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._session is None or self._session.is_closed():
            self._has_lock = False
            self._session = await connect(self._url)
        return self._session

    async def _disconnect(self) -> None:
        session, self._session = self._session, None
        self._has_lock = False
        if session is not None:
            with suppress(*FAILURES):
                await session.close(timeout=CONNECT_TIMEOUT_S)


async def living_owners(connection: "Connection", *, grace_s: float = GRACE_S) -> tuple[set[int], set[int]]:
    """The numbers of those that live, and of those that are dead: these stay dead until the caller's transaction, of
    the isolation "read_committed", has ended.

    Who is being buried by another transaction counts as alive.
    """
    with storage_errors():
        rows = await connection.fetch(queries("owners")["owners"], grace_s, _LOCK_CLASS)
    alive = {row["no"] for row in rows if not row["is_dead"]}
    return alive, {row["no"] for row in rows} - alive


async def forget_owner(connection: "Connection", number: int) -> None:
    """Remove a dead owner that has nothing any more; for the transaction that has buried it."""
    await connection.execute(queries("owners")["forget_owner"], number)

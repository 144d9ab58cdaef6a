"""A ledger in memory that is late, or fails, when a test wants it to."""

import asyncio
from collections.abc import Awaitable

from arouter.domain.activity import ActivityQuery, Scope
from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Opening, Record
from arouter.store.memory import MemoryLedger, MemoryStore
from tests.engine.scripted_clock import NOON_US

FULL = StorageUnavailable("The disk is full.")


class ScriptedLedger(MemoryLedger):
    """The reference ledger, with a will."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(clock=lambda: NOON_US).ledger._data, lambda: NOON_US)
        self.opened: list[Opening] = []
        self.closed: list[str] = []
        """The ids of the records that somebody asked to append, whether or not they are durable yet."""
        self.open_fails = False
        self.close_fails: Exception | None = None
        self.late: asyncio.Event | None = None
        """A record becomes durable when this is set."""
        self._running: set[asyncio.Future[None]] = set()

    def open(self, opening: Opening) -> None:
        if self.open_fails:
            raise FULL
        self.opened.append(opening)
        super().open(opening)

    def close(self, record: Record) -> Awaitable[None]:
        self.closed.append(record.opening.id)
        writing = asyncio.ensure_future(self._write(record))
        self._running.add(writing)
        writing.add_done_callback(self._running.discard)
        return asyncio.shield(writing)

    async def _write(self, record: Record) -> None:
        if self.late is not None:
            await self.late.wait()
        if self.close_fails is not None:
            raise self.close_fails
        await super().close(record)

    async def records(self, organization_id: str = "org_1") -> list[Record]:
        """What is durable, oldest first."""
        query = ActivityQuery(scope=Scope(organization_id=organization_id), descending=False)
        return [row.record for row in (await self.page(query)).rows]

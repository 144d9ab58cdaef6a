"""A ledger that comes and goes, and a gateway's worth of journal in front of it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from arouter.domain.activity import ActivityQuery, Scope
from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Opening, Record
from arouter.store.journal.folder import Folder
from arouter.store.journal.ledger import JournaledLedger
from arouter.store.journal.outage import MOST_BYTES, Outage
from arouter.store.memory import MemoryLedger, MemoryStore
from arouter.store.memory_directory import MemoryData

SLOW_S = 0.05
PAUSE_S = 0.005


class Weather(StrEnum):
    """What becomes of a record that the ledger is given."""

    FINE = "fine"
    REFUSED = "refused"
    """It says that it is away, and has not taken it."""
    UNKNOWN = "unknown"
    """It has taken it, and the connection breaks before it can say so."""
    SILENT = "silent"
    """It takes it and never says anything."""
    LOST = "lost"
    """It never says anything, and has not taken it."""


class UnsteadyLedger(MemoryLedger):
    """The reference ledger behind a bad line."""

    def __init__(self, data: MemoryData, clock: Callable[[], int]) -> None:
        super().__init__(data, clock)
        self.weather: Weather | Callable[[Record], Weather] = Weather.FINE
        self.given: list[str] = []
        """The ids of the records, as often as they were given."""
        self.living: list[UnsteadyLedger] = [self]
        """Those of all processes that live, this one among them."""

    def open(self, opening: Opening) -> None:
        if self.weather is Weather.REFUSED:
            raise StorageUnavailable("The storage is away.")
        super().open(opening)

    def close(self, record: Record) -> Awaitable[None]:
        self.given.append(record.opening.id)
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        weather = self.weather if isinstance(self.weather, Weather) else self.weather(record)
        if weather is Weather.FINE:
            return super().close(record)
        if weather in (Weather.UNKNOWN, Weather.SILENT):
            self.take(record)
        if weather in (Weather.REFUSED, Weather.UNKNOWN):
            told.set_exception(StorageUnavailable("The storage is away."))
        return told

    def take(self, record: Record) -> None:
        try:
            self._append(record)
        except ValueError:
            return

    async def written_until(self) -> int | None:
        if self.weather is not Weather.FINE:
            raise StorageUnavailable("The storage is away.")
        return await super().written_until()

    async def recover(self, *, now_us: int) -> int:
        for other in self.living:
            self._mine |= other._mine
        return await super().recover(now_us=now_us)

    def ids(self) -> list[str]:
        """Of the records that it has."""
        return sorted(self._data.records)

    def records(self) -> dict[str, Record]:
        """By id, as they were written."""
        return {record_id: record for record_id, (record, _) in self._data.records.items()}


@dataclass
class Told:
    """An observer that remembers."""

    outages: int = 0
    backs: int = 0
    refused: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    corrections: list[str] = field(default_factory=list)

    def away(self, failure: StorageUnavailable) -> None:
        self.outages += 1

    def back(self, seconds: float, waiting: int) -> None:
        self.backs += 1

    def set_aside(self, record_id: str, reason: str) -> None:
        self.refused.append(record_id)

    def unreadable(self, path: str, reason: str) -> None:
        self.unread.append(path)

    def corrected(self, record_id: str) -> None:
        self.corrections.append(record_id)


class Process:
    """A gateway as far as its ledger goes. To be used within its event loop."""

    def __init__(
        self,
        folder: Path,
        inner: UnsteadyLedger,
        *,
        limit_s: float = 300.0,
        most_bytes: int = MOST_BYTES,
        slow_s: float = SLOW_S,
    ) -> None:
        self.inner = inner
        self.told = Told()
        self.ledger = JournaledLedger(
            inner,
            Folder(folder),
            Outage(limit_s=limit_s, most_bytes=most_bytes),
            now_us=lambda: 7,
            observer=self.told,
            slow_s=slow_s,
            first_pause_s=PAUSE_S,
            delivery_timeout_s=slow_s,
        )
        self._delivering: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.ledger.start()
        self._delivering = asyncio.get_running_loop().create_task(self.ledger.deliver())

    async def stop(self) -> None:
        await self._end_delivery()
        await self.ledger.stop()

    async def die(self) -> None:
        """As a kill leaves it: what was on disk is there, nobody tells anybody anything, and the lock is free."""
        await self._end_delivery()
        journal, claim = self.ledger._journal, self.ledger._claim
        assert journal is not None
        assert claim is not None
        await asyncio.get_running_loop().run_in_executor(None, journal.stop)
        claim.release(delete=False)

    async def _end_delivery(self) -> None:
        assert self._delivering is not None
        self._delivering.cancel()
        await asyncio.gather(self._delivering, return_exceptions=True)

    async def delivered(self) -> None:
        """Returns when nothing waits and the storage is there."""
        await until(lambda: not self.ledger.is_away and not self.ledger.held.records and not self.ledger.unwritten)

    async def close_all(self, records: Sequence[Record]) -> list[BaseException | None]:
        """How each ends."""
        return await asyncio.gather(*[self.ledger.close(record) for record in records], return_exceptions=True)


def new_store(now_us: Callable[[], int] = lambda: 7) -> MemoryStore:
    return MemoryStore(clock=now_us)


def unsteady(store: MemoryStore) -> UnsteadyLedger:
    """One process's line to the ledger of a store."""
    return UnsteadyLedger(store._data, lambda: 7)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def everything(ledger: MemoryLedger, organization_id: str = "org_a") -> list[str]:
    """The ids of all records, oldest first, as somebody who asks sees them."""
    query = ActivityQuery(scope=Scope(organization_id=organization_id), descending=False, limit=100_000)
    return [row.record.opening.id for row in (await ledger.page(query)).rows]

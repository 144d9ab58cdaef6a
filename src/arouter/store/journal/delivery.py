"""From a journal to the ledger: in order, in batches, each record once.

A record leaves the journal only after the ledger has it. Whoever is killed between the two delivers it again, and the
ledger ignores an id that it has. What it refuses for good is set aside, and never stands in the way of the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from arouter.domain.adjustment import Adjustment, AdjustmentKind
from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Record, Status
from arouter.store.base import Ledger
from arouter.store.journal.file import Entry, SetAside
from arouter.store.journal.outage import Observer

BATCH: Final = 200
TIMEOUT_S: Final = 40.0
"""Longer than any ledger tries by itself: what is given to it again meanwhile waits there twice."""
REASON: Final = (
    "The gateway that ran this request could not reach the storage for so long that others took it for dead and closed "
    "the request as interrupted. This is the cost of its own record."
)


class Source(Protocol):
    """A journal, as delivery sees it."""

    async def take(self, limit: int, after: int) -> Sequence[Entry]:
        """The first records behind a number."""

    async def settle(self, delivered: Sequence[int], refused: Sequence[SetAside]) -> None:
        """Remove those of these numbers, and keep these apart; they are among the numbers."""


@dataclass(slots=True)
class _Batch:
    """What became of one."""

    delivered: list[Entry] = field(default_factory=list)
    refused: list[tuple[Entry, str]] = field(default_factory=list)
    failure: StorageUnavailable | None = None


class Delivery:
    """Gives records to one ledger, and counts."""

    def __init__(
        self, ledger: Ledger, *, now_us: Callable[[], int], observer: Observer, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._ledger = ledger
        self._now_us = now_us
        self._observer = observer
        self._timeout_s = timeout_s
        self.delivered = 0
        """Records, since the start."""
        self.set_aside = 0
        self.corrected = 0

    async def all_of(self, source: Source, on_taken: Callable[[], None] = lambda: None) -> int:
        """Deliver everything that is there; how many records that was. `on_taken` is called when the ledger has taken
        some. StorageUnavailable if it, or the journal, takes nothing more: the rest waits."""
        after = count = 0
        failure: StorageUnavailable | None = None
        while entries := await source.take(BATCH, after):
            batch = await self._hand_over(entries)
            if batch.delivered:
                on_taken()
            await self._correct(batch.delivered)
            await self._settle(source, batch)
            count += len(batch.delivered)
            failure = batch.failure or failure
            if failure is not None and not batch.delivered:
                break
            after = entries[-1].no
        if failure is not None:
            raise failure
        return count

    async def _hand_over(self, entries: Sequence[Entry]) -> _Batch:
        batch = _Batch()
        closing: list[tuple[Entry, asyncio.Future[None]]] = []
        for entry in entries:
            try:
                record = entry.record
            except msgspec.DecodeError as unreadable:
                batch.refused.append((entry, str(unreadable)))
            else:
                closing.append((entry, as_future(self._ledger.close(record))))
        if closing:
            await asyncio.wait([done for _, done in closing], timeout=self._timeout_s)
        for entry, done in closing:
            self._note(batch, entry, done)
        return batch

    def _note(self, batch: _Batch, entry: Entry, done: "asyncio.Future[None]") -> None:
        if not done.done():
            done.add_done_callback(_forget)
            batch.failure = StorageUnavailable("The storage does not answer.")
            return
        if done.cancelled():
            batch.failure = StorageUnavailable("The storage is closed.")
            return
        problem = done.exception()
        if problem is None:
            batch.delivered.append(entry)
        elif isinstance(problem, ValueError):
            batch.refused.append((entry, str(problem)))
        else:
            batch.failure = as_unavailable(problem)

    async def _correct(self, delivered: Sequence[Entry]) -> None:
        """Where others have closed a request as interrupted, say at least what it cost. An adjustment's id is the
        record's, so that it is said once."""
        for entry in delivered:
            if not entry.known:
                continue
            record = entry.record
            found = await self._ledger.get(record.opening.organization_id, entry.id)
            if found is None or not _is_known_better(record, found.record):
                continue
            if await self._ledger.adjust([self._correction(record)]):
                self.corrected += 1
                self._observer.corrected(entry.id)

    def _correction(self, record: Record) -> Adjustment:
        return Adjustment(
            id=f"adj-{record.opening.id}",
            record_id=record.opening.id,
            created_at_us=self._now_us(),
            kind=AdjustmentKind.CORRECTION,
            cost=record.cost,
            price_source=record.price_source,
            price_version=record.price_version,
            reason=REASON,
        )

    async def _settle(self, source: Source, batch: _Batch) -> None:
        now_us = self._now_us()
        refused = [SetAside(id=entry.id, at_us=now_us, reason=why, body=entry.body) for entry, why in batch.refused]
        done = [entry.no for entry in batch.delivered] + [entry.no for entry, _ in batch.refused]
        if done:
            await source.settle(done, refused)
        self.delivered += len(batch.delivered)
        self.set_aside += len(refused)
        for one in refused:
            self._observer.set_aside(one.id, one.reason)


def _is_known_better(record: Record, there: Record) -> bool:
    """Whether the record in the ledger is another one's guess."""
    return there.status is Status.INTERRUPTED and record.status is not Status.INTERRUPTED and record.cost is not None


def as_future(closing: Awaitable[None]) -> "asyncio.Future[None]":
    """What a ledger returned, as something that can be waited for together with others."""
    if isinstance(closing, asyncio.Future):
        return closing

    async def wait() -> None:
        await closing

    return asyncio.get_running_loop().create_task(wait())


def as_unavailable(problem: BaseException) -> StorageUnavailable:
    """What a ledger raised. A defect of it is no reason to lose a record: it waits, as if nothing could be written."""
    if isinstance(problem, StorageUnavailable):
        return problem
    return StorageUnavailable("The storage failed.", detail=f"{type(problem).__name__}: {problem}")


def _forget(done: "asyncio.Future[None]") -> None:
    """Look at what became of it, so that nobody complains that nobody did."""
    if not done.cancelled():
        done.exception()

"""How records reach the ledger: opened without waiting, closed before the client sees the end of its answer."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from typing import Literal

from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Opening, Record
from arouter.engine.tasks import Tasks
from arouter.store.base import Ledger
from arouter.store.written import Tell, TellingLedger

Durability = Literal["strict", "relaxed"]


class _AtOnce:
    """Is over as soon as it is awaited."""

    def __await__(self) -> Generator[None]:
        yield from ()


_AT_ONCE = _AtOnce()


class Recorder:
    """Writes each record once.

    In `strict` mode `close` returns when the record is durable; in `relaxed` mode at once, and the ledger follows.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        durability: Durability,
        tasks: Tasks,
        on_lost: Callable[[Record, StorageUnavailable], None],
    ) -> None:
        """`on_lost` is told of a record that the ledger could not take: the last chance to keep it somewhere."""
        self.open: Callable[[Opening], None] = ledger.open
        """Remember that the request runs. StorageUnavailable if the ledger takes nothing now."""
        self._ledger = ledger
        self._strict = durability == "strict"
        self._tasks = tasks
        self._on_lost = on_lost
        self.close_then: Callable[[Record, Tell], None] = self._close_then
        """As `close`, for who does not await it: calls where that returns, or with what went wrong. Then `lost` says
        what there is to tell."""
        if self._strict and isinstance(ledger, TellingLedger):
            self.close_then = ledger.close_then

    def close(self, record: Record) -> Awaitable[None]:
        """Append the record. StorageUnavailable, in strict mode, if it did not become durable or cannot be stored.

        The append is under way when this returns, and goes on if whoever awaits it is cancelled.
        """
        written = self._ledger.close(record)
        if self._strict:
            return self._wait(record, written)
        self._tasks.start("record", self._follow(record, written))
        return _AT_ONCE

    def lost(self, record: Record, failure: Exception) -> StorageUnavailable:
        """The ledger did not take a record: it is told of, and this is what its client is told."""
        if not isinstance(failure, StorageUnavailable):
            failure = StorageUnavailable("The ledger cannot hold this record.", detail=str(failure))
        self._on_lost(record, failure)
        return failure

    def _close_then(self, record: Record, tell: Tell) -> None:
        written = self._ledger.close(record)
        if self._strict:
            self._tasks.start("record", _then(written, tell))
        else:
            self._tasks.start("record", self._follow(record, written))
            tell(None)

    async def _follow(self, record: Record, written: Awaitable[None]) -> None:
        with suppress(StorageUnavailable):
            await self._wait(record, written)

    async def _wait(self, record: Record, written: Awaitable[None]) -> None:
        try:
            await written
        except (StorageUnavailable, ValueError) as refused:
            failure = self.lost(record, refused)
            if failure is refused:
                raise
            raise failure from refused


async def _then(written: Awaitable[None], tell: Tell) -> None:
    try:
        await written
    except (StorageUnavailable, ValueError) as failure:
        tell(failure)
    else:
        tell(None)

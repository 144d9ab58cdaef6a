"""What becomes of a record that is being written: told to whoever wants to be called, or awaited by whoever waits.

A future does the same and more: it is a timer's, a task's and several waiters' to look at, and calls back in another
turn of the loop. A record has one who waits, at most, and there are thousands of them each second.
"""

import asyncio
from collections.abc import Callable, Generator
from typing import Protocol, runtime_checkable

from arouter.domain.record import Record

Tell = Callable[[Exception | None], None]
"""Is called once, on the event loop, with what went wrong, or None. It raises nothing: others wait behind it."""


@runtime_checkable
class TellingLedger(Protocol):
    """A ledger that calls whoever wants to know of a record, and makes nothing that could be awaited."""

    def close_then(self, record: Record, tell: Tell) -> None:
        """As `Ledger.close`. Calls when that would be done, or with what it would raise."""


class Written:
    """For one who waits. Awaiting it raises what went wrong."""

    __slots__ = ("_failure", "_loop", "_told", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._told = False
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __await__(self) -> Generator[object, None, None]:
        if not self._told:
            if self._waiter is None:
                self._waiter = self._loop.create_future()
            yield from self._waiter
        if self._failure is not None:
            raise self._failure

    def tell(self, failure: Exception | None) -> None:
        """For whoever writes: a `Tell`."""
        self._told = True
        self._failure = failure
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

"""What becomes of something that is being written: awaited by whoever waits, or told to whoever wants to be called.

A future does the same and more: it is a timer's, a task's and several waiters' to look at, and calls back in another
turn of the loop. A record has one who waits, at most, and there are thousands of them each second.
"""

import asyncio
from collections.abc import Callable, Generator


class Written:
    """Belongs to one event loop, and to one who waits. Awaiting it raises what went wrong."""

    __slots__ = ("_failure", "_loop", "_then", "_told", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._told = False
        self._failure: Exception | None = None
        self._then: Callable[[Exception | None], None] | None = None
        self._waiter: asyncio.Future[None] | None = None

    def then(self, call: Callable[[Exception | None], None]) -> None:
        """Call with what went wrong, or None, once it is known: instead of being awaited."""
        if self._told:
            call(self._failure)
        else:
            self._then = call

    def __await__(self) -> Generator[object, None, None]:
        if not self._told:
            if self._waiter is None:
                self._waiter = self._loop.create_future()
            yield from self._waiter
        if self._failure is not None:
            raise self._failure

    # ---------------------------------------------------------------- for whoever writes

    def done(self) -> bool:
        """Whether it is told."""
        return self._told

    def set_result(self, _: object) -> None:
        """It is written."""
        self._tell(None)

    def set_exception(self, failure: Exception) -> None:
        """It is not."""
        self._tell(failure)

    def _tell(self, failure: Exception | None) -> None:
        self._told = True
        self._failure = failure
        if self._then is not None:
            self._then(failure)
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

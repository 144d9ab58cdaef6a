"""How late the event loop is: while it is busy with one thing, everything else waits."""

import asyncio
from collections.abc import Callable
from typing import Final

TICK_S: Final = 0.1


class LoopLag:
    """A timer that compares when it was due with when it came. Belongs to one event loop."""

    def __init__(self, on_tick: Callable[[float], None]) -> None:
        """`on_tick` is told, ten times a second, by how many seconds the loop was late."""
        self._on_tick = on_tick
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    def start(self) -> None:
        """On the event loop that is to be watched."""
        self._loop = asyncio.get_running_loop()
        self._arm(self._loop)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due_s = loop.time() + TICK_S
        self._timer = loop.call_at(self._due_s, self._tick)

    def _tick(self) -> None:
        assert self._loop is not None
        self._on_tick(max(0.0, self._loop.time() - self._due_s))
        self._arm(self._loop)

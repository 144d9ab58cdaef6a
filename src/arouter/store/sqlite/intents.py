"""Intents wait a moment before they are written.

The intent of a request is there for the case that the process dies before its record is. Most requests of a quick
provider, and all that are refused, end within milliseconds: their record comes first, and writing and deleting the
intent would cost more than the record. So an intent is handed over after one to two ticks, unless its record came.
The price: of a request that was younger than that when the process was killed, nothing is found after the restart.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from arouter.domain.record import Opening

TICK_S: Final = 0.025


class Intents:
    """Belongs to the event loop's thread. One timer, only while something waits."""

    def __init__(self, hand_over: Callable[[Opening], None]) -> None:
        self._hand_over = hand_over
        self._young: dict[str, Opening] = {}
        self._old: dict[str, Opening] = {}
        self._ticking: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def add(self, opening: Opening) -> None:
        if opening.id not in self._old:
            self._young.setdefault(opening.id, opening)
        if self._ticking is None:
            self._tick_later()

    def drop(self, record_id: str) -> None:
        """The record came first, or there was no such intent."""
        if self._young.pop(record_id, None) is None:
            self._old.pop(record_id, None)

    def flush(self) -> None:
        """Hand everything over now."""
        waiting = (*self._old.values(), *self._young.values())
        self._old = {}
        self._young = {}
        for opening in waiting:
            self._hand_over(opening)

    def _tick(self) -> None:
        due, self._old, self._young = self._old, self._young, {}
        for opening in due.values():
            self._hand_over(opening)
        self._ticking = None
        if self._old:
            self._tick_later()

    def _tick_later(self) -> None:
        assert self._loop is not None  # the store has started
        self._ticking = self._loop.call_later(TICK_S, self._tick)

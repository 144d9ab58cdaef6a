"""Intents wait a moment before they are written.

The intent of a request is there for the case that the process dies before its record is. Most requests of a quick
provider, and all that are refused, end within milliseconds: their record comes first, and writing and deleting the
intent would cost more than the record. So an intent waits for one to two ticks, unless its record comes; then it goes
along with the next record of whichever request, which is written anyway, or by itself after one more tick.
The price: of a request that was younger than that when the process was killed, nothing is found after the restart.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from arouter.domain.record import Opening

TICK_S: Final = 0.016


class Intents:
    """Belongs to the event loop's thread. One timer, only while something waits."""

    def __init__(self, hand_over: Callable[[list[Opening]], None]) -> None:
        self._hand_over = hand_over
        self._waiting: dict[str, Opening] = {}
        self._older: list[str] = []
        """Those that waited already at the last tick, whether they still do or not."""
        self._due: dict[str, Opening] = {}
        """They go with the next record, or at the next tick."""
        self._handed: set[str] = set()
        self._ticking: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    @property
    def count(self) -> int:
        """Of the requests that run. May be asked by any thread."""
        return len(self._waiting) + len(self._due) + len(self._handed)

    def add(self, opening: Opening) -> None:
        if opening.id not in self._due:
            self._waiting.setdefault(opening.id, opening)
            if self._ticking is None:
                self._tick_later()

    def drop(self, record_id: str) -> bool:
        """The record comes. Whether it came before its intent was handed over: then there is none to forget."""
        waited = self._waiting.pop(record_id, None) is not None
        if self._due:
            waited = self._due.pop(record_id, None) is not None or waited
            self._hand_due()
        if record_id in self._handed:
            # It may have been opened again since then.
            self._handed.discard(record_id)
            return False
        return waited

    def flush(self) -> None:
        """Hand everything over now."""
        self._hand_due()
        waiting, self._waiting = self._waiting, {}
        self._older = []
        self._hand(waiting)

    def _hand(self, openings: dict[str, Opening]) -> None:
        if openings:
            self._handed.update(openings)
            self._hand_over([*openings.values()])

    def _hand_due(self) -> None:
        due, self._due = self._due, {}
        self._hand(due)

    def _tick(self) -> None:
        self._hand_due()
        waiting = self._waiting
        self._due = {record_id: waiting.pop(record_id) for record_id in self._older if record_id in waiting}
        self._older = [*waiting]
        self._ticking = None
        if self._due or waiting:
            self._tick_later()

    def _tick_later(self) -> None:
        assert self._loop is not None  # the store has started
        self._ticking = self._loop.call_later(TICK_S, self._tick)

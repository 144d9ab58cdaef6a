"""Beside requests: closed days get columns, which summaries are read from.

Every process on the file looks; the ledger lets one of them have each day. Nothing heavy is imported before there is
a day to fold.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from arouter.domain.errors import StorageUnavailable

EVERY_S: Final = 60.0
BETWEEN_S: Final = 1.0
"""A rest between two days: requests come first."""

Day = TypeVar("Day")


class Folds(Protocol[Day]):
    """A store with columns."""

    def days_to_fold(self, now_us: int) -> Awaitable[Sequence[Day]]:
        """The days that are worth it."""

    def fold(self, day: Day, now_us: int) -> Awaitable[bool]:
        """False if somebody else does, or if its sums changed meanwhile."""


class Folding(Generic[Day]):
    """Folds, and counts."""

    def __init__(self, store: Folds[Day], *, now_us: Callable[[], int], between_s: float = BETWEEN_S) -> None:
        self._store = store
        self._now_us = now_us
        self._between_s = between_s
        self._folded = 0

    @property
    def folded(self) -> int:
        """Days since the start."""
        return self._folded

    async def once(self) -> int:
        """Fold what is to be folded; how many days. StorageUnavailable if it cannot be now."""
        folded = 0
        for day in await self._store.days_to_fold(self._now_us()):
            folded += await self._store.fold(day, self._now_us())
            await asyncio.sleep(self._between_s)
        self._folded += folded
        return folded

    async def run(self, every_s: float = EVERY_S) -> None:
        """Again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.once()
            except StorageUnavailable:
                # The storage tells of itself; the next turn tries again.
                continue

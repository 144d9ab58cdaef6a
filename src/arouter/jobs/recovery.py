"""Beside requests: what another process left open when it died becomes records, while this one runs.

Every process on the file looks, also one that has nothing to do; the ledger lets one of them have it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from arouter.domain.errors import StorageUnavailable
from arouter.store.base import Ledger

EVERY_S: Final = 5.0


class Recovery:
    """Recovers, and counts."""

    def __init__(self, ledger: Ledger, *, now_us: Callable[[], int], on_found: Callable[[int], None]) -> None:
        """`on_found` is told how many requests there were, if there were any."""
        self._ledger = ledger
        self._now_us = now_us
        self._on_found = on_found
        self._recovered = 0

    @property
    def recovered(self) -> int:
        """Since the start."""
        return self._recovered

    async def once(self) -> int:
        """Close what dead processes left; how many requests that were. StorageUnavailable if it cannot be now."""
        found = await self._ledger.recover(now_us=self._now_us())
        self._recovered += found
        return found

    async def run(self, every_s: float = EVERY_S) -> None:
        """Again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                found = await self.once()
            except StorageUnavailable:
                # The storage tells of itself, to whoever asks whether it is ready; the next turn tries again.
                continue
            if found:
                self._on_found(found)

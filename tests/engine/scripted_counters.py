"""Counters in memory that fail, or keep others waiting, when a test wants it."""

import asyncio
from collections.abc import Awaitable, Sequence

from arouter.domain.errors import StorageUnavailable
from arouter.store.base import Leased, LeaseWanted
from arouter.store.memory_counters import MemoryCounters


class ScriptedCounters(MemoryCounters):
    """The reference, with a will."""

    fails = False
    late: asyncio.Event | None = None
    """Leases are told when this is set."""
    asked = 0
    """How many transactions there were."""

    def lease(self, wanted: Sequence[LeaseWanted], *, now_us: int) -> Awaitable[Sequence[Leased]]:
        self.asked += 1
        return self._lease_late(wanted, now_us)

    async def _lease_late(self, wanted: Sequence[LeaseWanted], now_us: int) -> Sequence[Leased]:
        if self.fails:
            raise StorageUnavailable("The disk is full.")
        leased = await super().lease(wanted, now_us=now_us)
        if self.late is not None:
            await self.late.wait()
        return leased

"""Beside requests: days that ended long enough ago are sealed, and days whose time is over are deleted. Where records
lie in partitions, those of the next months are made, and empty ones dropped.

Every process on the database looks; the archive lets one of them work at a time, in steps that hold up nobody.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from arouter.domain.errors import StorageUnavailable
from arouter.store.stores import Partitions

EVERY_S: Final = 900.0
FIRST_S: Final = 10.0
DAY_US: Final = 86_400_000_000


class Days(Protocol):
    """What was done: days, and the records in them."""

    @property
    def days(self) -> int: ...
    @property
    def records(self) -> int: ...


class Sealing(Protocol):
    """What `store.sqlite.archivist` does."""

    async def seal(self, *, before_us: int) -> Days | None: ...


class Expiring(Protocol):
    """What `store.stores.Retention` says."""

    async def expire(self, *, default_days: int | None, now_us: int) -> Days | None: ...


class Housekeeping:
    """Seals and deletes, and tells."""

    def __init__(
        self,
        retention: Expiring,
        archive: Sealing | None,
        partitions: Partitions | None = None,
        *,
        seal_after_days: int | None,
        retention_days: int | None,
        now_us: Callable[[], int],
        on_done: Callable[[str, Days], None],
        on_failure: Callable[[StorageUnavailable], None],
    ) -> None:
        """Without an `archive` nothing is sealed, without `partitions` there are none to look after. `on_done` is told
        what was done, "sealed" or "expired", if anything was; `on_failure` the first failure of several in a row."""
        self._retention = retention
        self._archive = archive
        self._partitions = partitions
        self._seal_after_days = seal_after_days
        self._retention_days = retention_days
        self._now_us = now_us
        self._on_done = on_done
        self._on_failure = on_failure
        self._failed = False

    async def once(self) -> None:
        """StorageUnavailable if it cannot be done now."""
        now_us = self._now_us()
        if self._partitions is not None:
            await self._partitions.make_ahead(now_us=now_us)  # first: to delete may take hours
        expired = await self._retention.expire(default_days=self._retention_days, now_us=now_us)
        if expired is not None and expired.days:
            self._on_done("expired", expired)
        if self._partitions is not None:
            await self._partitions.drop_empty(now_us=now_us)
        if self._archive is not None and self._seal_after_days is not None:
            sealed = await self._archive.seal(before_us=now_us - self._seal_after_days * DAY_US)
            if sealed is not None and sealed.days:
                self._on_done("sealed", sealed)

    async def run(self, every_s: float = EVERY_S, first_s: float = FIRST_S) -> None:
        """Again and again, until cancelled; not before the start of everything else is over."""
        await asyncio.sleep(first_s)
        while True:
            try:
                await self.once()
            except StorageUnavailable as failure:
                if not self._failed:
                    self._on_failure(failure)
                self._failed = True
            else:
                self._failed = False
            await asyncio.sleep(every_s)

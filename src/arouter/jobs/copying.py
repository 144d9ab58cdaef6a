"""Beside requests: the copy of the ledger follows it, and forgets what has expired."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

from arouter.domain.errors import ARouterError
from arouter.store.feed import ForeignPosition
from arouter.store.routed import FOREIGN

FORGET_EVERY_S: Final = 900.0
AFTER_FAILURE_S: Final = 5.0


class Copies(Protocol):
    """Whoever writes the copy."""

    async def step(self) -> object | None:
        """Copy a stretch; None if there is nothing to do."""

    async def forget_expired(self) -> int:
        """Delete what expired; how many days."""


class Copying:
    """Follows, and tells."""

    def __init__(
        self, copier: Copies, *, on_failure: Callable[[str, str | None], None], on_forgotten: Callable[[int], None]
    ) -> None:
        """`on_failure` is told the first failure of several in a row, in words and in detail; `on_forgotten` how many
        days were deleted, if any were."""
        self._copier = copier
        self._on_failure = on_failure
        self._on_forgotten = on_forgotten
        self._failed = False
        self._forgot_at_s: float | None = None

    async def once(self) -> bool:
        """Everything that is there by now. False if it could not be copied."""
        try:
            while await self._copier.step() is not None:
                pass
            now_s = time.monotonic()
            if self._forgot_at_s is None or now_s >= self._forgot_at_s + FORGET_EVERY_S:
                self._forgot_at_s = now_s
                days = await self._copier.forget_expired()
                if days:
                    self._on_forgotten(days)
        except ARouterError as failure:
            self._tell(failure.message, failure.detail)
            return False
        except ForeignPosition as failure:
            self._tell(FOREIGN, str(failure))
            return False
        self._failed = False
        return True

    async def run(self, every_s: float) -> None:
        """Again and again, until cancelled."""
        while True:
            copied = await self.once()
            await asyncio.sleep(every_s if copied else max(every_s, AFTER_FAILURE_S))

    def _tell(self, message: str, detail: str | None) -> None:
        if not self._failed:
            self._on_failure(message, detail)
        self._failed = True

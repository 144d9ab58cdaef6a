"""What happens when the client leaves before the end: the answer is drained within bounds, or cancelled.

Draining costs what the provider charges anyway and tells what that is; cancelling may save the rest of the tokens at
providers that stop when the connection closes. Which one it is, is a setting.
"""

import asyncio
from dataclasses import dataclass
from typing import Literal

OnDisconnect = Literal["drain", "cancel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainLimits:
    """How long, how much and how many; each is a setting."""

    on_disconnect: OnDisconnect = "drain"
    timeout_s: float = 120.0
    most_bytes: int = 32 * 1024 * 1024
    most_requests: int = 1000


class Drains:
    """The drains of the process, counted. They belong to one event loop."""

    def __init__(self, limits: DrainLimits) -> None:
        self.limits = limits
        self.running = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        """Known from the first request on: to ask which one runs takes a call of the system."""


class Departure:
    """One request's client, should it leave. Made inside the task that answers it."""

    __slots__ = ("_deadline", "_drained_bytes", "_drains", "_over", "_task", "gone", "stopped")

    def __init__(self, drains: Drains) -> None:
        self._drains = drains
        if drains.loop is None:
            drains.loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(drains.loop)
        self._deadline: asyncio.TimerHandle | None = None
        self._drained_bytes = 0
        self._over = False
        self.gone = False
        self.stopped = False
        """The answer was given up."""

    def begin(self) -> None:
        """To be called when the client has left."""
        limits = self._drains.limits
        self.gone = True
        if self._over:
            return  # The client left with the last bytes on their way: there is nothing to drain or to cancel.
        if limits.on_disconnect == "cancel" or self._drains.running >= limits.most_requests:
            self._stop()
            return
        self._drains.running += 1
        self._deadline = asyncio.get_running_loop().call_later(limits.timeout_s, self._stop)

    def drained(self, size_bytes: int) -> bool:
        """So much arrived for a client that is gone. Whether that is more than is drained: give the answer up."""
        self._drained_bytes += size_bytes
        return self._drained_bytes > self._drains.limits.most_bytes

    def took_back(self) -> bool:
        """Whether a CancelledError was this one's doing, and not a shutdown's; it is then taken back."""
        return self.stopped and self._task is not None and self._task.uncancel() == 0

    def over(self) -> None:
        """The answer is at its end, one way or another: from here on a departure changes nothing."""
        self._over = True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self._drains.running -= 1

    def _stop(self) -> None:
        if not self.stopped and self._task is not None:
            self.stopped = True
            self._task.cancel()

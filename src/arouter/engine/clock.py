"""Time, as an argument."""

from time import monotonic_ns, time_ns
from typing import Protocol


class Clock(Protocol):
    """Two readings, both in microseconds."""

    def now_us(self) -> int:
        """Since the epoch; may jump."""

    def monotonic_us(self) -> int:
        """Since some instant; never goes back."""


class SystemClock:
    """The machine's own."""

    def now_us(self) -> int:
        return time_ns() // 1000

    def monotonic_us(self) -> int:
        return monotonic_ns() // 1000

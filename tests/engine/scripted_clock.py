"""A clock that a test moves."""

NOON_US = 1_795_348_800_000_000
"""2026-11-22T12:00:00Z."""


class ScriptedClock:
    """An `arouter.engine.clock.Clock`: both readings move together, by `tick_us` at each look."""

    def __init__(self, *, at_us: int = NOON_US, tick_us: int = 0) -> None:
        self._elapsed_us = 0
        self._at_us = at_us
        self._tick_us = tick_us

    def advance(self, by_us: int) -> None:
        self._elapsed_us += by_us

    def now_us(self) -> int:
        return self._at_us + self.monotonic_us()

    def monotonic_us(self) -> int:
        self._elapsed_us += self._tick_us
        return self._elapsed_us

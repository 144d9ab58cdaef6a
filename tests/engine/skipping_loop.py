"""An event loop whose time is not the clock's: where everybody waits, it skips to the first moment that somebody waits
for. What takes minutes is over at once, and goes the same way each time."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Selector(selectors.SelectSelector):
    def __init__(self, skip: Callable[[float], None]) -> None:
        super().__init__()
        self._skip = skip

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self._skip(timeout)
        return super().select(0)


class SkippingLoop(asyncio.SelectorEventLoop):
    """Begins at 0 s."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_Selector(self._skip))

    def time(self) -> float:
        return self._now_s

    def now_us(self) -> int:
        """The same, in microseconds."""
        return round(self._now_s * 1_000_000)

    def _skip(self, seconds: float) -> None:
        self._now_s += seconds


def skip_through(work: Callable[[SkippingLoop], Coroutine[Any, Any, Result]]) -> Result:
    """What comes of the work, on a loop of its own."""
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, SkippingLoop)
        return runner.run(work(loop))

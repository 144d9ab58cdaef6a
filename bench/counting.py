"""How much Python a piece of work executes: a count, which is the same on every machine, and not a time."""

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

WARM_UPS = 3
"""Times before it is counted, for caches to fill."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What one execution took. C code counts by its calls alone: one call of a decoder is one, however long."""

    bytecodes: int
    calls: int
    """Of functions, in Python and in C."""


class _Counter:
    def __init__(self) -> None:
        self.bytecodes = 0
        self.calls = 0

    def trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        elif event == "opcode":
            self.bytecodes += 1
        return self.trace

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            self.calls += 1


def count(work: Callable[[], object]) -> Counted:
    """One execution of `work`, which finds things as its execution before left them."""
    for _ in range(WARM_UPS):
        work()
    return _less(_count(work), _count(_nothing))


def _nothing() -> None:
    """What the counting itself takes."""


def _less(counted: Counted, own: Counted) -> Counted:
    return Counted(counted.bytecodes - own.bytecodes, counted.calls - own.calls)


def _count(work: Callable[[], object]) -> Counted:
    counter = _Counter()
    tracing, profiling, collecting = sys.gettrace(), sys.getprofile(), gc.isenabled()
    # A collection in between would run other objects' finalizers.
    gc.disable()
    sys.setprofile(counter.profile)
    sys.settrace(counter.trace)
    try:
        work()
    finally:
        sys.settrace(tracing)
        sys.setprofile(profiling)
        if collecting:
            gc.enable()
    return Counted(counter.bytecodes, counter.calls)

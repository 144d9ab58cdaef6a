"""A gateway as `tests.faults.launcher` starts it, on another clock: `python -m tests.faults.shifted_launcher FILE`.

The clock is the machine's, moved by what `clock` in the folder of `FILE` says: microseconds in eight bytes. Whoever
writes them moves the clocks of all gateways in that folder at once.
"""

import mmap
import struct
import sys
import time
from pathlib import Path

from arouter.settings import load
from arouter.wiring.gateway import Gateway
from arouter.wiring.server import serve
from tests.faults.launcher import tell

MOVED_BY = "clock"
_MICROSECONDS = struct.Struct("<q")


class ShiftedClock:
    """An `arouter.engine.clock.Clock`."""

    def __init__(self, file: Path) -> None:
        with file.open("rb") as opened:
            self._moved_by = mmap.mmap(opened.fileno(), _MICROSECONDS.size, access=mmap.ACCESS_READ)

    def now_us(self) -> int:
        moved_by: int = _MICROSECONDS.unpack(self._moved_by[:])[0]
        return time.time_ns() // 1000 + moved_by

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000


def set_clock(folder: Path, now_us: int) -> None:
    """What the time is now, for the gateways of a folder."""
    file = folder / MOVED_BY
    moved_by = _MICROSECONDS.pack(now_us - time.time_ns() // 1000)
    # In place: the gateways have mapped this file.
    with file.open("r+b" if file.exists() else "wb") as opened:
        opened.write(moved_by)


def main() -> int:
    """The exit code of the process."""
    file = Path(sys.argv[1])

    def on_ready(gateway: Gateway, url: str) -> None:
        tell(gateway.started(url))

    started = serve(load(file, environment={}), on_ready=on_ready, clock=ShiftedClock(file.with_name(MOVED_BY)))
    return 0 if started else 1


if __name__ == "__main__":
    sys.exit(main())

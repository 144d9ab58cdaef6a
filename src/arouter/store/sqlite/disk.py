"""What is asked of a disk for files that are not SQLite's. One that fails on demand can take its place, as another file
system can take that of SQLite."""

import os
import sys
from collections.abc import Sequence


class Disk:
    """The operating system's. OSError from each method."""

    def write(self, file: int, pieces: Sequence[bytes], offset: int) -> None:
        """All of it, one piece behind the other."""
        written = os.pwritev(file, pieces, offset)
        rest = b"" if written == sum(map(len, pieces)) else b"".join(pieces)[written:]
        # Less than all is written where there is no room for the rest: then the next call says so.
        while rest:
            done = os.pwrite(file, rest, offset + written)
            written += done
            rest = rest[done:]

    def sync(self, file: int) -> None:
        """Have all that was written survive the loss of power, with what is needed to find it."""
        if sys.platform == "darwin":
            os.fsync(file)
        else:
            os.fdatasync(file)


_disks: list[Disk] = [Disk()]


def disk() -> Disk:
    """The one that is used."""
    return _disks[-1]


def use(other: Disk) -> None:
    """Put another one in its place, in this process, until `stop_using` it."""
    _disks.append(other)


def stop_using(other: Disk) -> None:
    _disks.remove(other)

"""A file system that fails on demand, between SQLite and the real one; the store above it is the real one.

As a process: `python -m tests.faults.faulty_disk FILE` is a gateway whose faults another process sets by writing
their names, one a line, into the file that `AROUTER_FAULTY_DISK` names. Everything that SQLite does goes through
this file system, since it is made the default one: the store needs to know nothing of it.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from tests.faults import launcher

FULL = "full"
"""A write finds no room."""
WRITE_ERROR = "write error"
SYNC_ERROR = "sync error"
SHORT_WRITE = "short write"
"""Half of a write arrives, then there is no room."""
VARIABLE = "AROUTER_FAULTY_DISK"


class Disk:
    """The faults of the moment, of this process's own disk."""

    def __init__(self) -> None:
        self.faults: frozenset[str] = frozenset()

    def now(self) -> frozenset[str]:
        return self.faults


@contextmanager
def faulty_disk() -> Iterator[Disk]:
    """While it lasts, SQLite meets these faults in this process."""
    made = Disk()
    file_system = FaultyFileSystem(made.now)
    try:
        yield made
    finally:
        file_system.unregister()


class FaultyFileSystem(apsw.VFS):
    """`faults` tells which faults there are at the moment."""

    def __init__(self, faults: Callable[[], frozenset[str]]) -> None:
        self.faults = faults
        super().__init__("faulty", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "FaultyFile":
        return FaultyFile(self.faults, name, flags)


class FaultyFile(apsw.VFSFile):
    def __init__(
        self, faults: Callable[[], frozenset[str]], name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self.faults = faults
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        faults = self.faults()
        if SHORT_WRITE in faults:
            super().xWrite(data[: len(data) // 2], offset)
            raise apsw.FullError("half of it fitted")
        if FULL in faults:
            raise apsw.FullError("no space left on device")
        if WRITE_ERROR in faults:
            raise apsw.IOError("the disk does not take it")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if SYNC_ERROR in self.faults():
            raise apsw.IOError("the disk does not say that it has it")
        super().xSync(flags)


def _named_in_file() -> frozenset[str]:
    return frozenset(Path(os.environ[VARIABLE]).read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    file_system = FaultyFileSystem(_named_in_file)
    sys.exit(launcher.main())

"""A file system that fails on demand, between SQLite and the real one, and a disk that does for the store's own files;
the store above them is the real one.

As a process: `python -m tests.faults.faulty_disk FILE` is a gateway whose faults another process sets by writing
their names, one a line, into the file that `AROUTER_FAULTY_DISK` names. Everything that SQLite does goes through
this file system, since it is made the default one: the store needs to know nothing of it.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from arouter.store.sqlite import disk
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
        self.own: frozenset[str] = frozenset()
        """Of the files that are not SQLite's alone."""

    def now(self) -> frozenset[str]:
        return self.faults

    def now_of_own(self) -> frozenset[str]:
        return self.faults | self.own


@contextmanager
def faulty_disk() -> Iterator[Disk]:
    """While it lasts, SQLite meets these faults in this process."""
    made = Disk()
    file_system, own = FaultyFileSystem(made.now), FaultyOwnFiles(made.now_of_own)
    disk.use(own)
    try:
        yield made
    finally:
        disk.stop_using(own)
        file_system.unregister()


class FaultyOwnFiles(disk.Disk):
    """What the store writes without SQLite meets the same faults."""

    def __init__(self, faults: Callable[[], frozenset[str]]) -> None:
        self.faults = faults

    def write(self, file: int, pieces: Sequence[bytes], offset: int) -> None:
        faults = self.faults()
        if SHORT_WRITE in faults:
            whole = b"".join(pieces)
            super().write(file, [whole[: len(whole) // 2]], offset)
        if SHORT_WRITE in faults or FULL in faults:
            raise OSError(errno.ENOSPC, "no space left on device")
        if WRITE_ERROR in faults:
            raise OSError(errno.EIO, "the disk does not take it")
        super().write(file, pieces, offset)

    def sync(self, file: int) -> None:
        if SYNC_ERROR in self.faults():
            raise OSError(errno.EIO, "the disk does not say that it has it")
        super().sync(file)


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
    disk.use(FaultyOwnFiles(_named_in_file))
    sys.exit(launcher.main())

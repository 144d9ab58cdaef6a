"""Who may have open records: each process that does holds a lock which dies with it. One has a number before its first
intent arrives in a file.

The lock is an `flock` on a file beside the database, `<database>-owner-<number>`. A number is given out and its
file locked within one write transaction, and recovery runs within one too: nobody is ever taken for dead between
the two steps.
"""

import fcntl
import os
import time
from contextlib import suppress
from typing import Final

import apsw

from arouter.store.sqlite.statements import queries

_PATIENCE_S: Final = 1.0


class Owner:
    """This process's place among the owners; taken when it first has something to own, or files in which it may."""

    def __init__(self, path: str, started_at_us: int) -> None:
        self._path = path
        self._started_at_us = started_at_us
        self._number: int | None = None
        self._descriptor = -1

    @property
    def number(self) -> int | None:
        """None as long as nothing can be open."""
        return self._number

    def register(self, connection: apsw.Connection) -> int:
        """Take a number within the caller's transaction, or tell the one that was taken. OSError without a lock; then
        there is no number."""
        if self._number is None:
            connection.execute(queries()["add_owner"], (os.getpid(), self._started_at_us))
            number = connection.last_insert_rowid()
            try:
                self._descriptor = _locked(_lock_file(self._path, number))
            except OSError:
                connection.execute(queries()["forget_owner"], (number,))
                raise
            self._number = number
        return self._number

    def forget(self) -> None:
        """Give the lock back: the row was rolled back, or everything is closed."""
        if self._number is not None:
            _remove(_lock_file(self._path, self._number), self._descriptor)
            self._number, self._descriptor = None, -1


def all_owners(connection: apsw.Connection) -> list[int]:
    """The numbers of those that have one."""
    return [int(number) for (number,) in connection.execute(queries()["owners"]).fetchall()]  # type: ignore[arg-type]


def living_owners(connection: apsw.Connection, path: str) -> tuple[set[int], set[int]]:
    """The numbers of those whose process lives, and of those whose process is dead."""
    alive: set[int] = set()
    dead: set[int] = set()
    for number in all_owners(connection):
        (alive if is_locked(_lock_file(path, number)) else dead).add(number)
    return alive, dead


def remove_lock_files(path: str, numbers: set[int]) -> None:
    """The files of the dead."""
    for number in numbers:
        with suppress(FileNotFoundError):
            os.unlink(_lock_file(path, number))


def is_locked(path: str) -> bool:
    """Whether a process holds the lock (`flock`) on a file; False without the file. Several may ask at once, and none
    of them takes another one for the holder."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _locked(path: str) -> int:
    """A lock on the file of a number that nobody has. OSError.

    A process whose transaction was rolled back gives its number back with that, and its file a moment later: that is
    waited for, and it must not be the file that is locked here.
    """
    ends_at_s = time.monotonic() + _PATIENCE_S
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            if time.monotonic() > ends_at_s:
                os.close(descriptor)
                raise
        os.close(descriptor)
        time.sleep(0.001)


def _lock_file(path: str, number: int) -> str:
    # Beside the database itself, as its other files are, if the path is a link to it.
    return f"{os.path.realpath(path)}-owner-{number}"


def _remove(lock_file: str, descriptor: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(lock_file)
    os.close(descriptor)

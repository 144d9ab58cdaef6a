"""The journals of all processes of this machine, in one folder.

    journal-<number>.db     the journal of one process
    journal-<number>.lock   its lock, an `flock` that dies with the process
    claims                  the lock under which journals are made, taken over and deleted
    recovery                the lock of whoever delivers what the dead left

A journal whose lock is free was left by a process that is dead, or that stopped while the storage was away.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from arouter.domain.errors import StorageUnavailable

_SUFFIXES = ("-wal", "-shm", "")


class Claim:
    """A journal that this process alone may use."""

    def __init__(self, folder: "Folder", path: Path, descriptor: int) -> None:
        self._folder = folder
        self._path = path
        self._descriptor = descriptor

    @property
    def path(self) -> str:
        return str(self._path)

    def release(self, *, delete: bool) -> None:
        """Give it up; `delete` if it holds nothing. Its file is closed by now."""
        with self._folder.claiming():
            if delete:
                for suffix in _SUFFIXES:
                    Path(f"{self._path}{suffix}").unlink(missing_ok=True)
                _lock_of(self._path).unlink(missing_ok=True)
            os.close(self._descriptor)


class Folder:
    """Where the journals are."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        return self._path

    def claim(self) -> Claim:
        """A new journal. StorageUnavailable, with a text for the operator, if the folder cannot be used."""
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.claiming():
                for number in count(1):
                    path = self._path / f"journal-{number}.db"
                    if not path.exists() and (claim := self._claimed_if_free(path)) is not None:
                        return claim
        except OSError as exc:
            raise StorageUnavailable(f"No journal can be made in {self._path}.", detail=str(exc)) from exc
        raise AssertionError  # there is always another number

    def orphans(self) -> Iterator[Claim]:
        """Claim, one after the other, the journals that nobody has; each is to be released before the next. OSError."""
        for path in self.journals():
            with self.claiming():
                claim = self._claimed_if_free(path) if path.exists() else None
            if claim is not None:
                yield claim

    def journals(self) -> list[Path]:
        """All of them, whosever they are."""
        return sorted(self._path.glob("journal-*.db"))

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """Within, nobody else makes, takes or deletes a journal. OSError."""
        descriptor = _open(self._path / "claims")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def recovering(self) -> Iterator[bool]:
        """Whether this process alone may recover, within. OSError."""
        descriptor = _open(self._path / "recovery")
        try:
            yield _is_locked(descriptor)
        finally:
            os.close(descriptor)

    def _claimed_if_free(self, path: Path) -> Claim | None:
        descriptor = _open(_lock_of(path))
        if _is_locked(descriptor):
            return Claim(self, path, descriptor)
        os.close(descriptor)
        return None


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_locked(descriptor: int) -> bool:
    """Whether it is ours now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

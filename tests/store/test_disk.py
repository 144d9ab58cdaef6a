"""What the store asks of a disk for its own files: all of it is written, whatever one call of the system takes."""

import errno
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from arouter.store.sqlite import disk


class Other(disk.Disk):
    """Writes nothing."""

    def write(self, file: int, pieces: Sequence[bytes], offset: int) -> None:
        raise OSError(errno.EIO, "the disk does not take it")


def test_pieces_are_written_one_behind_the_other(tmp_path: Path) -> None:
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    disk.disk().write(file, [b"head", b"", b"records"], 3)
    disk.disk().sync(file)
    os.close(file)
    assert (tmp_path / "file").read_bytes() == b"\0\0\0headrecords"


@contextmanager
def room_for(size: int, *, until: object = None) -> Iterator[None]:
    """A file gets no longer than that; `until` the system was called so: then there is room for the rest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def make_room(_: FrameType | None, event: str, called: object) -> None:
        if event == "c_return" and called is until:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    sys.setprofile(make_room)
    try:
        yield
    finally:
        sys.setprofile(None)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("taken", range(1, 12))
def test_what_the_system_took_only_a_part_of_is_completed(tmp_path: Path, taken: int) -> None:
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    with room_for(3 + taken, until=os.pwritev):
        disk.disk().write(file, [b"head", b"records"], 3)
    os.close(file)
    assert (tmp_path / "file").read_bytes() == b"\0\0\0headrecords"


def test_what_there_is_no_room_for_is_told(tmp_path: Path) -> None:
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    with room_for(6), pytest.raises(OSError, match="too large"):
        disk.disk().write(file, [b"head", b"records"], 0)
    os.close(file)
    assert (tmp_path / "file").read_bytes() == b"headre"


def test_another_disk_is_used_until_that_ends(tmp_path: Path) -> None:
    usual, other = disk.disk(), Other()
    disk.use(other)
    try:
        assert disk.disk() is other
        with pytest.raises(OSError, match="does not take it"):
            disk.disk().write(0, [b"x"], 0)
    finally:
        disk.stop_using(other)
    assert disk.disk() is usual

"""The files in which a process keeps the records that are on disk and not yet in their tables.

`<database>-arrivals-<number>-0` and `-1`: while what is in one is booked, records arrive in the other, and who has been
booked is overwritten. A file is groups, one behind the other from its beginning; a group is a head and the packed
records of one group commit, with the intents that came with them:

    number of the file's pair, of the group, when it arrived (µs), the length of the records: 8, 8, 8, 4 bytes
    CRC-32 of these and of the records: 4 bytes

All numbers are little-endian. A group counts if its sum is right and its number follows that of the group before it in
the file: behind the last one there are zeros, half a group that was being written when the process died, or groups of
an earlier round, whose numbers are lower. A file all of whose groups are booked begins with an empty one that has the
last one's number: who looks with an older view of the database sees that there was something.

The table `arrival_files` says which files there are and up to which group each pair is booked. That changes in the
transaction that books: a group is above that number, and waits, or it is booked. Groups are booked in the order of
their numbers, so a reader that misses one which is being written must not go on behind it. The process that writes a
pair holds a lock (`flock`) on the first file; without it the files are a dead process's, and belong to whoever books.
Then there is nobody else who knows what was in a group that a disk has damaged since: it is handed on as it is, and
those behind it are found.
"""

import fcntl
import os
import secrets
import stat
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

import apsw

from arouter.store.sqlite.disk import disk
from arouter.store.sqlite.owners import is_locked
from arouter.store.sqlite.prepared import Noted, Prepared
from arouter.store.sqlite.statements import queries

MOST_UNBOOKED: Final = 16_000
"""Records in one pair of files. Who comes then is booked at once, and waits for that: none are taken faster than they
are booked for long."""

_HEAD: Final = Struct("<QQQI")
_SUM: Final = Struct("<I")
_HEAD_BYTES: Final = _HEAD.size + _SUM.size
_GROWS_BY: Final = 256 * 1024
"""Bytes. What is written where there are bytes already is synced with half of the work."""
_PIECE: Final = bytes(16 * 1024)
_SIDES: Final = (0, 1)


class Packed(NamedTuple):
    """A group as it is read back."""

    no: int
    arrived_at_us: int
    records: bytes
    """With the intents that came with them."""
    is_whole: bool = True
    """False for what was damaged, with whatever lies around it: one group or several, of which this is the last."""


class Waiting(NamedTuple):
    """A group of this process that waits."""

    no: int
    arrived_at_us: int
    records: Sequence[Prepared]
    noted: Sequence[Noted]
    side: int


class Unbooked(NamedTuple):
    """What waits in this process's pair."""

    groups: int
    records: int


class ArrivalFiles:
    """A process's own pair. One thread keeps, another one takes what was kept and books it."""

    def __init__(self, *, durable: bool) -> None:
        """`durable`: what is kept survives the loss of power."""
        self._durable = durable
        self._lock = threading.Lock()
        self._no: int | None = None
        self._owner_no = 0
        self._paths: tuple[str, ...] = ()
        self._files: list[int] = []
        self._sizes = [0, 0]
        self._claiming = self._ready = False
        self._side = 0
        self._offset = 0
        self._last = 0
        """The number of the last group, also of one that failed: a number is never used twice."""
        self._waiting: list[Waiting] = []
        self._unbooked = 0

    @property
    def no(self) -> int | None:
        """The number of the pair; None if there is none."""
        return self._no

    @property
    def unbooked(self) -> Unbooked:
        """May be asked by any thread."""
        return Unbooked(len(self._waiting), self._unbooked)

    # ------------------------------------------------------------ the thread that keeps

    def keep(
        self, records: Sequence[Prepared], packed: bytes, arrived_at_us: int, noted: Sequence[Noted] = ()
    ) -> Unbooked | None:
        """Have one group on disk, as it is `packed`; what waits now. None if it cannot be kept here: it is to be booked
        at once."""
        with self._lock:
            if not self._ready or self._unbooked + len(records) > MOST_UNBOOKED:
                return None
            if any(owner_no != self._owner_no for _, owner_no, _ in noted):
                # Its number was rolled back meanwhile, with other files, and may be another process's now.
                return None
            assert self._no is not None
            self._last += 1
            group = _group(self._no, self._last, arrived_at_us, packed)
            end = self._offset + _HEAD_BYTES + len(packed)
            file = self._files[self._side]
            try:
                if end > self._sizes[self._side]:
                    self._grow(end)
                disk().write(file, group, self._offset)
                if self._durable:
                    disk().sync(file)
            except OSError:
                # What was written before is on disk, and nothing is written behind it until that is booked: after a
                # failed sync the system may take pages for written that never were.
                self._ready = False
                return None
            self._offset = end
            self._waiting.append(Waiting(self._last, arrived_at_us, records, noted, self._side))
            self._unbooked += len(records)
            return self.unbooked

    def _grow(self, end: int) -> None:
        at = self._sizes[self._side]
        while at < end + _GROWS_BY:
            disk().write(self._files[self._side], (_PIECE,), at)
            at += len(_PIECE)
        self._sizes[self._side] = at

    # ------------------------------------------------------------ the thread that books

    def claim(self, connection: apsw.Connection, owner_no: int) -> None:
        """Make the pair, for records and the intents of `owner_no`, within a transaction of which `committed` or
        `forget` is told the end. OSError; then `drop` what there is of it."""
        path, no = connection.filename, secrets.randbits(62)
        self._claiming, self._owner_no = True, owner_no
        self._no, self._paths = no, paths_of(path, no)
        for each in self._paths:
            self._files.append(os.open(each, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            _give_to_owner_of(path, self._files[-1])
        fcntl.flock(self._files[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        _sync_folder(path)
        connection.execute(queries()["add_arrival_files"], (no, 0))

    def committed(self) -> None:
        """A transaction was: if it made the pair, that is there."""
        if self._claiming:
            self._claiming, self._ready = False, True

    def forget(self) -> None:
        """A transaction was rolled back: what it made is not there."""
        if self._claiming:
            self.drop()

    def drop(self) -> None:
        """Delete the pair: its row is not there, or not any more, and nothing waits in it."""
        paths = self._paths
        self.leave()
        for each in paths:
            with suppress(FileNotFoundError):
                os.unlink(each)

    def leave(self) -> None:
        """Let go of the pair: what waits in it is for others to book."""
        with self._lock:
            for file in self._files:
                os.close(file)
            self._no, self._files, self._paths, self._sizes = None, [], (), [0, 0]
            self._side = self._offset = self._last = self._unbooked = 0
            self._waiting = []
            self._claiming = self._ready = False

    def take(self, booked: int) -> tuple[Sequence[Waiting], int]:
        """The groups above a number, and the number of the last one that there was, whatever became of it. They wait
        until `booked` is told; others arrive in the other file meanwhile, if that is free."""
        with self._lock:
            groups = [group for group in self._waiting if group.no > booked]
            other = 1 - self._side
            if groups and all(group.side != other for group in self._waiting):
                self._side, self._offset = other, 0
            return groups, self._last

    def booked(self, through: int) -> None:
        """The groups up to this number are booked, and the transaction is committed."""
        with self._lock:
            ended = {group.side for group in self._waiting if group.no <= through}
            self._waiting = [group for group in self._waiting if group.no > through]
            self._unbooked = sum(len(group.records) for group in self._waiting)
            if self._no is None:
                return
            used = {group.side for group in self._waiting}
            if self._side not in used:
                self._offset = 0
            if not used and self._last <= through and not self._claiming:
                self._ready = True
            # So that who looks need not go through groups that are booked. One that looks at this moment may find a
            # head half written; so the other file tells of them already.
            with suppress(OSError):
                for side in sorted({*_SIDES} - used, key=lambda side: side in ended):
                    disk().write(self._files[side], _group(self._no, through, 0, b""), 0)


def paths_of(path: str, no: int) -> tuple[str, ...]:
    """The files of a pair, beside a database."""
    return tuple(f"{path}-arrivals-{no:016x}-{side}" for side in _SIDES)


def groups_above(path: str, no: int, booked: int) -> Sequence[Packed]:
    """The groups of a pair, whoever writes it, that wait: in order, and without a gap.

    Of a dead process all there are, behind what is damaged as well, and that itself.
    """
    died = is_dead(path, no)
    found = sorted(group for each in paths_of(path, no) for group in _groups(each, no, died) if group.no > booked)
    if not died:
        for place, group in enumerate(found):
            if group.no != booked + 1 + place:
                # One that was written meanwhile was missed, or one could not be written. Either is known later.
                return found[:place]
    return found


def has_groups_above(path: str, no: int, booked: int) -> bool:
    """Whether any wait, or did when a view of the database was made in which the pair is booked up to that number.

    True also if that cannot be said because a file is overwritten at this moment, which begins at its first head.
    """
    paths = paths_of(path, no)
    heads = [_first_head(each) for each in paths]
    if any(head.strip(b"\0") and _is_above(head, no, booked) for head in heads):
        return True
    if any(group.no > booked for each in paths for group in _groups(each, no)):
        return True
    return not os.path.exists(paths[0]) or heads != [_first_head(each) for each in paths]


def is_dead(path: str, no: int) -> bool:
    """Whether no process writes the pair any more."""
    return not is_locked(paths_of(path, no)[0])


def remove_if_dead(connection: apsw.Connection, path: str, no: int, booked: int) -> None:
    """Forget a pair, within a write transaction, if no process writes it any more and nothing waits in it.

    `booked` is the number of a transaction that was committed, so that the files can go before this one is.
    """
    if is_dead(path, no) and not groups_above(path, no, booked):
        # What booked them may not have waited for the disk.
        with suppress(FileNotFoundError):
            _sync(f"{path}-wal")
        connection.execute(queries()["forget_arrival_files"], (no,))
        for each in paths_of(path, no):
            with suppress(FileNotFoundError):
                os.unlink(each)


def rows_of(connection: apsw.Connection) -> Sequence[tuple[int, int]]:
    """The number of each pair, and up to which group it is booked."""
    return connection.execute(queries()["arrival_files"]).fetchall()  # type: ignore[return-value]


def _group(pair: int, no: int, arrived_at_us: int, packed: bytes) -> tuple[bytes, bytes, bytes]:
    head = _HEAD.pack(pair, no, arrived_at_us, len(packed))
    return head, _sum_of(head, packed), packed


def _sum_of(head: bytes, packed: bytes) -> bytes:
    return _SUM.pack(zlib.crc32(packed, zlib.crc32(head)))


def _first_head(path: str) -> bytes:
    with suppress(FileNotFoundError), _opened(path) as file:
        return os.pread(file, _HEAD_BYTES, 0)
    return b""


def _is_above(head: bytes, pair: int, booked: int) -> bool:
    """Whether a head is of a group that waits, or half of one."""
    if len(head) < _HEAD_BYTES:
        return True
    of_pair, no, _, _ = _HEAD.unpack_from(head)
    return bool(of_pair != pair or no > booked)


def _groups(path: str, pair: int, past_damage: bool = False) -> Iterator[Packed]:
    with suppress(FileNotFoundError), _opened(path) as file:
        yield from _groups_past_damage(file, pair) if past_damage else _groups_in(file, pair, 0)


def _groups_in(file: int, pair: int, offset: int) -> Iterator[Packed]:
    """From the one that begins at an offset up to the last of the same round, or to what is damaged."""
    size = os.fstat(file).st_size
    previous: int | None = None
    while True:
        head = os.pread(file, _HEAD_BYTES, offset)
        if len(head) < _HEAD_BYTES:
            return
        of_pair, no, arrived_at_us, length = _HEAD.unpack_from(head)
        offset += _HEAD_BYTES
        if of_pair != pair or offset + length > size or (previous is not None and no != previous + 1):
            return
        packed = os.pread(file, length, offset)
        if _sum_of(head[: _HEAD.size], packed) != head[_HEAD.size :]:
            return
        yield Packed(no, arrived_at_us, packed)
        offset += length
        previous = no


def _groups_past_damage(file: int, pair: int) -> Iterator[Packed]:
    """All of the last round, wherever they begin, and what is between two of them. Each begins with the number of the
    pair, which is as good as a mark: it was drawn at random. Those of earlier rounds are behind, with lower numbers."""
    whole = os.pread(file, os.fstat(file).st_size, 0)
    mark = pair.to_bytes(8, "little")
    ended = last = 0
    offset = whole.find(mark)
    while offset >= 0:
        begun = offset
        for group in _groups_in(file, pair, begun):
            if group.no > last:
                if offset > ended:
                    yield Packed(group.no - 1, group.arrived_at_us, whole[ended:offset], is_whole=False)
                yield group
                last, ended = group.no, offset + _HEAD_BYTES + len(group.records)
            offset += _HEAD_BYTES + len(group.records)
        offset = whole.find(mark, max(offset, begun + 1))


def _give_to_owner_of(path: str, file: int) -> None:
    """Let whoever may use the database use the file, as SQLite does with its own."""
    database = os.stat(path)
    os.fchmod(file, stat.S_IMODE(database.st_mode))
    if os.geteuid() == 0:
        os.fchown(file, database.st_uid, database.st_gid)


def _sync_folder(path: str) -> None:
    """So that the files are found after a loss of power, too."""
    _sync(str(Path(path).absolute().parent))


def _sync(path: str) -> None:
    with _opened(path) as file:
        os.fsync(file)


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """A file or a folder, to be read."""
    file = os.open(path, os.O_RDONLY)
    try:
        yield file
    finally:
        os.close(file)

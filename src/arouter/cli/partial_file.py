"""A file that is there only when it is whole. Until then it grows beside its place, and can be gone on with.

`records.csv.partial` grows, `records.csv.partial.json` says how far it is known to be whole and what it is of. Both go
away when `records.csv` is there.

What is compressed is a row of frames (gzip: members), each of which can be read by itself, and goes on behind the last
whole one. The same records make the same frames, so a file that was gone on with is the same as one that was not.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from arouter.cli.output import Failure
from arouter.domain.activity import Cursor
from arouter.wire.compression import compressor
from arouter.wire.cut_lines import Whole

RECORDS_AT_ONCE = 10_000
"""In a frame, and between two notes of how far the file is whole. A multiple of the rows that are read at once."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is of. What was begun with another plan is not gone on with."""

    format: str
    compression: str | None
    oldest_first: bool
    organization: str
    filters: dict[str, object]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a file is whole."""

    plan: Plan
    until_us: int
    started: bool = False
    """What stands before the records is there."""
    size: int = 0
    records: int = 0
    last_created_at_us: int | None = None
    last_id: str | None = None

    @property
    def last(self) -> Cursor | None:
        if self.last_created_at_us is None or self.last_id is None:
            return None
        return Cursor(self.last_created_at_us, self.last_id)


class PartialFile:
    """A context: what is raised within leaves what can be gone on with, and nothing else."""

    def __init__(self, path: Path, *, whole: Callable[[bytes], Whole] | None) -> None:
        """`whole` finds whole lines of the format; None for one that cannot be gone on with. Failure if another export
        writes it, or the folder does not take it."""
        self._path = path
        self._partial = path.with_name(f"{path.name}.partial")
        self._notes = path.with_name(f"{path.name}.partial.json")
        self._whole = whole
        try:
            descriptor = os.open(self._partial, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise Failure(f"{path} cannot be written: {exc.strerror}") from exc
        self._file: BinaryIO = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._file.close()
            raise Failure(f"another export is writing {path}") from exc
        self._progress: Progress | None = None
        self._stream = compressor(None)
        self._records_since = 0
        self._bytes_since = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if failure is not None and self._whole is None:
            self._partial.unlink(missing_ok=True)

    def found(self) -> Progress | None:
        """What an earlier export left that can be gone on with."""
        if self._whole is None:
            return None
        try:
            progress = msgspec.json.decode(self._notes.read_bytes(), type=Progress)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
        return progress if os.fstat(self._file.fileno()).st_size >= progress.size else None

    def begin(self, progress: Progress) -> Progress:
        """Go on from there; how far the file is whole after a look at the lines behind it."""
        if progress.started and progress.plan.compression is None and self._whole is not None:
            self._file.seek(progress.size)
            more = self._whole(self._file.read())
            if more.last is not None:
                progress = _further(progress, progress.size + more.size, more.lines, more.last)
        self._file.truncate(progress.size)
        self._file.seek(progress.size)
        self._stream = compressor(progress.plan.compression)
        self._progress = progress
        self._note()
        return progress

    def start(self, data: bytes | memoryview) -> None:
        """What stands before the records."""
        self._write(data)
        if self._now.plan.compression is None:
            self._mark()

    def add(self, data: bytes | memoryview, records: int, last: Cursor | None) -> None:
        """More records with the place of the last one; or what stands behind them, and None."""
        self._write(data)
        self._records_since += records
        self._progress = _further(self._now, self._now.size, records, last)
        if self._records_since >= RECORDS_AT_ONCE:
            self._mark()

    def finish(self) -> int:
        """The file is whole, and takes its place, whatever was there; its size in bytes."""
        if self._bytes_since or not self._now.size:
            self._mark()
        os.replace(self._partial, self._path)
        self._notes.unlink(missing_ok=True)
        return self._now.size

    @property
    def _now(self) -> Progress:
        assert self._progress is not None, "begin() comes first"
        return self._progress

    def _write(self, data: bytes | memoryview) -> None:
        if data:
            # What is not compressed needs no copy.
            self._file.write(data if self._now.plan.compression is None else self._stream.add(data))
            self._bytes_since += len(data)

    def _mark(self) -> None:
        """All of it is whole up to here, and on disk before that is noted."""
        self._file.write(self._stream.end())
        self._stream = compressor(self._now.plan.compression)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._records_since = self._bytes_since = 0
        self._progress = msgspec.structs.replace(self._now, started=True, size=self._file.tell())
        self._note()

    def _note(self) -> None:
        if self._whole is None:
            return
        new = self._notes.with_name(f"{self._notes.name}.new")
        new.write_bytes(msgspec.json.encode(self._now))
        os.replace(new, self._notes)


def _further(progress: Progress, size: int, records: int, last: Cursor | None) -> Progress:
    if last is None:
        return progress
    return msgspec.structs.replace(
        progress,
        size=size,
        records=progress.records + records,
        last_created_at_us=last.created_at_us,
        last_id=last.id,
    )

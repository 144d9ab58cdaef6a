"""What waits in all journals of a folder, for whoever looks from beside."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.store.journal.file import Held, JournalFile, SetAside
from arouter.store.journal.folder import Folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Of every process of this machine, those that are dead too."""

    journals: int
    unreadable: int
    """Journals among them that cannot be read; nothing else counts what is in them."""
    records: int
    openings: int
    """Requests that run, or ran when their process died."""
    set_aside: int
    oldest_us: int | None
    """When the first record that waits was closed."""
    bytes: int


def look(folder: Path) -> Waiting:
    """Count it. A folder that is not there holds nothing."""
    paths = Folder(folder).journals()
    held: list[Held] = []
    for file in _files(paths):
        with file.transaction():
            held.append(file.held())
    oldest = [one.oldest_us for one in held if one.oldest_us is not None]
    return Waiting(
        journals=len(paths),
        unreadable=len(paths) - len(held),
        records=sum(one.records for one in held),
        openings=sum(one.openings for one in held),
        set_aside=sum(one.set_aside for one in held),
        oldest_us=min(oldest, default=None),
        bytes=sum(one.bytes for one in held),
    )


def everything_set_aside(folder: Path) -> Iterator[SetAside]:
    """The records that were refused for good, by journal, oldest first."""
    for file in _files(Folder(folder).journals()):
        with file.transaction():
            found = file.all_set_aside()
        yield from found


def _files(paths: Sequence[Path]) -> Iterator[JournalFile]:
    """Those that can be read, each closed behind its turn."""
    for path in paths:
        try:
            file = JournalFile(str(path))
        except (apsw.Error, StorageUnavailable):
            continue
        with closing(file):
            yield file

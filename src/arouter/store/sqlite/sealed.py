"""Sealed days as the rest of the backend sees them: which there are, and the way to the blocks.

Records of one organization and one past UTC day are moved from rows into blocks of columns (`archive`). The archive
needs pyarrow, which takes memory and time to load: it is loaded where a question meets sealed days, not before.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import ModuleType
from typing import Final

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.domain.ids import GENERATION_PREFIX, RANDOM_BYTES, generation_id
from arouter.store.sqlite.names import fetch, to_json
from arouter.store.sqlite.rows import COLUMNS
from arouter.store.sqlite.statements import queries

DAY_US: Final = 86_400_000_000
_NEEDED = ("pyarrow", "numpy")
_ID = COLUMNS.index("id")


class DayState(IntEnum):
    """Of a sealed day."""

    WRITING = 0
    """Its blocks are being written, and nobody sees them."""
    CLEARING = 1
    """Its blocks hold. Its rows are being deleted, and nobody sees those."""
    SEALED = 2
    FORGETTING = 3
    """Its blocks are being deleted, and nobody sees them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A sealed day of one organization, `day` counted from the epoch, in the row `no`."""

    no: int
    organization_no: int
    day: int
    last_seq: int
    """Records of the day up to this are in its blocks; later ones are rows."""

    @property
    def start_us(self) -> int:
        return self.day * DAY_US

    @property
    def end_us(self) -> int:
        return (self.day + 1) * DAY_US

    @property
    def rows(self) -> tuple[int, int, int, int]:
        """Where the rows are that its blocks hold: organization, from, until, and up to which `seq`."""
        return self.organization_no, self.start_us, self.end_us, self.last_seq


def archive(module: str) -> ModuleType:
    """A module of the archive. StorageUnavailable, with a text for the operator, where the extra is not installed."""
    require_archive()
    return importlib.import_module(f"arouter.store.sqlite.archive.{module}")


def require_archive() -> None:
    """StorageUnavailable where the libraries of the archive are not installed. Does not load them."""
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise StorageUnavailable(
            "Sealed days of records are kept in columns, and the libraries for them are not installed. "
            "Install them: pip install 'arouter[analytics]'"
        )


def has_sealed_days(connection: apsw.Connection) -> bool:
    return bool(connection.execute(queries()["has_sealed_days"]).get)


def sealed_range(connection: apsw.Connection, organization_no: int) -> tuple[int, int] | None:
    """The instants between which an organization's sealed records lie, the second not included; None without any."""
    first, last = connection.execute(queries()["sealed_range"], (organization_no,)).fetchone() or (None, None)
    if first is None or last is None:
        return None
    return int(first) * DAY_US, (int(last) + 1) * DAY_US


def hidden_rows(connection: apsw.Connection, organization_no: int) -> list[tuple[int, int, int]]:
    """What an organization's rows must not show, because it is in blocks: from, until, and up to which `seq`."""
    days = fetch(connection, queries()["hidden_rows"], organization_no)
    return [(day * DAY_US, (day + 1) * DAY_US, last_seq) for day, last_seq in days]


@dataclass(frozen=True, slots=True)
class SealedIds:
    """What tells of most ids at once that they are not in sealed days."""

    first_beyond: str
    """Ids of our own from here on are younger than every sealed day. They sort by time."""
    has_others: bool
    """Whether there are sealed records whose id does not tell their time."""


NOTHING_SEALED: Final = SealedIds("", False)


def sealed_ids(connection: apsw.Connection) -> SealedIds:
    row = connection.execute(queries()["sealed_ids_range"]).fetchone()
    last_day, has_others = row or (None, 0)
    if last_day is None:
        return NOTHING_SEALED
    return SealedIds(generation_id((int(last_day) + 1) * DAY_US, bytes(RANDOM_BYTES)), has_others == 1)


def which_are_sealed(connection: apsw.Connection, known: SealedIds, record_ids: Sequence[str]) -> set[str]:
    """Those of the ids that have a sealed record. Reads blocks for ids of sealed days only."""
    if known is NOTHING_SEALED:
        return set()
    older = [each for each in record_ids if each.startswith(GENERATION_PREFIX) and each < known.first_beyond]
    found = {str(row[_ID]) for row in archive("reader").find(connection, older).rows} if older else set()
    if known.has_others:
        sql = queries()["sealed_ids"].format(unseen=queries()["unseen_days"])
        found |= {record_id for record_id, _ in fetch(connection, sql, to_json([*filter(is_unicode, record_ids)]))}
    return found


def is_unicode(text: str) -> bool:
    """What is not cannot be stored, nor looked for."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

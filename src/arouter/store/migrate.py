"""Migrations: numbered SQL files, applied once each and in order, never backwards.

A file whose first line is `-- Compatible: …`, and then what older programs need not know, adds only that: a table, an
index, a column that has a default. Programs that do not have that step work on what it made, and start on it. Any other
step needs them to know it.

A SQLite file may hold records that have arrived and are not booked yet (`sqlite.arrivals`), left by a process that was
killed, or by one that still runs. A step leaves them as they are: they are packed with the names of their columns, and
booked behind the last step, into the tables that are there then. So a name of a column never changes its meaning, and a
step that gives records a new column is not compatible: a program that does not know it could not book what a later one
left.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from arouter.domain.errors import StorageUnavailable

_COMPATIBLE = "-- Compatible: "
_FILE = re.compile(r"(\d{4})_(\w+)\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step. `number` counts from 1 without gaps."""

    number: int
    name: str
    sql: str

    @property
    def is_compatible(self) -> bool:
        """Whether programs that do not know it may work on what it made."""
        return self.sql.startswith(_COMPATIBLE)


def migrations(engine: str) -> Sequence[Migration]:
    """All steps that this version of the program knows for `engine`."""
    folder = files("arouter.store").joinpath("sql", engine, "migrations")
    return in_order((entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir())


def in_order(sources: Iterable[tuple[str, str]]) -> Sequence[Migration]:
    """The steps of (file name, SQL) pairs by number. ValueError if a number is missing or comes twice."""
    steps = []
    for file_name, sql in sources:
        match = _FILE.fullmatch(file_name)
        if match:
            steps.append(Migration(number=int(match[1]), name=match[2], sql=sql))
    steps.sort(key=lambda step: step.number)
    if [step.number for step in steps] != list(range(1, len(steps) + 1)):
        raise ValueError(f"migrations are not numbered 1 to {len(steps)}")
    return tuple(steps)


def needed(steps: Sequence[Migration]) -> int:
    """The step that a program has to know to work on a database that these steps made; 0 if it need not know any."""
    return max((step.number for step in steps if not step.is_compatible), default=0)


def pending(steps: Sequence[Migration], version: int, needs: int | None = None) -> Sequence[Migration]:
    """The steps that a database at `version` lacks: none if it is newer than the program and the program may work on
    it all the same. `needs` is what the database says that programs have to know; None if it says nothing.

    StorageUnavailable, with a text for the operator, if the program may not.
    """
    known = len(steps)
    if version <= known:
        return steps[version:]
    if needs is not None and needs <= known:
        return ()
    asks = "" if needs is None else f" and needs a program that knows version {needs}"
    raise StorageUnavailable(
        f"The database has schema version {version}{asks}; this program knows versions up to {known}. Install the "
        "version of ARouter that wrote it, or a later one. To go back to this version, restore the backup that was "
        "made before the upgrade."
    )

"""Migrations: numbered SQL files, applied once each and in order, never backwards."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from arouter.domain.errors import StorageUnavailable

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step. `number` counts from 1 without gaps."""

    number: int
    name: str
    sql: str


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


def pending(steps: Sequence[Migration], version: int) -> Sequence[Migration]:
    """The steps that a database at `version` lacks. StorageUnavailable if it is newer than the program."""
    if version > len(steps):
        raise StorageUnavailable(
            f"The database has schema version {version}; this program knows versions up to {len(steps)}. "
            "Install the version that wrote it, or a later one."
        )
    return steps[version:]

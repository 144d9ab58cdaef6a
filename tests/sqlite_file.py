"""SQLite files that are laid out already: to bring a new one to the schema takes ten times as long as to copy one."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from arouter.store.sqlite import SqliteStore


@cache
def _laid_out() -> TemporaryDirectory[str]:
    """The folder of a file as the store makes it where there was none."""
    made = TemporaryDirectory()
    SqliteStore.open(f"{made.name}/arouter.db", clock=lambda: 0)
    return made


def make_database(folder: str | Path) -> str:
    """An empty one; its path."""
    return lay_out(Path(folder) / "arouter.db")


def lay_out(path: Path) -> str:
    return str(shutil.copy(f"{_laid_out().name}/arouter.db", path))


def open_store(path: Path, clock: Callable[[], int], *, durability: str = "strict") -> SqliteStore:
    """As `SqliteStore.open`, which makes a new file just as this one is."""
    if not path.exists():
        lay_out(path)
    return SqliteStore.open(str(path), clock=clock, durability=durability)

"""Installing what is no requirement of the project, in one of several processes that need it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.gateway import ROOT

_LOCKS = ROOT / "var" / "installing"


@contextmanager
def one_installs(folder: Path) -> Iterator[None]:
    """Whoever else installs into the same folder meanwhile waits, and finds it installed."""
    _LOCKS.mkdir(parents=True, exist_ok=True)
    name = "-".join(folder.relative_to(ROOT).parts)
    with (_LOCKS / name).open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

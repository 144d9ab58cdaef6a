"""An empty database, and a process that keeps records in files beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sqlite_file import make_database
from tests.store.kept_files import Keeper


@pytest.fixture
def path(tmp_path: Path) -> str:
    return make_database(tmp_path)


@pytest.fixture
def keeper(path: str) -> Iterator[Keeper]:
    made = Keeper(path).claim()
    yield made
    made.end()

"""A gateway for each test, over each backend."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arouter.store.sqlite import SqliteStore
from tests.conformance.backends import Store
from tests.web.api.gateway import Gateway, in_memory


@pytest.fixture(params=["memory", "sqlite"])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    def in_file(clock: Callable[[], int]) -> Store:
        return SqliteStore.open(str(tmp_path / "arouter.db"), clock=clock, durability="relaxed")

    with Gateway(in_memory if request.param == "memory" else in_file) as running:
        yield running

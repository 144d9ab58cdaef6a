"""A gateway for each test, over each backend."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from arouter.store.postgres.database import PostgresStore
from arouter.store.stores import Store
from tests.postgres_server import fresh_database
from tests.sqlite_file import open_store
from tests.web.api.gateway import Gateway, in_memory

ON_POSTGRES = (
    "test_audit.py",
    "test_credits.py",
    "test_keys.py",
    "test_member_workspaces.py",
    "test_members.py",
    "test_organizations.py",
    "test_sign_in.py",
    "test_user_limits.py",
    "test_users.py",
)
"""What asks the directory more than the ledger is asked over PostgreSQL, too."""


@pytest.fixture(params=["memory", "postgres", "sqlite"])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    def in_postgres(clock: Callable[[], int]) -> Store:
        return PostgresStore.open(fresh_database(), clock=clock)

    made: dict[str, Callable[[Callable[[], int]], Store]] = {
        "memory": in_memory,
        "postgres": in_postgres,
        "sqlite": partial(open_store, tmp_path / "arouter.db", durability="relaxed"),
    }
    with Gateway(made[request.param]) as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if "[postgres" not in item.name or _is_on_postgres(item.path)]


def _is_on_postgres(path: Path) -> bool:
    return path.parent != Path(__file__).parent or path.name in ON_POSTGRES

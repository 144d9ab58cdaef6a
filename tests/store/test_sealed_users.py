"""Users of records that are no rows any more: when they were seen, and what they cost."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pyarrow as pa
import pytest

from arouter.domain.activity import Filters
from arouter.domain.money import Picodollars
from arouter.store.buckets import DAY_US
from arouter.store.migrate import migrations
from arouter.store.sqlite import SqliteStore
from tests.conformance.backends import Backend, file_of, sqlite
from tests.conformance.samples import SCOPE, append, record

DAY = 20_751
START_US = DAY * DAY_US


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = sqlite(tmp_path)
    made.clock.now_us = (DAY + 30) * DAY_US
    yield made
    made.stop()


def store_of(backend: Backend) -> SqliteStore:
    store = backend.store
    assert isinstance(store, SqliteStore)
    return store


def see(backend: Backend, user: str, at_us: int, cost: int = 1) -> None:
    opened = {"user": user, "created_at_us": START_US + at_us}
    append(backend, record(f"gen-{user}-{at_us}", opened=opened, cost=Picodollars(cost)))


def span(backend: Backend, user: str) -> tuple[int, int]:
    found = backend.run(backend.ledger.user_span(SCOPE, user))
    assert found is not None
    return found.first_seen_us - START_US, found.last_seen_us - START_US


def seal(backend: Backend) -> None:
    archivist = store_of(backend).archive
    assert backend.run(archivist.seal(before_us=(DAY + 5) * DAY_US)) is not None
    connection = apsw.Connection(file_of(backend))
    assert connection.execute("SELECT count(*) FROM records").get == 0
    connection.close()


def test_a_sealed_day_changes_nothing_of_its_users(backend: Backend) -> None:
    see(backend, "a", 7, 5)
    see(backend, "a", 9, 2)
    see(backend, "b", 8, 9)
    within = Filters(start_us=START_US + 8, end_us=START_US + 10)
    before = [span(backend, user) for user in "ab"]
    seal(backend)
    assert [span(backend, user) for user in "ab"] == before == [(7, 9), (8, 8)]
    assert [*backend.run(backend.ledger.user_costs(SCOPE, Filters()))] == [9, 7]
    assert [*backend.run(backend.ledger.user_costs(SCOPE, within))] == [9, 2]
    assert backend.run(backend.ledger.check()).problems == ()


def test_a_day_that_is_loaded_has_its_users(backend: Backend) -> None:
    see(backend, "a", -5)
    archivist = store_of(backend).archive
    texts = ("ws_a", "key-a", "/v1/messages", "success", "provider")
    numbers = backend.run(archivist.name_numbers(texts))
    users = backend.run(archivist.user_numbers("org_a", ("a", "b")))
    count = 4
    table = pa.table(
        {
            "id_text": [f"loaded-{number}" for number in range(count)],
            "request_id": ["req"] * count,
            "created_at_us": [START_US + number for number in (3, 4, 9, 11)],
            "completed_at_us": [START_US + 20] * count,
            "user_no": [users[0], users[1], users[0], None],
            "streamed": [0] * count,
            "is_byok": [0] * count,
            "attempts": [1] * count,
            "workspace_no": [numbers["ws_a"]] * count,
            "key_no": [numbers["key-a"]] * count,
            "endpoint_no": [numbers["/v1/messages"]] * count,
            "status_no": [numbers["success"]] * count,
            "usage_source_no": [numbers["provider"]] * count,
        }
    )
    backend.run(archivist.load(table, organization_id="org_a", day=DAY))
    assert [span(backend, user) for user in "ab"] == [(-5, 9), (4, 4)]


def test_an_upgrade_knows_sealed_users_by_the_quarter_of_an_hour(backend: Backend) -> None:
    see(backend, "a", 7)
    see(backend, "a", 20 * 60 * 1_000_000)
    seal(backend)
    see(backend, "a", 30 * DAY_US + 3)
    connection = apsw.Connection(file_of(backend))
    (step,) = (step for step in migrations("sqlite") if step.name == "user_spans")
    connection.execute("DROP TABLE user_spans")
    connection.execute(step.sql)
    connection.close()
    assert span(backend, "a") == (0, 30 * DAY_US + 3)

"""Records in PostgreSQL expire day by day: their sums stay, what is left is proven, nobody gets a part for a whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arouter.domain.activity import Dimension, Filters, SummaryQuery
from arouter.domain.audit import AuditQuery
from arouter.domain.errors import InvalidRequest
from arouter.domain.record import Record
from arouter.domain.windows import DAY_US
from arouter.store.base import Home
from arouter.store.postgres.database import PostgresStore
from arouter.store.postgres.retention import Retention
from arouter.store.postgres.statements import queries
from arouter.store.stores import Expired
from tests.conformance.backends import Backend, postgres
from tests.conformance.samples import NOON_US, SCOPE, adjust, adjustment, append, ids, record
from tests.conformance.test_ledger import assert_sound
from tests.store.postgres.ledgers import gateway

DAY = NOON_US // DAY_US
HOME = Home(organization_id="org_a", workspace_id="ws_a", secret=b"x" * 32)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = postgres(tmp_path)
    made.run(made.directory.home(HOME, now_us=0))
    yield made
    made.stop()


def retention_of(backend: Backend) -> Retention:
    assert isinstance(backend.store, PostgresStore)
    return backend.store.retention


def expire(backend: Backend, days: int | None, now_us: int) -> Expired | None:
    return backend.run(retention_of(backend).expire(default_days=days, now_us=now_us, at_once=3))


def at(seconds: int, **changes: Any) -> Record:
    opened = {"created_at_us": DAY * DAY_US + seconds * 1_000_000, "tags": ("x",)}
    return record(f"gen-{seconds:06}", opened=opened, **changes)


def test_records_expire_day_by_day_and_their_sums_stay(backend: Backend) -> None:
    old = [at(number, is_byok=number % 2 == 0) for number in range(10)]
    new = [at(86_400 + number) for number in range(5)]
    append(backend, *old, *new)
    adjust(backend, adjustment("adj-1", old[3].opening.id, 5), adjustment("adj-2", new[3].opening.id, 5))
    asked = SummaryQuery(scope=SCOPE, group_by=(Dimension.DAY, Dimension.MODEL))
    before = backend.run(backend.ledger.summary(asked))
    own = backend.run(backend.ledger.byok_spending("key-a", day_us=0, week_us=0, month_us=0))
    assert expire(backend, None, (DAY + 11) * DAY_US) == Expired(days=0, records=0)
    assert expire(backend, 10, (DAY + 11) * DAY_US) == Expired(days=1, records=10)
    assert expire(backend, 10, (DAY + 11) * DAY_US) == Expired(days=0, records=0)
    assert ids(backend, descending=False) == [each.opening.id for each in new]
    assert backend.run(backend.ledger.get("org_a", old[0].opening.id)) is None
    assert backend.run(backend.ledger.adjustments_of("org_a", old[3].opening.id)) == ()
    assert adjust(backend, adjustment("adj-3", old[0].opening.id, 5)) == 0
    assert backend.run(backend.ledger.summary(asked)).rows == before.rows
    assert backend.run(backend.ledger.byok_spending("key-a", day_us=0, week_us=0, month_us=0)) == own
    assert_sound(backend)


def test_a_late_record_of_an_expired_day_is_there_until_the_next_time(backend: Backend) -> None:
    append(backend, at(1), at(86_400))
    assert expire(backend, 1, (DAY + 2) * DAY_US) == Expired(days=1, records=1)
    append(backend, at(2))
    assert_sound(backend)
    assert ids(backend) == ["gen-086400", "gen-000002"]
    assert expire(backend, 1, (DAY + 2) * DAY_US) == Expired(days=1, records=1)
    assert ids(backend) == ["gen-086400"]
    assert_sound(backend)


def test_a_summary_that_needs_expired_records_names_the_first_whole_day(backend: Backend) -> None:
    append(backend, at(1), at(86_401))
    expire(backend, 1, (DAY + 2) * DAY_US)

    def asked(*group_by: Dimension, **filters: int) -> int:
        query = SummaryQuery(scope=SCOPE, group_by=group_by, filters=Filters(**filters))  # type: ignore[arg-type]
        return backend.run(backend.ledger.summary(query)).totals.requests

    assert asked(Dimension.USER) == 2
    assert asked(Dimension.TAG, start_us=(DAY + 1) * DAY_US) == 1
    for refused in ({"start_us": DAY * DAY_US + 1}, {"updated_since_us": 1}):
        with pytest.raises(InvalidRequest, match="2026-09-22T00:00:00Z") as told:
            asked(**refused)
        assert told.value.code == "records_expired"


def test_an_organizations_own_number_of_days_goes_before_the_default_and_is_noted(backend: Backend) -> None:
    append(backend, at(1))

    retention = retention_of(backend)
    backend.run(retention.set_retention_days("org_a", 30))
    backend.run(retention.set_retention_days("org_none", 30))
    assert backend.run(retention.retention_days("org_a")) == 30
    assert expire(backend, 1, (DAY + 20) * DAY_US) == Expired(days=0, records=0)
    assert expire(backend, None, (DAY + 31) * DAY_US) == Expired(days=1, records=1)
    noted = backend.run(backend.directory.audit_page(AuditQuery(organization_id="org_a")))
    assert noted[0].after == '{"retention_days":30}'


def test_only_one_process_at_a_time_deletes(backend: Backend) -> None:
    async def run() -> Expired | None:
        assert isinstance(backend.store, PostgresStore)
        async with gateway(backend.store.url) as other, other.pool.lend() as connection:
            await connection.fetchval(queries("retention")["take_turn"])
            return await backend.store.retention.expire(default_days=1, now_us=NOON_US)

    assert backend.run(run()) is None

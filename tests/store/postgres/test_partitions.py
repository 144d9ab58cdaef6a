"""Partitions of records: there before their months begin, gone when these are over and nothing is in them."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import Dimension, SummaryQuery
from arouter.domain.windows import DAY_US
from arouter.store.base import Home
from arouter.store.postgres.database import PostgresStore
from arouter.store.postgres.partitions import (
    AHEAD,
    Partitions,
    bounds_of,
    month_of,
    month_of_name,
    months_ahead,
    name_of,
    next_month,
)
from arouter.store.postgres.statements import queries
from tests.conformance.backends import Backend, postgres
from tests.conformance.samples import SCOPE, append, ids, record
from tests.conformance.test_ledger import assert_sound
from tests.store.postgres.ledgers import Gateway, gateway

HOME = Home(organization_id="org_a", workspace_id="ws_a", secret=b"x" * 32)
OF_YEARS = {"records_before", "records_beyond"}


def us(year: int, month: int, day: int = 1) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    """Without the partitions that an earlier test left in the same database."""
    made = postgres(tmp_path)
    made.run(made.directory.home(HOME, now_us=0))
    while names(made):
        made.run(store_of(made).partitions.drop_empty(now_us=us(2199, 1)))
    yield made
    made.stop()


def store_of(backend: Backend) -> PostgresStore:
    assert isinstance(backend.store, PostgresStore)
    return backend.store


def names(backend: Backend) -> set[str]:
    """The partitions of single months."""

    async def read() -> set[str]:
        async with gateway(store_of(backend).url) as other, other.pool.lend() as connection:
            return {row["relname"] for row in await connection.fetch(queries("ledger")["partitions"])}

    return backend.run(read()) - OF_YEARS


def write(backend: Backend, *moments_us: int) -> None:
    append(backend, *(record(f"gen-{at_us}", opened={"created_at_us": at_us}) for at_us in moments_us))


async def dropped_in_the_end(partitions: Partitions, now_us: int) -> int:
    """Whatever else the server does at a moment, its own vacuum among it, may leave a partition to the next time."""
    for _ in range(100):
        if dropped := await partitions.drop_empty(now_us=now_us):
            return dropped
        await asyncio.sleep(0.02)
    return 0


def expire(backend: Backend, now_us: int, days: int = 1) -> None:
    backend.run(store_of(backend).retention.expire(default_days=days, now_us=now_us))


def drop(backend: Backend, now_us: int) -> int:
    return backend.run(store_of(backend).partitions.drop_empty(now_us=now_us))


def expire_and_drop(backend: Backend, now_us: int) -> int:
    expire(backend, now_us)
    return backend.run(dropped_in_the_end(store_of(backend).partitions, now_us))


@given(st.integers(us(2019, 12), us(2200, 2)))
def test_a_month_is_found_by_its_name_and_its_moments(at_us: int) -> None:
    month = month_of(at_us)
    if month is None:
        assert at_us < us(2020, 1) or at_us >= us(2200, 1)
        assert months_ahead(at_us) == []
        return
    first, beyond = bounds_of(month)
    assert first <= at_us < beyond
    assert month_of_name(name_of(month)) == month
    assert month_of(beyond) in (next_month(month), None)
    ahead = months_ahead(at_us)
    assert ahead[0] == month
    assert ahead == [found for found in ahead if month_of(bounds_of(found)[0]) == found]
    assert len(ahead) == AHEAD + 1 or ahead[-1] == (2199, 12)


def test_the_partitions_of_many_years_are_of_no_month() -> None:
    assert [month_of_name(name) for name in sorted(OF_YEARS)] == [None, None]


def test_the_next_months_are_there_before_their_first_record(backend: Backend) -> None:
    partitions = store_of(backend).partitions
    backend.run(partitions.make_ahead(now_us=us(2026, 11, 28)))
    assert names(backend) == {"records_2026_11", "records_2026_12", "records_2027_01"}
    write(backend, us(2026, 12, 31))
    backend.run(partitions.make_ahead(now_us=us(2026, 11, 29)))
    assert names(backend) == {"records_2026_11", "records_2026_12", "records_2027_01"}
    backend.run(partitions.make_ahead(now_us=us(2026, 12)))
    assert names(backend) == {"records_2026_11", "records_2026_12", "records_2027_01", "records_2027_02"}
    assert_sound(backend)


def test_a_month_is_dropped_when_its_last_record_has_expired(backend: Backend) -> None:
    write(backend, us(2026, 9, 3), us(2026, 9, 28), us(2026, 10, 2))
    asked = SummaryQuery(scope=SCOPE, group_by=(Dimension.DAY,))
    before = backend.run(backend.ledger.summary(asked))
    expire(backend, us(2026, 9, 20))
    assert drop(backend, us(2026, 9, 20)) == 0, "the month is not over"
    expire(backend, us(2026, 10, 3), days=20)
    assert drop(backend, us(2026, 10, 3)) == 0, "a record of it is kept"
    assert names(backend) == {"records_2026_09", "records_2026_10"}
    assert expire_and_drop(backend, us(2026, 10, 3)) == 1
    assert names(backend) == {"records_2026_10"}
    assert backend.run(backend.ledger.summary(asked)).rows == before.rows
    assert len(ids(backend)) == 1
    assert_sound(backend)


def test_a_month_without_any_record_is_dropped_when_it_is_over(backend: Backend) -> None:
    partitions = store_of(backend).partitions
    backend.run(partitions.make_ahead(now_us=us(2026, 9)))
    assert drop(backend, us(2026, 10) - 1) == 0
    assert backend.run(dropped_in_the_end(partitions, us(2026, 10))) == 1
    assert names(backend) == {"records_2026_10", "records_2026_11"}


def test_a_late_record_of_a_dropped_month_is_recorded_all_the_same(backend: Backend) -> None:
    write(backend, us(2026, 9, 3))
    assert expire_and_drop(backend, us(2026, 10, 3)) == 1
    write(backend, us(2026, 9, 4), us(2026, 9, 4) + DAY_US)
    assert names(backend) == {"records_2026_09"}
    assert len(ids(backend)) == 2
    assert_sound(backend)


def test_what_somebody_still_sees_or_reads_stays_and_nobody_waits_for_it(backend: Backend) -> None:
    """A report that began before the records expired sees them to its end."""
    write(backend, us(2026, 9, 3))

    async def run() -> None:
        store = store_of(backend)
        drop_once = store.partitions.drop_empty
        async with gateway(store.url) as other:
            async with other.pool.transaction("repeatable_read", readonly=True) as reading:
                await reading.fetchval("SELECT 1 FROM organizations")  # From now on this moment is what it sees.
                await store.retention.expire(default_days=1, now_us=us(2026, 10, 3))
                assert await drop_once(now_us=us(2026, 10, 3)) == 0
                assert await reading.fetchval("SELECT count(*) FROM records") == 1
            async with other.pool.transaction() as reading:
                await reading.execute("LOCK TABLE ONLY records IN ACCESS SHARE MODE")  # As everybody who reads.
                assert await drop_once(now_us=us(2026, 10, 3)) == 0
            assert await dropped_in_the_end(store.partitions, us(2026, 10, 3)) == 1

    backend.run(run())


def test_no_record_is_lost_whose_month_is_dropped_at_that_moment(backend: Backend) -> None:
    async def run() -> int:
        store = store_of(backend)
        dropped = written = 0

        async def write_on() -> None:
            nonlocal written
            while dropped < 3:
                opened = {"created_at_us": us(2026, 9, 3) + written}
                await store.ledger.close(record(f"gen-{written}", opened=opened))
                written += 1
                await asyncio.sleep(0.05)  # So long everything may be gone.

        writing = asyncio.ensure_future(write_on())
        while not writing.done():
            await store.retention.expire(default_days=1, now_us=us(2026, 10, 3))
            dropped += await store.partitions.drop_empty(now_us=us(2026, 10, 3))
        await writing
        return written

    written = backend.run(run())
    asked = SummaryQuery(scope=SCOPE, group_by=(Dimension.DAY,))
    assert backend.run(backend.ledger.summary(asked)).totals.requests == written
    assert store_of(backend).lost == 0
    assert_sound(backend)


def test_of_several_processes_one_drops_a_month_and_all_make_the_same(backend: Backend) -> None:
    async def run() -> None:
        store = store_of(backend)
        async with gateway(store.url) as other:
            every = [store.partitions, Partitions(other.pool)]
            await asyncio.gather(*(one.make_ahead(now_us=us(2026, 9)) for one in every))
            assert await _count(other) == 3 + len(OF_YEARS)
            dropped = 0
            while not dropped:
                # Who comes while the other one works may leave it to the next time; never is it counted twice.
                dropped = sum(await asyncio.gather(*(one.drop_empty(now_us=us(2026, 10)) for one in every)))
            assert dropped == 1
            assert await _count(other) == 2 + len(OF_YEARS)

    backend.run(run())


async def _count(of: Gateway) -> int:
    return await of.ask("SELECT count(*) FROM pg_inherits WHERE inhparent = 'records'::regclass")

"""The ledger of several gateways in PostgreSQL, copied to ClickHouse while they write: everything exactly once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from arouter.domain.activity import ActivityQuery, Dimension, SummaryQuery
from arouter.domain.record import Record
from arouter.domain.windows import DAY_US
from arouter.store.base import Home
from arouter.store.clickhouse.copier import Copier
from arouter.store.clickhouse.reader import ClickHouseReader
from arouter.store.feed import BEGINNING, Changes, ExpiredDay, Feed
from arouter.store.postgres.database import PostgresStore
from arouter.store.stores import Store
from tests.conformance.backends import Backend, inside, postgres
from tests.conformance.samples import NOON_US, SCOPE, adjust, adjustment, append, record
from tests.store.clickhouse.engine import new_place

USERS = ("alice", "bob", "u\x00\x01", "", None)
TURNS = 14
MOST = 7
"""Records of one turn, from 1 on."""
WRITTEN = 2 * TURNS // MOST * sum(range(1, MOST + 1))
QUESTIONS = ((), (Dimension.USER,), (Dimension.MODEL, Dimension.DAY))


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = postgres(tmp_path)
    yield made
    made.stop()


async def changes_of(feed: Feed, limit: int) -> list[Changes]:
    found, place = [], BEGINNING
    while (stretch := await feed.after(place, limit=limit)) is not None:
        found.append(await feed.read(stretch))
        place = stretch.until
    return found


async def follow(one: Copier) -> int:
    """Copy what is there; in how many steps."""
    steps = 0
    while await one.step() is not None:
        steps += 1
    return steps


def write(store: Store, name: str) -> Callable[[], Awaitable[None]]:
    """One gateway's work: records of many batches, costs of some of them said again, and again."""

    async def run() -> None:
        for turn in range(TURNS):
            records = [
                record(
                    f"{name}-{turn}-{number}",
                    opened={"user": USERS[number % 5], "created_at_us": NOON_US + (turn % 3) * 20 * DAY_US + number},
                )
                for number in range(1 + turn % MOST)
            ]
            for done in [store.ledger.close(each) for each in records]:
                await done
            targets = [f"{name}-{earlier}-0" for earlier in range(max(0, turn - 2), turn + 1)]
            await store.ledger.adjust([adjustment(f"adj-{turn}-{each}", each, 100 * turn) for each in targets])

    return run


def assert_equal(backend: Backend, one: Copier) -> None:
    """Every sum and every page of the copy is the ledger's."""
    reader = ClickHouseReader(inside(), one, backend.directory)

    async def run() -> None:
        state = await reader.state()
        asked = [SummaryQuery(scope=SCOPE, group_by=group_by) for group_by in QUESTIONS]
        for kept, found in zip(
            await backend.ledger.summaries(asked), await reader.summaries(state, asked), strict=True
        ):
            assert (found.rows, found.totals) == (kept.rows, kept.totals)
        page = ActivityQuery(scope=SCOPE, limit=1_000)
        assert (await reader.page(state, page)).rows == (await backend.ledger.page(page)).rows

    backend.run(run())


def test_two_gateways_write_while_two_copiers_follow_and_everything_is_there_once(backend: Backend) -> None:
    other = backend.beside()
    place = new_place()
    first = Copier(inside(), place, backend.store.feed, at_once=7)
    second = Copier(inside(), place, other.feed, at_once=3)

    async def run() -> int:
        await first.prepare()
        writing = asyncio.gather(write(backend.store, "a")(), write(other, "b")())
        steps = 0
        while not writing.done():
            steps += sum(await asyncio.gather(follow(first), follow(second)))
        await writing
        return steps + await follow(first)

    assert backend.run(run()) > 3
    assert_equal(backend, first)
    found = backend.run(changes_of(other.feed, 5))
    ids = [one.record.opening.id for changes in found for one in changes.records]
    assert (len(ids), len({*ids})) == (WRITTEN, WRITTEN)
    numbers = [one.no for changes in found for one in changes.adjustments]
    assert numbers == sorted({*numbers})
    backend.run(other.close())


def test_a_copier_that_is_behind_copies_costs_as_they_were_said(backend: Backend) -> None:
    one = Copier(inside(), new_place(), backend.store.feed, at_once=2)
    append(backend, record("gen-1"), record("gen-2"), record("gen-3"))
    adjust(backend, adjustment("adj-1", "gen-1", 7))
    assert backend.run(one.step()) is not None
    append(backend, record("gen-4"))
    # In one transaction, and one after the other.
    adjust(
        backend, adjustment("adj-2", "gen-1", 8), adjustment("adj-3", "gen-1", None), adjustment("adj-4", "gen-4", 1)
    )
    adjust(backend, adjustment("adj-5", "gen-1", 9))
    backend.run(follow(one))
    assert_equal(backend, one)
    told = [
        (said.adjustment.id, said.cost_before, said.adjustment.cost)
        for changes in backend.run(changes_of(backend.store.feed, 2))
        for said in changes.adjustments
    ]
    cost = record("gen-1").cost
    assert told == [
        ("adj-1", cost, 7),
        ("adj-2", 7, 8),
        ("adj-3", 8, None),
        ("adj-4", cost, 1),
        ("adj-5", None, 9),
    ]


def test_a_batch_larger_than_what_is_asked_for_comes_in_parts(backend: Backend) -> None:
    records: Sequence[Record] = [record(f"gen-{number:03}") for number in range(130)]
    append(backend, *records)
    adjust(backend, *(adjustment(f"adj-{number}", "gen-000", number) for number in range(9)))
    found = backend.run(changes_of(backend.store.feed, 60))
    assert [len(changes.records) for changes in found] == [60, 60, 10]
    assert [one.record for changes in found for one in changes.records] == [*records]
    # Adjustments that were written together stay together.
    assert [len(changes.adjustments) for changes in backend.run(changes_of(backend.store.feed, 4))][-1] == 9


def test_who_waits_to_write_is_waited_for_before_an_instant_is_settled(backend: Backend) -> None:
    store = backend.store
    assert isinstance(store, PostgresStore)

    async def run() -> tuple[bool, bool]:
        async with store._pool.transaction() as writing:
            await writing.execute("UPDATE ledger_head SET no = no")  # as one who is about to commit
            backend.clock.now_us += 1
            settling = asyncio.ensure_future(store.feed.settled_us())
            waits = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"
            async with store._pool.lend() as looking:
                while not await looking.fetchval(waits):
                    pass
            was_settled = settling.done()
        return was_settled, await settling == backend.clock()

    assert backend.run(run()) == (False, True)


def test_days_that_expired_are_told_and_leave_the_copy(backend: Backend) -> None:
    home = Home(organization_id=SCOPE.organization_id, workspace_id="ws_a", secret=b"x" * 32)
    backend.run(backend.directory.home(home, now_us=0))
    old = [record(f"gen-{number}") for number in range(5)]
    append(backend, *old, record("gen-young", opened={"created_at_us": NOON_US + 40 * DAY_US}))
    adjust(backend, adjustment("adj-1", "gen-1", 7), adjustment("adj-2", "gen-young", 8))
    one = Copier(inside(), new_place(), backend.store.feed, at_once=3)
    assert backend.run(one.step()) is not None
    store = backend.store
    assert isinstance(store, PostgresStore)
    backend.run(store.retention.expire(default_days=10, now_us=NOON_US + 41 * DAY_US))
    day = ExpiredDay(organization_id=SCOPE.organization_id, day=NOON_US // DAY_US)
    assert [*backend.run(store.feed.expired_days())] == [day]
    # What was not copied yet is gone: neither its record nor what was said of it comes any more.
    backend.run(follow(one))
    (changes,) = backend.run(changes_of(store.feed, 100))
    assert [each.record.opening.id for each in changes.records] == ["gen-young"]
    assert [each.adjustment.id for each in changes.adjustments] == ["adj-2"]
    assert backend.run(one.forget_expired()) == 1
    reader = ClickHouseReader(inside(), one, backend.directory)
    state = backend.run(reader.state())
    (found,) = backend.run(reader.summaries(state, [SummaryQuery(scope=SCOPE)]))
    assert (found.totals.requests, found.totals.cost) == (1, 8)

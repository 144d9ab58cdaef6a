"""The copy has every record and every adjustment exactly once, whoever dies when, and however many copy."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from arouter.domain.activity import Dimension, Filters, Summary, SummaryQuery
from arouter.domain.errors import StorageUnavailable
from arouter.store.clickhouse.connections import CopyGone
from arouter.store.clickhouse.copier import Copier, State
from arouter.store.clickhouse.reader import ClickHouseReader
from arouter.store.clickhouse.schema import Place
from arouter.store.feed import ForeignPosition
from arouter.store.sqlite.sealed import DAY_US
from tests.conformance.backends import Backend, inside, memory, sqlite
from tests.conformance.samples import NOON_US, SCOPE, adjust, adjustment, append, record
from tests.store.clickhouse.engine import BreakingConnections, new_place
from tests.store.test_retention import expire, organization


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Backend]:
    """One with more than a step holds, so that a copier of three at a time takes several."""
    made = sqlite(tmp_path)
    append(made, *(record(f"gen-{number}") for number in range(5)))
    adjust(made, adjustment("adj-1", "gen-1", 7), adjustment("adj-2", "gen-2", None))
    append(made, *(record(f"gen-{number}", opened={"user": None}) for number in range(5, 9)))
    adjust(made, adjustment("adj-3", "gen-1", 8))
    yield made
    made.stop()


def copier(ledger: Backend, place: Place, breaking: BreakingConnections | None = None, at_once: int = 3) -> Copier:
    return Copier(breaking or inside(), place, ledger.store.feed, at_once=at_once)


def copy(ledger: Backend, one: Copier) -> int:
    """Everything; in how many steps."""

    async def run() -> int:
        steps = 0
        while await one.step() is not None:
            steps += 1
        return steps

    return ledger.run(run())


def copied(ledger: Backend, one: Copier, *group_by: Dimension) -> Summary:
    reader = ClickHouseReader(inside(), one, ledger.directory)

    async def run() -> Summary:
        (found,) = await reader.summaries(await reader.state(), [SummaryQuery(scope=SCOPE, group_by=group_by)])
        return found

    return ledger.run(run())


def assert_equal(ledger: Backend, one: Copier) -> None:
    for group_by in ((), (Dimension.USER,), (Dimension.MODEL, Dimension.DAY)):
        kept = ledger.run(ledger.ledger.summary(SummaryQuery(scope=SCOPE, group_by=group_by)))
        found = copied(ledger, one, *group_by)
        assert (found.rows, found.totals) == (kept.rows, kept.totals)


def rows_of(ledger: Backend, state: State) -> int:
    sql = f"SELECT count() FROM {state.tables.place.database}.{state.tables.records}"
    ((count,),) = ledger.run(inside().run(lambda client: client.query(sql, {})))
    return int(count)


def test_a_copy_is_made_in_steps_and_goes_on_where_it_was(ledger: Backend) -> None:
    place = new_place()
    one = copier(ledger, place)
    with pytest.raises(CopyGone):
        ledger.run(one.state())
    assert copy(ledger, one) > 3
    assert_equal(ledger, one)
    assert copy(ledger, one) == 0
    append(ledger, record("gen-later"))
    adjust(ledger, adjustment("adj-later", "gen-later", 1))
    another = copier(ledger, place)
    assert copy(ledger, another) == 1
    assert_equal(ledger, another)
    assert rows_of(ledger, ledger.run(another.state())) == 14


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("insert", range(6))
def test_whoever_dies_in_the_middle_of_a_step_leaves_nothing_out_and_nothing_twice(
    ledger: Backend, insert: int, how: str
) -> None:
    """Of each step the inserts are the plan, the records, and that it is done."""
    place, breaking = new_place(), BreakingConnections()
    breaking.breaks = [*[None] * insert, how]
    with pytest.raises(StorageUnavailable):
        copy(ledger, copier(ledger, place, breaking))
    # More was written meanwhile: what was planned is copied as it was planned.
    append(ledger, record("gen-later"))
    next_one = copier(ledger, place, at_once=100)
    copy(ledger, next_one)
    assert_equal(ledger, next_one)
    assert rows_of(ledger, ledger.run(next_one.state())) == 13


def test_several_may_copy_at_once(ledger: Backend) -> None:
    place = new_place()
    several = [copier(ledger, place, at_once=size) for size in (1, 2, 3, 5)]

    async def run() -> None:
        async def all_of(one: Copier) -> None:
            while await one.step() is not None:
                pass

        await several[0].prepare()
        await asyncio.gather(*map(all_of, several))

    ledger.run(run())
    assert_equal(ledger, several[0])
    assert rows_of(ledger, ledger.run(several[0].state())) == 12


def test_a_stretch_is_left_to_whoever_planned_it_for_a_while(ledger: Backend) -> None:
    place, breaking = new_place(), BreakingConnections()
    breaking.breaks = [None, "before"]
    with pytest.raises(StorageUnavailable):
        copy(ledger, copier(ledger, place, breaking))
    patient = Copier(inside(), place, ledger.store.feed, at_once=3, patience_s=3600)
    assert ledger.run(patient.step()) is None
    assert ledger.run(patient.state()).done is None
    impatient = copier(ledger, place)
    copy(ledger, impatient)
    assert_equal(ledger, impatient)


def test_a_copy_of_another_ledger_is_neither_added_to_nor_asked(ledger: Backend, tmp_path: Path) -> None:
    place = new_place()
    copy(ledger, copier(ledger, place))
    other = memory(tmp_path)
    append(other, *(record(f"other-{number}") for number in range(20)))
    with pytest.raises(ForeignPosition):
        other.run(copier(other, place).step())
    other.stop()


def test_a_copy_is_made_anew_and_whoever_wrote_to_the_old_one_goes_on_with_it(ledger: Backend) -> None:
    place = new_place()
    old, new = copier(ledger, place), copier(ledger, place)
    ledger.run(old.step())
    state = ledger.run(new.make_anew())
    assert (state.tables.generation, state.done) == (2, None)
    with pytest.raises(CopyGone):
        ledger.run(old.state())
    copy(ledger, old)
    assert_equal(ledger, new)
    assert rows_of(ledger, ledger.run(new.state())) == 12


def test_a_copy_says_since_when_something_may_be_missing(ledger: Backend) -> None:
    one = copier(ledger, new_place(), at_once=100)
    assert ledger.run(one.prepare()).as_of_us is None
    copy(ledger, one)
    first_us = ledger.clock()
    assert ledger.run(one.state()).as_of_us == first_us
    ledger.clock.now_us += 50
    append(ledger, record("gen-later"))
    assert ledger.run(one.state()).as_of_us == first_us
    copy(ledger, one)
    assert ledger.run(one.state()).as_of_us == first_us + 50


def test_what_expired_in_the_ledger_is_deleted_from_the_copy(ledger: Backend) -> None:
    organization(ledger)
    append(ledger, record("gen-young", opened={"created_at_us": NOON_US + 40 * DAY_US}))
    one = copier(ledger, new_place())
    copy(ledger, one)
    assert rows_of(ledger, ledger.run(one.state())) == 13
    assert ledger.run(one.forget_expired()) == 0
    assert expire(ledger, 10, NOON_US + 41 * DAY_US) == (1, 9)
    assert ledger.run(one.forget_expired()) == 1
    assert rows_of(ledger, ledger.run(one.state())) == 1
    found = copied(ledger, one, Dimension.USER)
    assert [(row.group, row.totals.requests) for row in found.rows] == [(("alice",), 1)]
    since = Filters(start_us=NOON_US + 30 * DAY_US)
    kept = ledger.run(ledger.ledger.summary(SummaryQuery(scope=SCOPE, filters=since)))
    assert found.totals == kept.totals
    assert ledger.run(one.forget_expired()) == 0

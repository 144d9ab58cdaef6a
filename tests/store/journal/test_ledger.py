"""A ledger with a journal: nothing is lost and nothing doubled, whatever becomes of the storage."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arouter.domain.activity import Scope, SummaryQuery
from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Record, Status
from arouter.domain.usage import Usage
from tests.conformance.samples import BARE, FULL, adjustment, opening, record
from tests.store.journal.unsteady import Process, UnsteadyLedger, Weather, everything, new_store, unsteady, until


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def started(folder: Path, inner: UnsteadyLedger | None = None, **changes: Any) -> Process:
    process = Process(folder, unsteady(new_store()) if inner is None else inner, **changes)
    await process.start()
    return process


BAD = [Weather.REFUSED, Weather.UNKNOWN, Weather.SILENT, Weather.LOST]


@pytest.mark.parametrize("weather", BAD)
def test_a_record_is_durable_while_the_storage_is_away_and_delivered_once(tmp_path: Path, weather: Weather) -> None:
    async def work() -> None:
        process = await started(tmp_path)
        await process.ledger.close(record("gen-before"))
        process.inner.weather = weather
        records = [record(f"gen-{number:02}") for number in range(30)] + [FULL, BARE]
        assert await process.close_all(records) == [None] * len(records)
        assert process.ledger.is_away
        assert process.ledger.held.records == len(records)
        process.inner.weather = Weather.FINE
        await process.delivered()
        assert process.inner.ids() == sorted(["gen-before", *(one.opening.id for one in records)])
        assert process.inner.records()["gen-full"] == FULL
        assert (process.told.outages, process.told.backs) == (1, 1)
        await process.ledger.close(record("gen-after"))
        assert process.inner.given[-1] == "gen-after"
        await process.stop()

    run(work())
    assert not list(tmp_path.glob("journal-*"))


def test_while_it_is_away_nobody_waits_for_it(tmp_path: Path) -> None:
    async def work() -> None:
        process = await started(tmp_path, slow_s=600.0)
        process.inner.weather = Weather.REFUSED
        await process.ledger.close(record("gen-1"))
        process.inner.weather = Weather.LOST
        given = len(process.inner.given)
        await until(lambda: len(process.inner.given) > given)
        # A storage that does not answer would keep them for ten minutes.
        assert await process.close_all([record(f"gen-{number}") for number in range(2, 50)]) == [None] * 48
        assert process.inner.given[given:] == ["gen-1"]
        process.inner.weather = Weather.FINE
        await process.die()

    run(work())


def test_records_are_delivered_in_the_order_of_their_closing(tmp_path: Path) -> None:
    async def work() -> None:
        process = await started(tmp_path)
        process.inner.weather = Weather.REFUSED
        names = [f"gen-{number * 7 % 1000:03}" for number in range(1000)]
        await process.close_all([record(name) for name in names])
        process.inner.given.clear()
        process.inner.weather = Weather.FINE
        await process.delivered()
        seen = list(dict.fromkeys(process.inner.given))
        assert seen == names
        await process.stop()

    run(work())


def test_a_record_that_can_never_be_stored_is_refused_at_once_whether_or_not_the_storage_is_away(
    tmp_path: Path,
) -> None:
    unstorable = [replace(record("gen-bad"), latency_us=-1)]

    async def work() -> None:
        process = await started(tmp_path)
        for weather in (Weather.FINE, Weather.REFUSED):
            process.inner.weather = weather
            await process.ledger.close(record("gen-good"))
            ends = await process.close_all([*unstorable, record("gen-bad-2", model="\ud800")])
            assert [type(end) for end in ends] == [ValueError, UnicodeEncodeError]
        process.inner.weather = Weather.FINE
        await process.delivered()
        assert process.inner.ids() == ["gen-good"]
        await process.stop()

    run(work())


def test_what_the_ledger_refuses_for_good_is_set_aside_and_stands_in_nobodys_way(tmp_path: Path) -> None:
    class Picky(UnsteadyLedger):
        def close(self, record: Record) -> Any:
            if self.weather is Weather.FINE and record.opening.id == "gen-1":
                told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                told.set_exception(ValueError("never"))
                return told
            return super().close(record)

    async def work() -> None:
        store = new_store()
        process = await started(tmp_path, Picky(store._data, lambda: 7))
        process.inner.weather = Weather.REFUSED
        await process.close_all([record(f"gen-{number}") for number in range(3)])
        process.inner.weather = Weather.FINE
        await process.delivered()
        assert process.inner.ids() == ["gen-0", "gen-2"]
        assert process.told.refused == ["gen-1"]
        assert (process.ledger.held.records, process.ledger.held.set_aside) == (0, 1)
        await process.stop()
        # It stays, and the next process has it.
        after = await started(tmp_path, Picky(store._data, lambda: 7))
        await after.ledger.recover(now_us=8)
        assert after.ledger.held.set_aside == 1
        assert after.inner.ids() == ["gen-0", "gen-2"]
        await after.stop()

    run(work())
    assert len(list(tmp_path.glob("journal-*.db"))) == 1


def test_one_record_that_is_always_answered_by_a_failure_stands_in_nobodys_way(tmp_path: Path) -> None:
    async def work() -> None:
        process = await started(tmp_path)
        process.inner.weather = Weather.REFUSED
        await process.close_all([record(f"gen-{number}") for number in range(500)])
        process.inner.weather = lambda one: Weather.REFUSED if one.opening.id == "gen-0" else Weather.FINE
        await until(lambda: process.ledger.held.records == 1)
        assert process.inner.ids() == sorted(f"gen-{number}" for number in range(1, 500))
        process.inner.weather = Weather.FINE
        await process.delivered()
        assert len(process.inner.ids()) == 500
        await process.stop()

    run(work())


def test_past_the_bound_no_request_begins_and_those_that_run_are_still_recorded(tmp_path: Path) -> None:
    async def work() -> None:
        process = await started(tmp_path, limit_s=0.05)
        process.ledger.open(opening("gen-1"))
        process.inner.weather = Weather.REFUSED
        process.ledger.open(opening("gen-2"))
        assert process.ledger.is_away
        await until(lambda: process.ledger.refusal is not None)
        with pytest.raises(StorageUnavailable, match=r"more than 0\.05 seconds"):
            process.ledger.open(opening("gen-3"))
        await process.close_all([record("gen-1"), record("gen-2")])
        process.inner.weather = Weather.FINE
        await process.delivered()
        process.ledger.open(opening("gen-3"))
        assert process.inner.ids() == ["gen-1", "gen-2"]
        await process.stop()

    run(work())


def test_a_full_journal_lets_no_request_begin_until_it_is_delivered(tmp_path: Path) -> None:
    async def work() -> None:
        process = await started(tmp_path, most_bytes=100_000)
        process.inner.weather = Weather.REFUSED
        taken = 0
        while process.ledger.refusal is None:
            process.ledger.open(opening(f"gen-{taken}"))
            await process.ledger.close(record(f"gen-{taken}"))
            taken += 1
        with pytest.raises(StorageUnavailable, match="journal of this gateway is full"):
            process.ledger.open(opening("gen-x"))
        process.inner.weather = Weather.FINE
        await process.delivered()
        process.ledger.open(opening("gen-x"))
        assert len(process.inner.ids()) == taken > 10
        await process.stop()

    run(work())


@pytest.mark.parametrize("weather", BAD)
def test_a_process_that_dies_while_the_storage_is_away_leaves_every_record_to_the_next(
    tmp_path: Path, weather: Weather
) -> None:
    async def work() -> None:
        store = new_store()
        victim = await started(tmp_path, unsteady(store))
        victim.ledger.open(opening("gen-early"))  # the ledger knows of it
        victim.ledger.open(opening("gen-ran"))
        victim.inner.weather = weather
        await victim.ledger.close(record("gen-0"))
        victim.ledger.open(opening("gen-late"))  # the journal alone does
        victim.ledger.open(opening("gen-ended"))
        await asyncio.sleep(0.1)  # intents wait a moment
        await victim.close_all([record("gen-ended"), record("gen-ran")])
        await victim.die()
        after = await started(tmp_path, unsteady(store))
        assert await after.ledger.recover(now_us=9) >= 1
        statuses = {name: one.status for name, one in after.inner.records().items()}
        assert statuses == {
            "gen-0": Status.SUCCESS,
            "gen-ended": Status.SUCCESS,
            "gen-ran": Status.SUCCESS,
            "gen-early": Status.INTERRUPTED,
            "gen-late": Status.INTERRUPTED,
        }
        assert await after.ledger.recover(now_us=10) == 0
        assert (await after.ledger.check()).open_records == 0
        await after.stop()

    run(work())
    assert not list(tmp_path.glob("journal-*"))


def test_a_living_process_keeps_its_journal_and_its_requests(tmp_path: Path) -> None:
    async def work() -> None:
        store = new_store()
        one, other = await started(tmp_path, unsteady(store)), await started(tmp_path, unsteady(store))
        one.inner.weather = Weather.REFUSED
        one.ledger.open(opening("gen-1"))
        await one.ledger.close(record("gen-2"))
        await asyncio.sleep(0.1)
        assert await other.ledger.recover(now_us=8) == 0
        assert other.inner.ids() == []
        one.inner.weather = Weather.FINE
        await one.delivered()
        await one.ledger.close(record("gen-1"))
        assert one.inner.ids() == ["gen-1", "gen-2"]
        await one.stop()
        await other.stop()

    run(work())


def test_nothing_is_guessed_of_what_the_dead_left_open_before_its_journal_is_delivered(tmp_path: Path) -> None:
    async def work() -> None:
        store = new_store()
        victim = await started(tmp_path, unsteady(store))
        victim.ledger.open(opening("gen-1"))
        victim.inner.weather = Weather.REFUSED
        await victim.ledger.close(record("gen-1"))
        await victim.die()
        after = await started(tmp_path, unsteady(store))
        after.inner.weather = Weather.REFUSED
        with pytest.raises(StorageUnavailable):
            await after.ledger.recover(now_us=8)
        assert after.inner.ids() == []
        after.inner.weather = Weather.FINE
        await after.ledger.recover(now_us=8)
        assert after.inner.records()["gen-1"] == record("gen-1")
        await after.stop()

    run(work())


def test_the_ledger_is_told_who_is_dead_as_soon_as_all_of_its_journal_is_delivered(tmp_path: Path) -> None:
    async def work() -> None:
        store = new_store()
        victim, living = [await started(tmp_path, unsteady(store), name=name) for name in ("victim", "living")]
        victim.inner.weather = Weather.REFUSED
        await victim.ledger.close(record("gen-1"))
        await living.ledger.recover(now_us=8)
        await victim.die()
        living.inner.weather = Weather.REFUSED
        with pytest.raises(StorageUnavailable):
            await living.ledger.recover(now_us=8)
        living.inner.weather = Weather.FINE
        await living.ledger.recover(now_us=8)
        await living.ledger.recover(now_us=8)
        assert living.inner.told_dead == [set(), {"victim"}, set()]
        assert living.inner.ids() == ["gen-1"]
        await living.stop()

    run(work())


def test_a_journal_that_cannot_be_read_is_told_once_and_holds_nobody_up(tmp_path: Path) -> None:
    async def work() -> None:
        (tmp_path / "journal-1.db").write_bytes(b"this is no database" * 1000)
        process = await started(tmp_path)
        assert await process.ledger.recover(now_us=8) == 0
        assert await process.ledger.recover(now_us=8) == 0
        assert process.told.unread == [str(tmp_path / "journal-1.db")]
        await process.stop()

    run(work())
    assert (tmp_path / "journal-1.db").exists()


def test_others_who_took_the_process_for_dead_are_told_what_the_request_cost(tmp_path: Path) -> None:
    async def work() -> None:
        store = new_store()
        process = await started(tmp_path, unsteady(store))
        for name in ("gen-1", "gen-2", "gen-3"):
            process.ledger.open(opening(name))
        process.inner.weather = Weather.REFUSED
        own = replace(record("gen-1"), usage=Usage(input_tokens=5))
        await process.close_all([own, record("gen-2", cost=None)])
        # On another machine, which reaches the storage.
        assert await unsteady(store).recover(now_us=8) == 3
        process.inner.weather = Weather.FINE
        await process.delivered()
        found = await process.ledger.get("org_a", "gen-1")
        assert found is not None
        assert (found.record.status, found.record.cost) == (Status.INTERRUPTED, own.cost)
        assert process.told.corrections == ["gen-1"]
        total = await process.ledger.summary(SummaryQuery(scope=Scope(organization_id="org_a")))
        assert (total.totals.requests, total.totals.cost) == (3, own.cost)
        await process.stop()

    run(work())


def test_adjustments_and_questions_are_the_ledgers_own(tmp_path: Path) -> None:
    async def work() -> None:
        process = await started(tmp_path)
        await process.ledger.close(record("gen-1"))
        assert await process.ledger.adjust([adjustment("adj-1", "gen-1", 5)]) == 1
        assert [one.id for one in await process.ledger.adjustments_of("org_a", "gen-1")] == ["adj-1"]
        process.inner.weather = Weather.REFUSED
        with pytest.raises(StorageUnavailable):
            await process.ledger.written_until()
        await process.stop()

    run(work())


def test_a_stop_leaves_nothing_under_way(tmp_path: Path) -> None:
    async def work() -> None:
        store = new_store()
        process = await started(tmp_path, unsteady(store))
        process.inner.weather = Weather.LOST
        closing = process.ledger.close(record("gen-1"))
        await process.stop()
        await closing
        after = await started(tmp_path, unsteady(store))
        await after.ledger.recover(now_us=8)
        assert await everything(after.inner) == ["gen-1"]
        await after.stop()

    run(work())
    assert not list(tmp_path.glob("journal-*"))


def test_the_ledger_is_behind_from_the_first_record_that_it_lacks_to_the_last(tmp_path: Path) -> None:
    async def work() -> None:
        process = await started(tmp_path)
        process.inner.weather = Weather.REFUSED
        process.ledger.open(opening("gen-0"))
        closing = process.ledger.close(record("gen-1"))
        process.inner.weather = Weather.FINE
        assert process.ledger.is_behind
        while process.ledger.is_behind:  # noqa: ASYNC110
            await asyncio.sleep(0)
        # Nobody who leases now leases once more what it used.
        assert process.inner.ids() == ["gen-1"]
        await closing
        await process.ledger.close(record("gen-0"))
        assert not process.ledger.is_behind
        await process.stop()

    run(work())

"""The journal on a disk that fails: nobody is told that something is written that is not."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.store.journal.file import JournalFile, write_record
from arouter.store.journal.writer import MOST_IN_ONE, Journal
from tests.conformance.samples import opening, record
from tests.faults.faulty_disk import FULL, SHORT_WRITE, SYNC_ERROR, WRITE_ERROR, FaultyFileSystem
from tests.store.journal.unsteady import Process, Weather, new_store, unsteady, until

Faults = set[str]


@pytest.fixture
def faults() -> Iterator[Faults]:
    now: Faults = set()
    file_system = FaultyFileSystem(lambda: frozenset(now))
    yield now
    file_system.unregister()


def with_journal(path: Path, work: Callable[[Journal], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        journal = Journal(str(path))
        journal.start(asyncio.get_running_loop())
        try:
            await work(journal)
        finally:
            await asyncio.get_running_loop().run_in_executor(None, journal.stop)

    asyncio.run(run())


def append(journal: Journal, name: str) -> "asyncio.Future[None]":
    return journal.append(name, write_record(record(name)), closed_at_us=1, known=False)


def there(path: Path) -> list[str]:
    file = JournalFile(str(path))
    found = [one.id for one in file.take(100_000)]
    file.close()
    return found


def test_records_that_come_together_are_written_together_and_in_order(tmp_path: Path) -> None:
    names = [f"gen-{number:05}" for number in range(2 * MOST_IN_ONE + 1)]

    async def work(journal: Journal) -> None:
        journal.open([opening(names[0]), opening("gen-runs")])
        await asyncio.gather(*[append(journal, name) for name in names])
        held = journal.held
        assert (held.records, held.openings, held.oldest_us) == (len(names), 1, 1)
        journal.close_openings(["gen-runs"])
        await journal.command(lambda file: file.touch())
        assert journal.held.openings == 0

    with_journal(tmp_path / "j.db", work)
    assert there(tmp_path / "j.db") == names


@pytest.mark.parametrize("fault", [FULL, WRITE_ERROR, SYNC_ERROR, SHORT_WRITE])
def test_nobody_is_told_that_something_is_written_that_the_disk_did_not_take(
    faults: Faults, tmp_path: Path, fault: str
) -> None:
    async def work(journal: Journal) -> None:
        await append(journal, "gen-1")
        faults.add(fault)
        with pytest.raises(StorageUnavailable):
            await append(journal, "gen-2")
        assert journal.last_error is not None
        faults.clear()
        await append(journal, "gen-3")
        assert journal.last_error is None

    with_journal(tmp_path / "j.db", work)
    # Of what was written and not synced nobody knows; whoever was told so tries it again, which changes nothing.
    unknown = {"gen-2"} if fault == SYNC_ERROR else set[str]()
    assert [name for name in there(tmp_path / "j.db") if name not in unknown] == ["gen-1", "gen-3"]


@pytest.mark.parametrize("fault", [FULL, WRITE_ERROR, SYNC_ERROR])
def test_what_changes_nothing_does_not_show_that_the_disk_is_back(faults: Faults, tmp_path: Path, fault: str) -> None:
    async def work(journal: Journal) -> None:
        await append(journal, "gen-1")
        faults.add(fault)
        with pytest.raises(StorageUnavailable):
            await append(journal, "gen-2")
        with pytest.raises(StorageUnavailable):
            await journal.command(lambda file: file.close_openings(["gen-never"]))
        assert journal.last_error is not None
        faults.clear()
        await journal.command(lambda file: file.close_openings(["gen-never"]))
        assert journal.last_error is None

    with_journal(tmp_path / "j.db", work)


def test_a_journal_that_is_closed_says_so(tmp_path: Path) -> None:
    async def work(journal: Journal) -> None:
        await asyncio.get_running_loop().run_in_executor(None, journal.stop)
        with pytest.raises(StorageUnavailable, match="closed"):
            await append(journal, "gen-1")

    with_journal(tmp_path / "j.db", work)


def test_a_journal_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="cannot be"):
        Journal(str(tmp_path))


@pytest.mark.parametrize("fault", [FULL, SYNC_ERROR])
def test_with_the_storage_and_the_journal_away_nothing_begins_and_what_was_spent_is_kept(
    faults: Faults, tmp_path: Path, fault: str
) -> None:
    async def run() -> None:
        process = Process(tmp_path / "journal", unsteady(new_store()))
        await process.start()
        process.inner.weather = Weather.REFUSED
        process.ledger.open(opening("gen-1"))
        process.ledger.open(opening("gen-2"))
        faults.add(fault)
        ends = await process.close_all([record("gen-1", attempts=1), record("gen-2", attempts=1)])
        assert [type(end) for end in ends] == [StorageUnavailable] * 2
        assert process.ledger.unwritten == 2
        with pytest.raises(StorageUnavailable, match="cannot be written to"):
            process.ledger.open(opening("gen-3"))
        faults.clear()
        await until(lambda: not process.ledger.unwritten)
        await until(lambda: process.ledger.refusal is None)
        process.ledger.open(opening("gen-3"))
        assert process.ledger.held.records == 2
        process.inner.weather = Weather.FINE
        await process.delivered()
        assert process.inner.ids() == ["gen-1", "gen-2"]
        await process.stop()

    asyncio.run(run())

"""The store on a disk that fails: what it keeps, when it trusts the disk again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.domain.money import Picodollars
from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.items import MOST_IN_ONE
from arouter.store.sqlite.writer import RETRY_S
from tests.conformance.backends import Backend, sqlite
from tests.conformance.samples import append, ids, key, opening, record
from tests.faults.faulty_disk import FULL, SHORT_WRITE, SYNC_ERROR, WRITE_ERROR, Disk, faulty_disk


@pytest.fixture
def disk() -> Iterator[Disk]:
    with faulty_disk() as made:
        yield made


@pytest.fixture
def backend(disk: Disk, tmp_path: Path) -> Iterator[Backend]:
    made = sqlite(tmp_path)
    yield made
    disk.faults = frozenset()
    made.stop()


def store_of(backend: Backend) -> SqliteStore:
    assert isinstance(backend.store, SqliteStore)
    return backend.store


async def healthy(store: SqliteStore) -> None:
    async with asyncio.timeout(10):
        while not store.healthy:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("fault", [FULL, WRITE_ERROR, SYNC_ERROR, SHORT_WRITE])
def test_a_disk_that_still_fails_is_not_trusted_because_nothing_waits(disk: Disk, backend: Backend, fault: str) -> None:
    store = store_of(backend)
    disk.faults = frozenset({fault})

    async def away() -> None:
        with pytest.raises(StorageUnavailable):
            await backend.directory.add_key(key(), secret="s")
        assert store.unwritten == 0
        await asyncio.sleep(1.5 * RETRY_S)
        assert not store.healthy
        with pytest.raises(StorageUnavailable):
            backend.ledger.open(opening("gen-1"))
        disk.faults = frozenset()
        await healthy(store)
        backend.ledger.open(opening("gen-1"))
        await backend.directory.add_key(key(), secret="s")

    backend.run(away())
    append(backend, record("gen-1"))
    assert ids(backend) == ["gen-1"]


def test_what_was_kept_is_written_in_pieces_and_once(disk: Disk, backend: Backend) -> None:
    count = 2 * MOST_IN_ONE + 1
    store = store_of(backend)

    async def refused() -> None:
        disk.faults = frozenset({FULL})
        closing = [backend.ledger.close(record(f"gen-{n:05}")) for n in range(count)]
        outcomes = await asyncio.gather(*closing, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}
        assert store.unwritten == count
        disk.faults = frozenset()
        await healthy(store)
        assert store.unwritten == 0

    backend.run(refused())
    report = backend.run(backend.ledger.check())
    assert (report.records, report.problems) == (count, ())
    assert (store.stats.batches, store.stats.records) == (3, count)


def test_delayed_is_not_lost(disk: Disk, backend: Backend) -> None:
    store = store_of(backend)

    async def refused() -> None:
        closing = [backend.ledger.close(each) for each in (record("gen-0"), record("gen-bad", model="\ud800"))]
        assert [type(outcome) for outcome in await asyncio.gather(*closing, return_exceptions=True)][1] is not None
        assert (store.delayed, store.lost) == (0, 1)
        disk.faults = frozenset({FULL})
        bad = record("gen-worse", cost=Picodollars(2**63))
        closing = [backend.ledger.close(each) for each in (record("gen-1"), bad, record("gen-1"))]
        outcomes = await asyncio.gather(*closing, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StorageUnavailable, ValueError, StorageUnavailable]
        assert (store.delayed, store.unwritten, store.lost) == (1, 1, 2)
        disk.faults = frozenset()
        await healthy(store)
        assert (store.delayed, store.unwritten, store.lost) == (1, 0, 2)

    backend.run(refused())
    assert sorted(ids(backend)) == ["gen-0", "gen-1"]


def test_the_log_is_moved_on_after_a_failed_sync(disk: Disk, backend: Backend) -> None:
    """The checkpointer, too, comes back with connections of its own that saw no failure."""
    store = store_of(backend)
    append(backend, *(record(f"gen-{n}") for n in range(500)))

    async def fail_for_a_while() -> None:
        disk.faults = frozenset({SYNC_ERROR})
        await asyncio.sleep(1.5)
        assert store.checkpoint_error is not None
        disk.faults = frozenset()
        async with asyncio.timeout(10):
            while (await store.status()).size < 100_000 or store.checkpoint_error is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    backend.run(fail_for_a_while())
    assert backend.run(backend.ledger.check()).problems == ()


def test_a_store_that_closes_tries_once_more(disk: Disk, tmp_path: Path) -> None:
    backend = sqlite(tmp_path)

    async def leave() -> None:
        disk.faults = frozenset({FULL})
        with pytest.raises(StorageUnavailable):
            await backend.ledger.close(record("gen-1"))
        closing = asyncio.ensure_future(backend.store.close())
        await asyncio.sleep(0.3)
        disk.faults = frozenset()
        await closing

    backend.run(leave())
    backend.restart()
    assert ids(backend) == ["gen-1"]
    backend.stop()

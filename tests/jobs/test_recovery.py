"""What dead processes left is recovered while others run: once, and however the storage is."""

import asyncio
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.jobs.recovery import Recovery
from arouter.store.memory import MemoryLedger, MemoryStore
from arouter.store.sqlite import SqliteStore
from tests.conformance.samples import opening, record


class Ledger(MemoryLedger):
    """Whose recoveries go as a list says: how many there were, or that the storage is away."""

    def __init__(self, outcomes: list[int | None]) -> None:
        super().__init__(MemoryStore(clock=lambda: 0).ledger._data, lambda: 0)
        self.outcomes = outcomes

    async def recover(self, *, now_us: int, dead: Collection[str] = ()) -> int:
        if not self.outcomes:
            raise asyncio.CancelledError
        if (outcome := self.outcomes.pop(0)) is None:
            raise StorageUnavailable("The disk is away.")
        return outcome


def test_it_looks_again_and_again_and_tells_what_it_found() -> None:
    found: list[int] = []
    recovery = Recovery(Ledger([0, 3, None, 0, 4]), now_us=lambda: 7, on_found=found.append)

    async def until_the_end() -> None:
        with suppress(asyncio.CancelledError):
            await recovery.run(0.001)

    asyncio.run(until_the_end())
    assert found == [3, 4]
    assert recovery.recovered == 7


def test_of_those_who_look_at_once_one_recovers_each_request(tmp_path: Path) -> None:
    def store() -> SqliteStore:
        return SqliteStore.open(str(tmp_path / "arouter.db"), clock=lambda: 0)

    async def scenario() -> None:
        left, *living = (store() for _ in range(4))
        for one in (left, *living):
            await one.start()
        for number in range(50):
            left.ledger.open(opening(f"gen-{number}"))
        for one in living:
            one.ledger.open(opening("gen-living"))
        # A store that closes leaves what is open, as a process that dies.
        await left.close()
        found = await asyncio.gather(*(one.ledger.recover(now_us=1) for one in living for _ in range(3)))
        assert sorted(found) == [0] * 8 + [50]
        report = await living[0].ledger.check()
        assert (report.records, report.open_records, report.problems) == (50, 1, ())
        for one in living:
            await one.close()

    asyncio.run(scenario())


def test_to_look_takes_no_turn_of_the_writers_where_nothing_is_left(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = SqliteStore.open(str(tmp_path / "arouter.db"), clock=lambda: 0)
        await store.start()
        store.ledger.open(opening("gen-1"))
        await store.ledger.close(record("gen-2"))
        with closing(apsw.Connection(store.path)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.timeout(2):
                assert await store.ledger.recover(now_us=1) == 0
        await store.close()

    asyncio.run(scenario())

"""A lease that is taken back from a dead process leaves out what that process used of it, to its last record."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, cast

import apsw
import pytest

from arouter.domain.counters import Counter, Meter, Window, bounds
from arouter.domain.guardrails import Target
from arouter.store.base import Leased, LeaseWanted
from arouter.store.sqlite.connections import transaction
from arouter.store.sqlite.counters import SqliteCounters
from arouter.store.sqlite.readers import Readers
from arouter.store.sqlite.writer import Writer
from tests.conformance.samples import NOON_US
from tests.store.kept_files import Registered, booked

DAY, DAY_END = bounds(Window.DAY, NOON_US)
REQUESTS = Counter(
    meter=Meter.REQUESTS, scope=Target.USER, organization_id="org_a", scope_id="alice", start_us=DAY, end_us=DAY_END
)
LIMIT = 10


class Process(Registered):
    """One that leases, in the way of a writer, whose commands run at once."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.readers = Readers(path, lambda: None)
        self.counters = SqliteCounters(path, cast("Writer", AtOnce(self)), self.readers)

    def lease(self, need: int) -> int:
        wanted = LeaseWanted(counter=REQUESTS, limit=LIMIT, keep=0, need=need, least=1)

        async def run() -> Leased:
            return (await self.counters.lease([wanted], now_us=NOON_US))[0]

        return asyncio.run(run()).granted

    def die(self) -> None:
        self.readers.close()
        super().die()


class AtOnce:
    """What of a writer is needed."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.owner = process.place

    async def command(self, run: Callable[[apsw.Connection], Any], *, apart: bool) -> Any:
        process = self._process
        assert not apart
        with transaction(process.connection):
            process.arrivals.book(process.connection)
            process.meanwhile()
            result = run(process.connection)
        process.arrivals.committed()
        return result

    def book_again(self, connection: apsw.Connection) -> None:
        self._process.arrivals.book(connection)


@pytest.fixture
def survivor(path: str) -> Iterator[Process]:
    made = Process(path)
    yield made
    made.die()


@pytest.mark.parametrize("dies_meanwhile", [False, True], ids=["dead before", "dies meanwhile"])
def test_what_a_dead_process_used_is_not_leased_again(path: str, survivor: Process, dies_meanwhile: bool) -> None:
    victim = Process(path)
    assert victim.lease(LIMIT) == LIMIT
    assert survivor.lease(LIMIT) == 0

    def die() -> None:
        survivor.meanwhile = lambda: None  # type: ignore[method-assign]
        assert victim.keep("gen-1", "gen-2", "gen-3")
        victim.die()

    if dies_meanwhile:
        survivor.meanwhile = die  # type: ignore[method-assign]
    else:
        die()
    assert survivor.lease(LIMIT) == LIMIT - 3
    assert booked(path) == ["gen-1", "gen-2", "gen-3"]

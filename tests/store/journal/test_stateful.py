"""Two gateways on one machine whose storage comes and goes, at whatever moment: in the end the ledger holds each record
once, whole, and its sums are those of the records."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from arouter.domain.activity import Dimension, Scope, SummaryQuery
from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Record, Status
from tests.store.journal.unsteady import Process, UnsteadyLedger, Weather, new_store, unsteady
from tests.store.test_sqlite_stateful import RECORDS

WHO = st.integers(0, 1)
WEATHERS = st.sampled_from(Weather)
BAD_WEATHERS = st.sampled_from([weather for weather in Weather if weather is not Weather.FINE])
SOME = st.lists(RECORDS, min_size=1, max_size=4)


class Outages(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.store = new_store()
        self.numbers = 0
        self.acknowledged: dict[str, Record] = {}
        """Of which somebody was told that they are durable."""
        self.refused: set[str] = set()
        """That can never be stored."""
        self.running: list[dict[str, Record]] = [{}, {}]
        """By process: the requests that run, with the records that they will be."""
        self.dead: dict[str, Record] = {}
        """Those whose process died."""
        self.living: list[UnsteadyLedger] = []
        self.processes = [self.runner.run(self.started()) for _ in range(2)]

    async def started(self) -> Process:
        inner = unsteady(self.store)
        inner.living = self.living
        self.living.append(inner)
        process = Process(Path(self.folder.name), inner, slow_s=0.01)
        await process.start()
        return process

    def name(self, one: Record) -> Record:
        self.numbers += 1
        opening = replace(one.opening, id=f"gen-{self.numbers:04}", organization_id="org_a")
        return replace(one, opening=opening)

    @rule(who=WHO, weather=WEATHERS)
    def storage(self, who: int, weather: Weather) -> None:
        self.processes[who].inner.weather = weather

    @rule(who=WHO, records=SOME, before=WEATHERS, after=BAD_WEATHERS, twice=st.booleans())
    def all_at_once(self, who: int, records: list[Record], before: Weather, after: Weather, twice: bool) -> None:
        """Requests that begin in one weather and end in another."""
        self.storage(who, before)
        self.begin(who, records)
        self.storage(who, after)
        self.end(who, False, twice)

    @rule(who=WHO, records=SOME)
    def begin(self, who: int, records: list[Record]) -> None:
        async def work() -> None:
            for one in map(self.name, records):
                try:
                    self.processes[who].ledger.open(one.opening)
                except StorageUnavailable:
                    continue
                self.running[who][one.opening.id] = one

        self.runner.run(work())

    @rule(who=WHO, poison=st.booleans(), twice=st.booleans())
    def end(self, who: int, poison: bool, twice: bool) -> None:
        """All that run there, at once."""
        ending, self.running[who] = [*self.running[who].values()], {}
        if poison and ending:
            ending[0] = replace(ending[0], latency_us=-1)

        async def work() -> list[BaseException | None]:
            return await self.processes[who].close_all(ending + ending[: int(twice)])

        for one, end in zip(ending + ending[: int(twice)], self.runner.run(work()), strict=True):
            if end is None:
                self.acknowledged[one.opening.id] = one
            else:
                assert isinstance(end, ValueError)
                self.refused.add(one.opening.id)

    @rule()
    def time_goes(self) -> None:
        self.runner.run(asyncio.sleep(0.03))

    @rule(who=WHO, at_once=st.booleans())
    def die(self, who: int, at_once: bool) -> None:
        """At once: with records under way of which nobody was told anything."""
        ending = [*self.running[who].values()] if at_once else []
        self.dead |= self.running[who]
        self.running[who] = {}

        async def work() -> Process:
            under_way = [asyncio.ensure_future(self.processes[who].ledger.close(one)) for one in ending]
            await self.processes[who].die()
            self.living.remove(self.processes[who].inner)
            for one in under_way:
                one.add_done_callback(forget)
            return await self.started()

        self.processes[who] = self.runner.run(work())

    @rule(who=WHO)
    def recover(self, who: int) -> None:
        async def work() -> None:
            try:
                await self.processes[who].ledger.recover(now_us=9)
            except StorageUnavailable:
                return

        if self.processes[who].inner.weather is Weather.FINE:
            self.runner.run(work())

    def teardown(self) -> None:
        try:
            self.runner.run(self.settle())
        finally:
            self.runner.close()
            self.folder.cleanup()

    async def settle(self) -> None:
        for process in self.processes:
            process.inner.weather = Weather.FINE
        for who, process in enumerate(self.processes):
            ending = self.running[who]
            assert await process.close_all([*ending.values()]) == [None] * len(ending)
            self.acknowledged |= ending
            await process.delivered()
        await self.processes[0].ledger.recover(now_us=9)
        there = self.processes[0].inner.records()
        for name, one in self.acknowledged.items():
            assert there[name] == replace(
                one, opening=replace(one.opening, asked_bytes=None, routed_model=None, on_own_key=False)
            )
        for name, one in self.dead.items():
            assert name not in there or there[name].opening.user == one.opening.user
        others = there.keys() - self.acknowledged.keys()
        assert others <= self.dead.keys() | self.refused
        for name in others & self.refused:
            assert there[name].status is Status.INTERRUPTED
        await self.sums_are_those_of_the_records(there)
        for process in self.processes:
            await process.stop()
        # The opening of a record that can never be stored stays, to be interrupted.
        assert self.refused or not left_in(self.folder.name)

    async def sums_are_those_of_the_records(self, there: dict[str, Record]) -> None:
        query = SummaryQuery(scope=Scope(organization_id="org_a"), group_by=(Dimension.STATUS,))
        found: Any = await self.processes[0].ledger.summary(query)
        for row in found.rows:
            of_status = [one for one in there.values() if one.status.value == row.group[0]]
            assert row.totals.requests == len(of_status)
            assert row.totals.cost == sum(one.cost for one in of_status if one.cost is not None)
        assert found.totals.requests == len(there)


def left_in(folder: str) -> list[Path]:
    return list(Path(folder).glob("journal-*"))


def forget(done: "asyncio.Future[None]") -> None:
    """Nobody lives who would look at it."""
    if not done.cancelled():
        done.exception()


TestOutages = Outages.TestCase
# Not shrunk: each example takes a second, since time passes in it.
TestOutages.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)

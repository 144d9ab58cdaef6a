"""A budget that two gateways share while the storage of each comes and goes: never passed, and used to its end."""

import asyncio
import tempfile
from collections.abc import Awaitable, Iterator, Sequence
from itertools import count
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from arouter.domain.counters import NEVER_US, Counter, Meter
from arouter.domain.errors import StorageUnavailable
from arouter.domain.guardrails import Target
from arouter.domain.money import Picodollars
from arouter.engine.leasing import Leasing
from arouter.engine.tasks import Tasks
from arouter.store.base import Leased, LeaseWanted
from arouter.store.memory import MemoryStore
from arouter.store.memory_counters import MemoryCounters
from tests.conformance.samples import record
from tests.store.journal.unsteady import Process, UnsteadyLedger, Weather, new_store, unsteady

LIMIT = 100
BUDGET = Counter(
    meter=Meter.COST,
    scope=Target.ORGANIZATION,
    organization_id="org_a",
    scope_id="org_a",
    start_us=0,
    end_us=NEVER_US,
)

STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([Weather.FINE, Weather.FINE, Weather.REFUSED, Weather.UNKNOWN]),
        st.integers(1, 9),
    ),
    min_size=5,
    max_size=40,
)


class UnsteadyCounters(MemoryCounters):
    """Behind the same line as the ledger."""

    line: UnsteadyLedger

    def lease(self, wanted: Sequence[LeaseWanted], *, now_us: int) -> Awaitable[Sequence[Leased]]:
        if self.line.weather is Weather.REFUSED:
            raise StorageUnavailable("The storage is away.")
        leased = super().lease(wanted, now_us=now_us)
        if self.line.weather is Weather.UNKNOWN:
            raise StorageUnavailable("The storage is away.")
        return leased


class Gateway:
    """As far as one budget goes."""

    def __init__(self, folder: Path, store: MemoryStore, clock: Iterator[int]) -> None:
        """`clock` tells another second whenever it is looked at: nothing has to be waited for."""
        inner = unsteady(store)
        self.process = Process(folder, inner)
        counters = UnsteadyCounters(store._data.counters, inner.every_record, lambda _: None)
        counters.line = inner
        self.failed: list[str] = []
        self.tasks = Tasks(lambda name, _: self.failed.append(name))
        self.leasing = Leasing(
            counters,
            now_us=lambda: next(clock) * 1_000_000,
            tasks=self.tasks,
            behind=lambda: self.process.ledger.is_behind,
        )

    async def start(self) -> None:
        await self.process.start()
        self.tasks.start("share", self.leasing.run(every_s=0.005))

    async def stop(self) -> None:
        await self.tasks.stop()
        await self.process.stop()

    async def spend(self, name: str, units: int) -> bool:
        """One request that costs what was held for it; whether it was admitted."""
        one = record(name, cost=Picodollars(units))
        share = self.leasing.share(BUDGET, LIMIT)
        try:
            if not share.take(units) and await self.leasing.take([(share, units)]) is not None:
                return False
        except StorageUnavailable:
            return False
        self.process.ledger.open(one.opening)
        share.settle(units, units)
        await self.process.ledger.close(one)
        return True


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(STEPS)
def test_a_budget_is_never_passed_however_the_storage_comes_and_goes(steps: list[tuple[int, Weather, int]]) -> None:
    async def run(folder: Path) -> None:
        store = new_store()
        clock = count()
        gateways = [Gateway(folder, store, clock) for _ in range(2)]
        for one in gateways:
            await one.start()
        spent = 0
        for number, (who, weather, units) in enumerate(steps):
            gateways[who].process.inner.weather = weather
            if await gateways[who].spend(f"gen-{number}", units):
                spent += units
            assert spent <= LIMIT
        for one in gateways:
            one.process.inner.weather = Weather.FINE
        for one in gateways:
            await one.process.delivered()
        assert sum(one.cost or 0 for one in gateways[0].process.inner.every_record()) == spent
        # What is left is there for whoever asks, and not a unit more.
        async with asyncio.timeout(20):
            while spent < LIMIT and not await gateways[0].spend("gen-rest", LIMIT - spent):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not await gateways[1].spend("gen-too-much", 1)
        assert [one.failed for one in gateways] == [[], []]
        for one in gateways:
            await one.stop()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))

"""Gateways that share one limit by leases: the real `Leasing` over counters in memory, in time that only passes when
nobody has anything to do."""

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from arouter.domain.counters import Counter, Meter
from arouter.domain.guardrails import Target
from arouter.engine.leasing import Leasing
from arouter.engine.tasks import Tasks
from arouter.store.base import Leased, LeaseWanted, Standing
from arouter.store.memory_counters import CounterData, MemoryCounters

WINDOW_US = 3_600_000_000
"""A window that the ledger knows nothing of, so that what is used is posted with the leases: an hour."""

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    """Never waits: it says how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None and timeout > 0:
            self.now_s += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, selector: _Selector) -> None:
        self._passing = selector
        super().__init__(selector)

    def time(self) -> float:
        return self._passing.now_s


def simulated(run: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run in time that takes no time."""
    loop = _Loop(_Selector())
    try:
        return loop.run_until_complete(run())
    finally:
        loop.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Requests that come evenly mixed over the gateways, each of which holds and then uses some units."""

    gateways: int
    rate_s: float
    """Requests a second of each gateway."""
    limit: int
    hold: int = 1
    used: tuple[int, int] = (1, 1)
    """From and to, both included; drawn for each request."""
    service_s: float = 0.5
    seconds: float = 20.0
    seed: int = 1


@dataclass(slots=True)
class Outcome:
    """What became of a case."""

    admitted: int = 0
    refused: int = 0
    used: int = 0
    overage: int = 0
    """What requests used beyond what they held."""
    lease_calls: int = 0
    most: int = 0
    """The most that was ever posted and leased together."""
    left: int = 0
    """What nobody had used at the end."""


@dataclass(slots=True)
class _Counting:
    """`Counters` that counts its calls, and looks whether the limit holds after each."""

    inner: MemoryCounters
    data: CounterData
    limit: int
    counter: Counter
    outcome: Outcome

    async def lease(self, wanted: Sequence[LeaseWanted], *, now_us: int) -> Sequence[Leased]:
        self.outcome.lease_calls += 1
        told = await self.inner.lease(wanted, now_us=now_us)
        leased = sum(lease.units for (counter, _, _), lease in self.data.leases.items() if counter == self.counter)
        self.outcome.most = max(self.outcome.most, self.data.uses.get(self.counter, 0) + leased)
        return told

    async def recalled(self) -> Sequence[tuple[Counter, int]]:
        return await self.inner.recalled()

    async def standings(self, counters: Sequence[Counter]) -> Sequence[Standing]:
        return await self.inner.standings(counters)


@dataclass(slots=True)
class _World:
    case: Case
    data: CounterData = field(default_factory=CounterData)
    outcome: Outcome = field(default_factory=Outcome)


def simulate(case: Case) -> Outcome:
    """Until the last request has ended."""
    return simulated(lambda: _run(_World(case)))


async def _run(world: _World) -> Outcome:
    case, loop = world.case, asyncio.get_running_loop()
    counter = Counter(
        meter=Meter.COST,
        scope=Target.ORGANIZATION,
        organization_id="org",
        scope_id="org",
        start_us=0,
        end_us=WINDOW_US,
    )
    failures: list[BaseException] = []
    tasks = Tasks(lambda name, failure: failures.append(failure))
    gateways = []
    for _ in range(case.gateways):
        inner = MemoryCounters(world.data, lambda: (), lambda key_hash: None)
        counting = _Counting(inner, world.data, case.limit, counter, world.outcome)
        leasing = Leasing(counting, now_us=lambda: int(loop.time() * 1e6), tasks=tasks)
        tasks.start("give back", leasing.run())
        gateways.append(leasing)
    draws = random.Random(case.seed)
    running = [loop.create_task(_ask(world, leasing, counter, random.Random(draws.random()))) for leasing in gateways]
    await asyncio.gather(*running)
    await tasks.stop()
    for leasing in gateways:
        await leasing.close()
    if failures:
        raise failures[0]
    world.outcome.left = case.limit - world.outcome.used
    return world.outcome


async def _ask(world: _World, leasing: Leasing, counter: Counter, draws: random.Random) -> None:
    """The requests of one gateway, at random moments."""
    case, loop = world.case, asyncio.get_running_loop()
    requests = []
    end_s = loop.time() + case.seconds
    while True:
        await asyncio.sleep(draws.expovariate(case.rate_s))
        if loop.time() >= end_s:
            break
        requests.append(loop.create_task(_request(world, leasing, counter, draws.randint(*case.used))))
    await asyncio.gather(*requests)


async def _request(world: _World, leasing: Leasing, counter: Counter, used: int) -> None:
    case, outcome = world.case, world.outcome
    share = leasing.share(counter, case.limit)
    share.touched = True
    if not share.take(case.hold) and await leasing.take([(share, case.hold)]) is not None:
        outcome.refused += 1
        return
    outcome.admitted += 1
    await asyncio.sleep(case.service_s)
    outcome.overage += share.settle(case.hold, used)
    outcome.used += used

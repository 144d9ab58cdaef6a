"""Several processes take from the same counters, at the same time: against a reference that asks at one place."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.counters import MINUTE_US, Counter, Meter, Window, bounds
from arouter.domain.errors import StorageUnavailable
from arouter.domain.guardrails import Target
from arouter.engine.leasing import Leasing, Share
from arouter.engine.tasks import Tasks
from arouter.store.memory_counters import CounterData
from tests.engine.scripted_counters import ScriptedCounters
from tests.engine.skipping_loop import SkippingLoop, skip_through

WORKERS = 3


def counter(scope_id: str = "a", meter: Meter = Meter.TOKENS, at_us: int = 0) -> Counter:
    start_us, end_us = bounds(Window.MINUTE, at_us)
    return Counter(
        meter=meter, scope=Target.KEY, organization_id="org_1", scope_id=scope_id, start_us=start_us, end_us=end_us
    )


class Processes:
    """Some of them on the same counters, each looking after the others' wishes."""

    def __init__(self, loop: SkippingLoop, count: int = WORKERS) -> None:
        self.data = CounterData()
        self.failed: list[str] = []
        tasks = Tasks(lambda name, failure: self.failed.append(name))
        self.counters = [ScriptedCounters(self.data, tuple, lambda _: None) for _ in range(count)]
        self.leasings = [Leasing(one, now_us=loop.now_us, tasks=tasks) for one in self.counters]
        self._turning = [asyncio.ensure_future(one.run()) for one in self.leasings]

    async def end(self) -> None:
        for task in self._turning:
            task.cancel()
        await asyncio.gather(*self._turning, return_exceptions=True)
        assert self.failed == []

    def spent(self, of: Counter, limit: int) -> tuple[int, int]:
        """What was used of a counter so far, and what is held."""
        shares = [one.share(of, limit) for one in self.leasings]
        used = self.data.uses.get(of, 0) + sum(share.settled for share in shares)
        return used, sum(share.held for share in shares)


async def take(leasing: Leasing, wanted: Sequence[tuple[Counter, int, int]]) -> list[Share] | None:
    """As a request does: counters, their limits, units; what is held, None if that is nothing."""
    shares = [leasing.share(of, limit) for of, limit, _ in wanted]
    lacking = []
    held = []
    for share, (_, _, units) in zip(shares, wanted, strict=True):
        if share.take(units):
            held.append((share, units))
        else:
            lacking.append((share, units))
    if lacking and await leasing.take(lacking) is not None:
        for share, units in held:
            share.give_back(units)
        return None
    return shares


requests = st.lists(
    st.tuples(st.integers(0, WORKERS - 1), st.integers(0, 400), st.integers(1, 6), st.integers(0, 6)), max_size=30
)
"""Which process, after how many milliseconds, what is held, what is used of it."""


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 25), st.lists(st.tuples(st.integers(0, WORKERS - 1), st.integers(0, 400)), max_size=40))
def test_exactly_the_configured_number_passes_in_a_window(limit: int, asked: list[tuple[int, int]]) -> None:
    """The reference: of requests for one unit each, the limit's number pass, whoever asks where and when."""

    async def run(loop: SkippingLoop) -> None:
        processes = Processes(loop)

        async def ask(worker: int, after_ms: int) -> bool:
            await asyncio.sleep(after_ms / 1000)
            shares = await take(processes.leasings[worker], [(counter(), limit, 1)])
            if shares is None:
                return False
            await asyncio.sleep(0.1)
            shares[0].settle(1, 1)
            return True

        passed = await asyncio.gather(*(ask(*one) for one in asked))
        assert sum(passed) == min(limit, len(asked))
        assert processes.spent(counter(), limit) == (sum(passed), 0)
        later = counter(at_us=MINUTE_US)
        if limit:
            assert await take(processes.leasings[0], [(later, limit, limit)]), "a window of its own"
        await processes.end()

    skip_through(run)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), requests)
def test_what_was_held_of_several_counters_and_not_used_can_be_had_again(
    limit: int, other_limit: int, asked: list[tuple[int, int, int, int]]
) -> None:
    async def run(loop: SkippingLoop) -> None:
        processes = Processes(loop)
        every = [(counter("a"), limit), (counter("b"), other_limit)]
        used_of = 0

        def check() -> None:
            for of, most in every:
                assert sum(processes.spent(of, most)) <= most

        async def ask(worker: int, after_ms: int, held: int, used: int) -> None:
            nonlocal used_of
            await asyncio.sleep(after_ms / 1000)
            shares = await take(processes.leasings[worker], [(of, most, held) for of, most in every])
            check()
            if shares is not None:
                await asyncio.sleep(0.2)
                for share in shares:
                    share.settle(held, min(used, held))
                used_of += min(used, held)
                check()

        await asyncio.gather(*(ask(*one) for one in asked))
        for of, most in every:
            assert processes.spent(of, most) == (used_of, 0)
        left = min(limit, other_limit) - used_of
        for worker, units in ((0, left + 1), (1, left)):
            await asyncio.sleep(1)  # So long at most others may be thought to hold what they gave back.
            had = await take(processes.leasings[worker], [(of, most, units) for of, most in every])
            assert (had is not None) == (units == left)
        await processes.end()

    skip_through(run)


def test_leases_of_many_counters_are_one_transaction() -> None:
    async def run(loop: SkippingLoop) -> None:
        processes = Processes(loop)
        assert await take(processes.leasings[0], [(counter(str(one)), 10, 1) for one in range(8)])
        assert processes.counters[0].asked == 1
        await processes.end()

    skip_through(run)


@pytest.mark.parametrize("refusing", [0, 1, 2])
def test_of_several_all_are_held_or_none(refusing: int) -> None:
    async def run(loop: SkippingLoop) -> None:
        processes = Processes(loop)
        leasing = processes.leasings[0]
        limits = [0 if one == refusing else 5 for one in range(3)]
        wanted = [(leasing.share(counter(str(one)), limit), 2) for one, limit in enumerate(limits)]
        assert await leasing.take(wanted) == refusing
        assert leasing.held == 0
        await processes.end()

    skip_through(run)


def test_who_stops_waiting_or_cannot_be_told_holds_nothing() -> None:
    async def run(loop: SkippingLoop) -> None:
        processes = Processes(loop)
        leasing, counters = processes.leasings[0], processes.counters[0]
        wanted = [(leasing.share(counter(name), 5), 2) for name in "ab"]
        counters.late = asyncio.Event()
        waiting = asyncio.ensure_future(leasing.take(wanted))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        counters.late.set()
        await asyncio.sleep(0.01)
        assert leasing.held == 0
        counters.fails = True
        for share, _ in wanted:
            share.surrender()
        with pytest.raises(StorageUnavailable):
            await leasing.take(wanted)
        assert leasing.held == 0
        counters.fails = False
        assert await leasing.take(wanted) is None
        await processes.end()

    skip_through(run)

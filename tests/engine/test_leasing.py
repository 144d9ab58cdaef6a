"""Several processes take from the same counters, at the same time: against a reference that asks at one place."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from arouter.domain.counters import MINUTE_US, Counter, Meter, Window, bounds
from arouter.domain.errors import StorageUnavailable
from arouter.domain.guardrails import Target
from arouter.domain.record import Record
from arouter.domain.usage import Usage
from arouter.engine.leasing import EVERY_S, LOOK_AFTER_S, Leasing, Share
from arouter.engine.tasks import Tasks
from arouter.store.memory_counters import CounterData
from tests.conformance.samples import record
from tests.engine.scripted_counters import ScriptedCounters
from tests.engine.skipping_loop import SkippingLoop, skip_through

WORKERS = 3
LIMIT = 1000


def counter(scope_id: str = "a", *, window: Window = Window.MINUTE, at_us: int = 0) -> Counter:
    start_us, end_us = bounds(window, at_us)
    return Counter(
        meter=Meter.TOKENS,
        scope=Target.KEY,
        organization_id="org_1",
        scope_id=scope_id,
        start_us=start_us,
        end_us=end_us,
    )


class Processes:
    """Some of them on the same counters, each looking after the others' wishes."""

    def __init__(self, loop: SkippingLoop, count: int = WORKERS) -> None:
        self.data = CounterData()
        self.failed: list[str] = []
        tasks = Tasks(lambda name, failure: self.failed.append(name))
        self.records: list[Record] = []
        self.used: dict[Counter, int] = {}
        self.counters = [ScriptedCounters(self.data, lambda: self.records, lambda _: None) for _ in range(count)]
        self.leasings = [Leasing(one, now_us=loop.now_us, tasks=tasks) for one in self.counters]
        self._turning = [asyncio.ensure_future(one.run()) for one in self.leasings]

    async def end(self) -> None:
        for task in self._turning:
            task.cancel()
        await asyncio.gather(*self._turning, return_exceptions=True)
        assert self.failed == []

    def settle(self, share: Share, held: int, used: int) -> None:
        """A request of the key ends, and has its record."""
        of = share.counter
        share.settle(held, used)
        self.used[of] = self.used.get(of, 0) + used
        opened = {"organization_id": of.organization_id, "key_hash": of.scope_id, "created_at_us": of.start_us}
        self.records.append(record(f"gen-{len(self.records)}", opened=opened, usage=Usage(output_tokens=used)))

    def spent(self, of: Counter, limit: int) -> tuple[int, int]:
        """What was used of a counter so far, and what is held."""
        return self.used.get(of, 0), sum(one.share(of, limit).held for one in self.leasings)


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
            processes.settle(shares[0], 1, 1)
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
                    processes.settle(share, held, min(used, held))
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


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([Window.MINUTE, Window.DAY]), st.integers(1, 60), requests)
@example(
    Window.MINUTE,
    39,
    [
        *[(0, 0, units, units) for units in (*[1] * 8, *[2] * 3, 3, 3, 5, 5)],
        *((0, 260, 5, 0), (0, 316, 1, 0), (1, 300, 2, 0), (2, 255, 3, 3)),
    ],
)
def test_no_more_is_told_than_what_is_left_and_what_others_took_since_the_last_look(
    window: Window, limit: int, asked: list[tuple[int, int, int, int]]
) -> None:
    """What answers tell as remaining, from a moment after their requests began."""

    async def run(loop: SkippingLoop) -> None:
        processes = Processes(loop)
        of = counter(window=window)
        took: list[tuple[float, int, int]] = []
        """When, who, how much."""
        holding = [0] * WORKERS

        def check(worker: int) -> None:
            left = limit - sum(processes.spent(of, limit))
            oldest_s = loop.time() - EVERY_S - LOOK_AFTER_S
            lately = sum(units for at_s, who, units in took if who != worker and at_s >= oldest_s)
            for who, leasing in enumerate(processes.leasings):
                if who != worker:
                    # What is held since this moment, and whoever asked for it has not been woken yet.
                    lately += leasing.share(of, limit).held - holding[who]
            assert processes.leasings[worker].share(of, limit).remaining <= left + lately

        async def ask(worker: int, after_ms: int, held: int, used: int) -> None:
            leasing = processes.leasings[worker]
            await asyncio.sleep(after_ms / 100)
            shares = await take(leasing, [(of, limit, held)])
            leasing.will_tell(leasing.share(of, limit))
            if shares is None:
                check(worker)
                return
            took.append((loop.time(), worker, held))
            holding[worker] += held
            for pause_s in (0.06, 0.1, 0.2, 0.3):
                await asyncio.sleep(pause_s)
                check(worker)
            processes.settle(shares[0], held, min(used, held))
            holding[worker] -= held

        await asyncio.gather(*(ask(*one) for one in asked))
        await processes.end()

    skip_through(run)


@pytest.mark.parametrize("window", [Window.MINUTE, Window.DAY])
def test_who_is_not_alone_knows_what_others_took(window: Window) -> None:
    async def run(loop: SkippingLoop) -> None:
        processes = Processes(loop, 2)
        one, other = processes.leasings
        of = counter(window=window)

        async def ask(leasing: Leasing, count: int) -> int:
            """So many requests that end at once; what the last one is told."""
            share = leasing.share(of, LIMIT)
            for _ in range(count):
                assert await take(leasing, [(of, LIMIT, 1)])
                leasing.will_tell(share)
                await asyncio.sleep(0.06)
                processes.settle(share, 1, 1)
            return share.remaining

        for asking, idle, asked, together in ((one, other, 10, 10), (other, one, 30, 40), (one, other, 40, 80)):
            told = await ask(asking, asked)
            # What the idle one has leased is told there alone. What it used of that, and what was used here since the
            # last look, may count twice where the ledger counts.
            left = LIMIT - together - idle.share(of, LIMIT).free
            assert left - (50 if of.in_ledger else 0) <= told <= left
        await processes.end()

    skip_through(run)


def test_nobody_keeps_what_another_one_needs() -> None:
    """The first takes half, and is idle from then on; the last needs nearly everything."""

    async def run(loop: SkippingLoop) -> None:
        processes = Processes(loop)
        first, second, last = processes.leasings
        of = counter()
        for leasing in (first, second):
            assert await take(leasing, [(of, LIMIT, 1)])
        assert first.share(of, LIMIT).free >= 400
        assert await take(last, [(of, LIMIT, LIMIT - 2)])
        assert await take(first, [(of, LIMIT, 1)]) is None
        await processes.end()

    skip_through(run)


def test_who_asks_for_little_all_the_time_does_not_starve_who_asks_for_much() -> None:
    async def run(loop: SkippingLoop) -> None:
        processes = Processes(loop, 7)
        *small, large = processes.leasings
        of = counter()

        async def ask_on(leasing: Leasing) -> None:
            while True:
                shares = await take(leasing, [(of, LIMIT, 1)])
                if shares is not None:
                    shares[0].give_back(1)
                await asyncio.sleep(0.003)

        asking = []
        for number, leasing in enumerate(small):
            asking.append(asyncio.ensure_future(ask_on(leasing)))
            await asyncio.sleep(0.001 * number)
        for _ in range(5):
            await asyncio.sleep(2)
            shares = await take(large, [(of, LIMIT, LIMIT - 10)])
            assert shares is not None
            shares[0].give_back(LIMIT - 10)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await processes.end()

    skip_through(run)


def test_a_refusal_holds_for_those_who_want_as_much_and_not_for_less() -> None:
    async def run(loop: SkippingLoop) -> None:
        processes = Processes(loop, 1)
        (leasing,), (counters,) = processes.leasings, processes.counters
        assert await take(leasing, [(counter(), 10, 6)])
        assert await take(leasing, [(counter(), 10, 5)]) is None
        asked = counters.asked
        assert await take(leasing, [(counter(), 10, 5)]) is None
        assert await take(leasing, [(counter(), 10, 7)]) is None
        assert counters.asked == asked
        assert await take(leasing, [(counter(), 10, 4)])
        await processes.end()

    skip_through(run)


def test_requests_that_wait_for_others_ask_together() -> None:
    """However many of them wait: a question for each pause, until the others have answered."""

    async def run(loop: SkippingLoop) -> None:
        processes = Processes(loop, 2)
        of = counter()
        assert await take(processes.leasings[0], [(of, 100, 1)])

        async def ask(after_ms: int) -> bool:
            await asyncio.sleep(after_ms / 1000)
            return await take(processes.leasings[1], [(of, 100, 3)]) is not None

        assert all(await asyncio.gather(*(ask(number) for number in range(30))))
        assert processes.counters[1].asked < 30
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

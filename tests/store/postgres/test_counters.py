"""Counters of several gateways on one database: never over the limit, never waiting for each other for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arouter.domain.counters import MINUTE_US, NEVER_US, Counter, Meter, Window, bounds
from arouter.domain.guardrails import Target
from arouter.domain.windows import DAY_US
from arouter.store.base import Leased, LeaseWanted, Standing
from arouter.store.postgres.counters import PostgresCounters
from arouter.store.postgres.owners import Owner
from arouter.store.postgres.pool import Pool

NOW_US = 1_800_000_000_000_000
DAY, DAY_END = bounds(Window.DAY, NOW_US)
MINUTE, MINUTE_END = bounds(Window.MINUTE, NOW_US)
TODAY = Counter(
    meter=Meter.COST, scope=Target.USER, organization_id="org_a", scope_id="alice", start_us=DAY, end_us=DAY_END
)
PER_MINUTE = replace(TODAY, meter=Meter.REQUESTS, start_us=MINUTE, end_us=MINUTE_END)
RUNNING = replace(TODAY, meter=Meter.CONCURRENT, start_us=0, end_us=NEVER_US)


@dataclass
class Gateway:
    """One of several processes on the database."""

    pool: Pool
    owner: Owner
    counters: PostgresCounters

    async def lease(
        self, counter: Counter, limit: int, *, keep: int = 0, now_us: int = NOW_US, **wanted: Any
    ) -> Leased:
        one = LeaseWanted(counter=counter, limit=limit, keep=keep, **wanted)
        return (await self.counters.lease([one], now_us=now_us))[0]

    async def standing(self, counter: Counter) -> Standing:
        return (await self.counters.standings([counter]))[0]

    async def execute(self, statement: str) -> None:
        async with self.pool.lend() as connection:
            await connection.execute(statement)

    async def vanish(self) -> None:
        """End without a word."""
        await self.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' "
            f"AND objsubid = 2 AND objid = {self.owner.number}"
        )


async def nothing_waits() -> None:
    pass


@asynccontextmanager
async def gateways(url: str, number: int = 1, *, grace_s: float = 600.0) -> AsyncIterator[list[Gateway]]:
    made = []
    for _ in range(number):
        pool, owner = Pool(url), Owner(url, grace_s=grace_s)
        await pool.start()
        made.append(Gateway(pool, owner, PostgresCounters(pool, owner, nothing_waits)))
    try:
        yield made
    finally:
        for one in made:
            await one.counters.end()
            await one.owner.forget()
            await one.pool.close()


def test_what_is_posted_of_whole_days_is_what_the_days_say(postgres_url: str) -> None:
    async def run() -> None:
        async with gateways(postgres_url) as [gateway]:
            day = DAY // DAY_US
            await gateway.execute(
                "INSERT INTO usage_days (scope, organization_id, scope_id, day, requests, tokens, cost) VALUES "
                f"('user', 'org_a', 'alice', {day - 1}, 1, 10, 100), ('user', 'org_a', 'alice', {day}, 2, 20, {2**70}),"
                f"('user', 'org_b', 'alice', {day}, 4, 40, 400), ('key', 'org_a', 'alice', {day}, 8, 80, 800)"
            )
            assert (await gateway.standing(TODAY)).posted == 2**70
            assert (await gateway.standing(replace(TODAY, start_us=0, end_us=NEVER_US))).posted == 2**70 + 100
            assert (await gateway.standing(replace(TODAY, meter=Meter.TOKENS))).posted == 20
            assert (await gateway.standing(replace(TODAY, meter=Meter.REQUESTS))).posted == 2
            assert (await gateway.standing(replace(TODAY, scope=Target.KEY))).posted == 800
            assert (await gateway.standing(replace(TODAY, organization_id="org_c"))).posted == 0
            assert (await gateway.lease(replace(TODAY, meter=Meter.REQUESTS), 10, need=20)).granted == 8

    asyncio.run(run())


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 60), min_size=3, max_size=3))
def test_several_gateways_at_once_never_pass_a_limit(postgres_url: str, seed: int, limits: list[int]) -> None:
    counters = [replace(PER_MINUTE, scope_id=f"user-{seed}-{at}") for at in range(3)]
    random = Random(seed)

    async def requests(gateway: Gateway) -> None:
        held = [0, 0, 0]
        for _ in range(12):
            # Some of the counters, in any order: each gateway wants them in another one.
            places = random.sample(range(3), random.randint(1, 3))
            used = [random.randint(0, held[place]) for place in places]
            wanted = [
                LeaseWanted(
                    counter=counters[place],
                    limit=limits[place],
                    keep=held[place] - used_here,
                    used=used_here,
                    need=random.randint(0, 20),
                    greedy=random.random() < 0.3,
                    recall=random.random() < 0.1,
                )
                for place, used_here in zip(places, used, strict=True)
            ]
            told = await gateway.counters.lease(wanted, now_us=NOW_US)
            for place, used_here, leased in zip(places, used, told, strict=True):
                held[place] += leased.granted - used_here
                assert leased.posted + leased.others + held[place] <= limits[place]
            for standing, limit in zip(await gateway.counters.standings(counters), limits, strict=True):
                assert standing.posted + standing.leased <= limit

    async def run() -> None:
        async with gateways(postgres_url, 4) as made:
            await asyncio.gather(*(requests(gateway) for gateway in made))

    asyncio.run(run())


def test_all_units_can_be_had_and_not_one_more(postgres_url: str) -> None:
    async def run() -> int:
        async with gateways(postgres_url, 5) as made:
            told = await asyncio.gather(*(gateway.lease(RUNNING, 17, need=5) for gateway in made))
            return sum(one.granted for one in told)

    assert asyncio.run(run()) == 17


@pytest.mark.parametrize(
    ("of", "posted"), [(TODAY, 0), (RUNNING, 0), (PER_MINUTE, 7)], ids=["day", "running", "minute"]
)
def test_the_lease_of_a_process_that_died_is_free_after_the_grace(postgres_url: str, of: Counter, posted: int) -> None:
    async def run() -> None:
        async with gateways(postgres_url, 2) as [dying, patient], gateways(postgres_url, grace_s=0.0) as [other]:
            assert (await dying.lease(of, 10, need=7)).granted == 7
            await dying.vanish()
            assert (await patient.lease(of, 10, need=5)).granted == 3, "it may come back"
            told = await other.lease(of, 10, need=7)
            assert (told.granted, told.posted, told.others) == (7 - posted, posted, 3)

    asyncio.run(run())


def test_many_that_find_the_same_process_dead_end_its_leases_once(postgres_url: str) -> None:
    others = [replace(PER_MINUTE, scope_id=f"user-{at}") for at in range(6)]

    async def run() -> None:
        async with gateways(postgres_url, 5, grace_s=0.0) as [dying, *living]:
            for one in others:
                await dying.lease(one, 10, need=4)
            await dying.vanish()
            await asyncio.gather(*(gateway.lease(one, 10, need=8) for gateway in living for one in others))
            for one in others:
                found = await living[0].standing(one)
                assert found.posted == 4
                assert found.leased == 6

    asyncio.run(run())


def test_leases_and_uses_of_windows_long_ended_are_forgotten(postgres_url: str) -> None:
    async def run() -> None:
        async with gateways(postgres_url) as [gateway]:
            await gateway.lease(PER_MINUTE, 10, keep=2, used=3, need=1)
            assert await gateway.standing(PER_MINUTE) == Standing(posted=3, leased=3)
            later_us = MINUTE_END + MINUTE_US
            await gateway.lease(RUNNING, 10, need=1, now_us=later_us - 1)
            assert await gateway.standing(PER_MINUTE) == Standing(posted=3, leased=3)
            await gateway.lease(RUNNING, 10, need=1, now_us=later_us + DAY_US)
            assert await gateway.standing(PER_MINUTE) == Standing(posted=0, leased=0)

    asyncio.run(run())


def test_who_was_taken_for_dead_leases_under_another_number(postgres_url: str) -> None:
    async def run() -> None:
        async with gateways(postgres_url) as [gateway]:
            await gateway.lease(PER_MINUTE, 10, need=4)
            before = gateway.owner.number
            await gateway.counters.end()
            await gateway.execute(f"DELETE FROM owners WHERE no = {before}")
            told = await gateway.lease(PER_MINUTE, 10, keep=4, need=1)
            assert (told.granted, told.posted) == (1, 4)
            assert gateway.owner.number not in (None, before)

    asyncio.run(run())

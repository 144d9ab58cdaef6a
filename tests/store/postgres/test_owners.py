"""Which processes live: one that is killed is dead after a grace, one that was only cut off is not."""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from multiprocessing.connection import Connection as Pipe

import asyncpg
import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.store.postgres.owners import Owner, forget_owner, living_owners
from arouter.store.postgres.pool import Pool
from tests.postgres_server import PostgresServer

SHORT_S = 0.3
LONG_S = 600.0


@asynccontextmanager
async def pool_of(url: str) -> AsyncIterator[Pool]:
    pool = Pool(url)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


async def register(pool: Pool, owner: Owner) -> int:
    async with pool.transaction() as connection:
        return await owner.register(connection)


async def owners(pool: Pool, grace_s: float) -> tuple[set[int], set[int]]:
    async with pool.transaction() as connection:
        return await living_owners(connection, grace_s=grace_s)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline_s = time.monotonic() + 30
    while not await condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.02)


async def cut_off(pool: Pool) -> None:
    """End every session but those of the pool, as a network that drops connections would."""
    async with pool.lend() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks "
            "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        )


def own_and_wait(url: str, told: Pipe) -> None:
    async def run() -> None:
        async with pool_of(url) as pool:
            owner = Owner(url)
            told.send(await register(pool, owner))
            await asyncio.sleep(LONG_S)

    asyncio.run(run())


def test_who_registers_has_a_number_of_its_own_and_lives_until_it_ends(postgres_url: str) -> None:
    async def run() -> None:
        async with pool_of(postgres_url) as pool:
            one, other = Owner(postgres_url), Owner(postgres_url)
            assert one.number is None
            first = await register(pool, one)
            assert [await register(pool, one), one.number] == [first, first]
            second = await register(pool, other)
            assert await owners(pool, grace_s=0) == ({first, second}, set()), "their locks are enough"
            await one.forget()
            assert await owners(pool, grace_s=LONG_S) == ({second}, set())
            await other.forget()
            assert await owners(pool, grace_s=LONG_S) == (set(), set())

    asyncio.run(run())


def test_many_transactions_of_a_process_register_one_number(postgres_url: str) -> None:
    async def run() -> None:
        async with pool_of(postgres_url) as pool:
            owner = Owner(postgres_url)
            assert len(set(await asyncio.gather(*(register(pool, owner) for _ in range(8))))) == 1
            await owner.forget()

    asyncio.run(run())


def test_a_transaction_that_is_rolled_back_takes_no_number_back(postgres_url: str) -> None:
    async def run() -> None:
        async with pool_of(postgres_url) as pool:
            owner = Owner(postgres_url)

            async def fail() -> None:
                async with pool.transaction() as connection:
                    await owner.register(connection)
                    raise LookupError

            with pytest.raises(LookupError):
                await fail()
            number = owner.number
            assert await register(pool, owner) == number
            await owner.forget()

    asyncio.run(run())


def test_a_process_that_is_killed_is_dead_after_the_grace(postgres_url: str) -> None:
    async def run(process: multiprocessing.process.BaseProcess, number: int) -> None:
        async with pool_of(postgres_url) as pool:
            assert await owners(pool, grace_s=0) == ({number}, set())
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            assert await owners(pool, grace_s=LONG_S) == ({number}, set()), "the network may have been cut only"

            async def is_dead() -> bool:
                return await owners(pool, SHORT_S) == (set(), {number})

            await until(is_dead)

    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=own_and_wait, args=(postgres_url, there))
    process.start()
    asyncio.run(run(process, here.recv()))


def test_a_process_that_does_not_beat_lives_while_it_is_connected(postgres_url: str) -> None:
    async def run() -> None:
        async with pool_of(postgres_url) as pool:
            owner = Owner(postgres_url)
            number = await register(pool, owner)
            async with pool.lend() as connection:
                await connection.execute("UPDATE owners SET seen_at = '2001-01-01'")
            assert await owners(pool, SHORT_S) == ({number}, set())
            await owner.forget()

    asyncio.run(run())


def test_who_was_cut_off_for_a_moment_comes_back_under_its_number(postgres_url: str) -> None:
    async def run() -> None:
        async with pool_of(postgres_url) as pool:
            owner = Owner(postgres_url)
            number = await register(pool, owner)
            await cut_off(pool)
            assert await owners(pool, grace_s=LONG_S) == ({number}, set())

            async def has_come_back() -> bool:
                return await owners(pool, grace_s=0) == ({number}, set())

            assert not await has_come_back()
            await beat_until_heard(owner)
            await until(has_come_back)
            assert await register(pool, owner) == number
            await owner.forget()

    asyncio.run(run())


async def beat_until_heard(owner: Owner) -> None:
    async def beat() -> bool:
        try:
            return await owner.beat()
        except StorageUnavailable:
            return False

    await until(beat)


def test_after_a_start_of_the_server_everybody_has_the_grace_anew(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async def run() -> None:
        async with pool_of(postgres_url) as pool:
            owner = Owner(postgres_url)
            number = await register(pool, owner)
            async with pool.lend() as connection:
                await connection.execute("UPDATE owners SET seen_at = '2001-01-01'")
            postgres_server.kill()
            await asyncio.to_thread(postgres_server.start)
            assert await owners(pool, grace_s=LONG_S) == ({number}, set()), "not seen for years, and without a lock"

            async def is_dead() -> bool:
                return await owners(pool, SHORT_S) == (set(), {number})

            await until(is_dead)
            await beat_until_heard(owner)
            assert await owners(pool, grace_s=0) == ({number}, set())
            await owner.forget()

    asyncio.run(run())


def test_who_was_buried_finds_out_and_takes_another_number(postgres_url: str) -> None:
    async def run() -> None:
        async with pool_of(postgres_url) as pool:
            beating, registering = Owner(postgres_url), Owner(postgres_url)
            numbers = {await register(pool, beating), await register(pool, registering)}
            await cut_off(pool)
            async with pool.transaction() as connection:
                assert await living_owners(connection, grace_s=0) == (set(), numbers)
                for number in numbers:
                    await forget_owner(connection, number)

            async def has_found_out() -> bool:
                with suppress(StorageUnavailable):  # The first beat may find the old session.
                    assert not await beating.beat()
                return beating.number is None

            await until(has_found_out)
            assert await beating.beat(), "it owns nothing, and nothing was lost"
            anew = {await register(pool, beating), await register(pool, registering)}
            assert len(anew) == 2
            assert not anew & numbers
            await beating.forget()
            await registering.forget()

    asyncio.run(run())


def test_nobody_is_taken_for_dead_while_its_transaction_runs(postgres_url: str) -> None:
    async def run() -> None:
        async with pool_of(postgres_url) as pool:
            owner = Owner(postgres_url)
            async with pool.transaction() as connection:
                number = await owner.register(connection)
                await cut_off(pool)
                assert await owners(pool, grace_s=0) == ({number}, set())
            assert await owners(pool, grace_s=0) == (set(), {number})

    asyncio.run(run())


def test_two_that_bury_at_once_do_not_bury_the_same(postgres_url: str) -> None:
    async def run() -> None:
        async with pool_of(postgres_url) as pool:
            owner = Owner(postgres_url)
            number = await register(pool, owner)
            await cut_off(pool)
            async with pool.transaction() as connection:
                assert await living_owners(connection, grace_s=0) == (set(), {number})
                assert await owners(pool, grace_s=0) == ({number}, set())

    asyncio.run(run())


def test_who_leaves_something_behind_is_dead_at_once(postgres_url: str) -> None:
    async def run() -> None:
        async with pool_of(postgres_url) as pool:
            owner = Owner(postgres_url)
            number = await register(pool, owner)
            async with pool.lend() as connection:
                await connection.execute("CREATE TABLE left_behind (owner_no INTEGER REFERENCES owners)")
                await connection.execute("INSERT INTO left_behind VALUES ($1)", number)
            await owner.forget()
            assert await owners(pool, grace_s=LONG_S) == (set(), {number})
            async with pool.transaction() as connection:
                with pytest.raises(asyncpg.ForeignKeyViolationError):
                    await forget_owner(connection, number)

    asyncio.run(run())


@pytest.mark.parametrize(("grace_s", "between_s"), [(1.0, 0.25), (20.0, 5.0), (320.0, 5.0)])
def test_who_may_be_out_of_reach_for_long_is_seen_as_often(grace_s: float, between_s: float) -> None:
    """Else the time since it was seen last would count as time out of reach."""
    assert Owner("postgresql://nowhere/db", grace_s=grace_s).between_beats_s == between_s


def test_a_process_goes_on_beating_whatever_fails(postgres_server: PostgresServer, postgres_url: str) -> None:
    async def run() -> None:
        async with pool_of(postgres_url) as pool:
            owner = Owner(postgres_url, grace_s=SHORT_S)
            number = await register(pool, owner)
            async with asyncio.TaskGroup() as group:
                beating = group.create_task(owner.keep_beating())
                postgres_server.kill()
                await asyncio.to_thread(postgres_server.start)

                async def has_come_back() -> bool:
                    return await owners(pool, grace_s=0) == ({number}, set())

                await until(has_come_back)
                beating.cancel()
            await owner.forget()

    asyncio.run(run())

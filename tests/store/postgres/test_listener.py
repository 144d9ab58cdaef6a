"""A gateway hears of what others change, and looks again whenever it may have missed something."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.domain.guardrails import UserRules
from arouter.store.postgres.directory import PostgresDirectory
from arouter.store.postgres.listener import APPLICATION, DirectoryListener
from arouter.store.postgres.pool import Pool
from tests.conformance.samples import key
from tests.postgres_server import PostgresServer, fresh_database
from tests.store.postgres.test_directory import nothing_waits


class Ear:
    """A gateway that listens, and another one that changes things."""

    def __init__(self, url: str, pool: Pool) -> None:
        self.url = url
        self.pool = pool
        self.directory = PostgresDirectory(pool, lambda: 1, nothing_waits)
        self.calls = 0
        self.failures: list[StorageUnavailable] = []
        self._called = asyncio.Event()
        self.failed = asyncio.Event()
        self.listener = DirectoryListener(url, self._call, on_failure=self._fail, retry_s=0.01, probe_s=0.05)

    def _call(self) -> None:
        self.calls += 1
        self._called.set()

    def _fail(self, failure: StorageUnavailable) -> None:
        self.failures.append(failure)
        self.failed.set()

    async def called(self) -> None:
        """Returns after the next call, or at once if there was one since the last time."""
        await self._called.wait()
        self._called.clear()


@asynccontextmanager
async def listening() -> AsyncIterator[Ear]:
    url = await asyncio.to_thread(fresh_database)
    pool = Pool(url)
    await pool.start()
    ear = Ear(url, pool)
    running = asyncio.ensure_future(ear.listener.run())
    try:
        await ear.called()
        yield ear
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await pool.close()
    assert not ear.listener.listening


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_each_change_is_heard_once_it_can_be_read() -> None:
    async def work() -> None:
        async with listening() as ear:
            assert ear.listener.listening
            await ear.directory.add_key(key("a"), secret="a")
            await ear.called()
            await ear.directory.put_user_rules(UserRules(organization_id="org_a", user="u", blocked=True))
            await ear.called()
            assert (await ear.directory.user_rules_changed(0)).users == frozenset({("org_a", "u")})
            assert ear.calls == 3

    run(work())


def test_what_is_not_changed_after_all_is_not_heard() -> None:
    async def work() -> None:
        async with listening() as ear:
            await ear.directory.add_key(key("a"), secret="a")
            await ear.called()
            assert not await ear.directory.replace_key(key("nobody"))
            with pytest.raises(ValueError):
                await ear.directory.add_key(key("b"), secret="a")
            await ear.directory.add_key(key("b"), secret="b")
            await ear.called()
            assert ear.calls == 3

    run(work())


def test_after_a_broken_connection_it_looks_again_and_goes_on_listening() -> None:
    async def work() -> None:
        async with listening() as ear:
            async with ear.pool.lend() as connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", APPLICATION
                )
            await ear.called()
            await ear.directory.add_key(key("a"), secret="a")
            await ear.called()
            assert ear.calls == 3
            assert len(ear.failures) == 1

    run(work())


def test_a_server_that_is_away_for_a_while_is_told_of_once(postgres_server: PostgresServer) -> None:
    async def work() -> None:
        async with listening() as ear:
            postgres_server.kill()
            await ear.failed.wait()
            assert not ear.listener.listening
            await asyncio.to_thread(postgres_server.start)
            await ear.called()
            assert ear.listener.listening
            await ear.directory.add_key(key("a"), secret="a")
            await ear.called()
            assert len(ear.failures) == 1

    run(work())

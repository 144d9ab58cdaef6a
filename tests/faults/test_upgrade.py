"""From this version to the next one under load: no request fails, no record is lost."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from arouter.store.migrate import migrations
from arouter.store.postgres.database import version_of
from arouter.store.sqlite.connections import connect_reader, schema_version
from tests.faults.budgets import ALLOWED_TOKENS, CONTENT, MODELS, PRICES, with_budgets
from tests.faults.client import Heard, ask
from tests.faults.cluster import contents_of
from tests.faults.ledgers import contents
from tests.faults.processes import Gateway, Place, place, sandbox_at, sandbox_process, wait_until
from tests.faults.workers import worker_pids
from tests.next_version import NEXT_ON_POSTGRES, NEXT_ON_SQLITE, add_migration, copy_of_program
from tests.postgres_server import PostgresServer, running_server

CLIENTS = 30
RESTS_S = 0.05
BETWEEN = 80
"""Answers before and after each step."""
SETTLES_S = 0.3
"""After a gateway is taken out, until nobody is on the way to it any more."""
BUDGET = 1000
NOT_COMPATIBLE = "ALTER TABLE owners ADD COLUMN of_the_next_version TEXT;\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with sandbox_process() as url:
        yield url


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_server() as running:
        yield running


class Balanced:
    """Clients in front of whom stands a load balancer: it sends each request to a gateway that is in."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._in: list[Gateway] = []
        self._turn = 0
        self._going = True

    def take_in(self, gateway: Gateway) -> None:
        """As soon as it is ready."""
        wait_until(lambda: gateway.ready() == 200)
        self._in.append(gateway)

    async def take_out(self, gateway: Gateway) -> None:
        self._in.remove(gateway)
        await asyncio.sleep(SETTLES_S)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._ask(number))
            try:
                yield
            finally:
                self._going = False

    async def _ask(self, number: int) -> None:
        turn = number
        while self._going:
            turn += 1
            self._turn += 1
            gateway = self._in[self._turn % len(self._in)]
            model, stream = MODELS[turn % len(MODELS)], turn % 3 == 0
            self.heard.append(
                await ask(
                    gateway.url,
                    gateway.live,
                    model,
                    stream=stream,
                    user=f"user {number}",
                    content=CONTENT,
                    max_tokens=ALLOWED_TOKENS,
                )
            )
            await asyncio.sleep(RESTS_S)

    async def more(self) -> None:
        """Returns when some more were answered."""
        wanted = len(self.heard) + BETWEEN
        async with asyncio.timeout(60):
            while len(self.heard) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def check(self, record_ids: set[str | None]) -> None:
        """Every request was answered, wholly, and has its record."""
        assert [one for one in self.heard if not one.success] == []
        assert {one.id for one in self.heard} == record_ids
        assert len(self.heard) == len(record_ids)


def home_on(folder: Path, sandbox: str, url: str) -> Place:
    folder.mkdir()
    return Place(folder=folder, sections={**sandbox_at(sandbox, storage={"url": url}), **PRICES})


@pytest.mark.slow
def test_gateways_on_one_server_are_upgraded_one_after_the_other(
    sandbox: str, server: PostgresServer, tmp_path: Path
) -> None:
    """The first of the new version migrates while the other one of this version goes on. Then one goes back."""
    url = server.new_database()
    program = copy_of_program(tmp_path / "next")
    number = add_migration(program, "postgres", NEXT_ON_POSTGRES)
    balanced = Balanced()
    with place(tmp_path, {}) as all_of_them:
        homes = [home_on(tmp_path / name, sandbox, url) for name in ("a", "b")]
        running: list[Gateway] = []
        for home in homes:
            home.running = all_of_them.running
            home.keys = homes[0].keys
            running.append(home.start())
            balanced.take_in(running[-1])
        with_budgets(running[0], limit=BUDGET)

        async def replace(which: int, environment: dict[str, str]) -> None:
            await balanced.take_out(running[which])
            running[which].terminate()
            assert await asyncio.to_thread(running[which].exit_code) == 0
            homes[which].environment = environment
            running[which] = await asyncio.to_thread(homes[which].start)
            await asyncio.to_thread(balanced.take_in, running[which])
            await balanced.more()

        async def upgrade() -> None:
            async with balanced.running():
                await balanced.more()
                assert await version_of(url) == number - 1
                for which in (1, 0):
                    await replace(which, {"PYTHONPATH": str(program)})
                    assert await version_of(url) == number
                await replace(1, {})
                assert await version_of(url) == number, "whoever goes back leaves it as it is"

        asyncio.run(upgrade())
        for gateway in running:
            gateway.terminate()
            assert gateway.exit_code() == 0
        homes[0].environment = {"PYTHONPATH": str(program)}
        found = contents_of(url)
        balanced.check(set(found.records))
        assert {record.status for record in found.records.values()} == {"success"}
        events = [line["event"] for home in homes for line in home.running[0].log() if line["level"] == "error"]
    assert events == []
    sys.stdout.write(f"rolling upgrade: {len(balanced.heard)} requests, 0 failed, {len(found.records)} records\n")


@pytest.mark.slow
def test_a_step_that_is_not_compatible_lets_who_runs_go_on_and_tells_who_starts_what_to_do(
    sandbox: str, server: PostgresServer, tmp_path: Path
) -> None:
    url = server.new_database()
    program = copy_of_program(tmp_path / "next")
    add_migration(program, "postgres", NOT_COMPATIBLE)
    with place(tmp_path, {**sandbox_at(sandbox, storage={"url": url}), **PRICES}) as home:
        gateway = home.start()
        subprocess.run(
            [sys.executable, "-m", "arouter", "db", "migrate"],
            env={**os.environ, "PYTHONPATH": str(program), "AROUTER_STORAGE__URL": url},
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        heard = asyncio.run(ask(gateway.url, gateway.live, MODELS[0], stream=False, user="u"))
        assert heard.success
        with pytest.raises(AssertionError, match="Install the version of ARouter that wrote it, or a later one"):
            home.start()
        assert [one["id"] for one in gateway.records()] == [heard.id]
        gateway.terminate()
        assert gateway.exit_code() == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are read from /proc")
def test_the_workers_on_one_file_are_upgraded_by_a_hang_up(sandbox: str, tmp_path: Path) -> None:
    """The program is replaced where it is, and workers of both versions work side by side until the old have gone."""
    program = copy_of_program(tmp_path / "program")
    balanced = Balanced()
    sections = {**sandbox_at(sandbox, server={"workers": 2}), **PRICES}
    with place(tmp_path, sections, environment={"PYTHONPATH": str(program)}) as home:
        gateway = home.start()
        balanced.take_in(gateway)
        with_budgets(gateway, limit=BUDGET)
        old = set(worker_pids(gateway))
        number = add_migration(program, "sqlite", NEXT_ON_SQLITE)

        async def upgrade() -> None:
            async with balanced.running():
                await balanced.more()
                gateway.process.send_signal(signal.SIGHUP)
                await asyncio.to_thread(wait_until, lambda: not old & set(worker_pids(gateway)), 60)
                await balanced.more()

        asyncio.run(upgrade())
        gateway.terminate()
        assert gateway.exit_code() == 0
        errors = [line["event"] for line in gateway.log() if line["level"] == "error"]
    connection = connect_reader(str(gateway.database))
    assert schema_version(connection) == number == len(migrations("sqlite")) + 1
    connection.close()
    # This version reads it, too.
    found = contents(gateway.database)
    balanced.check(set(found.by_id()))
    assert found.report.problems == ()
    assert errors == []

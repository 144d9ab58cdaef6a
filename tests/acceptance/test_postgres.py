"""Real gateways on a real PostgreSQL server: what they answer, record, refuse, share, and find again."""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from arouter.cli import app
from arouter.cli.output import Failure
from tests.cli.process import refused, told
from tests.faults import budgets
from tests.faults.client import Heard, ask
from tests.faults.processes import ROOT, Gateway, Place, place, sandbox_at, sandbox_process, wait_until
from tests.postgres_server import PostgresServer, running_server

LOST_AFTER_S = 1.0
PASSWORD = "hunter%2F2"
"""The server trusts everybody, whatever they say."""
ENDLESS = "openai/sandbox?tokens=10000&token_ms=50"
MODEL = "openai/sandbox?prompt_tokens=20&tokens=40&token_ms=1"
PRICES = {f'prices."{MODEL}"': {"input": "100", "output": "100"}}
"""Sixty tokens cost 0.006 dollars."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with sandbox_process() as url:
        yield url


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_server() as server:
        yield server


@pytest.fixture
def database(server: PostgresServer) -> str:
    return server.new_database().replace("//arouter@", f"//arouter:{PASSWORD}@")


@pytest.fixture
def home(sandbox: str, database: str, tmp_path: Path) -> Iterator[Place]:
    # Without a journal: what that does is in tests/faults/test_outage.py.
    storage = {"url": database, "lost_after_s": LOST_AFTER_S, "outage_limit_s": 0}
    with place(
        tmp_path, {**sandbox_at(sandbox, storage=storage, server={"shutdown_timeout_s": 0.2}), **PRICES}
    ) as made:
        yield made


def chat(
    gateway: Gateway, model: str = MODEL, *, user: str = "alice", stream: bool = False, key: str | None = None
) -> Heard:
    return asyncio.run(ask(gateway.url, key or gateway.live, model, stream=stream, user=user, max_tokens=50))


def manage(gateway: Gateway, method: str, path: str, body: Any = None) -> Any:
    with gateway.client(gateway.management) as client:
        answer = client.ask(method, path, None if body is None else json.dumps(body).encode())
    assert answer.status in (200, 201), answer.body
    return json.loads(answer.body)


async def answers(url: object) -> list[list[tuple[Any, ...]]]:
    """What the questions in SQL on the page are answered with, but for times."""
    page = (ROOT / "docs" / "postgresql.md").read_text(encoding="utf-8")
    connection = await asyncpg.connect(str(url))
    try:
        found = [
            await connection.fetch(f"SELECT{text}") for text in re.findall(r"^SELECT([^;]+);$", page, re.MULTILINE)
        ]
    finally:
        await connection.close()
    return [[tuple(value for value in row if not isinstance(value, datetime)) for row in rows] for rows in found]


def stop(gateway: Gateway) -> None:
    gateway.terminate()
    gateway.exit_code()


def test_answers_are_recorded_and_found_again_after_a_restart(home: Place) -> None:
    gateway = home.start()
    assert [chat(gateway, stream=stream).status for stream in (False, True)] == [200, 200]
    assert chat(gateway, user="bob").status == 200
    before = gateway.records()
    assert [(one["user"], one["status"], one["cost"]) for one in before] == [
        ("alice", "success", 0.006),
        ("alice", "success", 0.006),
        ("bob", "success", 0.006),
    ]
    assert len(gateway.records([("user", "alice")])) == 2
    assert gateway.ready() == 200
    assert gateway.metric("arouter_storage_up") == 1
    stop(gateway)
    again = home.start()
    assert again.interrupted == 0
    assert again.records() == before
    settings = {"AROUTER_CONFIG": str(home.folder / "settings.toml")}
    assert asyncio.run(answers(home.sections["storage"]["url"])) == [
        [("alice", 2, Decimal("0.012")), ("bob", 1, Decimal("0.006"))],
        [(3, Decimal("0.018"))],
    ]
    report = told("db", "check", cwd=home.folder, env=settings)
    assert (report["records"], report["open_records"], report["problems"]) == (3, 0, [])
    stop(again)


def test_a_budget_holds_across_gateways(home: Place) -> None:
    """One key with a hundredth of a dollar, which is worth one request and most of another."""
    gateways = [home.start(), home.start()]
    key = manage(gateways[0], "POST", "/v1/keys", {"name": "poor", "limit": 0.01})["key"]

    def knows(gateway: Gateway) -> bool:
        return chat(gateway, "openai/unknown-model", key=key).status != 401

    wait_until(lambda: all(knows(gateway) for gateway in gateways))
    statuses = [chat(gateways[number % 2], key=key).status for number in range(6)]
    assert statuses[0] == 200
    assert set(statuses[1:]) == {402}
    for gateway in gateways:
        stop(gateway)


def test_many_at_once_do_not_pass_a_dollar_in_two_gateways_of_which_one_is_killed(home: Place) -> None:
    """Budgets of the organization, the workspace, the key and the user, as with one file."""
    home.sections = {**home.sections, **budgets.PRICES}
    victim, living = home.start(), home.start()
    budgets.with_budgets(living)

    async def ask_and_kill() -> list[Heard]:
        asking = [asyncio.ensure_future(budgets.ask_all(gateway, "u", 150)) for gateway in (victim, living)]
        await asyncio.sleep(0.5)
        victim.kill()
        return [heard for one in asking for heard in await one]

    assert {heard.status for heard in asyncio.run(ask_and_kill())} <= {200, 402, None}
    wait_until(lambda: living.metric("arouter_storage_up") == 1 and not held(living), timeout_s=30)
    budgets.check_peace(living, "u")
    budgets.spend_the_rest(living, "u")
    assert budgets.check_peace(living, "u") > budgets.LIMIT - budgets.HELD
    budgets.check_refused(living, "u")
    stop(living)


def held(gateway: Gateway) -> bool:
    """Whether anything is held of a budget still."""
    return any(figure[1] for figure in budgets.figures(gateway, "u").values())


def test_what_a_killed_gateway_left_open_is_closed_by_another_one(home: Place) -> None:
    victim, living = home.start(), home.start()

    async def play() -> None:
        async with asyncio.TaskGroup() as group:
            dying = group.create_task(ask(victim.url, victim.live, ENDLESS, stream=True, user="dying"))
            await asyncio.to_thread(wait_until, lambda: victim.metric("arouter_upstream_open") == 1)
            await asyncio.sleep(0.5)  # Its intent is on disk by then.
            victim.kill()
            await asyncio.to_thread(wait_until, lambda: bool(living.records([("user", "dying")])))
        assert not dying.result().whole

    asyncio.run(play())
    (record,) = living.records([("user", "dying")])
    assert (record["status"], record["cost"]) == ("interrupted", None)
    assert living.metric("arouter_records_recovered_total") == 1
    stop(living)


def test_a_server_that_restarts_is_found_again(home: Place, server: PostgresServer) -> None:
    gateway = home.start()
    assert chat(gateway).status == 200
    server.kill()
    wait_until(lambda: chat(gateway).status == 503)
    assert gateway.ready() == 503
    server.start()
    wait_until(lambda: chat(gateway).status == 200, timeout_s=30)
    wait_until(lambda: gateway.ready() == 200)
    records = gateway.records()
    assert sum(one["status"] == "success" for one in records) >= 2
    assert {one["status"] for one in records} <= {"success", "interrupted", "rejected"}
    stop(gateway)


def test_two_workers_are_one_gateway(home: Place) -> None:
    home.sections = {**home.sections, "server": {**home.sections["server"], "workers": 2}}
    gateway = home.start()
    assert len(manage(gateway, "GET", "/v1/keys")["data"]) == 2
    assert [chat(gateway).status for _ in range(6)] == [200] * 6
    wait_until(lambda: len(gateway.records()) == 6)
    stop(gateway)


@dataclass(frozen=True)
class Shell:
    """Somebody with the settings in a folder, and no gateway."""

    folder: Path
    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {"AROUTER_STORAGE__URL": self.url}

    def told(self, *arguments: str) -> Any:
        return json.loads(self.said(*arguments, "--json"))

    def said(self, *arguments: str) -> str:
        done = self._run(arguments)
        assert done.exit_code == 0, done.output
        return done.output

    def problem(self, *arguments: str) -> str:
        failure = self._run(arguments).exception
        assert isinstance(failure, Failure)
        return str(failure)

    def refused(self, *arguments: str) -> str:
        """As a process of its own, with all that it prints."""
        return refused(*arguments, cwd=self.folder, env=self.environment)

    def _run(self, arguments: Sequence[str]) -> Result:
        return CliRunner(env={**self.environment, "COLUMNS": "300"}).invoke(app, arguments)


@pytest.fixture
def shell(database: str, tmp_path: Path) -> Shell:
    return Shell(tmp_path, database)


def test_commands_work_on_a_server(shell: Shell) -> None:
    shown = shell.url.replace(f":{PASSWORD}", "")
    made = shell.told("db", "migrate")
    assert (made["url"], made["from_schema_version"]) == (shown, 0)
    status = shell.told("db", "status")
    assert (status["url"], status["records"], status["open_records"]) == (shown, 0, 0)
    assert status["schema_version"] == made["schema_version"]
    assert shell.told("db", "check")["problems"] == []
    assert shell.told("keys", "create", "--name", "first")["name"] == "first"
    assert [key["name"] for key in shell.told("keys", "list")] == ["first"]
    assert "PostgreSQL" in shell.said("db", "status")
    assert shell.told("activity", "summary")["totals"]["requests"] == 0


def test_what_only_a_file_can_do_says_what_to_do_instead(shell: Shell) -> None:
    assert "pg_dump" in shell.problem("db", "backup", "copy.db")
    for command in (("db", "seal"), ("db", "fold")):
        assert "this is for SQLite" in shell.problem(*command)


def test_records_expire_as_an_organization_says(shell: Shell) -> None:
    assert shell.told("db", "retention", "set", "7")["organization_days"] == 7
    assert shell.told("db", "retention") == {"default_days": None, "organization_days": 7}
    applied = shell.told("db", "retention", "apply", "--yes")
    assert (applied["days"], applied["records"]) == (0, 0)


def test_no_output_has_the_password(shell: Shell) -> None:
    for arguments in (("config", "show"), ("config", "show", "--json"), ("config", "check"), ("db", "migrate")):
        assert PASSWORD not in shell.said(*arguments)
    away = Shell(shell.folder, f"postgresql://arouter:{PASSWORD}@127.0.0.1:1/arouter")
    for arguments in (("serve", "--port", "0"), ("keys", "list"), ("db", "status")):
        said = away.refused(*arguments)
        assert PASSWORD not in said
        assert "127.0.0.1" in said

"""Gateways that are started at once on an empty database: exactly one makes the first organization and its keys."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.processes import ROOT, place, sandbox_at
from tests.postgres_server import fresh_database

ROUNDS = 5
AT_ONCE = 3


class Starter:
    """A process that does what a start does, as often as it is told to: the moments of several are close together."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.faults.first_start"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def ask(self, url: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{url}\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def starters() -> Iterator[list[Starter]]:
    with ExitStack() as open_ones:
        made = [Starter() for _ in range(AT_ONCE)]
        for one in made:
            open_ones.callback(one.close)
        yield made


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_of_starts_at_once_one_makes_the_keys_and_all_find_the_same(
    starters: list[Starter], tmp_path: Path, engine: str
) -> None:
    for number in range(ROUNDS):
        url = f"sqlite:///{tmp_path}/{number}.db" if engine == "sqlite" else fresh_database()
        for one in starters:
            one.ask(url)
        answers = [one.answer() for one in starters]
        assert len({answer["organization_id"] for answer in answers}) == 1
        assert sorted(answer["live"] is not None for answer in answers) == [False] * (AT_ONCE - 1) + [True]
        starters[0].ask(url)
        assert starters[0].answer() == {"organization_id": answers[0]["organization_id"], "live": None}


def test_the_keys_of_the_gateway_that_was_first_are_good_for_the_other(tmp_path: Path) -> None:
    url = fresh_database()
    with ExitStack() as open_ones, ThreadPoolExecutor(2) as pool:
        homes = []
        for name in ("one", "other"):
            (own := tmp_path / name).mkdir()
            sections = sandbox_at("http://127.0.0.1:9", storage={"url": url})
            homes.append(open_ones.enter_context(place(own, sections)))
        gateways = [*pool.map(lambda home: home.start(), homes)]
        (maker,) = [gateway for gateway in gateways if str(gateway.live).startswith("lr_live_")]
        for gateway in gateways:
            with gateway.client(maker.management) as client:
                listed = client.ask("GET", "/v1/keys").json["data"]
            assert sorted(one["name"] for one in listed) == ["first", "management"]

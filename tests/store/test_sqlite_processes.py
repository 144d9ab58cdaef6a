"""Real processes on one file, killed in the middle of their work."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.backends import Backend, sqlite
from tests.conformance.samples import ids

WORK = """
import asyncio, itertools, sys
from arouter.store.sqlite import SqliteStore
from arouter.store.intents import TICK_S
from tests.conformance.samples import opening, record

async def work(ledger, name):
    for number in itertools.count():
        each = record(f"gen-{name}-{number:06}")
        ledger.open(each.opening)
        await asyncio.sleep(0.002)
        await ledger.close(each)
        print(each.opening.id, flush=True)

async def main(path, name):
    store = SqliteStore.open(path, clock=lambda: 1)
    await store.start()
    store.ledger.open(opening(f"gen-{name}-open"))
    await asyncio.sleep(4 * TICK_S)
    await asyncio.gather(*(work(store.ledger, f"{name}{writer}") for writer in range(24)))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = sqlite(tmp_path)
    yield made
    made.stop()


class Process:
    """A gateway that does nothing but record; it prints the id of each record that it was told is durable."""

    def __init__(self, path: Path, name: str, output: Path) -> None:
        self.output = output
        with output.open("wb") as stdout:
            self.process = subprocess.Popen(
                [sys.executable, "-c", WORK, str(path), name], stdout=stdout, env=os.environ
            )

    def acknowledged(self) -> list[str]:
        lines = self.output.read_text().split("\n")
        return lines[:-1]

    def wait_for_work(self) -> None:
        end = time.monotonic() + 30
        while len(self.acknowledged()) < 50:
            assert self.process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    """Starts processes; none outlives its test."""
    started: list[Process] = []

    def begin(name: str) -> Process:
        started.append(Process(tmp_path / "arouter.db", name, tmp_path / f"{name}.out"))
        return started[-1]

    yield begin
    for each in started:
        each.kill()


def test_a_kill_loses_no_acknowledged_record_doubles_none_and_leaves_the_living_alone(
    backend: Backend, start: Callable[[str], Process], tmp_path: Path
) -> None:
    rounds = 3
    survivor = start("survivor")
    survivor.wait_for_work()
    acknowledged: list[str] = []
    recovered = 0
    for number in range(rounds):
        victim = start(f"victim{number}")
        victim.wait_for_work()
        time.sleep(random.uniform(0.0, 0.1))
        victim.kill()
        acknowledged += victim.acknowledged()
        recovered += backend.run(backend.ledger.recover(now_us=7))
        assert backend.run(backend.ledger.recover(now_us=8)) == 0
    survivor.wait_for_work()
    interrupted = ids(backend, limit=100_000, statuses=("interrupted",))
    assert len(interrupted) == recovered >= rounds
    assert not [each for each in interrupted if "survivor" in each]
    assert {f"gen-victim{number}-open" for number in range(rounds)} <= {*interrupted}
    survivor.kill()
    acknowledged += survivor.acknowledged()
    succeeded = ids(backend, limit=100_000, statuses=("success",))
    assert {*acknowledged} <= {*succeeded}
    assert not {*succeeded} & {*interrupted}
    assert len({*acknowledged}) == len(acknowledged)
    assert "gen-survivor-open" not in succeeded
    assert backend.run(backend.ledger.recover(now_us=9)) >= 1
    assert backend.run(backend.ledger.check()).problems == ()
    assert [each.name for each in tmp_path.glob("arouter.db-owner-*")] == []

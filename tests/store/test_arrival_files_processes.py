"""Real processes that keep records in files, killed at any moment, while others read: nothing that was acknowledged
before a read began is missing in it, and nothing is there twice."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.backends import Backend, sqlite
from tests.conformance.samples import append, ids, record
from tests.store.kept_files import booked, booked_through

KEEPS = """
import asyncio, itertools, sys
from arouter.store.sqlite import SqliteStore
from tests.conformance.samples import record

async def work(ledger, name):
    for number in itertools.count():
        each = f"gen-{name}-{number:06}"
        await ledger.close(record(each))
        print(each, flush=True)

async def main(path, name, writers):
    store = SqliteStore.open(path, clock=lambda: 1)
    await store.start()
    await asyncio.gather(*(work(store.ledger, f"{name}-{writer}") for writer in range(int(writers))))

asyncio.run(main(*sys.argv[1:]))
"""

READS = """
import asyncio, sys
from pathlib import Path
from arouter.domain.activity import ActivityQuery
from arouter.store.sqlite import SqliteStore
from tests.conformance.samples import SCOPE

async def main(path, *outputs):
    store = SqliteStore.open(path, clock=lambda: 1)
    await store.start()
    print("reads", flush=True)
    reads = 0
    while True:
        told = {line for output in outputs for line in Path(output).read_text().split("\\n")[:-1]}
        page = await store.ledger.page(ActivityQuery(scope=SCOPE, limit=1_000_000))
        found = [row.record.opening.id for row in page.rows]
        assert len({*found}) == len(found), "twice"
        assert told <= {*found}, f"missing: {sorted(told - {*found})[:5]}"
        reads += 1
        print(reads, len(told), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


class Process:
    """Its output is in a file."""

    def __init__(self, output: Path, program: str, *arguments: str | Path) -> None:
        self.output = output
        with output.open("wb") as stdout:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, *map(str, arguments)], stdout=stdout, stderr=sys.stderr, env=os.environ
            )

    def lines(self) -> list[str]:
        return self.output.read_text().split("\n")[:-1]

    def wait_for(self, lines: int) -> None:
        end_s = time.monotonic() + 60
        while len(self.lines()) < lines:
            assert self.process.poll() is None
            assert time.monotonic() < end_s
            time.sleep(0.005)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = sqlite(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts processes; none outlives its test."""
    started: list[Process] = []

    def begin(name: str, program: str, *arguments: str | Path) -> Process:
        started.append(Process(tmp_path / f"{name}.out", program, tmp_path / "arouter.db", *arguments))
        return started[-1]

    yield begin
    for each in started:
        each.kill()


def test_who_reads_while_others_keep_and_are_killed_misses_nothing(
    backend: Backend, start: Callable[..., Process], tmp_path: Path
) -> None:
    names = [f"victim{number}" for number in range(3)]
    for name in names:
        (tmp_path / f"{name}.out").touch()
    reader = start("reader", READS, *(tmp_path / f"{name}.out" for name in names))
    reader.wait_for(1)
    acknowledged: list[str] = []
    for number, name in enumerate(names):
        victim = start(name, KEEPS, name, str(1 + 4 * number))
        victim.wait_for(60)
        reads = len(reader.lines())
        reader.wait_for(reads + 3)
        victim.kill()
        acknowledged += victim.lines()
        reader.wait_for(len(reader.lines()) + 2)
    assert reader.process.poll() is None
    reader.kill()
    found = ids(backend, limit=1_000_000)
    assert {*acknowledged} <= {*found}
    assert len({*found}) == len(found)
    report = backend.run(backend.ledger.check())
    assert (report.records, report.problems) == (len(found), ())
    for name in names:
        for writer in range(9):
            mine = [each for each in booked(tmp_path / "arouter.db") if each.startswith(f"gen-{name}-{writer}-")]
            assert mine == sorted(mine), "in the order in which they were acknowledged"


def test_the_pairs_of_the_killed_are_gone_once_they_are_booked(
    backend: Backend, start: Callable[..., Process], tmp_path: Path
) -> None:
    victims = [start(f"victim{number}", KEEPS, f"victim{number}", "2") for number in range(2)]
    for each in victims:
        each.wait_for(40)
        each.kill()
    acknowledged = {line for each in victims for line in each.lines()}
    for number in range(3):
        append(backend, record(f"gen-{number}"))
        assert acknowledged <= {*ids(backend, limit=1_000_000)}
    assert len(booked_through(tmp_path / "arouter.db")) <= 1, "that of the one that lives"
    assert len([*tmp_path.glob("*-arrivals-*")]) == 2 * len(booked_through(tmp_path / "arouter.db"))


def test_a_record_that_cannot_be_stored_beside_one_that_is_there_keeps_nobody_waiting(backend: Backend) -> None:
    """What is booked is booked in two steps of one transaction then."""

    async def close(*some: str, bad: str) -> list[object]:
        closing = [backend.ledger.close(record(each)) for each in some]
        closing.append(backend.ledger.close(record(bad, model="\ud800")))
        return await asyncio.wait_for(asyncio.gather(*closing, return_exceptions=True), 30)

    append(backend, record("gen-1"))
    assert ids(backend) == ["gen-1"]
    told = backend.run(close("gen-1", "gen-2", bad="gen-bad"))
    assert told[:2] == [None, None]
    assert isinstance(told[2], ValueError)
    append(backend, record("gen-3"))
    assert {*ids(backend)} == {"gen-1", "gen-2", "gen-3"}
    assert backend.run(backend.ledger.check()).problems == ()

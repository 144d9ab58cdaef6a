"""The load of the benchmark, straight before its upstream."""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvloop
from bench.cases import BY_NAME
from bench.cpu import Used
from bench.load import Load
from bench.peers.base import Running
from bench.process import Cores, next_line, started
from bench.requests import Requests
from bench.run import making_keys

CASE = BY_NAME["json"]
NOTHING = Used(cpu_s=0.0, system_s=0.0, memory_bytes=0)


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    command, log = [sys.executable, "-m", "bench.upstream"], tmp_path / "upstream.log"
    with started(command, cores=Cores.of_this_machine().beside, log=log, tells=True) as upstream:
        url = f"http://127.0.0.1:{json.loads(next_line(upstream, log))['port']}"
        yield Load(CASE, url, requests(url))


def requests(url: str) -> Requests:
    return Requests(CASE, host=urlsplit(url).netloc, path="/v1/chat/completions", model="m", keys=("k",), headers={})


@pytest.mark.parametrize("warm_up_answers", [0, 1_000])
def test_what_is_measured_begins_after_the_answers_of_the_warm_up_and_is_all_that_is_told(
    load: Load, warm_up_answers: int
) -> None:
    answered: list[int] = []

    def used() -> Used:
        answered.append(load.answered)
        return NOTHING

    window = uvloop.run(
        load.run(warm_up_s=0.0, warm_up_answers=warm_up_answers, seconds=0.2, used=used, used_beside=lambda: 0.0)
    )
    before, after = answered
    assert before >= warm_up_answers
    assert window.tally.answered == after - before > 0
    assert load.failed == 0


def running(make_key: Callable[[], None]) -> Running:
    return Running(pid=os.getpid(), targets={}, make_key=make_key)


def test_somebody_makes_keys_as_long_as_it_is_measured() -> None:
    made: list[int] = []
    some = threading.Event()

    def make() -> None:
        made.append(1)
        if len(made) == 3:
            some.set()

    with making_keys(running(make), 0.001):
        assert some.wait(10)
    count = len(made)
    assert not threading.Event().wait(0.05)
    assert len(made) == count
    with making_keys(running(make), 0.0):
        assert not threading.Event().wait(0.05)
    assert len(made) == count


def test_a_key_that_cannot_be_made_is_told() -> None:
    tried = threading.Event()

    def fail() -> None:
        tried.set()
        raise OSError("refused")

    with pytest.raises(OSError, match="refused"), making_keys(running(fail), 0.001):
        assert tried.wait(10)

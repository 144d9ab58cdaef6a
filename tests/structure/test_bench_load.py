"""The load of the benchmark, straight before its upstream."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvloop
from bench.cases import BY_NAME
from bench.cpu import Used
from bench.load import Load
from bench.process import Cores, next_line, started
from bench.requests import Requests

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

"""`make bench` works: it runs small, counts every record, and says what it measured. How fast it is, it only prints."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.cases import CASES, Case, Requests
from bench.peers import PEERS
from bench.upstream import json_answer, stream_pieces

ROOT = Path(__file__).parents[2]
SECONDS = "0.3"
WITHIN_S = 60


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The figures of a short run of the small JSON request and of the fast stream."""
    file = tmp_path_factory.mktemp("bench") / "figures.json"
    cases = ("--case", "json", "--case", "stream-fast")
    ended = run_bench("--quick", "--seconds", SECONDS, "--connections", "2", *cases, "--json", str(file))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "exactly one record for each" in ended.stdout
    figures: dict[str, Any] = json.loads(file.read_text())
    return figures


def test_every_answer_has_exactly_one_record(told: dict[str, Any]) -> None:
    ours = told["counts"]["arouter"]
    assert ours["exact"] is True
    assert ours["failed"] == 0
    assert ours["recorded"]["requests"] == ours["answered"] > 10


def test_each_case_has_a_line_for_each_peer_that_is_there(told: dict[str, Any]) -> None:
    there = {peer.name for peer in PEERS if peer.find()}
    assert {(line["case"], line["peer"]) for line in told["lines"]} == {
        (case, peer) for case in ("json", "stream-fast") for peer in there
    }
    assert set(told["counts"]) == there


def test_figures_are_figures(told: dict[str, Any]) -> None:
    for line in told["lines"]:
        assert 0 < line["cpu_us_least"] <= line["cpu_us"] <= line["cpu_us_most"]
        assert line["per_second"] > 0
        assert line["memory_mb"] > 1
        assert 0 < line["p50_ms"] <= line["p99_ms"]


def test_the_machine_is_described_and_not_named(told: dict[str, Any]) -> None:
    assert set(told["machine"]) == {
        "cores",
        "processor",
        "system",
        "python",
        "python_optimized",
        "load_average",
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_request_says_how_long_it_is_and_who_asks(case: Case) -> None:
    requests = Requests(case, host="127.0.0.1:1", path="/v1/chat/completions", key="k")
    first, second = b"".join(requests.next()), b"".join(requests.next())
    assert len(first) == len(second)
    head, _, body = first.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    asked = json.loads(body)
    assert asked["user"] == "user_0001"
    assert json.loads(second.partition(b"\r\n\r\n")[2])["user"] == "user_0002"
    assert len(asked["messages"][-1]["content"]) == case.prompt_bytes
    assert asked.get("stream", False) == bool(case.chunks)


def test_the_upstream_says_as_many_events_as_a_case_expects() -> None:
    case = next(case for case in CASES if case.chunks)
    pieces = stream_pieces(case.chunks)
    assert b"".join(pieces).count(b"data: ") == case.events
    assert pieces[-1].endswith(b"0\r\n\r\n")


def test_the_upstream_answers_json_of_the_length_it_says() -> None:
    head, _, body = json_answer().partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["usage"]["prompt_tokens"] == 42

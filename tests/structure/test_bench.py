"""`make bench` works: it runs small, counts every record, and says what it measured. How fast it is, it only prints."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree as ET

import pytest
from bench import plot
from bench.answers import SAID, Dialect, error_answer, stream_pieces, whole_answer
from bench.cases import CASES, SHORT, Case, Upstream
from bench.document import BEGIN, END, write_document
from bench.figures import Figures, read
from bench.peers import PEERS
from bench.report import Lag
from bench.requests import Requests

ROOT = Path(__file__).parents[2]
SECONDS = "0.3"
WITHIN_S = 120
PEERS_FOLDER = ROOT / "bench" / "peers"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Figures:
    """A short run of the gateway, and of nginx if it is there: JSON, an error, a refused key, a fast stream."""
    file = tmp_path_factory.mktemp("bench") / "figures.json"
    names = ("json", "json-500", "json-401", "stream-fast-100x1")
    cases = [word for name in names for word in ("--case", name)]
    command = [sys.executable, "-m", "bench", "--quick", "--seconds", SECONDS, "--peer", "arouter", "--peer", "nginx"]
    command += ["--limited-users", "2000"]
    ended = subprocess.run(
        [*command, *cases, "--json", str(file)], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "exactly one record for each" in ended.stdout
    return read(file)


def test_every_answer_has_exactly_one_record(told: Figures) -> None:
    ours = told.counts["arouter"]
    assert ours.exact is True
    assert ours.failed == 0
    assert ours.recorded is not None
    assert ours.recorded.requests == ours.answered > 10
    assert ours.recorded.errors == ours.errors > 1


def test_each_case_has_a_line_for_each_peer_that_takes_it(told: Figures) -> None:
    there = [peer for peer in PEERS if peer.name in told.counts]
    assert "arouter" in told.counts
    asked = {case for case in CASES if case.name in {line.case for line in told.lines}}
    assert len(asked) == 4
    assert {(line.case, line.peer) for line in told.lines} == {
        (case.name, peer.name) for case in asked for peer in there if peer.takes(case)
    }


def test_figures_are_figures(told: Figures) -> None:
    for line in told.lines:
        assert 0 < line.cpu_us_least <= line.cpu_us <= line.cpu_us_most
        assert line.per_second > 0
        assert line.memory_mb > 1
        assert line.p50_ms is not None
        assert line.p99_ms is not None
        assert 0 < line.p50_ms <= line.p99_ms


def test_budgets_and_rates_are_measured(told: Figures) -> None:
    guarded = told.guarded
    assert guarded is not None
    assert guarded.limits >= 7
    assert 0 < guarded.following_us < guarded.first_us
    assert 2 < guarded.leases <= guarded.limits


def test_a_change_of_limits_users_and_keys_holds_in_both_workers(told: Figures) -> None:
    """The run itself waits for each change, and ends in an error if one does not hold."""
    assert told.guarded is not None
    changes = told.guarded.changes
    assert changes is not None
    assert changes.count == 8
    assert 0 < changes.median_s <= changes.worst_s


def test_the_machine_is_described_and_not_named(told: Figures) -> None:
    assert set(told.machine) == {
        "cores",
        "processor",
        "system",
        "distribution",
        "python",
        "python_optimized",
        "load_average",
    }


# ---------------------------------------------------------------- what is asked


def _requests(case: Case, *, keys: tuple[str, ...] = ("k",)) -> Requests:
    return Requests(case, host="127.0.0.1:1", path="/v1/chat/completions", model="m", keys=keys, headers={"x-own": "1"})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_request_says_how_long_it_is_and_who_asks(case: Case) -> None:
    requests = _requests(case)
    first, second = b"".join(requests.next()), b"".join(requests.next())
    assert len(first) == len(second)
    head, _, body = first.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"\r\nx-own: 1\r\n" in head
    asked = json.loads(body)
    assert asked["user"] != json.loads(second.partition(b"\r\n\r\n")[2])["user"]
    assert len(asked["messages"][-1]["content"]) == case.prompt_bytes
    assert asked["messages"][-1]["content"].startswith(case.plan)
    assert asked.get("stream", False) == bool(case.chunks)


def test_users_and_keys_come_in_turn_and_all_of_them() -> None:
    case = replace(CASES[0], users=50, keys=3)
    requests = _requests(case, keys=("key-1", "key-2", "key-3"))
    heads, bodies = zip(*(b"".join(requests.next()).split(b"\r\n\r\n") for _ in range(150)), strict=True)
    assert len({json.loads(body)["user"] for body in bodies}) == 50
    assert len(set(heads)) == 3


def test_names_are_unique_and_the_short_run_is_made_of_cases() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({peer.name for peer in PEERS}) == len(PEERS)
    assert set(SHORT) < {case.name for case in CASES}


# ---------------------------------------------------------------- what the upstream says


@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_the_upstream_says_as_many_chunks_as_a_case_expects(dialect: Dialect) -> None:
    pieces = stream_pieces(dialect, 100, timed=True)
    whole = b"".join(pieces)
    events = len(SAID[dialect].begin) + 100 + len(SAID[dialect].end) + bool(SAID[dialect].done)
    assert whole.count(b"data: ") == events
    assert whole.count(b"@" + b"0" * 19) == 100
    assert whole.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("said", [*(whole_answer(dialect) for dialect in get_args(Dialect)), error_answer(500)])
def test_the_upstream_answers_json_of_the_length_it_says(said: bytes) -> None:
    head, _, body = said.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)


# ---------------------------------------------------------------- the peers


def test_every_peer_says_what_it_does_and_records() -> None:
    for peer in PEERS:
        assert peer.does
        assert peer.records
        assert peer.install or peer.find()
        assert peer.upstreams <= set(get_args(Upstream))


def test_peers_are_pinned_with_hashes_and_name_no_index() -> None:
    files = sorted((PEERS_FOLDER / "requirements").glob("*.txt"))
    assert [file.stem for file in files] == ["compiled", "litellm"]
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "://" not in text
        entries = [entry for entry in re.split(r"\n(?! )", text.replace("\\\n", " ")) if entry.strip()]
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
    packages = json.loads((PEERS_FOLDER / "portkey" / "package-lock.json").read_text())["packages"]
    assert all("integrity" in package and "resolved" not in package for name, package in packages.items() if name)


# ---------------------------------------------------------------- figures


def test_the_lag_of_an_event_loop_is_what_its_histogram_grew_by() -> None:
    before = {0.001: 10.0, 0.01: 12.0, 0.1: 12.0, float("inf"): 13.0}
    after = {0.001: 108.0, 0.01: 111.0, 0.1: 112.0, float("inf"): 113.0}
    assert Lag.between(before, after) == Lag(p99_ms=10.0, most_ms=100.0)


def test_the_page_gets_the_figures_between_its_marks_and_the_plots_beside_it(told: Figures, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nwhat was there\n{END}\nafter\n")
    write_document(page, told)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "what was there" not in text
    assert "exactly one record for each" in text
    assert "a change holds in both workers" in text
    for picture in re.findall(r"\(images/(.*?)\)", text):
        assert ET.parse(tmp_path / "images" / picture).getroot().tag.endswith("svg")
    write_document(page, told)
    assert page.read_text() == text


def test_a_page_without_marks_is_an_error(told: Figures, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="needs one"):
        write_document(page, told)


def test_the_page_of_the_project_has_the_marks() -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1


def test_bars_are_longer_for_more_on_a_logarithmic_axis() -> None:
    picture = plot.bars("title", "note", "µs", [("a", 10.0, False), ("b", 100.0, True), ("c", 1000.0, False)])
    first, second, third = (float(width) for width in re.findall(r'width="([\d.]+)" height="16"', picture))
    assert 0 < first < second < third
    assert second * 2 == pytest.approx(third, rel=0.01)


def test_the_columns_are_measured() -> None:
    command = [sys.executable, "-m", "bench.columns", "--records", "500", "--at-once", "200"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S)
    assert ended.returncode == 0, ended.stderr
    shown = [line.split()[:2] for line in ended.stdout.splitlines()[1:]]
    assert shown == [
        ["ndjson", "columns"],
        ["csv", "columns"],
        ["parquet", "columns"],
        ["ndjson", "rows"],
        ["csv", "rows"],
    ]

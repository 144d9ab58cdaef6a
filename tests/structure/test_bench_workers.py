"""What a second worker brings: measured where there are cores for it, else computed, and it says which."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bench.load import Tally, Window
from bench.workers import BESIDE, Sample, kept, layout, medians, pace_s, verdict
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
WITHIN_S = 120


def sample(
    workers: int, *, paced: bool = False, cpu_us: float = 200.0, full: float = 1.0, waited: float = 0.0
) -> Sample:
    """Of workers whose requests cost so much."""
    return Sample(
        workers=workers,
        paced=paced,
        per_second=workers * full / cpu_us * 1e6,
        cpu_us=cpu_us,
        busy={f"worker {number}": full for number in range(1, workers + 1)} | {"upstream": 0.2, "load": 0.2},
        idle=0.0,
        others=0.0,
        waited=waited,
        p50_ms=5.0,
        p99_ms=10.0,
    )


def four(one: Sample, two: Sample, *, paced_us: tuple[float, float] = (200.0, 200.0)) -> list[Sample]:
    return [one, two, *(sample(at + 1, paced=True, cpu_us=cpu_us, full=0.5) for at, cpu_us in enumerate(paced_us))]


def test_with_cores_to_spare_the_ratio_is_that_of_requests() -> None:
    found = verdict(four(sample(1), sample(2, cpu_us=210.0)), cores=8)
    assert (found.cores_were_free, found.undisturbed) == (True, True)
    assert found.ratio == pytest.approx(2 * 200 / 210)
    assert found.text.startswith("measured")


@pytest.mark.parametrize("two", [sample(2, cpu_us=220.0, full=0.8), sample(2, cpu_us=220.0, waited=0.5)])
def test_without_cores_it_is_computed_from_the_dearer_load_and_says_so(two: Sample) -> None:
    found = verdict(four(sample(1), two, paced_us=(200.0, 250.0)), cores=2)
    assert not found.cores_were_free
    assert found.ratio == pytest.approx(2 * 200 / 250)
    assert "computed" in found.text
    assert "NOT free" in found.text


def test_workers_that_wait_for_each_other_are_not_computed_away() -> None:
    """Cores were idle: what was measured counts, however cheap the requests were."""
    waiting = replace(sample(2, full=0.6), idle=0.5)
    found = verdict(four(sample(1), waiting), cores=2)
    assert found.ratio == pytest.approx(1.2)
    assert "waited for something else" in found.text


def test_other_programs_are_told() -> None:
    found = verdict([replace(one, others=1.0) for one in four(sample(1), sample(2))], cores=2)
    assert not found.undisturbed
    assert "OTHER PROGRAMS" in found.text


@given(st.sets(st.integers(0, 63), min_size=1, max_size=32), st.integers(2, 8))
def test_workers_have_cores_of_their_own_where_there_are_enough(allowed: set[int], workers: int) -> None:
    cores = layout(allowed, workers)
    assert cores.measured | cores.beside | cores.all <= allowed
    if len(allowed) >= workers + BESIDE:
        assert (len(cores.measured), len(cores.all)) == (1, workers)
        assert cores.measured <= cores.all
        assert not cores.all & cores.beside
        assert len(cores.beside) >= BESIDE
    else:
        assert cores.measured == cores.beside == cores.all == allowed


@given(st.floats(1e-5, 1e-2), st.floats(1e-6, 1e-2), st.integers(1, 64), st.integers(2, 8))
def test_at_the_pace_everybody_has_room(request_s: float, beside_s: float, cores: int, workers: int) -> None:
    window = Window(
        seconds=1.0,
        tally=Tally(answered=1_000),
        cpu_s=1_000 * request_s,
        system_s=0.0,
        memory_bytes=0,
        load_cpu_s=1_000 * beside_s,
    )
    each_s = 32 / pace_s(window, workers=workers, cores=cores, connections=32)
    assert each_s * request_s <= 0.61
    assert each_s * workers * (request_s + beside_s) <= 0.61 * cores


def test_a_round_that_was_disturbed_does_not_count() -> None:
    disturbed = [replace(sample(1, cpu_us=900.0), others=1.0) for _ in range(3)]
    rounds = [*disturbed, sample(1, cpu_us=200.0), sample(1, cpu_us=220.0), sample(1, cpu_us=210.0)]
    assert medians(kept(rounds, 2)).cpu_us == 210.0
    assert medians(kept(disturbed, 2)).cpu_us == 900.0, "there are no others"


def test_a_short_run_tells_of_both_and_counts_every_record(tmp_path: Path) -> None:
    file = tmp_path / "workers.json"
    command = [
        sys.executable,
        "-m",
        "bench.workers",
        "--seconds",
        "0.2",
        "--rounds",
        "1",
        "--tries",
        "1",
        "--json",
        str(file),
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("exactly one record for each") == 2
    assert "2 workers are " in ended.stdout
    told = json.loads(file.read_bytes())
    assert [(one["workers"], one["paced"]) for one in told["samples"]] == [(1, False), (2, False), (1, True), (2, True)]
    for one in told["samples"]:
        assert one["per_second"] > 0
        assert {"worker 1", "upstream", "load"} <= one["busy"].keys()
        assert ("supervisor" in one["busy"]) == ("worker 2" in one["busy"]) == (one["workers"] == 2)

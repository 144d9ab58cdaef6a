"""The plan past one machine: leases never pass a limit, however many gateways share it; the model says what is full."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bench.scale.model import Deployment, Load, Measured, parts, room_b, workers_needed
from bench.scale.show import BEGIN, END, PICTURE, cases, simulate_all, write
from bench.scale.simulation import Case, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
CASES = st.builds(
    Case,
    gateways=st.integers(1, 6),
    rate_s=st.sampled_from([1.0, 20.0]),
    limit=st.integers(0, 2_000),
    hold=st.integers(1, 20),
    service_s=st.sampled_from([0.01, 0.5, 3.0]),
    seconds=st.just(5.0),
    seed=st.integers(0, 100),
)


@settings(max_examples=25, deadline=None)
@given(case=CASES, used=st.integers(0, 20))
def test_gateways_that_share_a_limit_never_pass_it(case: Case, used: int) -> None:
    outcome = simulate(replace(case, used=(0, min(used, case.hold))))
    assert outcome.used <= case.limit
    assert outcome.most <= case.limit
    assert outcome.overage == 0
    assert outcome.left == case.limit - outcome.used


@settings(max_examples=15, deadline=None)
@given(case=CASES)
def test_a_limit_is_passed_by_told_overages_only(case: Case) -> None:
    outcome = simulate(replace(case, used=(0, 2 * case.hold)))
    assert outcome.used <= case.limit + outcome.overage


def test_nobody_is_refused_while_there_is_more_than_all_can_hold() -> None:
    case = Case(gateways=5, rate_s=20.0, limit=100_000, hold=10, used=(1, 10), seconds=5.0)
    outcome = simulate(case)
    assert (outcome.refused, outcome.admitted > 300) == (0, True)
    assert outcome.lease_calls < outcome.admitted / 10
    assert simulate(case) == outcome, "the same seed, the same figures"


@pytest.mark.parametrize("gateways", [1, 5, 40])
def test_far_from_a_limit_leases_are_seldom_asked_for_however_many_share_it(gateways: int) -> None:
    used = gateways * 10 * 5.5 * 10
    case = Case(gateways=gateways, rate_s=10.0, limit=int(used * 10), hold=10, used=(1, 10), seconds=10.0)
    outcome = simulate(case)
    assert outcome.refused == 0
    assert outcome.lease_calls / case.seconds / gateways < 1


def test_beyond_a_limit_a_gateway_asks_no_more_than_its_requests_come() -> None:
    outcome = simulate(Case(gateways=20, rate_s=10.0, limit=5_500, hold=10, used=(1, 10), seconds=10.0))
    assert outcome.refused > 500
    assert outcome.lease_calls < outcome.admitted + outcome.refused


def test_a_limit_is_used_up_before_anybody_is_refused_for_good() -> None:
    outcome = simulate(Case(gateways=4, rate_s=20.0, limit=1_000, hold=10, used=(10, 10), seconds=10.0))
    assert outcome.refused > 0
    assert outcome.used == 1_000


def test_the_fullest_part_comes_first_and_more_gateways_bear_more() -> None:
    load, measured = Load(), Measured()
    few, many = (parts(load, Deployment(gateways=count), measured) for count in (1, 100))
    assert [part.used for part in many] == sorted((part.used for part in many), reverse=True)
    used = {part.name: part.used for part in few}
    assert used["CPU of the workers"] > {part.name: part.used for part in many}["CPU of the workers"]
    assert used["connections"] < {part.name: part.used for part in many}["connections"]
    assert workers_needed(load, measured) > workers_needed(replace(load, requests_day=1_000_000), measured) == 1
    room = room_b(load, measured)
    assert room["PostgreSQL"] > room["SQLite, rows"] > room["SQLite, sealed"] > 0


def test_the_page_is_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "scale.md"
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n", encoding="utf-8")
    write(page, simulate_all(cases((1, 2), (100.0, 2.0))), Measured(), Load())
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| connections |" in text
    assert ET.parse(tmp_path / "images" / PICTURE).getroot().tag.endswith("svg")
    with pytest.raises(ValueError, match="needs one"):
        write(tmp_path / "images" / PICTURE, [], Measured(), Load())


def test_the_page_tells_the_constants_of_the_model() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, room in room_b(Load(), Measured()).items():
        assert f"| {name} | {room / 1e12:,.0f} |" in text
    assert f"takes {workers_needed(Load(), Measured()):,} workers" in text

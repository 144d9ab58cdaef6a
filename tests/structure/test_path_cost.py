"""The pure parts of a request's path execute no more Python than their budgets allow: a count, not a clock."""

from functools import partial

import pytest
from bench.counting import Counted, count
from bench.path_cost import budgets, over_budget, parts, python_version

PARTS = parts()


@pytest.mark.parametrize("name", PARTS)
def test_a_part_keeps_its_budget(name: str) -> None:
    budget = budgets().get(python_version())
    if budget is None:
        pytest.skip(f"nobody has counted with Python {python_version()}: python -m bench.path_cost --write")
    assert over_budget(name, count(PARTS[name]), budget[name]) is None


def test_every_part_has_a_budget_and_every_budget_a_part() -> None:
    for known in budgets().values():
        assert known.keys() == PARTS.keys()


@pytest.mark.parametrize("name", PARTS)
def test_a_count_is_the_same_every_time(name: str) -> None:
    assert count(PARTS[name]) == count(PARTS[name])


# ---------------------------------------------------------------- the counting


def _turns(number: int) -> int:
    total = 0
    for at in range(number):
        total += len(str(at))
    return total


def test_each_turn_of_a_loop_counts() -> None:
    ten, eleven, twelve = (count(partial(_turns, number)) for number in (10, 11, 12))
    assert eleven.bytecodes - ten.bytecodes == twelve.bytecodes - eleven.bytecodes > 5
    assert eleven.calls > ten.calls


def test_nothing_counts_for_nothing() -> None:
    def nothing() -> None:
        """Does nothing."""

    assert count(nothing) == Counted(0, 0)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (Counted(1000, 100), None),
        (Counted(1030, 103), None),
        (Counted(1031, 100), "1,031 bytecodes, its budget is 1,000"),
        (Counted(1000, 104), "104 calls, its budget is 100"),
        (Counted(849, 100), "849 bytecodes only"),
        (Counted(850, 85), None),
    ],
)
def test_a_budget_may_be_passed_by_a_little_and_must_follow_what_got_cheaper(found: Counted, says: str | None) -> None:
    told = over_budget("part", found, Counted(1000, 100))
    assert told is None if says is None else told is not None and says in told

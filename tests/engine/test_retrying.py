"""Who is asked next, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import UpstreamBusy, UpstreamFailed, UpstreamTimeout
from arouter.engine.retrying import RetryBudget, RetryRules, Turns, may_pass, wait_s
from tests.engine.samples import route

FIRST, SECOND, THIRD = (route(name) for name in ("openai/a", "groq/b", "mistral/c"))
RULES = RetryRules(retries=2, first_wait_s=1.0, longest_wait_s=4.0, total_s=100.0)


def failure(status: int | None = 503, *, after_s: float | None = None) -> UpstreamFailed:
    told = UpstreamFailed("down", upstream_status=status)
    told.retry_after_s = after_s
    return told


@pytest.mark.parametrize(
    ("told", "passes"),
    [
        (UpstreamFailed("refused"), True),
        (UpstreamTimeout("late"), True),
        *((failure(status), True) for status in (408, 425, 429, 500, 502, 503, 504, 529)),
        *((failure(status), False) for status in (301, 401, 402, 403, 405, 501)),
        (UpstreamFailed("yours", upstream_status=429, client_fault=True), False),
        (UpstreamFailed("nonsense", retryable=False), False),
        (UpstreamBusy("our own queue is full"), False),
    ],
)
def test_what_may_pass(told: UpstreamFailed, passes: bool) -> None:
    assert may_pass(told) is passes


@given(repeated=st.integers(0, 10_000), draw=st.floats(0, 1, exclude_max=True))
def test_a_pause_doubles_up_to_the_longest_and_half_of_it_is_chance(repeated: int, draw: float) -> None:
    whole = min(2.0 ** min(repeated, 9), 4.0)
    pause = wait_s(RULES, repeated, None, draw)
    assert pause is not None
    assert whole / 2 <= pause <= whole


@given(asked=st.floats(0, 4), draw=st.floats(0, 1, exclude_max=True))
def test_no_pause_is_shorter_than_the_one_that_the_provider_asked_for(asked: float, draw: float) -> None:
    pause = wait_s(RULES, 0, asked, draw)
    assert pause is not None
    assert pause >= asked
    assert wait_s(RULES, 0, 4.1, draw) is None, "too long: the client is told instead"


def test_everybody_is_asked_once_without_a_pause_before_anybody_is_asked_again() -> None:
    turns = Turns((FIRST, SECOND, THIRD), RULES, began_us=0)
    asked = [FIRST]
    turns.failed(FIRST, failure())
    waits = []
    while (turn := turns.next(0, 0.5)) is not None:
        asked.append(turn.route)
        waits.append(turn.wait_s)
        assert turn.repeats == (turn.wait_s > 0)
        turns.failed(turn.route, failure())
    assert asked == [FIRST, SECOND, THIRD, FIRST, SECOND]
    assert waits == [0, 0, 0.75, 1.5]


def test_who_asks_for_the_shortest_pause_is_repeated_first() -> None:
    turns = Turns((FIRST, SECOND), RULES, began_us=0)
    turns.failed(FIRST, failure(429, after_s=3.0))
    assert turns.next(0, 0.0) is not None
    turns.failed(SECOND, failure(429, after_s=2.0))
    told = [(turn.route, turn.wait_s) for turn in iter(lambda: turns.next(0, 0.0), None)]
    assert told == [(SECOND, 2.0), (FIRST, 3.0)]


def test_who_refuses_our_key_is_not_asked_again() -> None:
    turns = Turns((FIRST, SECOND), RULES, began_us=0)
    turns.failed(FIRST, failure(401))
    turn = turns.next(0, 0.0)
    assert turn is not None
    turns.failed(SECOND, failure(401))
    assert turns.next(0, 0.0) is None


def test_nothing_begins_after_the_deadline_nor_would_end_its_pause_there() -> None:
    turns = Turns((FIRST, SECOND), RULES, began_us=1_000_000)
    assert turns.left_s(1_000_000) == 100.0
    assert turns.left_s(500_000_000) == 0.0
    assert turns.next(101_000_000, 0.0) is None
    alone = Turns((FIRST,), RULES, began_us=0)
    alone.failed(FIRST, failure())
    assert alone.next(99_600_000, 0.0) is None
    assert alone.next(99_400_000, 0.0) is not None


def test_repetitions_are_a_fifth_of_all_requests_once_the_reserve_is_used_up() -> None:
    budget = RetryBudget()
    reserve = 0
    while budget.spend():
        reserve += 1
    assert reserve == RetryBudget.MOST // RetryBudget.PRICE
    repeated = 0
    for _ in range(1000):
        budget.earn()
        repeated += budget.spend()
    assert repeated == 1000 // RetryBudget.PRICE
    for _ in range(10 * RetryBudget.MOST):
        budget.earn()
    assert sum(budget.spend() for _ in range(10 * reserve)) == reserve, "there is no more in reserve than that"

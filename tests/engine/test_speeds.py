"""What records tell of speed."""

from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.record import Record, Status
from arouter.domain.usage import Usage
from arouter.engine.account import Account
from arouter.engine.speeds import LEAST_APART_US, LIFETIME_US, NEW_SHARE, Speeds
from tests.engine.samples import opening, route

MODEL = "openai/gpt-5.4"


def record(
    *, at_us: int = 0, first_us: int | None = 100, whole_us: int = 1_000_000, tokens: int | None = 50, **changes: Any
) -> Record:
    account = Account(opening(), started_us=0)
    account.route = route(MODEL)
    account.attempts = 1
    plain = account.record(now_us=at_us, monotonic_us=whole_us)
    return replace(plain, time_to_first_token_us=first_us, usage=Usage(output_tokens=tokens), **changes)


def test_what_nobody_measured_is_not_known() -> None:
    speeds = Speeds()
    assert (speeds.latency_us(MODEL, 0), speeds.tokens_per_s(MODEL, 0)) == (None, None)


def test_the_first_measurement_is_the_figure_and_each_further_one_moves_it() -> None:
    speeds = Speeds()
    speeds.note(record())
    assert (speeds.latency_us(MODEL, 0), speeds.tokens_per_s(MODEL, 0)) == (100, 50)
    speeds.note(record(first_us=200, tokens=100))
    assert speeds.latency_us(MODEL, 0) == pytest.approx(100 + NEW_SHARE * 100)
    assert speeds.tokens_per_s(MODEL, 0) == pytest.approx(50 + NEW_SHARE * 50)


def test_what_is_not_streamed_tells_nothing_about_the_first_token() -> None:
    speeds = Speeds()
    speeds.note(record(first_us=None))
    assert (speeds.latency_us(MODEL, 0), speeds.tokens_per_s(MODEL, 0)) == (None, 50)
    speeds.note(record(tokens=None))
    assert (speeds.latency_us(MODEL, 0), speeds.tokens_per_s(MODEL, 0)) == (100, 50)


@pytest.mark.parametrize("changes", [{"status": Status.UPSTREAM_ERROR}, {"attempts": 2}, {"model": None}])
def test_failures_and_repetitions_tell_nothing(changes: dict[str, Any]) -> None:
    speeds = Speeds()
    speeds.note(record(**changes))
    assert speeds.tokens_per_s(MODEL, 0) is None


def test_a_figure_gets_old() -> None:
    speeds = Speeds()
    speeds.note(record(at_us=0))
    assert speeds.tokens_per_s(MODEL, LIFETIME_US - 1) == 50
    assert speeds.tokens_per_s(MODEL, LIFETIME_US) is None
    speeds.note(record(at_us=LIFETIME_US, tokens=10))
    assert speeds.tokens_per_s(MODEL, LIFETIME_US) == 10, "the old one has no part in it"


def test_of_whole_answers_that_end_together_the_first_is_measured() -> None:
    speeds = Speeds()
    speeds.note(record(first_us=None))
    speeds.note(record(first_us=None, at_us=LEAST_APART_US - 1, tokens=100))
    assert speeds.tokens_per_s(MODEL, 0) == 50
    speeds.note(record(first_us=None, at_us=LEAST_APART_US, tokens=100))
    assert speeds.tokens_per_s(MODEL, 0) == pytest.approx(50 + NEW_SHARE * 50)


def test_every_stream_is_measured_whatever_else_ended_just_now() -> None:
    speeds = Speeds()
    speeds.note(record(first_us=None))
    speeds.note(record(first_us=100))
    assert speeds.latency_us(MODEL, 0) == 100


def test_a_clock_that_was_set_back_does_not_end_measuring() -> None:
    speeds = Speeds()
    speeds.note(record(first_us=None, at_us=LIFETIME_US))
    speeds.note(record(first_us=None, at_us=0, tokens=100))
    assert speeds.tokens_per_s(MODEL, 0) == pytest.approx(50 + NEW_SHARE * 50)

"""The knobs: which there are, what they take, and who wins."""

import dataclasses

import pytest

from arouter.domain.errors import InvalidRequest
from arouter.sandbox.behaviour import NAMED, Behaviour, for_request

BASE = Behaviour()


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_name_is_also_a_short_one(name: str) -> None:
    long = for_request(BASE, name)
    assert long == dataclasses.replace(BASE, **NAMED[name])  # type: ignore[arg-type]
    assert for_request(BASE, name.replace("sandbox-", "sandbox/")) == long
    assert for_request(BASE, name.removeprefix("sandbox-")) == long


def test_a_name_that_nobody_knows_answers_normally() -> None:
    for name in ("gpt-4o", "claude-sonnet-5", "error-200", "sandbox-error-999", "", "sandbox-"):
        assert for_request(BASE, name) is BASE


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503, 529])
def test_an_error_of_each_status_has_a_name(status: int) -> None:
    behaviour = for_request(BASE, f"sandbox-error-{status}")
    assert (behaviour.failure_rate, behaviour.failure_status) == (1.0, status)


@pytest.mark.parametrize(
    "model", ["sandbox?tokens=100&token_ms=5", "gpt-4o;tokens=100;token_ms=5.0", "x?token_ms=5;tokens=100"]
)
def test_settings_follow_any_name(model: str) -> None:
    assert for_request(BASE, model) == Behaviour(tokens=100, token_ms=5.0)


def test_the_header_wins_over_the_settings_over_the_name_over_the_start() -> None:
    base = Behaviour(tokens=1, ttft_ms=1, token_ms=1, retry_after_s=1)
    behaviour = for_request(base, "sandbox-slow?token_ms=3&tokens=3", "tokens=4")
    assert behaviour == Behaviour(tokens=4, token_ms=3, ttft_ms=1000, retry_after_s=1)


def test_a_knob_of_each_type_is_read() -> None:
    header = "ttft_ms=1.5, tokens=0, drop, reset=no, cut_after=2, prompt_tokens=none, finish_reason=odd, usage=zero"
    assert for_request(Behaviour(prompt_tokens=9, reset=True), "x", header) == Behaviour(
        ttft_ms=1.5, tokens=0, drop=True, reset=False, cut_after=2, finish_reason="odd", usage="zero"
    )


@pytest.mark.parametrize(
    "settings",
    [
        "token=3",
        "tokens=three",
        "tokens=-1",
        "tokens=1000001",
        "ttft_ms=nan",
        "ttft_ms=inf",
        "failure_rate=1.1",
        "failure_status=200",
        "drop=perhaps",
        "usage=most",
        "wrong_output=worse",
        "cut_after=-1",
        "says=hello",
    ],
)
def test_what_cannot_be_done_is_told(settings: str) -> None:
    name = settings.partition("=")[0]
    with pytest.raises(InvalidRequest, match=name):
        for_request(BASE, f"sandbox?{settings}")
    with pytest.raises(InvalidRequest, match=name):
        for_request(BASE, "sandbox", settings)


def test_a_behaviour_out_of_range_is_no_behaviour() -> None:
    with pytest.raises(ValueError, match="failure_rate"):
        Behaviour(failure_rate=2)
    with pytest.raises(ValueError, match="wrong_output"):
        Behaviour(wrong_output="worse")  # type: ignore[arg-type]

"""When a deployment is left alone, by the clock that a test holds."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import UpstreamBusy, UpstreamFailed, UpstreamTimeout
from arouter.engine.breaker import WELL, BreakerRules, Breakers, Health, after_failure, counts, probed
from arouter.engine.routing import Deployment
from tests.engine.samples import deployment

RULES = BreakerRules(failures=3, rest_s=10.0, longest_rest_s=35.0)
SECOND = 1_000_000
OPENAI = deployment("openai")


def failed(times: int, *, at_s: int = 0, health: Health = WELL, rules: BreakerRules = RULES) -> Health:
    for _ in range(times):
        health = after_failure(health, rules, now_us=at_s * SECOND, pause_s=None)
    return health


def test_it_opens_at_so_many_failures_in_a_row_and_rests_for_a_while() -> None:
    assert not failed(2).rests_at(0)
    opened = failed(3)
    assert opened.rests_at(0)
    assert opened.rests_at(10 * SECOND - 1)
    assert not opened.rests_at(10 * SECOND)


def test_each_further_rest_is_twice_as_long_up_to_the_longest() -> None:
    health, at_s, rests = failed(3), 0, []
    for _ in range(4):
        assert health.until_us is not None
        rests.append(health.until_us // SECOND - at_s)
        at_s = health.until_us // SECOND
        health = failed(1, at_s=at_s, health=health)
    assert rests == [10, 20, 35, 35]


def test_what_fails_during_a_rest_was_under_way_before_and_changes_nothing() -> None:
    opened = failed(3)
    assert failed(50, at_s=9, health=opened) == opened


def test_after_the_rest_one_request_finds_out_at_a_time() -> None:
    opened = failed(3)
    asked = probed(opened, RULES, now_us=10 * SECOND)
    assert asked.rests_at(10 * SECOND), "for everybody else"
    assert not asked.rests_at(20 * SECOND), "nothing came of it: somebody else may find out"
    assert probed(WELL, RULES, now_us=0) == WELL
    assert probed(opened, RULES, now_us=5 * SECOND) == opened, "who is asked as the last resort is no probe"


def test_a_pause_that_the_provider_asks_for_is_a_rest_at_once() -> None:
    paused = after_failure(WELL, RULES, now_us=0, pause_s=7.0)
    assert paused.rests_at(7 * SECOND - 1)
    assert not paused.rests_at(7 * SECOND)
    assert paused.failures == 0, "it is well, and busy"
    assert not after_failure(WELL, RULES, now_us=0, pause_s=3600.0).rests_at(35 * SECOND)
    longer = failed(3)
    assert after_failure(longer, RULES, now_us=0, pause_s=1.0).until_us == longer.until_us


def test_without_a_limit_it_never_opens() -> None:
    assert not failed(1000, rules=BreakerRules(failures=0)).rests_at(0)


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (UpstreamFailed("down"), True),
        (UpstreamFailed("no key", upstream_status=401), True),
        (UpstreamFailed("nonsense", retryable=False), True),
        (UpstreamTimeout("late"), True),
        (UpstreamFailed("your fault", upstream_status=400, client_fault=True), False),
        (UpstreamBusy("our own queue is full"), False),
    ],
)
def test_what_counts_is_the_providers_doing(failure: UpstreamFailed, says: bool) -> None:
    assert counts(failure) is says


@given(statuses=st.lists(st.sampled_from([400, 404, 409, 413, 415, 422]), max_size=200))
def test_no_number_of_client_faults_opens_it(statuses: Sequence[int]) -> None:
    breakers = Breakers(BreakerRules(failures=1))
    for at, status in enumerate(statuses):
        breakers.failed(OPENAI, UpstreamFailed("yours", upstream_status=status, client_fault=True), at)
        assert not breakers.rests(OPENAI, at)


@given(
    steps=st.lists(st.tuples(st.sampled_from(["fails", "answers", "asks"]), st.integers(0, 60)), max_size=60),
    limit=st.integers(1, 5),
)
def test_it_rests_only_after_its_limit_and_never_for_longer_than_the_longest(
    steps: list[tuple[str, int]], limit: int
) -> None:
    rules = BreakerRules(failures=limit, rest_s=10.0, longest_rest_s=35.0)
    breakers = Breakers(rules)
    now_s = in_a_row = 0
    for what, later_s in steps:
        now_s += later_s
        if what == "answers":
            breakers.answered(OPENAI)
            in_a_row = 0
        elif what == "fails":
            breakers.failed(OPENAI, UpstreamFailed("down"), now_s * SECOND)
            in_a_row += 1
        else:
            breakers.asked(OPENAI, now_s * SECOND)
        resting = breakers.rests(OPENAI, now_s * SECOND)
        assert not resting or in_a_row >= limit
        assert not breakers.rests(OPENAI, (now_s + 36) * SECOND)
        assert breakers.resting(now_s * SECOND) == (("openai",) if resting else ())


def own(key_id: str) -> Deployment:
    return deployment("openai", name=key_id, own_key=key_id)


def test_an_own_key_that_fails_is_nobody_elses_trouble() -> None:
    breakers = Breakers(BreakerRules(failures=1))
    mine, theirs = own("pkey_1"), own("pkey_2")
    breakers.failed(mine, UpstreamFailed("no key", upstream_status=401), 0)
    assert (breakers.rests(mine, 0), breakers.rests(theirs, 0), breakers.rests(OPENAI, 0)) == (True, False, False)
    assert breakers.resting(0) == (), "it is not the operator's trouble either"
    breakers.answered(OPENAI)
    assert breakers.rests(mine, 0)
    breakers.failed(OPENAI, UpstreamFailed("down"), 0)
    breakers.answered(mine)
    assert (breakers.rests(mine, 0), breakers.rests(OPENAI, 0)) == (False, True)


def test_an_own_key_is_probed_as_any_other() -> None:
    breakers = Breakers(BreakerRules(failures=1, rest_s=10.0))
    breakers.failed(own("pkey_1"), UpstreamFailed("down"), 0)
    assert not breakers.rests(own("pkey_1"), 10 * SECOND)
    breakers.asked(own("pkey_1"), 10 * SECOND)
    assert breakers.rests(own("pkey_1"), 10 * SECOND)


def test_however_many_own_keys_fail_the_operators_are_known_and_of_the_own_ones_the_newest() -> None:
    breakers = Breakers(BreakerRules(failures=1), most_own=3)
    breakers.failed(OPENAI, UpstreamFailed("down"), 0)
    keys = [own(f"pkey_{number}") for number in range(10)]
    for one in keys:
        breakers.failed(one, UpstreamFailed("down"), 0)
    assert [breakers.rests(one, 0) for one in keys] == [*[False] * 7, *[True] * 3]
    breakers.answered(keys[7])
    breakers.failed(keys[0], UpstreamFailed("down"), 0)
    assert [breakers.rests(one, 0) for one in keys] == [True, *[False] * 7, True, True], "whoever is well made room"
    assert breakers.rests(OPENAI, 0)


def test_deployments_of_one_provider_are_apart_and_a_success_forgets() -> None:
    breakers = Breakers(BreakerRules(failures=1))
    eu, us = deployment("openai", name="eu"), deployment("openai", name="us")
    breakers.failed(eu, UpstreamFailed("down"), 0)
    assert (breakers.rests(eu, 0), breakers.rests(us, 0), breakers.rests(OPENAI, 0)) == (True, False, False)
    assert breakers.resting(0) == ("openai/eu",)
    breakers.answered(eu)
    assert not breakers.rests(eu, 0)


def test_it_is_known_whether_any_failed_and_has_not_answered_since() -> None:
    breakers = Breakers(BreakerRules())
    other = deployment("groq")
    assert not breakers.some_failed
    breakers.failed(OPENAI, UpstreamFailed("yours", upstream_status=400, client_fault=True), 0)
    assert not breakers.some_failed
    breakers.failed(OPENAI, UpstreamFailed("down"), 0)
    breakers.failed(other, UpstreamFailed("down"), 0)
    breakers.answered(OPENAI)
    assert breakers.some_failed
    breakers.answered(other)
    assert not breakers.some_failed

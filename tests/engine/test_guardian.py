"""Guardrails in the pipeline: what is held, what is refused and how, and what is left when everything has ended."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from arouter.domain.counters import Meter
from arouter.domain.credits import CreditEntry, CreditKind
from arouter.domain.errors import (
    ARouterError,
    NotPermitted,
    PaymentRequired,
    RateLimited,
    StorageUnavailable,
    UpstreamFailed,
)
from arouter.domain.guardrails import Guardrail, Lists, Target, UserRules
from arouter.domain.keys import by_previous_plaintext
from arouter.domain.limits import Budget, LimitReset, Limits
from arouter.domain.money import Picodollars
from arouter.domain.organizations import Organization, Workspace
from arouter.domain.record import Status
from arouter.domain.windows import DAY_US
from arouter.engine.guardian import Guardian
from arouter.engine.guards import NO_GUARD, OF_CREDITS
from arouter.engine.leasing import TURNS_OF_A_LOOK
from arouter.engine.routing import ModelRoute, Routing
from arouter.store.memory_directory import MemoryDirectory
from arouter.web.errors import type_of
from arouter.wire.errors import error_body
from tests.engine.pipeline import Pipeline, ask, completion, play, playing, until
from tests.engine.samples import deployment, key
from tests.engine.scripted_client import Says
from tests.engine.scripted_clock import NOON_US
from tests.engine.scripted_reply import ScriptedReply

PAYMENT = CreditEntry(
    id="cred_1",
    organization_id="org_1",
    created_at_us=NOON_US,
    kind=CreditKind.TOP_UP,
    amount=Picodollars(10**12),
    description="",
)
ANOTHER = (
    Organization(id="org_2", name="", created_at_us=1),
    Workspace(id="ws_2", organization_id="org_2", name="", created_at_us=1),
)
COST = 400_000_000
"""Picodollars that an answer of `completion()` costs."""
DOLLAR = 10**12


def says(count: int) -> list[Says]:
    return [Says(steps=[completion()]) for _ in range(count)]


def guardrail(target: Target = Target.ORGANIZATION, target_id: str | None = None, **changes: Any) -> Guardrail:
    plain = Guardrail(
        id=f"grl_{target}", organization_id="org_1", name="the cap", target=target, target_id=target_id, created_at_us=1
    )
    return replace(plain, **changes)


def dollars(amount: int, reset: LimitReset | None = None) -> Limits:
    return Limits(budget=Budget(limit=Picodollars(amount), reset=reset))


async def told_of(pipeline: Pipeline, *guardrails: Guardrail, users: Sequence[UserRules] = ()) -> None:
    for one in guardrails:
        await pipeline.directory.add_guardrail(one)
    for rules in users:
        await pipeline.directory.put_user_rules(rules)
    await pipeline.guardian.refresh()


async def asked(pipeline: Pipeline, number: int = 0, **changes: Any) -> ScriptedReply:
    """One request of its own id, of 100 tokens, with an answer of at most 20: it costs what is held for it."""
    return await ask(pipeline, id=f"gen-{number}", **{"max_tokens": 20, "asked_bytes": 300, **changes})


def body_of(error: ARouterError | None) -> dict[str, Any]:
    assert error is not None
    return msgspec.json.decode(error_body(error, type_of(error)))["error"]  # type: ignore[no-any-return]


# ---------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("reset", "resets_at"),
    [
        (None, None),
        (LimitReset.DAILY, "2026-11-23T00:00:00Z"),
        (LimitReset.WEEKLY, "2026-11-23T00:00:00Z"),
        (LimitReset.MONTHLY, "2026-12-01T00:00:00Z"),
    ],
)
def test_a_keys_limit_is_a_budget_to_the_last_picodollar(reset: LimitReset | None, resets_at: str | None) -> None:
    async def run() -> None:
        pipeline = Pipeline(*says(2))
        limited = key(limit=Picodollars(COST), limit_reset=reset)
        assert (await asked(pipeline, 1, key=limited)).error is None
        reply = await asked(pipeline, 2, key=limited)
        assert isinstance(reply.error, PaymentRequired)
        told = body_of(reply.error)
        assert (told["type"], told["code"]) == ("payment_required", "credit_limit_exceeded")
        assert told["metadata"] == {
            "scope": "key",
            "guardrail": None,
            "limit_usd": 0.0004,
            "used_usd": 0.0004,
            "held_usd": 0,
            "needed_usd": told["metadata"]["needed_usd"],
            "resets_at": resets_at,
        }
        records = {one.opening.id: one for one in await pipeline.ledger.records()}
        assert (records["gen-2"].status, records["gen-2"].error_code) == (Status.REJECTED, "credit_limit_exceeded")
        assert len(pipeline.client.asked) == 1
        if reset is not None:
            later = NOON_US + (31 * DAY_US if reset is LimitReset.MONTHLY else 7 * DAY_US)
            assert (await asked(pipeline, 3, key=limited, created_at_us=later)).error is None

    play(run)


@playing
async def test_a_limit_of_nothing_is_spent() -> None:
    pipeline = Pipeline(*says(1))
    assert isinstance((await asked(pipeline, key=key(limit=Picodollars(0)))).error, PaymentRequired)


@pytest.mark.parametrize(
    ("target", "target_id", "owner"),
    [
        (Target.ORGANIZATION, None, {}),
        (Target.WORKSPACE, "ws_1", {}),
        (Target.MEMBER, "mem_1", {"creator": "mem_1"}),
        (Target.KEY, key().hash, {}),
        (Target.USER, "user_12345", {}),
        (Target.EVERY_USER, None, {}),
    ],
)
def test_a_budget_holds_for_its_target(target: Target, target_id: str | None, owner: dict[str, str]) -> None:
    async def run() -> None:
        pipeline = Pipeline(*says(3))
        pipeline.counters._key = lambda _: key(**owner)  # the directory of the members
        await told_of(pipeline, guardrail(target, target_id, limits=dollars(COST)))
        await told_of(pipeline, guardrail(target, "someone else's", id="grl_x", limits=dollars(0)))
        assert (await asked(pipeline, 1, key=key(**owner))).error is None
        reply = await asked(pipeline, 2, key=key(**owner))
        metadata = body_of(reply.error)["metadata"]
        assert metadata["scope"] == ("user" if target is Target.EVERY_USER else target)
        assert metadata["guardrail"] == f"grl_{target}"
        assert "the cap" in body_of(reply.error)["message"]
        if target in (Target.USER, Target.EVERY_USER):
            assert (await asked(pipeline, 3, key=key(**owner), user="another")).error is None
            assert (await asked(pipeline, 4, key=key(**owner), user=None)).error is None

    play(run)


@playing
async def test_what_runs_is_held_and_two_cannot_pass_together() -> None:
    pause = asyncio.Event()
    pipeline = Pipeline(Says(steps=[pause, completion()]), *says(1))
    limited = key(limit=Picodollars(COST * 3 // 2))
    first = asyncio.ensure_future(asked(pipeline, 1, key=limited))
    await until(lambda: len(pipeline.client.asked) == 1)
    reply = await asked(pipeline, 2, key=limited)
    assert isinstance(reply.error, PaymentRequired)
    metadata = body_of(reply.error)["metadata"]
    assert metadata["used_usd"] == 0
    assert metadata["held_usd"] > 0
    pause.set()
    assert (await first).error is None
    assert pipeline.leasing.held == 0


@playing
async def test_first_requests_of_a_new_user_cannot_slip_past_a_default() -> None:
    pipeline = Pipeline(*says(50))
    await told_of(pipeline, guardrail(Target.EVERY_USER, limits=dollars(10 * COST)))
    replies = await asyncio.gather(*(asked(pipeline, number, user="never seen") for number in range(50)))
    records = await pipeline.ledger.records()
    spent = sum(record.cost or 0 for record in records)
    assert len(records) == 50
    assert spent <= 10 * COST
    assert sum(reply.error is None for reply in replies) == spent // COST
    assert pipeline.leasing.held == 0
    assert pipeline.overages == []


@playing
async def test_two_processes_cannot_pass_a_budget_together() -> None:
    one = Pipeline(*says(60))
    other = Pipeline(*says(60), beside=one)
    limited = key(limit=Picodollars(20 * COST))
    replies = await asyncio.gather(
        *(asked(pipeline, number, key=limited) for number, pipeline in enumerate([one, other] * 60))
    )
    spent = sum(record.cost or 0 for record in await one.ledger.records())
    assert spent <= 20 * COST
    assert sum(reply.error is None for reply in replies) == spent // COST
    assert one.leasing.held == other.leasing.held == 0


@playing
async def test_what_another_process_does_not_need_is_had_after_a_moment() -> None:
    one = Pipeline(*says(5))
    other = Pipeline(*says(5), beside=one)
    limited = key(limit=Picodollars(4 * COST))
    assert (await asked(one, 1, key=limited)).error is None  # and has taken more than that
    turning = asyncio.ensure_future(one.leasing.run(0.01))
    for number in (2, 3, 4):
        assert (await asked(other, number, key=limited)).error is None
    assert isinstance((await asked(other, 5, key=limited)).error, PaymentRequired)
    turning.cancel()


@playing
async def test_a_true_cost_beyond_the_hold_is_recorded_and_told() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 1000, "total_tokens": 1100}
    pipeline = Pipeline(Says(steps=[completion(usage=usage)]), *says(1))
    limited = key(limit=Picodollars(2 * COST))
    assert (await asked(pipeline, 1, key=limited)).error is None
    spent = 10_200_000_000
    assert pipeline.overages == [(Meter.COST, spent - COST)]
    metadata = body_of((await asked(pipeline, 2, key=limited)).error)["metadata"]
    assert metadata["used_usd"] == 0.0102


@playing
async def test_what_failed_is_given_back() -> None:
    pipeline = Pipeline(UpstreamFailed("No.", upstream_status=400, client_fault=True), *says(1))
    limited = key(limit=Picodollars(COST), rate_limit=Limits(concurrent_requests=1))
    assert (await asked(pipeline, 1, key=limited)).error is not None
    assert pipeline.leasing.held == 0
    assert (await asked(pipeline, 2, key=limited)).error is None


@playing
async def test_an_unknown_price_holds_nothing_but_a_spent_budget_refuses() -> None:
    pipeline = Pipeline(*says(3))
    limited = key(limit=Picodollars(COST))
    assert (await asked(pipeline, 1, key=limited, models=None)).error is None
    reply = await ask(pipeline, "mistral/unknown", id="gen-2", key=limited)
    assert isinstance(reply.error, PaymentRequired)


@playing
async def test_the_most_restrictive_limit_wins() -> None:
    pipeline = Pipeline(*says(3))
    await told_of(
        pipeline,
        guardrail(Target.KEY, key().hash, id="grl_wide", limits=dollars(100 * COST)),
        guardrail(Target.KEY, key().hash, id="grl_tight", limits=dollars(COST)),
    )
    limited = key(limit=Picodollars(50 * COST))
    assert (await asked(pipeline, 1, key=limited)).error is None
    assert body_of((await asked(pipeline, 2, key=limited)).error)["metadata"]["guardrail"] == "grl_tight"


@playing
async def test_what_is_said_of_one_user_takes_the_place_of_what_is_said_of_all() -> None:
    pipeline = Pipeline(*says(4))
    await told_of(
        pipeline,
        guardrail(Target.EVERY_USER, limits=dollars(0)),
        users=[UserRules(organization_id="org_1", user="vip", limits=dollars(2 * COST))],
    )
    assert isinstance((await asked(pipeline, 1, user="other")).error, PaymentRequired)
    assert (await asked(pipeline, 2, user="vip")).error is None
    assert (await asked(pipeline, 3, user=None)).error is None
    with_default = key(default_user_limits=Limits(requests_per_day=1))
    assert (await asked(pipeline, 4, user="vip", key=with_default)).error is not None


# ---------------------------------------------------------------- rates


@playing
async def test_exactly_so_many_requests_pass_in_a_minute_and_the_next_minute_again() -> None:
    pipeline = Pipeline(*says(20))
    limited = key(rate_limit=Limits(requests_per_minute=5))
    start = NOON_US - NOON_US % 60_000_000
    replies = [await asked(pipeline, number, key=limited, created_at_us=start + 1_500_000) for number in range(8)]
    assert [reply.error is None for reply in replies] == [True] * 5 + [False] * 3
    assert [reply.rates[0].remaining for reply in replies] == [4, 3, 2, 1, 0, 0, 0, 0]
    error = replies[-1].error
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 58.5
    told = body_of(error)
    assert (told["type"], told["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert told["metadata"]["limit_name"] == "requests_per_minute"
    assert (told["metadata"]["limit"], told["metadata"]["used"]) == (5, 5)
    assert (await asked(pipeline, 9, key=limited, created_at_us=start + 60_000_000)).error is None


@playing
async def test_tokens_that_were_not_used_are_given_back() -> None:
    pipeline = Pipeline(*says(5))
    limited = key(rate_limit=Limits(tokens_per_minute=500))
    assert (await asked(pipeline, 1, key=limited, max_tokens=400)).error is None
    reply = await asked(pipeline, 2, key=limited, max_tokens=250)
    assert reply.error is None, "120 were used"
    assert reply.rates[0].remaining == 500 - 120 - 120, "as it stands when the answer begins"
    assert (await asked(pipeline, 3, key=limited, max_tokens=250)).error is not None
    assert (await asked(pipeline, 4, key=limited, max_tokens=160)).error is None


@playing
async def test_rates_are_told_as_they_stand_when_the_answer_begins() -> None:
    pause = asyncio.Event()
    pipeline = Pipeline(Says(steps=[pause, completion()]), *says(1))
    start = NOON_US - NOON_US % 60_000_000
    pipeline.clock.advance(start + 1_000_000 - pipeline.clock.now_us())
    limited = key(rate_limit=Limits(requests_per_minute=5))
    slow = asyncio.ensure_future(asked(pipeline, 1, key=limited, created_at_us=start + 1_000_000))
    await until(lambda: len(pipeline.client.asked) == 1)
    await asked(pipeline, 2, key=limited, created_at_us=start + 1_000_000)
    pipeline.clock.advance(40_000_000)
    pause.set()
    told = (await slow).rates[0]
    assert (told.remaining, told.reset_s) == (3, 19)


@playing
async def test_requests_of_a_day_are_those_of_the_ledger() -> None:
    pipeline = Pipeline(*says(5))
    limited = key(rate_limit=Limits(requests_per_day=2))
    replies = [await asked(pipeline, number, key=limited) for number in range(4)]
    assert [reply.error is None for reply in replies] == [True, True, False, False]
    used = body_of(replies[-1].error)["metadata"]["used"]
    passed = [one for one in await pipeline.ledger.records() if one.status is not Status.REJECTED]
    assert used == len(passed) == 2


@playing
async def test_so_many_run_at_once_and_no_more() -> None:
    pause = asyncio.Event()
    pipeline = Pipeline(Says(steps=[pause, completion()]), *says(1))
    limited = key(rate_limit=Limits(concurrent_requests=1))
    first = asyncio.ensure_future(asked(pipeline, 1, key=limited))
    await until(lambda: len(pipeline.client.asked) == 1)
    error = (await asked(pipeline, 2, key=limited)).error
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 1.0
    pause.set()
    await first
    assert (await asked(pipeline, 3, key=limited)).error is None


@playing
async def test_when_one_limit_refuses_nothing_stays_held_of_the_others() -> None:
    pipeline = Pipeline(*says(2))
    await told_of(pipeline, guardrail(limits=Limits(requests_per_minute=10, tokens_per_minute=10**6)))
    limited = key(limit=Picodollars(0), rate_limit=Limits(requests_per_minute=10))
    assert isinstance((await asked(pipeline, 1, key=limited)).error, PaymentRequired)
    assert pipeline.leasing.held == 0
    reply = await asked(pipeline, 2, key=key(rate_limit=Limits(requests_per_minute=10)))
    assert reply.rates[0].remaining == 9


@playing
async def test_whoever_is_cancelled_while_it_waits_holds_nothing() -> None:
    pipeline = Pipeline(*says(1))
    pipeline.counters.late = asyncio.Event()
    waiting = asyncio.ensure_future(asked(pipeline, 1, key=key(limit=Picodollars(DOLLAR))))
    await until(lambda: pipeline.counters.asked == 1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    pipeline.counters.late.set()
    await pipeline.settled()
    assert pipeline.leasing.held == 0


@playing
async def test_nothing_is_asked_when_the_counters_cannot_be() -> None:
    pipeline = Pipeline(*says(1))
    pipeline.counters.fails = True
    limited = key(limit=Picodollars(DOLLAR))
    assert isinstance((await asked(pipeline, 1, key=limited)).error, StorageUnavailable)
    assert pipeline.leasing.held == 0
    pipeline.counters.fails = False
    assert (await asked(pipeline, 2, key=limited)).error is None


@playing
async def test_while_the_ledger_is_behind_a_lease_in_hand_admits_to_its_end_and_nobody_is_asked() -> None:
    pipeline = Pipeline(*says(50))
    # Alone with it, this gateway takes half of what there is with the first request: enough for five of them.
    limited = key(limit=Picodollars(10 * COST))
    assert (await asked(pipeline, 0, key=limited)).error is None
    pipeline.behind = True
    pipeline.counters.fails = True
    calls = pipeline.counters.asked
    admitted = 1
    while (reply := await asked(pipeline, admitted, key=limited)).error is None:
        admitted += 1
        await pipeline.leasing.turn()
    assert admitted == 5
    assert isinstance(reply.error, StorageUnavailable)
    told = body_of(reply.error)
    assert told["code"] == "storage_unavailable"
    assert "more of a limit of this API key (the key's own limits)" in told["message"]
    assert told["metadata"] == {"scope": "key", "guardrail": None}
    # One that asks for more than is left takes nothing from those that do not.
    assert (await asked(pipeline, 99, key=limited, max_tokens=10**6)).error is not None
    assert pipeline.counters.asked == calls
    # Nobody is refused who has no limit, and whose limit is not this one.
    assert (await asked(pipeline, 100)).error is None
    pipeline.behind = pipeline.counters.fails = False
    while (reply := await asked(pipeline, admitted, key=limited)).error is None:
        admitted += 1
    assert isinstance(reply.error, PaymentRequired)
    assert admitted == 10, "never over the limit, and all of it"
    assert pipeline.leasing.held == 0


@playing
async def test_a_request_that_is_too_great_for_what_is_in_hand_leaves_it_to_the_others() -> None:
    pipeline = Pipeline(*says(5))
    limited = key(limit=Picodollars(10 * COST))
    assert (await asked(pipeline, 0, key=limited)).error is None
    pipeline.behind = True
    assert isinstance((await asked(pipeline, 1, key=limited, max_tokens=180)).error, StorageUnavailable)
    assert (await asked(pipeline, 2, key=limited)).error is None


@playing
async def test_under_load_the_store_is_asked_seldom() -> None:
    pipeline = Pipeline(*says(200))
    limited = key(limit=Picodollars(DOLLAR), rate_limit=Limits(requests_per_minute=10**6))
    for number in range(200):
        assert (await asked(pipeline, number, key=limited)).error is None
    assert pipeline.counters.asked <= 2


# ---------------------------------------------------------------- lists and users


@pytest.mark.parametrize(
    ("lists", "code"),
    [
        (Lists(), None),
        (Lists(allowed_models=("gpt-5.4",)), None),
        (Lists(allowed_models=("gpt-4",)), "model_not_allowed"),
        (Lists(ignored_models=("openai/gpt-5.4",)), "model_not_allowed"),
        (Lists(allowed_providers=("groq",)), "provider_not_allowed"),
        (Lists(ignored_providers=("openai",)), "provider_not_allowed"),
        (Lists(ignored_providers=("groq",)), None),
        (Lists(zero_data_retention=True), "provider_not_allowed"),
    ],
)
def test_lists_of_models_and_providers(lists: Lists, code: str | None) -> None:
    async def run() -> None:
        pipeline = Pipeline(*says(1))
        await told_of(pipeline, guardrail(lists=lists))
        error = (await asked(pipeline)).error
        assert (None if error is None else error.code) == code
        if error is not None:
            assert isinstance(error, NotPermitted)
            assert error.metadata["guardrail"] == "grl_organization"
            record = await pipeline.only_record()
            assert (record.status, record.error_code, record.model) == (Status.REJECTED, code, "openai/gpt-5.4")

    play(run)


@playing
async def test_of_several_providers_those_remain_that_keep_nothing() -> None:
    names = {"fast": ModelRoute(names=("openai/gpt-5.4", "groq/llama"))}
    routes = Routing([deployment("openai"), deployment("groq", zdr=True)], models=names)
    pipeline = Pipeline(*says(1), routes=routes)
    await told_of(pipeline, guardrail(lists=Lists(zero_data_retention=True)))
    reply = await ask(pipeline, "fast")
    assert reply.error is None
    assert (await pipeline.only_record()).provider == "groq"


@playing
async def test_a_blocked_user_is_refused_with_the_reason_until_it_is_not_blocked() -> None:
    pipeline = Pipeline(*says(2))
    rules = UserRules(organization_id="org_1", user="user_12345", blocked=True, reason="fraud")
    assert (await asked(pipeline, 1)).error is None
    await told_of(pipeline, users=[rules])
    error = (await asked(pipeline, 2)).error
    assert isinstance(error, NotPermitted)
    assert (error.code, error.metadata["reason"]) == ("user_blocked", "fraud")
    assert "fraud" in error.message
    await told_of(pipeline, users=[replace(rules, blocked=False)])
    assert (await asked(pipeline, 3)).error is None


@playing
async def test_a_changed_limit_holds_at_once() -> None:
    pipeline = Pipeline(*says(4))
    rail = guardrail(limits=dollars(COST))
    await told_of(pipeline, rail)
    assert (await asked(pipeline, 1)).error is None
    assert (await asked(pipeline, 2)).error is not None
    await pipeline.directory.replace_guardrail(replace(rail, limits=dollars(2 * COST)))
    await pipeline.guardian.refresh()
    assert (await asked(pipeline, 3)).error is None
    await pipeline.directory.delete_guardrail("org_1", rail.id)
    await pipeline.guardian.refresh()
    assert (await asked(pipeline, 4)).error is None


@playing
async def test_the_figures_are_the_ledgers() -> None:
    pipeline = Pipeline(*says(3))
    limited = key(limit=Picodollars(DOLLAR), rate_limit=Limits(requests_per_minute=100, requests_per_day=100))
    for number in range(3):
        await asked(pipeline, number, key=limited)
    _, figures = await pipeline.guardian.figures(limited, "user_12345", NOON_US)
    assert {one.slot.rule.name: (one.used, one.held) for one in figures} == {
        "budget": (3 * COST, 0),
        "requests_per_minute": (3, 0),
        "requests_per_day": (3, 0),
    }


@playing
async def test_what_is_idle_and_wanted_at_the_same_time_is_posted_once() -> None:
    one = Pipeline(*says(3))
    other = Pipeline(beside=one)
    limited = key(rate_limit=Limits(requests_per_minute=100))
    for number in range(3):
        await asked(one, number, key=limited)
    await one.leasing.turn()
    await asyncio.gather(other.guardian.figures(limited, None, NOON_US), one.leasing.turn())
    await one.leasing.turn()
    _, figures = await other.guardian.figures(limited, None, NOON_US)
    assert [(figure.used, figure.held) for figure in figures] == [(3, 0)]


@playing
async def test_a_share_is_not_forgotten_while_somebody_waits_for_it() -> None:
    one = Pipeline(*says(2))
    other = Pipeline(*says(1), beside=one)
    limited = key(limit=Picodollars(2 * COST))
    assert (await asked(one, 1, key=limited)).error is None
    other.clock.advance(1_000_000)  # What the first one said is old.
    waiting = asyncio.ensure_future(asked(other, 2, key=limited))
    await until(lambda: other.counters.asked == 1)
    other.clock.advance(DAY_US)
    for _ in range(3):
        await other.leasing.turn()
    assert len(other.leasing) == 1
    await one.leasing.turn()
    assert (await waiting).error is None


@playing
async def test_shares_that_nobody_uses_are_forgotten_and_given_back() -> None:
    pipeline = Pipeline(*says(1))
    await asked(pipeline, key=key(limit=Picodollars(DOLLAR)))
    assert len(pipeline.leasing) == 1
    assert pipeline.counter_data.leases
    for _ in range(TURNS_OF_A_LOOK):
        await pipeline.leasing.turn()
    assert len(pipeline.leasing) == 1, "it was used since the last look"
    for _ in range(TURNS_OF_A_LOOK):
        await pipeline.leasing.turn()
    assert len(pipeline.leasing) == 0
    assert not pipeline.counter_data.leases
    reply = await asked(pipeline, 2, key=key(limit=Picodollars(COST)))
    assert isinstance(reply.error, PaymentRequired)


@pytest.mark.parametrize("shares", [1, 39, 40, 41, 100])
@playing
async def test_each_of_few_shares_and_of_many_is_looked_at_once_in_so_many_turns(shares: int) -> None:
    pipeline = Pipeline(*says(shares))
    for number in range(shares):
        await asked(pipeline, number, key=replace(key(limit=Picodollars(DOLLAR)), hash=f"{number:064x}"))
    left = []
    for _ in range(2 * TURNS_OF_A_LOOK):
        await pipeline.leasing.turn()
        left.append(len(pipeline.leasing))
    assert left[: TURNS_OF_A_LOOK - 1] == [shares] * (TURNS_OF_A_LOOK - 1), "nobody is looked at twice in one round"
    assert left[-1] == 0


@playing
async def test_who_asks_once_a_second_is_not_leased_to_each_time() -> None:
    pipeline = Pipeline(*says(20))
    limited = key(limit=Picodollars(DOLLAR))
    await asked(pipeline, 0, key=limited)
    calls = pipeline.counters.asked
    for number in range(1, 20):
        for _ in range(4):
            await pipeline.leasing.turn()
        assert (await asked(pipeline, number, key=limited)).error is None
    assert pipeline.counters.asked == calls


@playing
async def test_of_guardrails_and_credits_those_are_read_again_that_may_be_others() -> None:
    class Noted(MemoryDirectory):
        reads: list[Collection[str] | None]

        async def every_guardrail(self, among: Collection[str] | None = None) -> Sequence[Guardrail]:
            self.reads.append(among)
            return await super().every_guardrail(among)

        async def every_credit_total(self, among: Collection[str] | None = None) -> Mapping[str, Picodollars]:
            self.reads.append(among)
            return await super().every_credit_total(among)

    pipeline = Pipeline(*says(1))
    directory = Noted(pipeline.directory._data)
    directory.reads = []
    guardian = Guardian(directory, pipeline.leasing, pipeline.guardian._estimates)
    limited = guardrail(limits=Limits(requests_per_minute=1))
    for change, reads in (
        (directory.add_guardrail(guardrail(Target.KEY, "e" * 64)), [None, None]),
        (directory.add_key(key(), secret="s"), []),
        (directory.add_guardrail(limited), [{limited.id}, set()]),
        (directory.add_credit(PAYMENT, opening_id="cred_0"), [set(), {"org_1"}]),
        (directory.add_organization(*ANOTHER), []),
    ):
        await change
        await guardian.refresh()
        assert directory.reads == reads
        directory.reads.clear()
    slots = (await guardian.find(key(), None)).slots
    assert [slot.rule.source.id for slot in slots if slot.rule.source is not OF_CREDITS] == [limited.id]


@playing
async def test_a_change_is_found_again_where_only_a_part_of_it_could_be_read() -> None:
    class Breaking(MemoryDirectory):
        breaks = False

        async def every_credit_total(self, among: Collection[str] | None = None) -> Mapping[str, Picodollars]:
            if self.breaks:
                raise StorageUnavailable("The storage is away.")
            return await super().every_credit_total(among)

    pipeline = Pipeline()
    directory = Breaking(pipeline.directory._data)
    guardian = Guardian(directory, pipeline.leasing, pipeline.guardian._estimates)
    await guardian.refresh()
    one = key()
    assert await guardian.find(one, None) == NO_GUARD
    await directory.add_guardrail(guardrail(limits=Limits(requests_per_minute=1)))
    directory.breaks = True
    with pytest.raises(StorageUnavailable):
        await guardian.refresh()
    assert guardian.recall(one, None) == NO_GUARD
    directory.breaks = False
    await guardian.refresh()
    assert [slot.limit for slot in (await guardian.find(one, None)).slots] == [1]


CHANGES_OF_ONE = {
    "a guardrail": lambda directory: directory.add_guardrail(guardrail(limits=Limits(requests_per_minute=1))),
    "a payment": lambda directory: directory.add_credit(PAYMENT, opening_id="cred_0"),
    "its first rules of a user": lambda directory: directory.put_user_rules(
        UserRules(organization_id="org_1", user="u", blocked=True)
    ),
}


@pytest.mark.parametrize("change", CHANGES_OF_ONE)
@playing
async def test_what_changes_for_one_organization_leaves_what_is_known_of_the_others(change: str) -> None:
    pipeline = Pipeline()
    guardian = pipeline.guardian
    await guardian.refresh()
    own, foreign = key(), replace(key(), organization_id="org_2", hash="e" * 64)
    for one in (own, foreign):
        await guardian.find(one, "u")
    forgotten: list[frozenset[str] | None] = []
    guardian.on_forget.append(forgotten.append)
    await CHANGES_OF_ONE[change](pipeline.directory)
    await guardian.refresh()
    assert forgotten == [frozenset({"org_1"})]
    assert (guardian.recall(own, "u"), guardian.recall(foreign, "u")) == (None, NO_GUARD)
    assert await guardian.find(own, "u") != NO_GUARD


@playing
async def test_of_a_user_the_guard_of_before_a_change_is_not_kept_beside_the_new_one() -> None:
    pipeline = Pipeline()
    guardian = pipeline.guardian
    limits = [Limits(requests_per_minute=number) for number in (10, 11, 12)]
    one = key(default_user_limits=dollars(DOLLAR))
    await told_of(pipeline, guardrail(limits=limits[0]))
    for said in limits:
        await pipeline.directory.replace_guardrail(guardrail(limits=said))
        await guardian.refresh()
        assert guardian.recall(one, "u") is None or said is limits[0]
        guard = await guardian.find(one, "u")
        assert [slot.limit for slot in guard.slots] == [said.requests_per_minute, DOLLAR]
        assert guardian.recall(one, "u") is guard
    assert [len(known.guards) for known in guardian._users.values()] == [1]


@playing
async def test_both_plaintexts_of_a_key_that_is_rotated_have_one_guard() -> None:
    pipeline = Pipeline()
    one = key(limit=Picodollars(COST), default_user_limits=dollars(COST), previous_expires_at_us=NOON_US + 1)
    guards = [
        await pipeline.guardian.find(found, user)
        for user in (None, "ann")
        for found in (one, by_previous_plaintext(one), one)
    ]
    assert guards[0].slots
    assert all(guard is guards[0] for guard in guards[:3])
    assert all(guard is guards[3] for guard in guards[3:])

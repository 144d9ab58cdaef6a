"""Credits in the pipeline: who is refused and how, and what a top-up, a correction and another process change."""

import asyncio
from dataclasses import replace
from typing import Any

from arouter.domain.credits import CreditEntry, CreditKind
from arouter.domain.errors import PaymentRequired
from arouter.domain.guardrails import Target
from arouter.domain.money import Picodollars
from arouter.domain.record import Status
from tests.engine.pipeline import Pipeline, completion, playing, until
from tests.engine.samples import key
from tests.engine.scripted_client import Says
from tests.engine.scripted_clock import NOON_US
from tests.engine.test_guardian import COST, asked, body_of, dollars, guardrail, says, told_of


async def pay(pipeline: Pipeline, amount: int, name: str = "crd_1", **changes: Any) -> None:
    plain = CreditEntry(
        id=name,
        organization_id="org_1",
        created_at_us=NOON_US,
        kind=CreditKind.CORRECTION,
        amount=Picodollars(amount),
        description="Top-up",
    )
    await pipeline.directory.add_credit(replace(plain, **changes), opening_id=f"{name}_0")
    await pipeline.guardian.refresh()


@playing
async def test_without_a_pool_nothing_is_refused_and_no_lease_is_asked_for() -> None:
    pipeline = Pipeline(*says(1))
    await pay(pipeline, -1, organization_id="org_2")
    assert (await asked(pipeline)).error is None
    assert pipeline.counters.asked == 0
    assert len(pipeline.leasing) == 0


@playing
async def test_credits_are_spent_to_the_last_picodollar_and_then_refuse() -> None:
    pipeline = Pipeline(*says(3))
    await pay(pipeline, COST)
    assert (await asked(pipeline, 1)).error is None
    assert len(pipeline.leasing) == 1, "one more counter"
    reply = await asked(pipeline, 2)
    assert isinstance(reply.error, PaymentRequired)
    told = body_of(reply.error)
    assert (told["type"], told["code"], told["param"]) == ("payment_required", "insufficient_credits", None)
    assert told["metadata"] == {
        "scope": "organization",
        "balance_usd": 0,
        "held_usd": 0,
        "needed_usd": told["metadata"]["needed_usd"],
    }
    assert told["message"] == (
        "Insufficient credits: this organization has $0 left. Add credits with POST /v1/credits or `arouter credits "
        "add`."
    )
    records = {one.opening.id: one for one in await pipeline.ledger.records()}
    assert (records["gen-2"].status, records["gen-2"].error_code) == (Status.REJECTED, "insufficient_credits")
    assert len(pipeline.client.asked) == 1
    await pay(pipeline, COST, "crd_2")
    assert (await asked(pipeline, 3)).error is None
    assert isinstance((await asked(pipeline, 4)).error, PaymentRequired)
    assert pipeline.leasing.held == 0


@playing
async def test_what_was_used_before_is_not_charged() -> None:
    pipeline = Pipeline(*says(4))
    for number in (1, 2):
        assert (await asked(pipeline, number)).error is None
    await pay(pipeline, COST)
    assert (await asked(pipeline, 3)).error is None
    assert isinstance((await asked(pipeline, 4)).error, PaymentRequired)


@playing
async def test_a_request_that_may_cost_more_than_is_left_is_refused_however_much_there_once_was() -> None:
    for used in (0, 3):
        pipeline = Pipeline(*says(used))
        for number in range(used):
            await asked(pipeline, number)
        await pay(pipeline, COST - 1)
        told = body_of((await asked(pipeline, 9)).error)
        assert told["code"] == "insufficient_credits"
        assert told["metadata"]["balance_usd"] == 0.000399999999
        assert "has $0.000399999999 left, and this request may cost $0.0" in told["message"]


@playing
async def test_a_negative_balance_refuses_until_more_than_that_is_paid() -> None:
    pipeline = Pipeline(*says(1))
    await pay(pipeline, 5)
    await pay(pipeline, -12, "crd_2")
    told = body_of((await asked(pipeline, 1)).error)
    assert told["metadata"]["balance_usd"] == -7e-12
    assert "has -$0.000000000007 left. Add" in told["message"]
    await pay(pipeline, 7, "crd_3")
    assert isinstance((await asked(pipeline, 2)).error, PaymentRequired)
    await pay(pipeline, COST, "crd_4")
    assert (await asked(pipeline, 3)).error is None


@playing
async def test_what_runs_is_held_and_told() -> None:
    pause = asyncio.Event()
    pipeline = Pipeline(Says(steps=[pause, completion()]), *says(1))
    await pay(pipeline, COST * 3 // 2)
    first = asyncio.ensure_future(asked(pipeline, 1))
    await until(lambda: len(pipeline.client.asked) == 1)
    told = body_of((await asked(pipeline, 2)).error)
    assert told["metadata"]["held_usd"] > 0
    assert ", of which requests that run hold $0.0" in told["message"]
    pause.set()
    assert (await first).error is None
    assert pipeline.leasing.held == 0


@playing
async def test_a_pool_that_is_switched_off_refuses_nobody() -> None:
    pipeline = Pipeline(*says(1))
    await pay(pipeline, -1)
    assert isinstance((await asked(pipeline, 1)).error, PaymentRequired)
    await pipeline.directory.switch_credits("org_1", enabled=False, opening_id="-", now_us=1)
    await pipeline.guardian.refresh()
    assert (await asked(pipeline, 2)).error is None
    await pipeline.directory.switch_credits("org_1", enabled=True, opening_id="crd_2", now_us=1)
    await pipeline.guardian.refresh()
    assert isinstance((await asked(pipeline, 3)).error, PaymentRequired)


@playing
async def test_of_credits_and_a_budget_for_ever_the_more_restrictive_one_says_so() -> None:
    for paid_in, budget, code in ((COST, 2 * COST, "insufficient_credits"), (2 * COST, COST, "credit_limit_exceeded")):
        pipeline = Pipeline(*says(1))
        await told_of(pipeline, guardrail(Target.ORGANIZATION, limits=dollars(budget)))
        await pay(pipeline, paid_in)
        assert (await asked(pipeline, 1)).error is None
        assert body_of((await asked(pipeline, 2)).error)["code"] == code
        assert len(pipeline.leasing) == 1, "what is counted once is held once"


@playing
async def test_credits_are_shown_also_where_a_budget_is_more_restrictive() -> None:
    for paid_in, budget in ((4 * COST, 3 * COST), (3 * COST, 4 * COST), (3 * COST, 3 * COST)):
        shown = {"the organization's credits": (paid_in, COST)}
        if budget < paid_in:
            shown["the cap"] = (budget, COST)
        pause = asyncio.Event()
        pipeline = Pipeline(*says(1), Says(steps=[pause, completion()]))
        await told_of(pipeline, guardrail(Target.ORGANIZATION, limits=dollars(budget)))
        await pay(pipeline, paid_in)
        assert (await asked(pipeline, 1)).error is None
        running = asyncio.ensure_future(asked(pipeline, 2))
        await until(lambda pipeline=pipeline: len(pipeline.client.asked) == 2)  # type: ignore[misc]
        _, figures = await pipeline.guardian.figures(key(), None, NOON_US)
        told = {one.slot.rule.source.name: (one.slot.limit, one.used) for one in figures}
        assert told == shown
        assert {one.held for one in figures} == {COST}
        pause.set()
        assert (await running).error is None


@playing
async def test_other_budgets_hold_beside_credits() -> None:
    pipeline = Pipeline(*says(1))
    await pay(pipeline, 10 * COST)
    limited = key(limit=Picodollars(COST))
    assert (await asked(pipeline, 1, key=limited)).error is None
    assert body_of((await asked(pipeline, 2, key=limited)).error)["code"] == "credit_limit_exceeded"


@playing
async def test_two_processes_cannot_pass_credits_together() -> None:
    one = Pipeline(*says(60))
    other = Pipeline(*says(60), beside=one)
    await pay(one, 20 * COST)
    await other.guardian.refresh()
    replies = await asyncio.gather(*(asked(pipeline, number) for number, pipeline in enumerate([one, other] * 60)))
    spent = sum(record.cost or 0 for record in await one.ledger.records())
    assert spent <= 20 * COST
    assert sum(reply.error is None for reply in replies) == spent // COST
    assert one.leasing.held == other.leasing.held == 0
    account = await one.directory.credit_account("org_1")
    assert account is not None
    assert account.balance == 20 * COST - spent

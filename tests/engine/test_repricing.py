"""Past records billed again: by the same rules as when they were made, and written beside them."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from arouter.domain.activity import ActivityQuery, Filters, Page, Scope, SummaryQuery
from arouter.domain.adjustment import Adjustment, AdjustmentKind
from arouter.domain.attempt import Attempt
from arouter.domain.interruption import interrupted
from arouter.domain.money import Picodollars
from arouter.domain.price import RateCard
from arouter.domain.record import Record, Status, UsageSource
from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.engine.billing import Bill, Billing
from arouter.engine.repricing import Outcome, Repricing
from arouter.engine.routing import Route
from arouter.providers.prices import OperatorPrice, PriceBook
from arouter.providers.told import Told
from arouter.providers.usage import advice_in, circumstances
from arouter.providers.vendors import BY_NAME
from arouter.store.memory import MemoryLedger, MemoryStore
from tests.engine.samples import Cards, card, opening, route

Result = TypeVar("Result")

AT_US = 1_795_327_200_000_000
"""2026-11-22: the data has prices for tiers of service by then."""
SCOPE = Scope(organization_id="org_1")
ADVISED = (
    b'{"input_tokens":10,"output_tokens":5,"speed":"fast","service_tier":"priority","iterations":'
    b'[{"type":"advisor_message","model":"claude-opus-4-1","input_tokens":100,"output_tokens":50}]}'
)


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(coroutine)


def told_by(raw: bytes, usage: Usage, **changes: Any) -> Told:
    """What an adapter makes of an answer with that usage object."""
    tier, speed = circumstances(raw)
    told = Told(usage=usage, raw_usage=raw, service_tier=tier, speed=speed, advice=advice_in(raw), complete=True)
    for name, value in changes.items():
        setattr(told, name, value)
    return told


def record_of(route: Route, told: Told, bill: Bill, record_id: str = "gen-1") -> Record:
    """As `engine.account` makes it."""
    return Record(
        opening=replace(opening(id=record_id), created_at_us=AT_US, requested_model=route.name),
        completed_at_us=AT_US,
        status=Status.SUCCESS,
        http_status=200,
        model=route.name,
        provider=route.deployment.provider,
        upstream_model=told.upstream_model,
        service_tier=told.service_tier,
        usage=bill.usage,
        raw_usage=told.raw_usage,
        usage_source=bill.usage_source,
        cost=bill.cost,
        rated_cost=bill.rated_cost,
        reported_cost=bill.reported_cost,
        price_source=bill.price_source,
        price_version=bill.price_version,
    )


# ---------------------------------------------------------------- the same rules


USED = Usage(input_tokens=1000, cache_read_tokens=100, output_tokens=300)
TOLD = {
    "plain": (route("openai/gpt-4o"), told_by(b"{}", USED)),
    "dated": (route("openai/gpt-4o"), told_by(b"{}", USED, upstream_model="gpt-4o-2024-05-13")),
    "flex": (route("openai/gpt-5"), told_by(b"{}", USED, service_tier="flex")),
    "priority": (route("openai/gpt-5"), told_by(b"{}", USED, service_tier="priority")),
    "advised": (route("anthropic/claude-opus-4-8"), told_by(ADVISED, Usage(input_tokens=10, output_tokens=5))),
    "fast": (route("anthropic/claude-opus-4-8"), told_by(b'{"speed":"fast"}', Usage(input_tokens=10, output_tokens=5))),
    "reported": (route("openrouter/openai/gpt-4o"), told_by(b'{"cost":0.000123456789}', USED)),
    "estimated": (route("openai/gpt-4o"), Told(output_bytes=900)),
    "partial": (route("openai/gpt-4o"), told_by(b"{}", USED, complete=False, output_bytes=99_999)),
    "unpriced": (route("openai/never-heard-of"), told_by(b"{}", USED)),
    "operator's": (route("openrouter/own"), told_by(b'{"cost":0.5}', USED)),
    "free": (route("openai/gpt-4o"), told_by(b"{}", Usage(input_tokens=0, output_tokens=0))),
}
BOOK = PriceBook(operator=[OperatorPrice(model="openrouter/own", prices={"input_tokens": "1", "output_tokens": "2"})])


@pytest.mark.parametrize("name", TOLD)
def test_a_record_is_billed_again_as_it_was_the_first_time(name: str) -> None:
    asked, told = TOLD[name]
    billing = Billing(BOOK.card)
    bill = billing.bill(asked, told, asked_bytes=400, at_us=AT_US)
    again = billing.bill_again(record_of(asked, told, bill), asked.deployment.vendor)
    assert again == bill
    assert (bill.cost is None) == (name == "unpriced")


@pytest.mark.parametrize("name", TOLD)
def test_so_is_the_next_answer_like_it(name: str) -> None:
    """For which the card is known."""
    asked, told = TOLD[name]
    billing = Billing(BOOK.card)
    first, second = (billing.bill(asked, told, asked_bytes=400, at_us=AT_US) for _ in range(2))
    assert second == first


def test_the_samples_depend_on_what_they_vary() -> None:
    """Without the tier, the dated name, the advice or the reported cost they would cost something else."""
    billing = Billing(BOOK.card)
    for name in ("dated", "flex", "priority", "fast", "advised", "reported"):
        asked, told = TOLD[name]
        plain = Told(usage=told.usage, complete=True)
        costs = {billing.bill(asked, each, asked_bytes=0, at_us=AT_US).cost for each in (told, plain)}
        assert len(costs) == 2, name


def test_the_price_is_that_of_the_time_when_the_request_was_made() -> None:
    cards = Cards({"openai/gpt-5.4": card()})
    asked, told = route(), told_by(b"{}", USED)
    bill = Billing(cards).bill(asked, told, asked_bytes=0, at_us=AT_US)
    Billing(cards).bill_again(record_of(asked, told, bill), BY_NAME["openai"])
    assert {at for _, at, _, _ in cards.asked} == {datetime.fromtimestamp(AT_US // 1_000_000, UTC)}


@pytest.mark.parametrize(
    "changes",
    [{"usage_source": UsageSource.NONE, "usage": NOTHING_REPORTED}, {"provider": None}, {"model": None}],
    ids=["nothing used", "no provider", "no model"],
)
def test_what_was_never_billed_is_not_billed_now(changes: dict[str, Any]) -> None:
    asked, told = route(), told_by(b"{}", USED)
    billing = Billing(Cards({"openai/gpt-5.4": card()}))
    record = record_of(asked, told, billing.bill(asked, told, asked_bytes=0, at_us=AT_US))
    assert billing.bill_again(replace(record, **changes), BY_NAME["openai"]) == Bill()


# ---------------------------------------------------------------- over a ledger


class Shop:
    """A ledger with records that were billed by some cards, to be billed again by others."""

    def __init__(self, cards: dict[str, RateCard]) -> None:
        self.ledger: MemoryLedger = MemoryStore(clock=lambda: AT_US).ledger
        self._billing = Billing(Cards(cards))
        self._made = 0

    async def sell(self, model: str = "openai/gpt-5.4", times: int = 1) -> None:
        asked, told = route(model), told_by(b"{}", Usage(input_tokens=1_000_000, output_tokens=0))
        bill = self._billing.bill(asked, told, asked_bytes=0, at_us=AT_US)
        for _ in range(times):
            self._made += 1
            await self.ledger.close(record_of(asked, told, bill, f"gen-{self._made:05}"))

    async def reprice(self, cards: dict[str, RateCard], *, dry: bool = False, **filters: Any) -> Outcome:
        pages: list[int] = []
        repricing = Repricing(self.ledger, Billing(Cards(cards)), vendor_of=BY_NAME.__getitem__, now_us=lambda: AT_US)
        query = ActivityQuery(scope=SCOPE, filters=Filters(**filters), limit=1)
        outcomes = await repricing.run(query, dry=dry, on_page=pages.append)
        assert sum(pages) == outcomes.total.records == sum(one.records for one in outcomes.by_model.values())
        assert sum(one.cost_after for one in outcomes.by_model.values()) == outcomes.total.cost_after
        return outcomes.total

    async def cost(self) -> int:
        return (await self.ledger.summary(SummaryQuery(scope=SCOPE))).totals.cost


DOLLAR = 10**12
TWO = {"openai/gpt-5.4": card(input=2), "groq/llama": card(input=1)}
THREE = {"openai/gpt-5.4": card(input=3, source="operator"), "groq/llama": card(input=1)}


def test_what_costs_something_else_now_is_adjusted_once() -> None:
    async def scenario() -> None:
        shop = Shop(TWO)
        await shop.sell(times=1200)
        await shop.sell("groq/llama", times=3)
        wanted = Outcome(
            records=1203,
            changed=1200,
            cost_before=Picodollars(2403 * DOLLAR),
            cost_after=Picodollars(3603 * DOLLAR),
        )
        assert await shop.reprice(THREE, dry=True) == wanted
        assert await shop.cost() == 2403 * DOLLAR
        assert await shop.reprice(THREE) == wanted
        assert await shop.cost() == 3603 * DOLLAR
        again = await shop.reprice(THREE)
        assert (again.changed, again.cost_before) == (0, 3603 * DOLLAR)
        (adjustment,) = await shop.ledger.adjustments_of("org_1", "gen-00001")
        assert (adjustment.kind, adjustment.cost) == (AdjustmentKind.REPRICE, 3 * DOLLAR)
        assert (adjustment.price_source, adjustment.price_version) == ("operator", "2026-11")
        assert (await shop.reprice(TWO)).changed == 1200
        assert (await shop.reprice(THREE)).changed == 1200
        assert len(await shop.ledger.adjustments_of("org_1", "gen-00001")) == 3

    run(scenario())


def test_another_source_of_the_same_cost_is_no_change() -> None:
    async def scenario() -> None:
        shop = Shop(TWO)
        await shop.sell()
        assert (await shop.reprice({"openai/gpt-5.4": card(input=2, source="operator")})).changed == 0

    run(scenario())


def test_unknown_becomes_known_and_known_unknown() -> None:
    async def scenario() -> None:
        shop = Shop({"openai/gpt-5.4": card(input=2)})
        await shop.sell()
        await shop.sell("groq/llama", times=2)
        outcome = await shop.reprice({"groq/llama": card(input=1)})
        assert outcome == Outcome(
            records=3,
            changed=3,
            cost_before=Picodollars(2 * DOLLAR),
            cost_after=Picodollars(2 * DOLLAR),
            unpriced_before=2,
            unpriced_after=1,
        )
        totals = (await shop.ledger.summary(SummaryQuery(scope=SCOPE))).totals
        assert (totals.cost, totals.requests_without_price) == (2 * DOLLAR, 1)

    run(scenario())


def test_only_what_the_filters_choose_is_looked_at() -> None:
    async def scenario() -> None:
        shop = Shop(TWO)
        await shop.sell()
        await shop.sell("groq/llama")
        assert (await shop.reprice(THREE, providers=("groq",))).records == 1
        assert (await shop.reprice(THREE, end_us=AT_US)).records == 0
        assert await shop.cost() == 3 * DOLLAR

    run(scenario())


def correction(cost: Picodollars) -> Adjustment:
    return Adjustment(
        id="adj-1",
        record_id="gen-00001",
        created_at_us=AT_US,
        kind=AdjustmentKind.CORRECTION,
        cost=cost,
        reason="credit",
    )


def test_a_correction_stays() -> None:
    async def scenario() -> None:
        shop = Shop(TWO)
        await shop.sell(times=2)
        await shop.ledger.adjust([correction(Picodollars(7))])
        outcome = await shop.reprice(THREE)
        assert (outcome.records, outcome.changed, outcome.corrected) == (2, 1, 1)
        assert (outcome.cost_after, await shop.cost()) == (3 * DOLLAR + 7, 3 * DOLLAR + 7)

    run(scenario())


def test_two_runs_at_once_write_each_change_once() -> None:
    async def scenario() -> None:
        shop = Shop(TWO)
        await shop.sell(times=600)
        await asyncio.gather(shop.reprice(THREE), shop.reprice(THREE))
        for number in range(1, 601, 66):
            assert len(await shop.ledger.adjustments_of("org_1", f"gen-{number:05}")) == 1
        assert await shop.cost() == 1800 * DOLLAR

    run(scenario())


class Interfering(MemoryLedger):
    """A ledger where somebody corrects a record while a run is between its reading and its writing."""

    correction: Adjustment | None = None

    async def page(self, query: ActivityQuery) -> Page:
        page = await super().page(query)
        correction, self.correction = self.correction, None
        if correction is not None:
            await self.adjust([correction])
        return page


def test_a_correction_made_while_a_run_reads_is_not_undone() -> None:
    async def scenario() -> None:
        shop = Shop(TWO)
        shop.ledger = ledger = Interfering(shop.ledger._data, lambda: AT_US)
        await shop.sell(times=3)
        ledger.correction = correction(Picodollars(7))
        outcome = await shop.reprice(THREE)
        assert (outcome.records, outcome.changed, outcome.corrected) == (3, 2, 1)
        assert (outcome.cost_before, outcome.cost_after) == (4 * DOLLAR + 7, 6 * DOLLAR + 7)
        assert await shop.cost() == 6 * DOLLAR + 7
        assert len(await ledger.adjustments_of("org_1", "gen-00001")) == 1

    run(scenario())


# ---------------------------------------------------------------- what is not the whole


MILLION = Usage(input_tokens=1_000_000, output_tokens=0)


def failed(model: str, cost: int | None, usage: Usage | None = MILLION) -> Attempt:
    provider, _, name = model.partition("/")
    return Attempt(
        provider=provider,
        model=name,
        http_status=200,
        error_code="upstream_error",
        latency_us=1,
        usage=usage,
        usage_source=UsageSource.NONE if usage is None else UsageSource.ESTIMATED,
        cost=None if cost is None else Picodollars(cost),
    )


@pytest.mark.parametrize(
    ("tried", "cost"),
    [
        ((failed("groq/llama", 5 * DOLLAR),), 4 * DOLLAR),
        ((failed("groq/llama", None), failed("openai/gpt-5.4", 1)), 7 * DOLLAR),
        ((failed("groq/llama", None, None),), 3 * DOLLAR),
        ((failed("groq/nobody-knows", 5),), None),
        ((failed("openrouter/any", 5),), 3 * DOLLAR + 5),
    ],
    ids=["another price", "two", "nothing used", "no price", "told by the provider"],
)
def test_the_attempts_before_are_billed_again_too(tried: tuple[Attempt, ...], cost: int | None) -> None:
    async def scenario() -> None:
        shop = Shop(TWO)
        asked, told = route("openai/gpt-5.4"), told_by(b"{}", Usage(input_tokens=1_000_000, output_tokens=0))
        bill = Billing(Cards(TWO)).bill(asked, told, asked_bytes=0, at_us=AT_US)
        answered = Attempt(provider="openai", model="gpt-5.4", http_status=200, error_code=None, latency_us=1)
        await shop.ledger.close(replace(record_of(asked, told, bill), tried=(*tried, answered)))
        await shop.reprice(THREE)
        row = await shop.ledger.get("org_1", "gen-1")
        assert row is not None
        assert row.record.cost == cost

    run(scenario())


def test_half_an_estimate_has_no_price() -> None:
    async def scenario() -> None:
        shop = Shop(TWO)
        await shop.ledger.close(
            interrupted(opening(id="gen-1", asked_bytes=4_000, routed_model="openai/gpt-5.4"), now_us=AT_US)
        )
        outcome = await shop.reprice(TWO)
        assert (outcome.records, outcome.changed, outcome.unpriced_after) == (1, 0, 1)

    run(scenario())

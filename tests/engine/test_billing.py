"""What a request cost: whose figures, at whose price."""

from datetime import UTC, datetime
from typing import Any

import pytest

from arouter.domain.price import RateCard
from arouter.domain.record import UsageSource
from arouter.domain.usage import Usage
from arouter.engine.billing import Bill, Billing
from arouter.providers.told import Told
from tests.engine.samples import Cards, card, route
from tests.engine.scripted_clock import NOON_US

MICRODOLLAR = 10**6
USAGE = Usage(input_tokens=100, output_tokens=20)
DATED = "gpt-5.4-2026-08-06"


def bill(cards: dict[str, RateCard], model: str = "openai/gpt-5.4", *, asked_bytes: int = 400, **told: Any) -> Bill:
    heard = Told(**{"usage": USAGE, "complete": True, **told})
    return Billing(Cards(cards)).bill(route(model), heard, asked_bytes=asked_bytes, at_us=NOON_US + 999_999)


def test_the_providers_usage_at_the_price_of_the_model() -> None:
    told = bill({"openai/gpt-5.4": card()})
    assert (told.usage, told.usage_source) == (USAGE, UsageSource.PROVIDER)
    assert (told.cost, told.prompt_cost, told.completion_cost) == tuple(n * MICRODOLLAR for n in (400, 200, 200))
    assert (told.rated_cost, told.reported_cost) == (told.cost, None)
    assert (told.price_source, told.price_version) == ("genai-prices", "2026-11")


def test_without_a_price_the_cost_is_unknown_and_not_nothing() -> None:
    told = bill({})
    assert (told.cost, told.rated_cost, told.price_source, told.price_version) == (None, None, None, None)
    assert told.usage == USAGE


def test_a_meter_without_a_price_makes_the_cost_unknown() -> None:
    told = bill({"openai/gpt-5.4": card()}, usage=Usage(input_tokens=1, output_tokens=1, web_searches=1))
    assert (told.cost, told.unpriced_meters, told.price_source) == (None, ("web_searches",), None)


def test_the_model_that_answered_has_the_price() -> None:
    cards = {"openai/gpt-5.4": card(), f"openai/{DATED}": card(input=1, output=1)}
    assert bill(cards, upstream_model=DATED).cost == 120 * MICRODOLLAR
    assert bill(cards, upstream_model="gpt-5.4-of-tomorrow").cost == 400 * MICRODOLLAR
    assert bill(cards, upstream_model="models/gpt-5.4").cost == 400 * MICRODOLLAR
    assert bill(cards, upstream_model="").cost == 400 * MICRODOLLAR


@pytest.mark.parametrize(
    ("asked", "answered", "cost"),
    [
        ("operator", "genai-prices", 400),
        ("genai-prices", "operator", 120),
        ("operator", "operator", 120),
        ("genai-prices", "genai-prices", 120),
    ],
)
def test_an_operators_price_comes_first_by_either_name(asked: str, answered: str, cost: int) -> None:
    cards = {"openai/gpt-5.4": card(source=asked), f"openai/{DATED}": card(input=1, output=1, source=answered)}
    assert bill(cards, upstream_model=DATED).cost == cost * MICRODOLLAR


OPENROUTER = "openrouter/openai/gpt-5.4"


def test_another_model_without_a_price_has_no_price_invented_for_it() -> None:
    assert bill({"openai/gpt-5.4": card()}, upstream_model="unheard-of").cost is None


def test_what_a_vendor_reports_comes_before_the_rate_card_and_after_the_operator() -> None:
    raw = b'{"prompt_tokens":100,"completion_tokens":20,"cost":0.000123}'
    reported = bill({OPENROUTER: card()}, OPENROUTER, raw_usage=raw)
    assert (reported.cost, reported.reported_cost) == (123 * MICRODOLLAR, 123 * MICRODOLLAR)
    assert (reported.rated_cost, reported.price_source, reported.price_version) == (400 * MICRODOLLAR, "provider", None)
    assert (reported.prompt_cost, reported.completion_cost) == (None, None)
    stated = bill({OPENROUTER: card(source="operator")}, OPENROUTER, raw_usage=raw)
    assert (stated.cost, stated.reported_cost, stated.price_source) == (
        400 * MICRODOLLAR,
        123 * MICRODOLLAR,
        "operator",
    )
    elsewhere = bill({"openai/gpt-5.4": card()}, raw_usage=raw)
    assert (elsewhere.cost, elsewhere.reported_cost) == (400 * MICRODOLLAR, None)


def test_a_reported_zero_is_a_price() -> None:
    told = bill({}, OPENROUTER, raw_usage=b'{"cost":0}')
    assert (told.cost, told.price_source) == (0, "provider")


def test_without_usage_everything_is_counted_and_says_so() -> None:
    told = bill({"openai/gpt-5.4": card()}, usage=None, complete=False, output_bytes=9, asked_bytes=401)
    assert told.usage == Usage(input_tokens=101, output_tokens=3)
    assert told.usage_source is UsageSource.ESTIMATED


@pytest.mark.parametrize(("said", "counted"), [(None, 3), (1, 3), (3, 3), (85, 85), (0, 3)])
def test_part_of_an_answer_is_told_by_the_provider_and_its_output_at_least_counted(
    said: int | None, counted: int
) -> None:
    told = bill({}, usage=Usage(input_tokens=7, output_tokens=said), complete=False, output_bytes=9)
    assert told.usage == Usage(input_tokens=7, output_tokens=counted)
    assert told.usage_source is UsageSource.PARTIAL


def test_a_zero_of_a_whole_answer_stays_zero() -> None:
    told = bill({"openai/gpt-5.4": card()}, usage=Usage(input_tokens=0, output_tokens=0), output_bytes=400)
    assert (told.cost, told.usage.output_tokens) == (0, 0)


def test_the_card_is_that_of_the_instant_and_the_terms_of_service() -> None:
    cards = Cards({"openai/gpt-5.4": card()})
    heard = Told(usage=USAGE, complete=True, service_tier="flex", speed="fast")
    Billing(cards).bill(route(), heard, asked_bytes=0, at_us=NOON_US + 999_999)
    assert cards.asked == [("openai/gpt-5.4", datetime(2026, 11, 22, 12, tzinfo=UTC), "flex", "fast")]


def test_advice_is_paid_at_the_advisers_price_and_makes_the_cost_unknown_without_one() -> None:
    cards = {"anthropic/a": card(), "anthropic/b": card(input=1, output=1)}
    advised = bill(cards, "anthropic/a", advice=(("b", Usage(input_tokens=10, output_tokens=0)),))
    assert advised.cost == 410 * MICRODOLLAR
    unknown = bill(cards, "anthropic/a", advice=(("c", Usage(input_tokens=10, output_tokens=0)),))
    assert unknown.cost is None

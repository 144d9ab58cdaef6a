"""A cost is an exact sum of counts times rates, rounded once."""

from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arouter.domain.money import to_text
from arouter.domain.price import (
    GENERALISATIONS,
    RATED_PER,
    Rate,
    RateCard,
    plain_costs,
    price,
    price_quantity,
    rate_from_decimal,
    rate_from_text,
    rate_to_decimal,
    round_to_picodollars,
)
from arouter.domain.usage import INPUT_METERS, METERS, NOTHING_REPORTED, OUTPUT_METERS, Usage

TOKENS = 10**6
COUNTS = st.integers(min_value=0, max_value=10**9)
RATES = st.integers(min_value=0, max_value=10**28)
"""Up to $10,000 per million."""


def card(**rates: str) -> RateCard:
    """A card with prices per million tokens, or per thousand events."""
    return RateCard(
        source="operator",
        version="1",
        rates={meter: Rate(base=rate_from_text(text, RATED_PER[meter])) for meter, text in rates.items()},
    )


def usage_of(counts: dict[str, int]) -> Usage:
    return Usage(**counts)


METER_COUNTS = st.dictionaries(st.sampled_from(METERS), COUNTS)
FULL_RATES = st.fixed_dictionaries({meter: st.builds(Rate, base=RATES) for meter in METERS})


# ---------------------------------------------------------------- arithmetic


def test_a_plain_sum_of_products() -> None:
    priced = price(
        card(input_tokens="2.50", cache_read_tokens="1.25", output_tokens="10"),
        Usage(input_tokens=1000, cache_read_tokens=200, output_tokens=30),
    )
    assert priced.cost == 2_500_000_000 + 250_000_000 + 300_000_000
    assert priced.prompt_cost == 2_750_000_000
    assert priced.completion_cost == 300_000_000
    assert priced.unpriced_meters == ()


@given(FULL_RATES, METER_COUNTS)
def test_cost_is_the_rational_sum_rounded_once(rates: dict[str, Rate], counts: dict[str, int]) -> None:
    priced = price(RateCard(source="", version="", rates=rates), usage_of(counts))
    exact = sum(
        (Fraction(rate_to_decimal(rates[meter].base)) * count for meter, count in counts.items()), start=Fraction(0)
    )
    if not counts.keys() & {*INPUT_METERS, *OUTPUT_METERS}:
        assert priced.cost is None
    else:
        assert priced.cost == round(exact * 10**12)  # Fraction rounds half to even


@given(FULL_RATES, METER_COUNTS)
def test_cost_adds_up_over_meters(rates: dict[str, Rate], counts: dict[str, int]) -> None:
    """Each meter priced by itself makes up the parts of all of them together."""
    tokens = {meter: count for meter, count in counts.items() if meter != "web_searches"}
    one_card = RateCard(source="", version="", rates=rates)
    alone: dict[str, int] = {}
    for meter, count in tokens.items():
        alone |= price(one_card, usage_of({meter: count})).parts
    assert price(one_card, usage_of(tokens)).parts == alone


@given(FULL_RATES, METER_COUNTS, METER_COUNTS)
def test_cost_adds_up_over_requests(rates: dict[str, Rate], left: dict[str, int], right: dict[str, int]) -> None:
    """Without tiers, the exact costs of two requests are the exact cost of both in one."""
    one_card = RateCard(source="", version="", rates=rates)
    base = dict.fromkeys(METERS, 0)
    both = {meter: left.get(meter, 0) + right.get(meter, 0) for meter in METERS}
    first, second = (sum(price(one_card, usage_of(base | counts)).parts.values()) for counts in (left, right))
    assert first + second == sum(price(one_card, usage_of(both)).parts.values())


@given(FULL_RATES, METER_COUNTS, st.randoms(use_true_random=False))
def test_cost_does_not_depend_on_the_order_of_rates(
    rates: dict[str, Rate], counts: dict[str, int], random: Random
) -> None:
    shuffled = list(rates.items())
    random.shuffle(shuffled)
    usage = usage_of(counts)
    assert price(RateCard(source="", version="", rates=rates), usage) == price(
        RateCard(source="", version="", rates=dict(shuffled)), usage
    )


@given(st.integers(min_value=0, max_value=10**20), st.sampled_from([-1, 0, 1]))
def test_rounding_is_half_to_even(halves: int, beside: int) -> None:
    amount = max(0, halves * 10**18 // 2 + beside)
    assert round_to_picodollars(amount) == round(Fraction(amount, 10**18))


def test_thirds_of_a_picodollar_are_not_lost_before_the_end() -> None:
    third = card(input_tokens="0.000000333333333333", output_tokens="0.000000333333333333", cache_read_tokens="0")
    priced = price(third, Usage(input_tokens=2, output_tokens=1))
    assert priced.cost == 1
    assert (priced.prompt_cost, priced.completion_cost) == (1, 0)


# ---------------------------------------------------------------- nearly every request

PLAIN_METERS = ("input_tokens", "cache_read_tokens", "output_tokens")
WHOLE_RATES = st.builds(Rate, base=st.integers(0, 10**10).map(lambda picodollars: picodollars * 10**18))
TIERED_RATES = st.builds(Rate, base=RATES, tiers=st.just(((200_000, 10**24),)) | st.just(((100, 0), (10**6, 1))))
ANY_CARD = st.dictionaries(
    st.sampled_from([*PLAIN_METERS, "input_audio_tokens", "reasoning_tokens", "requests", "web_searches"]),
    st.none() | WHOLE_RATES | TIERED_RATES | st.builds(Rate, base=RATES),
)
FEW_COUNTS = st.none() | st.just(0) | st.integers(0, 300_000)
PLAIN_USAGES = st.builds(
    Usage,
    **dict.fromkeys([*PLAIN_METERS, "reasoning_tokens"], FEW_COUNTS),
    **dict.fromkeys(["input_audio_tokens", "cache_write_tokens", "output_audio_tokens"], st.none() | st.just(0)),
)
USAGES = PLAIN_USAGES | st.builds(Usage, **dict.fromkeys([*METERS, "reasoning_tokens"], FEW_COUNTS))


@given(ANY_CARD, USAGES)
@example({"input_tokens": Rate(base=10**24)}, Usage(input_tokens=5))
def test_the_quick_way_says_what_the_general_one_says(rates: dict[str, Rate | None], usage: Usage) -> None:
    rated = RateCard(source="", version="", rates=rates)
    costs, priced = plain_costs(rated, usage), price(rated, usage)
    assert costs is None or costs == (priced.cost, priced.prompt_cost, priced.completion_cost)


@given(st.fixed_dictionaries(dict.fromkeys(PLAIN_METERS, WHOLE_RATES)), PLAIN_USAGES)
def test_text_at_plain_prices_goes_the_quick_way(rates: dict[str, Rate], usage: Usage) -> None:
    costs = plain_costs(RateCard(source="", version="", rates=rates), usage)
    is_told = usage.prompt_tokens is not None and usage.output_tokens == usage.completion_tokens
    assert (costs is not None) == is_told


def test_so_does_what_is_below_the_first_tier() -> None:
    rate = Rate(base=10**24, tiers=((100, 2 * 10**24),))
    tiered = RateCard(source="", version="", rates={"input_tokens": rate, "output_tokens": rate})
    assert plain_costs(tiered, Usage(input_tokens=60, cache_read_tokens=40, output_tokens=10)) == (
        110_000_000,
        100_000_000,
        10_000_000,
    )
    assert plain_costs(tiered, Usage(input_tokens=60, cache_read_tokens=41, output_tokens=10)) is None


@pytest.mark.parametrize(
    "rates",
    [
        {"input_tokens": Rate(base=10**18)},
        {"input_tokens": Rate(base=10**18), "output_tokens": Rate(base=10**18), "cache_read_tokens": None},
        {"input_tokens": Rate(base=10**18 + 1), "output_tokens": Rate(base=10**18)},
        {"input_tokens": Rate(base=10**18), "output_tokens": Rate(base=10**18), "reasoning_tokens": Rate(base=0)},
        {"input_tokens": Rate(base=10**18), "output_tokens": Rate(base=10**18), "requests": Rate(base=1)},
    ],
)
def test_other_cards_never_do(rates: dict[str, Rate | None]) -> None:
    assert plain_costs(RateCard(source="", version="", rates=rates), Usage(input_tokens=5, output_tokens=7)) is None


# ---------------------------------------------------------------- unknown and zero


def test_nothing_reported_costs_an_unknown_amount() -> None:
    assert price(card(input_tokens="1", output_tokens="1", requests="5"), NOTHING_REPORTED).cost is None
    assert price(card(web_searches="1"), Usage(web_searches=3)).cost is None


def test_a_reported_zero_costs_nothing() -> None:
    assert price(card(input_tokens="1", output_tokens="1"), Usage(input_tokens=0, output_tokens=0)).cost == 0


def test_one_known_side_is_priced() -> None:
    assert price(card(input_tokens="1"), Usage(input_tokens=5)).cost == 5_000_000


def test_a_price_of_zero_is_a_price() -> None:
    assert price(card(input_tokens="0", output_tokens="0"), Usage(input_tokens=7, output_tokens=7)).cost == 0


def test_no_price_is_not_a_price_of_zero() -> None:
    priced = price(card(), Usage(input_tokens=7, output_tokens=8, web_searches=0))
    assert priced.cost is None
    assert priced.unpriced_meters == ("input_tokens", "output_tokens")
    assert priced.prompt_cost is None


def test_one_unpriced_meter_makes_the_cost_unknown_and_keeps_the_parts() -> None:
    priced = price(card(input_tokens="1"), Usage(input_tokens=7, output_tokens=8))
    assert priced.cost is None
    assert priced.unpriced_meters == ("output_tokens",)
    assert priced.parts == {"input_tokens": 7 * 10**24}


def test_an_unpriced_meter_that_was_not_used_does_not_matter() -> None:
    assert price(card(input_tokens="1"), Usage(input_tokens=7, output_tokens=0)).cost == 7_000_000


@pytest.mark.parametrize("count", [0, None])
def test_searches_have_no_more_general_price(count: int | None) -> None:
    tokens = card(input_tokens="1", output_tokens="1")
    assert price(tokens, Usage(input_tokens=1, web_searches=count)).cost == 1_000_000
    assert price(tokens, Usage(input_tokens=1, web_searches=1)).unpriced_meters == ("web_searches",)


# ---------------------------------------------------------------- the more general price


@pytest.mark.parametrize(("meter", "general"), [(meter, names[-1]) for meter, names in GENERALISATIONS.items()])
def test_a_meter_without_a_price_has_the_general_one(meter: str, general: str) -> None:
    assert price(card(**{general: "3"}), Usage(**{meter: 10})).cost == 30_000_000


@pytest.mark.parametrize(("meter", "general"), [(meter, names[-1]) for meter, names in GENERALISATIONS.items()])
def test_its_own_price_comes_first(meter: str, general: str) -> None:
    assert price(card(**{general: "3", meter: "0"}), Usage(**{meter: 10})).cost == 0


def test_an_hour_in_the_cache_costs_what_five_minutes_do_if_nobody_says_otherwise() -> None:
    assert price(card(input_tokens="1", cache_write_tokens="2"), Usage(cache_write_1h_tokens=10)).cost == 20_000_000


def test_a_meter_with_several_prices_at_once_is_unpriced() -> None:
    rates: dict[str, Rate | None] = {"input_tokens": Rate(base=1), "cache_read_tokens": None}
    mixed = RateCard(source="", version="", rates=rates)
    assert price(mixed, Usage(input_tokens=5, cache_read_tokens=1)).unpriced_meters == ("cache_read_tokens",)
    assert price(mixed, Usage(input_tokens=5, cache_read_tokens=0)).cost is not None


# ---------------------------------------------------------------- reasoning and requests


def test_reasoning_is_output_unless_the_card_rates_it() -> None:
    usage = Usage(input_tokens=0, output_tokens=10, reasoning_tokens=4)
    assert price(card(input_tokens="0", output_tokens="8"), usage).cost == 80_000_000
    assert price(card(output_tokens="8", reasoning_tokens="3"), usage).cost == 6 * 8_000_000 + 4 * 3_000_000
    unknown = Usage(output_tokens=10)
    assert price(card(output_tokens="8", reasoning_tokens="3"), unknown).cost == 80_000_000


def test_a_request_is_counted_once() -> None:
    priced = price(card(input_tokens="1", requests="5"), Usage(input_tokens=1, web_searches=0))
    assert to_text(priced.cost or 0) == "0.005001"


# ---------------------------------------------------------------- tiers


@pytest.mark.parametrize(
    ("input_tokens", "expected"), [(0, 1), (200_000, 1), (200_001, 2), (500_000, 2), (500_001, 3), (10**9, 3)]
)
def test_a_tier_begins_after_its_start(input_tokens: int, expected: int) -> None:
    assert Rate(base=1, tiers=((200_000, 2), (500_000, 3))).at(input_tokens) == expected


def test_all_input_together_decides_the_tier_of_every_meter() -> None:
    rate = Rate(base=10**24, tiers=((100, 2 * 10**24),))
    tiered = RateCard(source="", version="", rates={"input_tokens": rate, "output_tokens": rate})
    at_the_start = price(tiered, Usage(input_tokens=60, cache_read_tokens=40, output_tokens=10))
    over = price(tiered, Usage(input_tokens=60, cache_read_tokens=41, output_tokens=10))
    assert at_the_start.cost == 110_000_000
    assert over.cost == 2 * 111_000_000


def test_a_tier_that_nobody_can_tell_is_not_guessed() -> None:
    rate = Rate(base=1, tiers=((100, 2),))
    tiered = RateCard(source="", version="", rates={"output_tokens": rate})
    assert price(tiered, Usage(output_tokens=10)).unpriced_meters == ("output_tokens",)


# ---------------------------------------------------------------- rates


@given(st.decimals(min_value=0, max_value=10**6, places=18))
def test_a_rate_is_its_price_exactly(dollars: Decimal) -> None:
    assert rate_to_decimal(rate_from_decimal(dollars, TOKENS), TOKENS) == dollars


@pytest.mark.parametrize(
    "text", ["", "free", "-1", "NaN", "Infinity", "1e-25", "0." + "1" * 120, "9" * 120, "1e400000", "1e999999999"]
)
def test_what_is_not_an_exact_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        rate_from_text(text, TOKENS)


# ---------------------------------------------------------------- what is not counted in tokens


def test_a_quantity_is_priced_exactly() -> None:
    """Groq's price of an hour is no whole number of anything for a second."""
    hourly = card(audio_hours="0.111")
    assert price_quantity(hourly, "audio_hours", Fraction(1)).cost == 111_000_000_000
    assert price_quantity(hourly, "audio_hours", Fraction(1, 3600)).cost == 30_833_333
    assert price_quantity(hourly, "audio_hours", Fraction(7, 3600)).cost == 215_833_333
    priced = price_quantity(card(characters="15"), "characters", Fraction(7))
    assert (priced.cost, priced.prompt_cost, priced.completion_cost) == (105_000_000, 105_000_000, 0)


def test_a_quantity_without_a_rate_has_no_cost() -> None:
    for rated in (card(), card(input_tokens="1"), card(characters="15")):
        priced = price_quantity(rated, "audio_hours", Fraction(1))
        assert (priced.cost, priced.unpriced_meters) == (None, ("audio_hours",))


@given(RATES, st.fractions(min_value=0, max_value=10**9, max_denominator=10**9))
def test_a_quantity_is_rounded_once_and_half_to_even(rate: int, quantity: Fraction) -> None:
    rated = RateCard(source="operator", version="1", rates={"audio_hours": Rate(base=rate)})
    exact = quantity * rate / 10**18
    cost = price_quantity(rated, "audio_hours", quantity).cost
    assert cost is not None
    assert abs(exact - cost) <= Fraction(1, 2)
    assert abs(exact - cost) < Fraction(1, 2) or cost % 2 == 0

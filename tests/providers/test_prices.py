"""The price book finds the data's prices as the data's own library does, and the operator's before them."""

from dataclasses import fields
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext

import genai_prices
import pytest
from genai_prices import types as data
from genai_prices.data_snapshot import get_snapshot
from genai_prices.data_units import unit_data
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.money import from_decimal
from arouter.domain.price import Rate, price, rate_to_decimal, round_to_picodollars
from arouter.domain.usage import INPUT_METERS, OUTPUT_METERS, Usage
from arouter.providers.prices import DATA_NAMES, LONGEST_MODEL_NAME, OperatorPrice, PriceBook, compile_rates

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
PROVIDERS = {provider.id: provider for provider in get_snapshot().providers}
BOOK = PriceBook()
MODELS = [(line.vendor, line.model) for line in BOOK.models(NOW)]
"""Every model of every vendor, by a name that it can be asked for by."""
REPORTED_KEYS = [key for key in unit_data if key != "requests"]

# ---------------------------------------------------------------- the library as the oracle

COUNTS = st.just(0) | st.integers(min_value=0, max_value=3000) | st.integers(min_value=0, max_value=3_000_000)
METER_COUNTS = st.fixed_dictionaries({field.name: COUNTS for field in fields(Usage)})
MOMENTS = st.integers(min_value=1_672_531_200, max_value=1_798_761_600).map(lambda s: datetime.fromtimestamp(s, UTC))
"""The years 2023 to 2026."""
SPEEDS = st.sampled_from([None, "fast", "standard"])
TIERS = st.sampled_from([None, "default", "standard", "flex", "priority", "fast", "batch", "nonsense"])


GENERAL_KEYS = {
    **dict.fromkeys(INPUT_METERS, "input_mtok"),
    **dict.fromkeys(OUTPUT_METERS, "output_mtok"),
    "web_searches": "web_searches_kcount",
}
"""The least that the data must state for a meter to have a price."""


def find(vendor: str, name: str) -> data.ModelInfo:
    model = PROVIDERS[DATA_NAMES[vendor]].find_model(name)
    assert model is not None
    return model


WITH_TERMS = [
    (vendor, name)
    for vendor, name in MODELS
    if find(vendor, name).price_variants or not isinstance(find(vendor, name).prices, data.ModelPrice)
]


def usage_of(counts: dict[str, int]) -> Usage:
    """A usage whose reasoning is within its output."""
    return Usage(**counts | {"output_tokens": counts["output_tokens"] + counts["reasoning_tokens"]})


def as_the_library_counts(usage: Usage) -> data.Usage:
    """The same usage in the library's overlapping counts; every count that is not ours is a reported zero."""
    counts: dict[str, int] = dict.fromkeys(REPORTED_KEYS, 0)
    counts |= {
        "input_tokens": usage.prompt_tokens or 0,
        "input_audio_tokens": (usage.input_audio_tokens or 0) + (usage.cache_read_audio_tokens or 0),
        "input_image_tokens": usage.input_image_tokens or 0,
        "input_video_tokens": usage.input_video_tokens or 0,
        "cache_read_tokens": usage.cached_tokens or 0,
        "cache_audio_read_tokens": usage.cache_read_audio_tokens or 0,
        "cache_write_tokens": usage.cache_written_tokens or 0,
        "cache_write_5m_tokens": usage.cache_write_tokens or 0,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens or 0,
        "output_tokens": usage.completion_tokens or 0,
        "output_audio_tokens": usage.output_audio_tokens or 0,
        "output_image_tokens": usage.output_image_tokens or 0,
        "output_reasoning_tokens": usage.reasoning_tokens or 0,
        "web_searches": usage.web_searches or 0,
    }
    return data.Usage(**counts)


def check_against_the_library(
    vendor: str, name: str, usage: Usage, at: datetime, tier: str | None, batch: bool, speed: str | None
) -> None:
    card = BOOK.card(vendor, name, at, tier, batch, speed)
    assert card is not None
    model = find(vendor, name)
    context = {
        key: value
        for key, value in (
            ("service_tier", tier),
            ("processing", "batch" if batch or tier == "batch" else None),
            ("speed", speed),
        )
        if value is not None
    }
    with localcontext(prec=100):
        theirs = model.calc_price(
            as_the_library_counts(usage),
            PROVIDERS[DATA_NAMES[vendor]],
            genai_request_timestamp=at,
            price_context=context,
        ).total_price
    ours = price(card, usage)
    lumped = {meter for meter, rate in card.rates.items() if rate is None}
    if not lumped & set(ours.unpriced_meters):
        # What is unpriced here is what the library counts as nothing.
        assert round_to_picodollars(sum(ours.parts.values())) == from_decimal(theirs)
    if not ours.unpriced_meters:
        assert ours.cost == from_decimal(theirs)
    stated = vars(model.get_prices(at, context))
    for meter in ours.unpriced_meters:
        assert meter in lumped or GENERAL_KEYS[meter] not in stated


@given(st.sampled_from(MODELS), METER_COUNTS, MOMENTS)
def test_any_usage_of_any_model_at_any_time(model: tuple[str, str], counts: dict[str, int], at: datetime) -> None:
    check_against_the_library(*model, usage_of(counts), at, None, batch=False, speed=None)


@given(
    st.sampled_from(WITH_TERMS),
    METER_COUNTS,
    MOMENTS,
    TIERS,
    st.booleans(),
    st.sampled_from([None, "fast", "standard"]),
)
def test_any_terms_of_service(
    model: tuple[str, str], counts: dict[str, int], at: datetime, tier: str | None, batch: bool, speed: str | None
) -> None:
    check_against_the_library(*model, usage_of(counts), at, tier, batch, speed)


@pytest.mark.parametrize("count", [1_000, 2_000_001])
def test_every_model_in_a_small_and_in_a_long_request(count: int) -> None:
    usage = usage_of({field.name: count for field in fields(Usage)})
    for vendor, model in MODELS:
        check_against_the_library(vendor, model, usage, NOW, None, batch=False, speed=None)


@pytest.mark.parametrize("tier", ["default", "flex", "priority", "batch"])
def test_every_model_with_terms_on_every_terms(tier: str) -> None:
    usage = usage_of({field.name: 300_000 for field in fields(Usage)})
    for vendor, model in WITH_TERMS:
        check_against_the_library(vendor, model, usage, NOW, tier, batch=False, speed="fast")


def test_every_price_of_the_data_is_exact_as_a_rate() -> None:
    for vendor, name in MODELS:
        model = find(vendor, name)
        stated = [model.prices] if isinstance(model.prices, data.ModelPrice) else [one.prices for one in model.prices]
        for prices in stated + [variant.prices for variant in model.price_variants or ()]:
            rates = compile_rates(prices)
            for key, meter in (("input_mtok", "input_tokens"), ("output_mtok", "output_tokens")):
                value = vars(prices).get(key)
                if value is None:
                    continue
                rate = rates[meter]
                if rate is not None:
                    base = value.base if isinstance(value, data.TieredPrices) else value
                    assert rate_to_decimal(rate.base, 10**6) == base


# ---------------------------------------------------------------- whose price, and when


def test_the_card_says_where_it_is_from() -> None:
    card = BOOK.card("openai", "gpt-4o", NOW)
    assert card is not None
    assert (card.source, card.version) == ("genai-prices", genai_prices.__version__)


def test_names_are_matched_as_the_data_matches_them() -> None:
    plain = BOOK.card("openai", "gpt-4o", NOW)
    assert BOOK.card("openai", "GPT-4o", NOW) == plain
    assert BOOK.card("openai", "gpt-4o-2024-08-06", NOW) == plain
    assert BOOK.card("openai", "gpt-4o-20240806", NOW) == plain
    assert BOOK.card("azure", "gpt-4o-2024-08-06", NOW) is not None
    assert BOOK.card("google", "models/gemini-2.5-pro", NOW) == BOOK.card("google", "gemini-2.5-pro", NOW)


@pytest.mark.parametrize(
    ("vendor", "model"),
    [("openai", "no-such-model"), ("openai", ""), ("sandbox", "gpt-4o"), ("ollama", "llama3"), ("", "gpt-4o")],
)
def test_what_nobody_prices_has_no_card(vendor: str, model: str) -> None:
    assert BOOK.card(vendor, model, NOW) is None


def test_a_name_too_long_is_not_looked_up() -> None:
    name = "gpt-4o-2024-08-06" + "-" * LONGEST_MODEL_NAME
    assert BOOK.card("openai", name, NOW) is None


def test_a_fallback_vendors_prices_are_the_standard_ones() -> None:
    """Azure resells OpenAI's models and not its tiers of service."""
    fallen_back = [
        model
        for model in PROVIDERS["openai"].models
        if model.price_variants and PROVIDERS["azure"].find_model(model.id) is None
    ]
    assert fallen_back
    for model in fallen_back:
        assert BOOK.card("azure", model.id, NOW, "flex") == BOOK.card("azure", model.id, NOW)
        assert BOOK.card("azure", model.id, NOW) == BOOK.card("openai", model.id, NOW)


def test_a_service_tier_has_its_own_price() -> None:
    tiered = [
        model
        for model in PROVIDERS["openai"].models
        if any(variant.when == {"service_tier": "flex"} for variant in model.price_variants or ())
    ]
    assert tiered
    usage = Usage(input_tokens=1000, output_tokens=1000)
    for model in tiered:
        standard, flex, priority = (
            BOOK.card("openai", model.id, NOW, tier) for tier in ("default", "flex", "priority")
        )
        assert standard is not None
        assert flex is not None
        assert priority is not None
        assert standard == BOOK.card("openai", model.id, NOW)
        costs = [price(card, usage).cost or 0 for card in (flex, standard, priority)]
        assert costs[0] < costs[1] <= costs[2]


# ---------------------------------------------------------------- prices that change


def book_of(*models: data.ModelInfo, operator: tuple[OperatorPrice, ...] = ()) -> PriceBook:
    provider = data.Provider(id="deepseek", name="DeepSeek", api_pattern="x", models=list(models))
    return PriceBook(providers=[provider], operator=operator)


def model_of(prices: data.ModelPrice | list[data.ConditionalPrice], name: str = "m") -> data.ModelInfo:
    return data.ModelInfo(id=name, match=data.ClauseEquals(equals=name), prices=prices)


def input_price(book: PriceBook, at: datetime, name: str = "m") -> Decimal | None:
    card = book.card("deepseek", name, at)
    rate = None if card is None else card.rate("input_tokens")
    return None if rate is None else rate_to_decimal(rate.base, 10**6)


def test_a_price_changes_at_midnight_utc_and_back_when_asked_for_the_past() -> None:
    book = book_of(
        model_of(
            [
                data.ConditionalPrice(prices=data.ModelPrice(input_mtok=Decimal(1))),
                data.ConditionalPrice(
                    data.StartDateConstraint(start_date=date(2026, 3, 1)), prices=data.ModelPrice(input_mtok=Decimal(2))
                ),
            ]
        )
    )
    change = datetime(2026, 3, 1, tzinfo=UTC)
    for _ in range(2):
        assert input_price(book, change - timedelta(microseconds=1)) == 1
        assert input_price(book, change) == 2
        assert input_price(book, change.astimezone(timezone(timedelta(hours=-9)))) == 2


def test_a_price_changes_at_hours_of_the_day() -> None:
    night = data.TimeOfDateConstraint(start_time=time(16, 30, tzinfo=UTC), end_time=time(0, 30, tzinfo=UTC))
    book = book_of(
        model_of(
            [
                data.ConditionalPrice(prices=data.ModelPrice(input_mtok=Decimal(2))),
                data.ConditionalPrice(night, prices=data.ModelPrice(input_mtok=Decimal(1))),
            ]
        )
    )
    for day in (1, 2):
        asked = [
            input_price(book, datetime(2026, 5, day, hour, minute, tzinfo=UTC))
            for hour, minute in ((16, 29), (16, 30), (23, 59), (0, 0), (0, 29), (0, 30))
        ]
        assert asked == [2, 1, 1, 1, 1, 2]


# ---------------------------------------------------------------- what the data does not say


def test_a_price_by_the_hour_is_no_price_for_tokens() -> None:
    book = book_of(model_of(data.ModelPrice(input_audio_hours=Decimal("0.36"))))
    card = book.card("deepseek", "m", NOW)
    assert card is not None
    priced = price(card, Usage(input_tokens=10, output_tokens=5))
    assert (priced.cost, priced.unpriced_meters) == (None, ("input_tokens", "output_tokens"))


def test_free_by_name_is_free_and_without_a_price_is_not() -> None:
    book = book_of(model_of(data.ModelPrice(), "m:free"), model_of(data.ModelPrice()))
    usage = Usage(input_tokens=10, output_tokens=5, cache_read_tokens=1, web_searches=0)
    free, unknown = book.card("deepseek", "m:free", NOW), book.card("deepseek", "m", NOW)
    assert free is not None
    assert unknown is not None
    assert price(free, usage).cost == 0
    assert price(unknown, usage).cost is None


def test_a_stated_zero_is_free() -> None:
    book = book_of(model_of(data.ModelPrice(input_mtok=Decimal(0), output_mtok=Decimal(0))))
    card = book.card("deepseek", "m", NOW)
    assert card is not None
    assert price(card, Usage(input_tokens=10, output_tokens=5)).cost == 0


@pytest.mark.parametrize(
    ("prices", "meter"),
    [
        ({"input_mtok": 1, "cache_read_mtok": 2, "cache_image_read_mtok": 3}, "cache_read_tokens"),
        ({"input_mtok": 1, "input_image_mtok": 3}, "cache_read_tokens"),
        ({"input_mtok": 1, "input_tool_mtok": 3}, "input_tokens"),
        ({"output_mtok": 1, "output_citation_mtok": 3}, "output_tokens"),
        ({"output_mtok": 1, "output_video_mtok": 3}, "output_tokens"),
        ({"input_mtok": 1, "cache_write_mtok": 2, "cache_audio_write_mtok": 3}, "cache_write_tokens"),
    ],
)
def test_a_meter_of_tokens_with_several_prices_has_none(prices: dict[str, int], meter: str) -> None:
    last = list(prices)[-1]
    several = compile_rates(data.ModelPrice(**{key: Decimal(value) for key, value in prices.items()}))
    assert several[meter] is None
    prices[last] = prices[list(prices)[-2]]
    same = compile_rates(data.ModelPrice(**{key: Decimal(value) for key, value in prices.items()}))
    assert same.get(meter, same.get("input_tokens")) is not None


def test_a_price_with_too_many_decimals_is_not_stated() -> None:
    assert compile_rates(data.ModelPrice(input_mtok=Decimal("1e-30"))) == {"input_tokens": None}


def test_searches_are_what_a_price_per_request_is_for() -> None:
    card = BOOK.card("perplexity", "sonar", NOW)
    assert card is not None
    assert price(card, Usage(input_tokens=0, output_tokens=0, web_searches=3)).cost == 12_000_000_000


# ---------------------------------------------------------------- the operator's prices


def test_the_operator_comes_first_and_replaces_the_whole_card() -> None:
    stated = OperatorPrice(model="openai/gpt-4o", prices={"input_tokens": "0.5", "output_tokens": "1.25"})
    card = PriceBook(operator=[stated]).card("openai", "gpt-4o", NOW, "flex")
    assert card is not None
    assert (card.source, card.version) == ("operator", "always")
    assert card.rates == {"input_tokens": Rate(base=5 * 10**23), "output_tokens": Rate(base=125 * 10**22)}
    assert price(card, Usage(input_tokens=4, cache_read_tokens=6, output_tokens=1)).cost == 6_250_000


def test_the_operators_model_is_matched_exactly() -> None:
    book = PriceBook(operator=[OperatorPrice(model="openai/gpt-4o", prices={"input_tokens": "7"})])
    other = book.card("openai", "gpt-4o-2024-08-06", NOW)
    assert other is not None
    assert other.source == "genai-prices"


def test_the_latest_operator_price_in_force_holds() -> None:
    first, second = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    book = book_of(
        model_of(data.ModelPrice(input_mtok=Decimal(9))),
        operator=(
            OperatorPrice(model="deepseek/m", prices={"input_tokens": "1"}, effective_from=first),
            OperatorPrice(model="deepseek/m", prices={"input_tokens": "2"}, effective_from=second),
        ),
    )
    assert input_price(book, first - timedelta(microseconds=1)) == 9
    assert input_price(book, first) == 1
    assert input_price(book, second - timedelta(microseconds=1)) == 1
    assert input_price(book, second) == 2
    card = book.card("deepseek", "m", second)
    assert card is not None
    assert card.version == "2026-06-01T00:00:00+00:00"


def test_the_operator_prices_searches_and_requests_by_the_thousand() -> None:
    stated = OperatorPrice(model="local/llama", prices={"input_tokens": "0", "web_searches": "5", "requests": "2"})
    card = PriceBook(operator=[stated]).card("local", "llama", NOW)
    assert card is not None
    assert price(card, Usage(input_tokens=1, web_searches=3)).cost == 17_000_000_000


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ({"input": "1"}, "openai/x: there is no meter 'input'"),
        ({"input_tokens": "-1"}, "openai/x: input_tokens: not a price"),
        ({"input_tokens": "free"}, "openai/x: input_tokens: not a price"),
        ({"output_tokens": "NaN"}, "openai/x: output_tokens: not a price"),
    ],
)
def test_an_operator_price_that_cannot_be_read_is_named(prices: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PriceBook(operator=[OperatorPrice(model="openai/x", prices=prices)])


# ---------------------------------------------------------------- the list of models


def test_the_list_has_every_priced_model_of_the_vendors_asked_for() -> None:
    listed = BOOK.models(NOW, {"openai", "anthropic"})
    assert {line.vendor for line in listed} == {"openai", "anthropic"}
    by_name = {(line.vendor, line.model): line for line in listed}
    assert by_name["openai", "gpt-4o"].card == BOOK.card("openai", "gpt-4o", NOW)
    assert by_name["openai", "gpt-4o"].context_window == 128_000
    assert all(line.card.rates for line in listed)
    assert len(BOOK.models(NOW)) > len(listed)
    assert BOOK.models(NOW, ()) == []


def test_a_listed_model_asked_for_by_its_name_has_the_listed_card() -> None:
    for line in BOOK.models(NOW):
        assert BOOK.card(line.vendor, line.model, NOW) == line.card, (line.vendor, line.model)


def test_the_operators_models_are_listed() -> None:
    book = PriceBook(
        operator=[
            OperatorPrice(model="local/org/llama", prices={"input_tokens": "0"}),
            OperatorPrice(model="openai/gpt-4o", prices={"input_tokens": "1"}),
            OperatorPrice(model="local/later", prices={"input_tokens": "0"}, effective_from=NOW + timedelta(days=1)),
        ]
    )
    listed = {(line.vendor, line.model): line.card for line in book.models(NOW)}
    assert listed["local", "org/llama"].source == "operator"
    assert listed["openai", "gpt-4o"].source == "operator"
    assert ("local", "later") not in listed
    assert [line.model for line in book.models(NOW, {"local"})] == ["org/llama"]

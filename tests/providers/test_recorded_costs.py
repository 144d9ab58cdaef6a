"""Recorded answers cost here what they cost by the `genai-prices` library, to the last digit.

The library reads the whole raw answer by its own rules and multiplies decimals; we read the usage object into disjoint
meters and multiply integers. The two share the data and nothing else. Each answer for which they must differ is
named below, with the reason, and what is expected instead is tested.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from genai_prices.data_snapshot import get_snapshot

from arouter.domain.money import Picodollars, from_decimal, from_text
from arouter.domain.price import Priced, price
from arouter.domain.usage import Usage
from arouter.providers.prices import PriceBook
from arouter.providers.usage import (
    anthropic_advice,
    anthropic_usage,
    gemini_usage,
    merge_anthropic,
    openai_usage,
    reported_cost,
)
from arouter.wire.sse import DONE, Splitter
from tests.recordings import Recording, need_recordings, recordings

APIS = (
    "openai.chat",
    "compatible.chat",
    "openrouter.chat",
    "openai.responses",
    "anthropic.messages",
    "google.generate",
)
TIMES = [datetime(2025, 6, 1, 3, 30, tzinfo=UTC), datetime(2026, 11, 1, 12, 0, tzinfo=UTC)]

VENDORS = {
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.openai.com": "openai",
    "api.z.ai": "zai",
    "generativelanguage.googleapis.com": "google",
    "openrouter.ai": "openrouter",
}

NOT_OURS = {
    "bedrock-mantle.us-east-1.api.aws",
    "api.inference.crusoecloud.com",
    "localhost:8787",
    "myorg-myaccount.snowflakecomputing.com",
    "ollama.com",
    "router.huggingface.co",
    "us.inference.heroku.com",
}
"""Hosts of vendors without a row of their own: the library does not know them either, but for Hugging Face's router."""

UNKNOWN_MODELS = {"groq/compound", "groq/compound-mini", "x-ai/grok-4"}
"""Models that the data does not have."""

MISTRAL_CACHED_ELSEWHERE = "num_cached_tokens"
"""The library does not read this name of cached tokens: it is given the same body with the name that it reads."""

OVERLAPPING_CACHE = "b6df3640c152"
"""OpenRouter counts the same tokens as read from the cache and written to it. The library raises ValueError."""

EMPTY_PRICES = {"861cbf8bd598", "5133c0d8a214"}
"""Of a model (qwen-3-coder-480b) that the data has without any price. The library says 0, we say unknown."""

RESOURCE_NAME = "models/gemini-2.5-pro"
"""The library does not know the model by its resource name."""

NO_USAGE = {"d31b287b2627", "0e284c27aa0d", "4a5d5d4eef70", "46f7b2bddf9f"}
"""Responses that are made in the background, as they were when they were put into a queue."""

Answer = tuple[Recording, dict[str, Any]]
"""A recording and its body; of a stream, a body with its model and its usage."""


def answers() -> list[Answer]:
    found = [recording for api in APIS for recording in recordings(api) if recording.status == 200]
    return [(one, merged_body(one) if one.stream else one.body) for one in found if one.id not in NO_USAGE]


def merged_body(recording: Recording) -> dict[str, Any]:
    """What the whole answer would have been, as far as usage and price are concerned."""
    body: dict[str, Any] = {}
    assert isinstance(recording.response, str)
    for event in Splitter().feed(recording.response.encode()):
        if not event.data or event.data == DONE:
            continue
        told = msgspec.json.decode(event.data)
        told = told.get("message") or told.get("response") or told
        body |= {name: told[name] for name in ("model", "modelVersion", "service_tier") if told.get(name)}
        if told.get("usageMetadata"):
            body["usageMetadata"] = told["usageMetadata"]
        if told.get("usage"):
            anthropic = recording.api == "anthropic.messages"
            body["usage"] = merge_anthropic(body.get("usage", {}), told["usage"]) if anthropic else told["usage"]
    return body


def usage_object(body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["usageMetadata"] if "usageMetadata" in body else body["usage"]
    return found


def model_of(body: Mapping[str, Any]) -> str:
    return str(body["modelVersion"] if "modelVersion" in body else body["model"])


def tier_of(body: Mapping[str, Any]) -> str | None:
    raw = usage_object(body)
    tier = body.get("service_tier") or raw.get("service_tier") or raw.get("serviceTier")
    return None if tier is None else str(tier)


def our_usage(recording: Recording, body: Mapping[str, Any]) -> Usage:
    raw = usage_object(body)
    if recording.api == "anthropic.messages":
        return anthropic_usage(raw)
    return gemini_usage(raw) if recording.api == "google.generate" else openai_usage(raw, VENDORS[recording.host])


def our_price(book: PriceBook, recording: Recording, body: Mapping[str, Any], at: datetime) -> Priced:
    card = book.card(VENDORS[recording.host], model_of(body), at, tier_of(body))
    assert card is not None
    return price(card, our_usage(recording, body))


def their_cost(recording: Recording, body: Mapping[str, Any], at: datetime) -> Picodollars:
    """LookupError if the library does not know provider or model; ValueError if it cannot make sense of the usage."""
    flavor = "chat" if recording.api.endswith(".chat") and "prompt_tokens" in usage_object(body) else "default"
    if VENDORS.get(recording.host) in {"groq", "mistral"}:
        flavor = "default"
    if recording.api == "openai.responses":
        flavor = "responses"
    url = f"https://{recording.host}{recording.path}"
    extracted = get_snapshot().extract_usage(body, provider_api_url=url, api_flavor=flavor)
    tier = tier_of(body)
    context = None if tier is None else {"service_tier": tier}
    return from_decimal(extracted.calc_price(genai_request_timestamp=at, price_context=context).total_price)


def is_exception(recording: Recording, body: Mapping[str, Any]) -> bool:
    return (
        recording.host in NOT_OURS
        or recording.id == OVERLAPPING_CACHE
        or recording.id in EMPTY_PRICES
        or model_of(body) in {*UNKNOWN_MODELS, RESOURCE_NAME}
        or usage_object(body).get(MISTRAL_CACHED_ELSEWHERE, 0) > 0
        or model_of(body).endswith(":free")
    )


ANSWERS = answers()
COMPARED = [answer for answer in ANSWERS if not is_exception(*answer)]


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook()


@pytest.mark.parametrize("at", TIMES, ids=lambda at: f"{at:%Y-%m}")
@pytest.mark.parametrize("answer", COMPARED, ids=lambda answer: answer[0].id)
def test_the_cost_is_the_librarys_to_the_last_digit(book: PriceBook, answer: Answer, at: datetime) -> None:
    priced = our_price(book, *answer, at)
    assert priced.unpriced_meters == ()
    assert priced.cost == their_cost(*answer, at)


def test_most_answers_are_compared() -> None:
    """So that nothing above can go missing unseen: each answer with a usage is compared or is an exception."""
    need_recordings()
    assert len(ANSWERS) == 611
    assert len(COMPARED) >= 570
    assert sum(recording.stream for recording, _ in COMPARED) >= 50


# ---------------------------------------------------------------- the exceptions, one by one


def exceptions(where: str) -> list[Answer]:
    chosen: Mapping[str, Callable[[Recording, dict[str, Any]], bool]] = {
        "not ours": lambda r, b: r.host in NOT_OURS,
        "unknown model": lambda r, b: model_of(b) in UNKNOWN_MODELS,
        "cached elsewhere": lambda r, b: usage_object(b).get(MISTRAL_CACHED_ELSEWHERE, 0) > 0,
        "empty prices": lambda r, b: r.id in EMPTY_PRICES,
        "overlap": lambda r, b: r.id == OVERLAPPING_CACHE,
        "resource name": lambda r, b: model_of(b) == RESOURCE_NAME,
        "free": lambda r, b: model_of(b).endswith(":free"),
    }
    need_recordings()
    found = [answer for answer in ANSWERS if chosen[where](*answer)]
    assert found
    return found


def test_vendors_without_a_row_have_no_price(book: PriceBook) -> None:
    for recording, body in exceptions("not ours"):
        assert book.card(recording.host, model_of(body), TIMES[1]) is None


def test_models_that_the_data_does_not_have_are_unknown_to_both(book: PriceBook) -> None:
    for recording, body in exceptions("unknown model"):
        assert book.card(VENDORS[recording.host], model_of(body), TIMES[1]) is None
        with pytest.raises(LookupError):
            their_cost(recording, body, TIMES[1])


def test_cached_tokens_under_mistrals_older_name(book: PriceBook) -> None:
    for recording, body in exceptions("cached elsewhere"):
        raw = usage_object(body)
        cached = {"prompt_tokens_details": {"cached_tokens": raw[MISTRAL_CACHED_ELSEWHERE]}}
        renamed = {**body, "usage": {**raw, **cached}}
        assert our_price(book, recording, body, TIMES[1]).cost == their_cost(recording, renamed, TIMES[1])


def test_a_model_without_any_price_is_unpriced_and_not_free(book: PriceBook) -> None:
    for recording, body in exceptions("empty prices"):
        assert their_cost(recording, body, TIMES[1]) == 0
        priced = our_price(book, recording, body, TIMES[1])
        assert priced.cost is None
        assert priced.unpriced_meters == ("input_tokens", "output_tokens")


def test_tokens_counted_as_read_and_written_are_read(book: PriceBook) -> None:
    for recording, body in exceptions("overlap"):
        with pytest.raises(ValueError, match="more-specific usage"):
            their_cost(recording, body, TIMES[1])
        assert our_usage(recording, body) == Usage(
            input_tokens=7,
            input_audio_tokens=0,
            input_video_tokens=0,
            cache_read_tokens=2161,
            output_tokens=100,
            output_audio_tokens=0,
            output_image_tokens=0,
            reasoning_tokens=0,
        )


def test_a_model_by_its_resource_name_costs_the_same(book: PriceBook) -> None:
    for recording, body in exceptions("resource name"):
        with pytest.raises(LookupError):
            their_cost(recording, body, TIMES[1])
        plain = {**body, "modelVersion": RESOURCE_NAME.removeprefix("models/")}
        assert our_price(book, recording, body, TIMES[1]).cost == their_cost(recording, plain, TIMES[1])


def test_free_models_are_free_for_both(book: PriceBook) -> None:
    for recording, body in exceptions("free"):
        assert our_price(book, recording, body, TIMES[1]).cost == their_cost(recording, body, TIMES[1]) == 0


# ---------------------------------------------------------------- beside the library


def test_advice_is_another_models_usage() -> None:
    """The adviser's tokens are in no total of the answer, so that they can be priced at the adviser's price."""
    need_recordings()
    advised = [answer for answer in ANSWERS if anthropic_advice(usage_object(answer[1]))]
    assert advised
    for recording, body in advised:
        raw = usage_object(body)
        messages = [one for one in raw["iterations"] if one["type"] == "message"]
        assert our_usage(recording, body).prompt_tokens == sum(one["input_tokens"] for one in messages)


def test_openrouters_own_cost_is_read_from_its_digits() -> None:
    need_recordings()
    told = 0
    for recording in recordings("openrouter.chat"):
        if recording.stream or recording.status != 200:
            continue
        raw = msgspec.json.decode(recording.response_text, type=dict[str, msgspec.Raw])["usage"]
        digits = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get("cost")
        told += digits is not None
        assert reported_cost(bytes(raw)) == (None if digits is None else from_text(bytes(digits).decode()))
    assert told >= 20

"""What a request is likely to use at most."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.price import Rate, RateCard, price
from arouter.domain.usage import Usage
from arouter.engine.estimates import MOST_TOKENS, TOKENS_OF_A_PICTURE, TOKENS_OF_AN_ATTACHMENT, Estimates, output_tokens
from tests.engine.samples import DOLLARS, Cards, call, card, route

MODEL = "openai/gpt-5.4"


def generated(endpoint: str = "/v1/chat/completions", **fields: Any) -> int:
    raw = {name: msgspec.Raw(msgspec.json.encode(told)) for name, told in fields.items()}
    return output_tokens(raw, endpoint, 4096)


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, 4096),
        ({"max_tokens": 10}, 10),
        ({"max_tokens": 0}, 0),
        ({"max_tokens": None}, 4096),
        ({"max_tokens": "ten"}, 4096),
        ({"max_tokens": -5}, 0),
        ({"max_tokens": 10**30}, MOST_TOKENS),
        ({"max_completion_tokens": 7, "max_tokens": 10}, 7),
        ({"max_output_tokens": 8}, 8),
        ({"max_tokens": 10, "n": 3}, 30),
        ({"n": 2}, 8192),
        ({"generationConfig": {"maxOutputTokens": 5, "candidateCount": 2}}, 10),
        ({"generationConfig": {}}, 4096),
        ({"generationConfig": None}, 4096),
        ({"generation_config": {"max_output_tokens": 5}}, 5),
        ({"generationConfig": []}, 4096),
    ],
)
def test_what_a_request_lets_be_generated(fields: dict[str, Any], tokens: int) -> None:
    assert generated(**fields) == tokens


def test_endpoints_that_generate_no_text() -> None:
    assert generated("/v1/embeddings", max_tokens=5) == 0
    assert generated("/v1/images/generations", n=2) == 2 * TOKENS_OF_A_PICTURE


def test_what_is_encoded_counts_as_a_picture() -> None:
    text = "word " * 10_000
    pictures = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 50_000}}] * 2
    request = call(messages=[{"role": "user", "content": [{"type": "text", "text": text}, *pictures]}])
    read, _ = Estimates(Cards({})).tokens(request.fields, request.opening)
    assert 2 * TOKENS_OF_AN_ATTACHMENT + len(text) // 3 < read < 2 * TOKENS_OF_AN_ATTACHMENT + len(text) // 2


@given(st.integers(0, 20_000), st.integers(0, 300_000), st.integers(0, 300_000))
def test_no_usage_within_the_estimate_costs_more(output: int, size: int, cached: int) -> None:
    rates = {
        "input_tokens": Rate(base=2 * DOLLARS, tiers=((50_000, 4 * DOLLARS),)),
        "cache_read_tokens": Rate(base=DOLLARS // 5),
        "cache_write_tokens": Rate(base=3 * DOLLARS),
        "output_tokens": Rate(base=10 * DOLLARS, tiers=((50_000, 15 * DOLLARS),)),
        "requests": Rate(base=10**27),
    }
    stated = RateCard(source="operator", version="1", rates=rates)
    estimates = Estimates(Cards({MODEL: stated}))
    request = call(MODEL, asked_bytes=size, max_tokens=output)
    both = estimates.tokens(request.fields, request.opening)
    held = estimates.cost(request.fields, request.opening, [route(MODEL)], both)
    read = both[0]
    for usage in (
        Usage(input_tokens=read, output_tokens=output),
        Usage(input_tokens=read - min(cached, read), cache_write_tokens=min(cached, read), output_tokens=output),
        Usage(input_tokens=read - min(cached, read), cache_read_tokens=min(cached, read), output_tokens=output),
    ):
        cost = price(stated, usage).cost
        assert cost is not None
        assert cost <= held


def test_the_dearest_route_counts_and_an_unknown_price_is_nothing() -> None:
    estimates = Estimates(Cards({MODEL: card(), "groq/llama": card(input=1, output=1)}))
    request = call(asked_bytes=3_000_000, max_tokens=0)
    routes = [route("groq/llama"), route(MODEL), route("mistral/unknown")]
    assert estimates.cost(request.fields, request.opening, routes, (10**6, 0)) == 2 * 10**12
    assert estimates.cost(request.fields, request.opening, routes[2:], (10**6, 10**6)) == 0


def test_a_tier_that_is_asked_for_has_its_own_price() -> None:
    cards = Cards({MODEL: card()})
    for request in (call(service_tier="priority"), call(service_tier=5)):
        Estimates(cards).cost(request.fields, request.opening, [route(MODEL)], (1, 1))
    assert [tier for _, _, tier, _ in cards.asked] == ["priority", None]

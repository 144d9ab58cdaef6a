"""Usage and cost in Anthropic's shape."""

import msgspec
from anthropic.types import Usage as SdkUsage
from hypothesis import given

from arouter.domain.charge import Charge
from arouter.domain.money import Picodollars
from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.wire.anthropic_messages.usage import counts, counts_at_start, message_usage
from tests.wire.strategies import usages


def test_every_count_has_its_place() -> None:
    usage = Usage(
        input_tokens=1,
        input_audio_tokens=2,
        input_image_tokens=3,
        input_video_tokens=4,
        cache_read_tokens=5,
        cache_read_audio_tokens=6,
        cache_write_tokens=7,
        cache_write_1h_tokens=8,
        output_tokens=9,
        output_audio_tokens=10,
        output_image_tokens=11,
        reasoning_tokens=4,
        web_searches=2,
    )
    assert counts(usage) == {
        "input_tokens": 10,
        "output_tokens": 30,
        "cache_creation_input_tokens": 15,
        "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 8},
        "cache_read_input_tokens": 11,
        "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    }


def test_a_zero_is_told_and_the_unknown_is_not() -> None:
    assert counts(Usage(input_tokens=0, cache_read_tokens=0, output_tokens=0)) == {
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_read_input_tokens": 0,
    }
    assert counts(NOTHING_REPORTED) == {"input_tokens": None, "output_tokens": None}


def test_what_was_only_read_from_a_cache_says_nothing_of_the_rest() -> None:
    assert counts(Usage(cache_read_tokens=5))["input_tokens"] is None


def test_the_start_counts_from_nothing() -> None:
    assert counts_at_start(None) == {"input_tokens": 0, "output_tokens": 0}
    assert counts_at_start(Usage(input_tokens=7)) == {"input_tokens": 7, "output_tokens": 0}


def test_the_cost_has_exactly_its_digits() -> None:
    charge = Charge(cost=Picodollars(1), prompt_cost=Picodollars(0), completion_cost=Picodollars(10**12))
    assert msgspec.json.encode(message_usage(charge)).endswith(
        b'"cost":0.000000000001,"cost_details":{"upstream_inference_cost":null,"prompt_cost":0,"completion_cost":1}}'
    )


def test_an_unknown_cost_is_null() -> None:
    assert message_usage(Charge())["cost"] is None


@given(usages())
def test_the_sdk_reads_any_usage_and_the_sums_are_ours(usage: Usage) -> None:
    written = msgspec.json.decode(msgspec.json.encode(message_usage(Charge(usage=usage))))
    if None not in (written["input_tokens"], written["output_tokens"]):
        SdkUsage.model_validate(written)
    assert written["output_tokens"] == usage.completion_tokens
    assert written.get("cache_read_input_tokens") == usage.cached_tokens
    read = [written["input_tokens"], usage.cached_tokens, usage.cache_written_tokens]
    known = [tokens for tokens in read if tokens is not None]
    assert (sum(known) if known else None) == usage.prompt_tokens

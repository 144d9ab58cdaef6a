"""Providers' usage objects become disjoint meters whose sums are the providers' own totals."""

from dataclasses import fields
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.providers.usage import (
    LARGEST_COUNT,
    anthropic_advice,
    anthropic_usage,
    circumstances,
    gemini_usage,
    merge_anthropic,
    openai_usage,
    openai_usage_from_json,
    plain_usage,
    reported_cost,
)
from tests.recordings import Recording, need_recordings, recordings

JUNK: list[Any] = ["12", -1, 2.5, True, False, None, [], {}, 10**30, LARGEST_COUNT + 1, float("nan"), float("inf")]

# ---------------------------------------------------------------- OpenAI


def test_openai_cached_written_audio_and_images_leave_the_rest() -> None:
    usage = openai_usage(
        {
            "prompt_tokens": 1000,
            "prompt_tokens_details": {
                "cached_tokens": 400,
                "cache_write_tokens": 100,
                "audio_tokens": 50,
                "image_tokens": 20,
                "video_tokens": 5,
                "text_tokens": 925,
            },
            "completion_tokens": 300,
            "completion_tokens_details": {"reasoning_tokens": 200, "audio_tokens": 30, "image_tokens": 10},
            "total_tokens": 1300,
        }
    )
    assert usage == Usage(
        input_tokens=425,
        input_audio_tokens=50,
        input_image_tokens=20,
        input_video_tokens=5,
        cache_read_tokens=400,
        cache_write_tokens=100,
        output_tokens=260,
        output_audio_tokens=30,
        output_image_tokens=10,
        reasoning_tokens=200,
    )
    assert (usage.prompt_tokens, usage.completion_tokens) == (1000, 300)


def test_openai_zero_is_zero_and_missing_is_unknown() -> None:
    assert openai_usage({"prompt_tokens": 0, "completion_tokens": 0}) == Usage(input_tokens=0, output_tokens=0)
    details = {"cached_tokens": 0, "audio_tokens": None}
    usage = openai_usage({"prompt_tokens": 3, "prompt_tokens_details": details})
    assert usage == Usage(input_tokens=3, cache_read_tokens=0)
    assert openai_usage({}) == NOTHING_REPORTED


def test_openai_embeddings_and_responses_have_the_same_meters() -> None:
    assert openai_usage({"prompt_tokens": 8, "total_tokens": 8}) == Usage(input_tokens=8)
    assert openai_usage(
        {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 2},
        }
    ) == Usage(input_tokens=5, cache_read_tokens=4, cache_write_tokens=1, output_tokens=7, reasoning_tokens=2)


def test_openai_cached_audio_is_its_own_meter_where_it_is_told() -> None:
    details = {"cached_tokens": 60, "audio_tokens": 50, "cached_tokens_details": {"audio_tokens": 20}}
    assert openai_usage({"prompt_tokens": 100, "prompt_tokens_details": details}) == Usage(
        input_tokens=10, input_audio_tokens=30, cache_read_tokens=40, cache_read_audio_tokens=20
    )


@pytest.mark.parametrize("name", ["prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens"])
def test_vendors_name_cached_tokens_differently(name: str) -> None:
    assert openai_usage({"prompt_tokens": 10, name: 4}) == Usage(input_tokens=6, cache_read_tokens=4)
    both = {"prompt_tokens": 10, name: 4, "prompt_tokens_details": {"cached_tokens": 3}}
    assert openai_usage(both) == Usage(input_tokens=7, cache_read_tokens=3)


def test_xai_thinks_beside_the_completion_and_nobody_else_does() -> None:
    raw = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": 135,
        "completion_tokens_details": {"reasoning_tokens": 94},
    }
    assert openai_usage(raw, "xai") == Usage(input_tokens=32, output_tokens=103, reasoning_tokens=94)
    assert openai_usage(raw | {"total_tokens": None}, "xai").output_tokens == 103
    # Where the total has no room for it, the thinking is in the completion.
    included = {**raw, "completion_tokens": 103}
    assert openai_usage(included, "xai").output_tokens == 103
    assert openai_usage(included, "openai") == Usage(input_tokens=32, output_tokens=103, reasoning_tokens=94)
    # In xAI's responses it always is.
    responses = {"input_tokens": 32, "output_tokens": 103, "output_tokens_details": {"reasoning_tokens": 94}}
    assert openai_usage(responses, "xai").output_tokens == 103


def test_perplexity_counts_thinking_citations_and_searches_apart() -> None:
    raw = {
        "prompt_tokens": 30,
        "completion_tokens": 100,
        "total_tokens": 130,
        "reasoning_tokens": 700,
        "citation_tokens": 50,
        "num_search_queries": 18,
    }
    assert openai_usage(raw, "perplexity") == Usage(
        input_tokens=30, output_tokens=850, reasoning_tokens=700, web_searches=18
    )


def test_openrouter_tells_searches() -> None:
    raw = {"prompt_tokens": 1, "completion_tokens": 1, "server_tool_use": {"web_search_requests": 2}}
    assert openai_usage(raw, "openrouter").web_searches == 2


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"cached_tokens": 11}, Usage(input_tokens=10)),
        ({"cached_tokens": 8, "cache_write_tokens": 8}, Usage(input_tokens=2, cache_read_tokens=8)),
        ({"cached_tokens": 8, "audio_tokens": 3}, Usage(input_tokens=2, cache_read_tokens=8)),
        ({"audio_tokens": 6, "image_tokens": 5}, Usage(input_tokens=10)),
        ({"cached_tokens": 10, "audio_tokens": 0}, Usage(input_tokens=0, cache_read_tokens=10, input_audio_tokens=0)),
    ],
)
def test_parts_that_do_not_fit_are_unknown_and_the_total_stays(details: dict[str, int], expected: Usage) -> None:
    usage = openai_usage({"prompt_tokens": 10, "prompt_tokens_details": details})
    assert usage == expected
    assert usage.prompt_tokens == 10


def test_more_reasoning_than_output_is_unknown_reasoning() -> None:
    raw = {"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 7}}
    assert openai_usage(raw) == Usage(output_tokens=5)


def test_details_of_an_unknown_whole_say_nothing() -> None:
    assert openai_usage({"prompt_tokens_details": {"cached_tokens": 5}, "prompt_tokens": "9"}) == NOTHING_REPORTED


# ---------------------------------------------------------------- Anthropic


def test_anthropic_input_is_uncached_already() -> None:
    raw = {
        "input_tokens": 4,
        "cache_creation_input_tokens": 237,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 37},
        "cache_read_input_tokens": 9134,
        "output_tokens": 156,
        "output_tokens_details": {"thinking_tokens": 15},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
        "service_tier": "standard",
    }
    assert anthropic_usage(raw) == Usage(
        input_tokens=4,
        cache_read_tokens=9134,
        cache_write_tokens=200,
        cache_write_1h_tokens=37,
        output_tokens=156,
        reasoning_tokens=15,
        web_searches=2,
    )


@pytest.mark.parametrize(
    ("raw", "short", "hour"),
    [
        ({}, None, None),
        ({"cache_creation_input_tokens": 9}, 9, None),
        ({"cache_creation_input_tokens": 0}, 0, None),
        ({"cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}}, 3, 4),
        ({"cache_creation_input_tokens": 9, "cache_creation": {"ephemeral_1h_input_tokens": 4}}, 5, 4),
        ({"cache_creation_input_tokens": 9, "cache_creation": {"ephemeral_1h_input_tokens": 10}}, 9, None),
        ({"cache_creation_input_tokens": 9, "cache_creation": None}, 9, None),
    ],
)
def test_anthropic_writes_by_time(raw: dict[str, Any], short: int | None, hour: int | None) -> None:
    usage = anthropic_usage(raw)
    assert (usage.cache_write_tokens, usage.cache_write_1h_tokens) == (short, hour)


def test_anthropic_delta_is_cumulative_and_what_it_omits_stays() -> None:
    start = {
        "input_tokens": 2694,
        "cache_read_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 1,
        "service_tier": "standard",
    }
    delta = {"input_tokens": 12957, "cache_read_input_tokens": None, "output_tokens": 152}
    merged = merge_anthropic(start, delta)
    assert merged["service_tier"] == "standard"
    assert anthropic_usage(merged) == Usage(
        input_tokens=12957, cache_read_tokens=7, cache_write_tokens=0, cache_write_1h_tokens=0, output_tokens=152
    )
    assert merge_anthropic(start, {}) == start
    assert merge_anthropic({}, start) == start


def test_anthropic_compaction_is_added_and_advice_is_anothers() -> None:
    raw = {
        "input_tokens": 45_000,
        "output_tokens": 1234,
        "iterations": [
            {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500, "cache_read_input_tokens": 6},
            {"type": "message", "input_tokens": 45_000, "output_tokens": 1234},
            {"type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 2543, "output_tokens": 18},
            {"type": "advisor_message", "input_tokens": 1},
            "not an iteration",
        ],
    }
    assert anthropic_usage(raw) == Usage(input_tokens=225_000, output_tokens=4734, cache_read_tokens=6)
    assert anthropic_advice(raw) == (("claude-opus-4-8", Usage(input_tokens=2543, output_tokens=18)),)
    assert anthropic_advice({"iterations": None}) == ()


# ---------------------------------------------------------------- Gemini


def test_gemini_cache_is_within_and_thoughts_and_tools_are_beside() -> None:
    raw = {
        "promptTokenCount": 1000,
        "cachedContentTokenCount": 300,
        "toolUsePromptTokenCount": 90,
        "candidatesTokenCount": 105,
        "thoughtsTokenCount": 131,
        "totalTokenCount": 1326,
    }
    usage = gemini_usage(raw)
    assert usage == Usage(input_tokens=790, cache_read_tokens=300, output_tokens=236, reasoning_tokens=131)
    assert usage.total_tokens == 1326


def test_gemini_modalities_on_both_sides_of_the_cache() -> None:
    raw = {
        "promptTokenCount": 1000,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 500},
            {"modality": "AUDIO", "tokenCount": 200},
            {"modality": "IMAGE", "tokenCount": 150},
            {"modality": "VIDEO", "tokenCount": 50},
            {"modality": "DOCUMENT", "tokenCount": 100},
        ],
        "toolUsePromptTokenCount": 40,
        "toolUsePromptTokensDetails": [
            {"modality": "IMAGE", "tokenCount": 10},
            {"modality": "TEXT", "tokenCount": 30},
        ],
        "cachedContentTokenCount": 250,
        "cacheTokensDetails": [
            {"modality": "AUDIO", "tokenCount": 120},
            {"modality": "IMAGE", "tokenCount": 60},
            {"modality": "TEXT", "tokenCount": 70},
        ],
        "candidatesTokenCount": 30,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 20}, {"modality": "AUDIO", "tokenCount": 4}],
        "thoughtsTokenCount": 7,
    }
    usage = gemini_usage(raw)
    assert usage == Usage(
        input_tokens=560,
        input_audio_tokens=80,
        input_image_tokens=100,
        input_video_tokens=50,
        cache_read_tokens=130,
        cache_read_audio_tokens=120,
        output_tokens=13,
        output_image_tokens=20,
        output_audio_tokens=4,
        reasoning_tokens=7,
    )
    assert (usage.prompt_tokens, usage.completion_tokens) == (1040, 37)


def test_gemini_thoughts_alone_are_output() -> None:
    assert gemini_usage({"promptTokenCount": 15, "thoughtsTokenCount": 2}) == Usage(
        input_tokens=15, output_tokens=2, reasoning_tokens=2
    )


@pytest.mark.parametrize(
    "extra",
    [
        {"cachedContentTokenCount": 11},
        {"cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}]},
        {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 11}]},
        {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": "3"}, {"modality": 7, "tokenCount": 3}, None]},
        {"promptTokensDetails": {"modality": "AUDIO", "tokenCount": 3}},
    ],
)
def test_gemini_parts_that_do_not_fit_are_unknown(extra: dict[str, Any]) -> None:
    assert gemini_usage({"promptTokenCount": 10, **extra}) == Usage(input_tokens=10)


# ---------------------------------------------------------------- what nobody should send

NAMES = st.sampled_from(
    [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "input_tokens_details",
        "output_tokens_details",
        "cached_tokens",
        "cache_write_tokens",
        "audio_tokens",
        "image_tokens",
        "video_tokens",
        "cached_tokens_details",
        "num_cached_tokens",
        "prompt_cache_hit_tokens",
        "citation_tokens",
        "num_search_queries",
        "server_tool_use",
        "web_search_requests",
        "thinking_tokens",
        "cache_creation",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "ephemeral_5m_input_tokens",
        "ephemeral_1h_input_tokens",
        "iterations",
        "type",
        "model",
        "promptTokenCount",
        "cachedContentTokenCount",
        "toolUsePromptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "promptTokensDetails",
        "cacheTokensDetails",
        "candidatesTokensDetails",
        "toolUsePromptTokensDetails",
        "modality",
        "tokenCount",
    ]
)
COUNTS = st.integers(min_value=0, max_value=50)
LEAVES = COUNTS | st.sampled_from(JUNK) | st.sampled_from(["compaction", "advisor_message", "AUDIO", "IMAGE", "TEXT"])
OBJECTS = st.dictionaries(
    NAMES,
    st.recursive(
        LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=6) | st.lists(inner, max_size=3), max_leaves=8
    ),
)


@given(OBJECTS, st.sampled_from(["openai", "xai", "perplexity", "deepseek"]))
def test_whatever_comes_no_reader_raises_or_invents(raw: dict[str, Any], vendor: str) -> None:
    for usage in (openai_usage(raw, vendor), anthropic_usage(raw), gemini_usage(raw)):
        for field in fields(Usage):
            count = getattr(usage, field.name)
            assert count is None or (type(count) is int and count >= 0), field.name
        if usage.reasoning_tokens is not None:
            assert usage.output_tokens is not None
            assert usage.reasoning_tokens <= usage.output_tokens


@given(OBJECTS)
def test_the_prompt_is_always_the_providers_own(raw: dict[str, Any]) -> None:
    count = raw.get("prompt_tokens", raw.get("input_tokens"))
    if type(count) is int and 0 <= count <= LARGEST_COUNT:
        assert openai_usage(raw).prompt_tokens == count
    prompt, tools = raw.get("promptTokenCount"), raw.get("toolUsePromptTokenCount", 0)
    if all(type(number) is int and 0 <= number <= LARGEST_COUNT for number in (prompt, tools)):
        assert gemini_usage(raw).prompt_tokens == prompt + tools


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_what_is_not_a_count_was_not_reported(junk: object) -> None:
    assert openai_usage({"prompt_tokens": junk, "completion_tokens": junk, "prompt_tokens_details": junk}) == Usage()
    assert anthropic_usage({"input_tokens": junk, "cache_creation": junk, "output_tokens": 1}) == Usage(output_tokens=1)
    assert gemini_usage({"promptTokenCount": junk, "thoughtsTokenCount": 1, "promptTokensDetails": junk}) == Usage(
        output_tokens=1, reasoning_tokens=1
    )


def test_a_float_without_a_fraction_is_an_integer() -> None:
    usage = openai_usage({"prompt_tokens": 3.0, "completion_tokens": 1e3})
    assert usage == Usage(input_tokens=3, output_tokens=1000)
    assert type(usage.input_tokens) is int


# ---------------------------------------------------------------- reported cost


@pytest.mark.parametrize(
    ("raw", "cost"),
    [
        (b'{"cost": 0.0145476}', 14_547_600_000),
        (b'{"cost": 8.6e-05}', 86_000_000),
        (b'{"cost": 0}', 0),
        (b'{"cost": 0.000000000001}', 1),
        (b'{"cost": 0.0004970133333333333}', 497_013_333),
        (b'{"cost": 123456.123456789012}', 123_456_123_456_789_012),
        (b'{"prompt_tokens": 3, "cost": {"input_tokens_cost": 0.1, "total_cost": 0.25}}', 250_000_000_000),
        (b'{"cost_in_usd_ticks": 232856000}', 23_285_600_000),
        (b'{"cost": null}', None),
        (b'{"cost": -1}', None),
        (b'{"cost": 1e999999}', None),
        (b'{"cost": "a dollar"}', None),
        (b'{"cost": true}', None),
        (b'{"cost": []}', None),
        (b'{"cost": {}}', None),
        (b'{"cost": {"total_cost": {}}}', None),
        (b'{"cost_in_usd_ticks": 0.5}', None),
        (b'{"cost_in_usd_ticks": 1e400}', None),
        (b"{}", None),
        (b"null", None),
        (b"[1]", None),
        (b"{", None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_reported_cost_is_read_digit_by_digit(raw: bytes, cost: int | None) -> None:
    assert reported_cost(raw) == cost


# ---------------------------------------------------------------- what providers really sent


@pytest.mark.parametrize("api", ["openai.chat", "compatible.chat", "openrouter.chat"])
def test_recorded_totals_are_kept(api: str) -> None:
    need_recordings()
    for recording in _answers(api):
        raw = recording.body["usage"]
        usage = openai_usage(raw)
        if "prompt_tokens" in raw:
            assert usage.prompt_tokens == raw["prompt_tokens"], recording.id
            assert usage.completion_tokens == raw["completion_tokens"], recording.id
        assert usage.total_tokens == raw["total_tokens"], recording.id


def test_recorded_gemini_totals_are_kept() -> None:
    need_recordings()
    for recording in _answers("google.generate"):
        raw = recording.body["usageMetadata"]
        assert gemini_usage(raw).total_tokens == raw["totalTokenCount"], recording.id


def test_recorded_anthropic_totals_are_kept() -> None:
    need_recordings()
    for recording in _answers("anthropic.messages"):
        raw = recording.body["usage"]
        whole = raw["input_tokens"] + raw["cache_read_input_tokens"] + raw["cache_creation_input_tokens"]
        usage = anthropic_usage(raw)
        assert (usage.prompt_tokens, usage.completion_tokens) == (whole, raw["output_tokens"]), recording.id


def _answers(api: str) -> list[Recording]:
    return [one for one in recordings(api) if one.status == 200 and not one.stream]


# ---------------------------------------------------------------- the quick way

PLAIN_COUNTS = st.none() | st.integers(-1, 60) | st.sampled_from([3.0, True, "5", LARGEST_COUNT, LARGEST_COUNT + 1])
DETAILS = st.none() | st.dictionaries(
    st.sampled_from(
        [
            "cached_tokens",
            "audio_tokens",
            "cache_write_tokens",
            "image_tokens",
            "reasoning_tokens",
            "accepted_prediction_tokens",
            "rejected_prediction_tokens",
        ]
    ),
    PLAIN_COUNTS,
)
PLAIN = st.fixed_dictionaries(
    {"prompt_tokens": PLAIN_COUNTS, "completion_tokens": PLAIN_COUNTS},
    optional={
        "total_tokens": PLAIN_COUNTS,
        "prompt_tokens_details": DETAILS,
        "completion_tokens_details": DETAILS,
        "reasoning_tokens": PLAIN_COUNTS,
        "queue_time": st.floats(0, 1),
    },
)


@given(PLAIN, st.sampled_from(["", "openai", "groq", "xai", "perplexity"]))
def test_the_quick_way_reads_what_the_general_one_reads(raw: dict[str, Any], vendor: str) -> None:
    quick, general = openai_usage_from_json(msgspec.json.encode(raw), vendor), openai_usage(raw, vendor)
    assert quick == general
    assert (quick.prompt_tokens, quick.completion_tokens) == (general.prompt_tokens, general.completion_tokens)


@pytest.mark.parametrize("more", [b'"cost":0', b'"c\\u006fst":1.5', b'"cost_details":null', b'"cost_in_usd_ticks":1'])
def test_a_usage_with_a_cost_is_not_plain(more: bytes) -> None:
    raw = b'{"prompt_tokens":1,"completion_tokens":2%b}'
    assert plain_usage(raw % b"", "openai") == Usage(input_tokens=1, output_tokens=2)
    assert plain_usage(raw % (b"," + more), "openai") is None


@pytest.mark.parametrize("raw", [b"", b"[]", b"7", b'{"prompt_tokens":', b'"text"'])
def test_the_quick_way_refuses_what_is_not_an_object(raw: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        openai_usage_from_json(raw)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b'{"service_tier":"standard","speed":"fast","input_tokens":1}', ("standard", "fast")),
        (b'{"serviceTier":"flex"}', ("flex", None)),
        (b'{"service_tier":null}', (None, None)),
        (b'{"service_tier":7}', (None, None)),
        (b"nonsense", (None, None)),
    ],
)
def test_a_usage_object_names_the_circumstances_of_its_price(raw: bytes, told: tuple[str | None, str | None]) -> None:
    assert circumstances(raw) == told

"""Where an object has the form of text alone, it is read as the general readers read it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.usage import Usage
from arouter.providers.text_usage import anthropic_text_usage, gemini_text_usage
from arouter.providers.usage import LARGEST_COUNT, anthropic_usage, gemini_usage

FEW = st.integers(0, 4) | st.sampled_from([-1, 2.5, 3.0, True, None, "3", LARGEST_COUNT, LARGEST_COUNT + 1])
COUNTS = st.integers(0, 9) | FEW
DETAILS = st.lists(
    st.fixed_dictionaries({"modality": st.sampled_from(["TEXT", "TEXT", "AUDIO"]), "tokenCount": COUNTS}), max_size=2
)


def objects(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


GEMINI = objects(
    promptTokenCount=COUNTS,
    candidatesTokenCount=COUNTS,
    thoughtsTokenCount=COUNTS,
    totalTokenCount=COUNTS,
    cachedContentTokenCount=COUNTS,
    toolUsePromptTokenCount=COUNTS,
    promptTokensDetails=DETAILS | st.none(),
    candidatesTokensDetails=DETAILS,
    cacheTokensDetails=DETAILS,
    trafficType=st.just("ON_DEMAND"),
)
ANTHROPIC = objects(
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    cache_read_input_tokens=COUNTS,
    cache_creation_input_tokens=COUNTS,
    cache_creation=st.none() | objects(ephemeral_5m_input_tokens=COUNTS, ephemeral_1h_input_tokens=COUNTS),
    output_tokens_details=st.none() | objects(thinking_tokens=COUNTS),
    server_tool_use=objects(web_search_requests=COUNTS),
    service_tier=st.just("standard"),
)


def agree(quick: Usage | None, general: Usage) -> None:
    if quick is not None:
        assert quick == general
        assert (quick.prompt_tokens, quick.completion_tokens) == (general.prompt_tokens, general.completion_tokens)


@given(GEMINI)
def test_geminis_is_read_as_the_general_reader_reads_it(told: dict[str, Any]) -> None:
    agree(gemini_text_usage(msgspec.Raw(msgspec.json.encode(told))), gemini_usage(told))


@given(ANTHROPIC)
def test_anthropics_is_read_as_the_general_reader_reads_it(told: dict[str, Any]) -> None:
    agree(anthropic_text_usage(msgspec.json.encode(told)), anthropic_usage(told))


USUAL_OF_GEMINI = [
    {"promptTokenCount": 7},
    {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10},
    {
        "promptTokenCount": 7,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 20,
        "cachedContentTokenCount": 7,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 7}],
        "trafficType": "ON_DEMAND",
    },
]
USUAL_OF_ANTHROPIC = [
    {"input_tokens": 7, "output_tokens": 0},
    {
        "input_tokens": 7,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 3,
        "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 4},
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
        "service_tier": "standard",
        "inference_geo": "not_available",
    },
]


@pytest.mark.parametrize("told", USUAL_OF_GEMINI)
def test_geminis_usual_objects_have_this_form(told: dict[str, Any]) -> None:
    assert gemini_text_usage(msgspec.Raw(msgspec.json.encode(told))) == gemini_usage(told)


@pytest.mark.parametrize("told", USUAL_OF_ANTHROPIC)
def test_anthropics_usual_objects_have_this_form(told: dict[str, Any]) -> None:
    assert anthropic_text_usage(msgspec.json.encode(told)) == anthropic_usage(told)

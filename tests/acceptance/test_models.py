"""The list of models, read by three SDKs, as far as the key may ask."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from tests.acceptance.gateway import Gateway


@pytest.fixture(scope="module")
def listed(three_dialects: Gateway) -> Iterator[list[str]]:
    with openai.OpenAI(base_url=f"{three_dialects.url}/v1", api_key=three_dialects.live, max_retries=0) as sdk:
        yield [model.id for model in sdk.models.list()]


def test_openai_sdk(three_dialects: Gateway, listed: list[str]) -> None:
    assert {"openai/gpt-5.4", "anthropic/claude-sonnet-4-5", "google/gemini-2.5-flash"} <= set(listed)
    with openai.OpenAI(base_url=f"{three_dialects.url}/v1", api_key=three_dialects.live, max_retries=0) as sdk:
        whisper: Any = sdk.models.retrieve("openai/whisper-1")
        assert whisper.pricing == {"audio_hour": "0.36"}
        assert sdk.models.retrieve("tts-1").model_extra is not None
        with pytest.raises(openai.NotFoundError):
            sdk.models.retrieve("openai/nothing")


def test_anthropic_sdk_reads_page_after_page(three_dialects: Gateway, listed: list[str]) -> None:
    with anthropic.Anthropic(base_url=three_dialects.url, api_key=three_dialects.live, max_retries=0) as sdk:
        assert [model.id for model in sdk.models.list(limit=7)] == listed
        assert sdk.models.retrieve("openai/gpt-5.4").display_name


def test_gemini_sdk_reads_page_after_page(three_dialects: Gateway, listed: list[str]) -> None:
    options: Any = {"base_url": three_dialects.url}
    sdk = genai.Client(api_key=three_dialects.live, http_options=options)
    try:
        names = [model.name for model in sdk.models.list(config={"page_size": 7})]
        assert names == [f"models/{one}" for one in listed]
        assert sdk.models.get(model="google/gemini-2.5-flash").input_token_limit == 1_048_576
    finally:
        sdk.close()


def test_a_key_lists_what_it_may_ask_for(three_dialects: Gateway) -> None:
    for rules, provider in (
        ({"allowed_providers": ["gemini"]}, "google/"),
        ({"key_type": "test"}, "sandbox/"),
        ({"allowed_models": ["openai/gpt-5.4"]}, "openai/gpt-5.4"),
    ):
        with three_dialects.client(three_dialects.new_key("narrow", **rules)) as client:
            ids = [model["id"] for model in client.ask("GET", "/v1/models").json["data"]]
        assert ids
        assert all(model_id.startswith(provider) for model_id in ids)

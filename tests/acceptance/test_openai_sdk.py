"""The official OpenAI SDK for Python against the real gateway, with providers of all three dialects behind it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Literal

import openai
import pytest
from openai.types.chat import (
    ChatCompletionChunk,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
)
from pydantic import BaseModel

from tests.acceptance.gateway import Gateway

MODELS = ("openai/gpt-5.4", "anthropic/claude-sonnet-4.6", "google/gemini-2.5-flash")
PROVIDERS = ("openai", "anthropic", "google")
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello!"}]
SAYS = "Hello from the sandbox."

WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


class Forecast(BaseModel):
    """What a model is made to say."""

    city: str
    sky: Literal["clear", "cloudy"]
    degrees: int


@pytest.fixture(scope="module")
def sdk(three_dialects: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{three_dialects.url}/v1", api_key=three_dialects.live, max_retries=0) as client:
        yield client


def awaited(
    gateway: Gateway, ask: Callable[[openai.AsyncOpenAI], Awaitable[list[ChatCompletionChunk]]]
) -> list[ChatCompletionChunk]:
    """Runs `ask` with the asynchronous client."""

    async def run() -> list[ChatCompletionChunk]:
        async with openai.AsyncOpenAI(base_url=gateway.url, api_key=gateway.live, max_retries=0) as client:
            return await ask(client)

    return asyncio.run(run())


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/api/v1"])
def test_the_base_url_may_end_with_or_without_the_version(three_dialects: Gateway, path: str) -> None:
    with openai.OpenAI(base_url=three_dialects.url + path, api_key=three_dialects.live, max_retries=0) as client:
        answer = client.chat.completions.create(model="sandbox/sandbox", messages=HELLO)
        assert answer.choices[0].message.content is not None
        assert any(model.id == "sandbox/sandbox-echo" for model in client.models.list())


@pytest.mark.parametrize("model", MODELS)
def test_a_plain_answer(sdk: openai.OpenAI, model: str) -> None:
    answer = sdk.chat.completions.create(model=model, messages=HELLO, user="user_12345")
    [choice] = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content is not None
    assert choice.message.content.startswith(SAYS)
    assert choice.finish_reason == "stop"
    assert answer.object == "chat.completion"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens == 16
    assert (answer.usage.model_extra or {})["cost"] > 0


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_says_the_same_as_a_plain_answer(sdk: openai.OpenAI, model: str) -> None:
    plain = sdk.chat.completions.create(model=model, messages=HELLO)
    with sdk.chat.completions.create(model=model, messages=HELLO, stream=True) as stream:
        chunks = list(stream)
    check_same(chunks, plain.choices[0].message.content, plain.usage)


@pytest.mark.parametrize("model", MODELS)
def test_the_asynchronous_client_gets_the_same(three_dialects: Gateway, sdk: openai.OpenAI, model: str) -> None:
    async def ask(client: openai.AsyncOpenAI) -> list[ChatCompletionChunk]:
        one, other, stream = await asyncio.gather(
            client.chat.completions.create(model=model, messages=HELLO, user="user_1"),
            client.chat.completions.create(model=model, messages=HELLO, user="user_2"),
            client.chat.completions.create(model=model, messages=HELLO, stream=True),
        )
        assert one.choices == other.choices
        assert one.id != other.id
        return [chunk async for chunk in stream]

    plain = sdk.chat.completions.create(model=model, messages=HELLO)
    check_same(awaited(three_dialects, ask), plain.choices[0].message.content, plain.usage)


def check_same(chunks: list[ChatCompletionChunk], text: str | None, usage: object) -> None:
    said = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(said) == text
    assert len([piece for piece in said if piece]) > 3
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == usage
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("model", MODELS)
def test_a_client_that_wants_no_usage_chunk_gets_none_and_is_billed(
    three_dialects: Gateway, sdk: openai.OpenAI, model: str
) -> None:
    user = f"no usage for {model}"
    with sdk.chat.completions.create(
        model=model, messages=HELLO, stream=True, stream_options={"include_usage": False}, user=user
    ) as stream:
        chunks = list(stream)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    with three_dialects.client() as client:
        [record] = client.records([("user", user)])
    assert (record["completion_tokens"], record["usage_source"]) == (16, "provider")
    assert record["cost"] > 0


# ---------------------------------------------------------------- tools and structure


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_is_called_and_its_result_taken(sdk: openai.OpenAI, model: str) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "How is the weather in Paris?"}]
    first = sdk.chat.completions.create(model=model, messages=messages, tools=[WEATHER], tool_choice="required")
    [choice] = first.choices
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls or []
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    assert call.function.name == "get_weather"
    assert set(json.loads(call.function.arguments)) == {"city", "unit"}
    messages.append(
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
            ],
        }
    )
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "Sunny, 25 degrees."})
    second = sdk.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert second.choices[0].finish_reason == "stop"
    assert (second.choices[0].message.content or "").startswith(SAYS)


@pytest.mark.parametrize("model", MODELS)
def test_a_streamed_tool_call_is_put_together_by_the_sdk(sdk: openai.OpenAI, model: str) -> None:
    with sdk.chat.completions.stream(model=model, messages=HELLO, tools=[WEATHER], tool_choice="required") as stream:
        fragments = [event.arguments_delta for event in stream if event.type == "tool_calls.function.arguments.delta"]
        [call] = stream.get_final_completion().choices[0].message.tool_calls or []
    assert call.function.name == "get_weather"
    assert call.function.arguments == "".join(fragments)
    assert set(json.loads(call.function.arguments)) == {"city", "unit"}


@pytest.mark.parametrize("model", MODELS)
def test_a_structured_output_is_parsed(sdk: openai.OpenAI, model: str) -> None:
    answer = sdk.chat.completions.parse(model=model, messages=HELLO, response_format=Forecast)
    forecast = answer.choices[0].message.parsed
    assert isinstance(forecast, Forecast)
    assert forecast.sky == "clear"


@pytest.mark.parametrize("model", MODELS)
def test_a_streamed_structured_output_is_parsed(sdk: openai.OpenAI, model: str) -> None:
    with sdk.chat.completions.stream(model=model, messages=HELLO, response_format=Forecast) as stream:
        stream.until_done()
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Forecast)


# ---------------------------------------------------------------- headers


@pytest.mark.parametrize("model", MODELS)
def test_the_raw_response_has_the_ids(three_dialects: Gateway, sdk: openai.OpenAI, model: str) -> None:
    raw = sdk.chat.completions.with_raw_response.create(
        model=model, messages=HELLO, extra_headers={"X-Request-Id": "mine-1"}
    )
    assert raw.headers["x-request-id"] == "mine-1"
    assert raw.parse().choices
    with three_dialects.client() as client:
        [record] = client.records([("limit", "1")])
        told = client.ask("GET", f"/v1/generation?id={raw.headers['x-generation-id']}")
    assert (record["id"], record["request_id"]) == (raw.headers["x-generation-id"], "mine-1")
    assert told.json["data"]["id"] == record["id"]
    body = json.loads(raw.text, parse_float=Decimal)
    with three_dialects.client() as client:
        [exact] = client.raw_records([("limit", "1")])
    assert Decimal(exact["cost"].decode()) == body["usage"]["cost"]


def test_a_streamed_raw_response_has_them_too(sdk: openai.OpenAI) -> None:
    with sdk.chat.completions.with_streaming_response.create(model=MODELS[0], messages=HELLO, stream=True) as response:
        assert response.headers["x-generation-id"].startswith("gen-")
        assert response.headers["content-type"].startswith("text/event-stream")
        assert len(list(response.parse())) > 3


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("model", "kind", "status", "code"),
    [
        ("nobody/gpt-5.4", openai.NotFoundError, 404, "model_not_found"),
        ("mistral/mistral-large", openai.InternalServerError, 503, "no_provider_available"),
        ("openai/", openai.BadRequestError, 400, "invalid_value"),
    ],
)
def test_what_cannot_be_routed(
    sdk: openai.OpenAI, model: str, kind: type[openai.APIStatusError], status: int, code: str
) -> None:
    with pytest.raises(kind) as caught:
        sdk.chat.completions.create(model=model, messages=HELLO)
    assert (caught.value.status_code, caught.value.code, caught.value.param) == (status, code, "model")
    assert caught.value.request_id is not None


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("failure", "kind", "status"),
    [
        (400, openai.BadRequestError, 400),
        (401, openai.InternalServerError, 502),
        (404, openai.NotFoundError, 404),
        (422, openai.UnprocessableEntityError, 422),
        (429, openai.RateLimitError, 429),
        (500, openai.InternalServerError, 502),
        (503, openai.InternalServerError, 502),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_failure_of_the_provider(
    sdk: openai.OpenAI, provider: str, failure: int, kind: type[openai.APIStatusError], status: int, stream: bool
) -> None:
    with pytest.raises(kind) as caught:
        sdk.chat.completions.create(model=f"{provider}/sandbox-error-{failure}", messages=HELLO, stream=stream)
    assert caught.value.status_code == status
    assert "key-of-" not in str(caught.value.body)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("trouble", ["sandbox;cut_after=8", "sandbox;error_after=8"])
def test_a_stream_that_breaks_off_is_an_error_and_not_an_end(
    three_dialects: Gateway, sdk: openai.OpenAI, provider: str, trouble: str
) -> None:
    user = f"{provider} {trouble}"
    heard = []
    with pytest.raises(openai.APIError) as caught:  # noqa: PT012 - the error comes while the stream is read
        for chunk in sdk.chat.completions.create(model=f"{provider}/{trouble}", messages=HELLO, stream=True, user=user):
            heard.append(chunk)
    assert caught.value.code == "upstream_error"
    assert heard
    with three_dialects.client() as client:
        [record] = client.records([("user", user)])
    assert (record["status"], record["error_code"]) == ("upstream_error", "upstream_error")


def test_a_wrong_key(three_dialects: Gateway) -> None:
    with (
        openai.OpenAI(base_url=three_dialects.url, api_key="lr_live_" + "0" * 48, max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model=MODELS[0], messages=HELLO)
    assert caught.value.code == "invalid_api_key"


def test_a_management_key(three_dialects: Gateway) -> None:
    with (
        openai.OpenAI(base_url=three_dialects.url, api_key=three_dialects.management, max_retries=0) as client,
        pytest.raises(openai.PermissionDeniedError) as caught,
    ):
        client.chat.completions.create(model=MODELS[0], messages=HELLO)
    assert caught.value.code == "wrong_key_type"


def test_a_user_that_is_none(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model=MODELS[0], messages=HELLO, user="x" * 1025)
    assert (caught.value.code, caught.value.param) == ("string_above_max_length", "user")


def test_a_failure_is_tried_again_by_the_sdk_and_each_try_is_a_record(three_dialects: Gateway) -> None:
    with (
        openai.OpenAI(base_url=three_dialects.url, api_key=three_dialects.live, max_retries=1) as client,
        pytest.raises(openai.InternalServerError),
    ):
        client.chat.completions.create(model="openai/sandbox-error-500", messages=HELLO, user="tried twice")
    with three_dialects.client() as reader:
        records = reader.records([("user", "tried twice")])
    assert [(record["status"], record["http_status"]) for record in records] == [("upstream_error", 502)] * 2

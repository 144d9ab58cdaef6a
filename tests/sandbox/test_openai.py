"""OpenAI's own SDK against the sandbox, and OpenAI's own schema on what it says."""

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from arouter.sandbox.server import Sandbox
from tests.sandbox.published_schema import validator
from tests.sandbox.raw_client import ask, chat, post

CHAT = "/v1/chat/completions"
HELLO: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello, sandbox"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sandbox.url + "/v1", api_key="any", max_retries=0) as made:
        yield made


def chunks(body: bytes) -> list[dict[str, Any]]:
    *events, done = body.split(b"\n\n")[:-1]
    assert done == b"data: [DONE]"
    return [json.loads(event.removeprefix(b"data: ")) for event in events]


def test_a_completion(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert (answer.model, answer.choices[0].finish_reason) == ("gpt-4o", "stop")
    assert str(answer.choices[0].message.content).startswith("Hello from the sandbox.")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (5, 16, 21)


def test_a_stream_says_the_same(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="gpt-4o", messages=HELLO)
    stream = list(
        client.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    *told, last = stream
    assert "".join(chunk.choices[0].delta.content or "" for chunk in told) == whole.choices[0].message.content
    assert [chunk.usage for chunk in told] == [None] * len(told)
    assert (last.choices, last.usage) == ([], whole.usage)
    assert told[-1].choices[0].finish_reason == "stop"


def test_usage_is_not_streamed_unless_asked_for(sandbox: Sandbox) -> None:
    answer = ask(sandbox, post(CHAT, chat(stream=True)))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks(answer.body))


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_its_result_taken(client: openai.OpenAI, stream: bool) -> None:
    with client.chat.completions.stream(model="sandbox-tools", messages=HELLO, tools=[WEATHER]) as events:
        completion = events.get_final_completion() if stream else None
    if not stream:
        completion = client.chat.completions.create(model="sandbox-tools", messages=HELLO, tools=[WEATHER])  # type: ignore[assignment]
    assert completion is not None
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    call: Any = choice.message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "sample"})
    after = [
        *HELLO,
        choice.message.to_dict(),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    answer = client.chat.completions.create(model="sandbox-tools", messages=after, tools=[WEATHER])
    assert answer.choices[0].finish_reason == "stop"


def test_a_tool_that_is_demanded_is_called_by_any_model(client: openai.OpenAI) -> None:
    other: Any = {"type": "function", "function": {"name": "other"}}
    named: Any = {"type": "function", "function": {"name": "weather"}}
    choices: list[tuple[Any, str]] = [("required", "other"), (named, "weather")]
    for choice, name in choices:
        answer = client.chat.completions.create(
            model="gpt-4o", messages=HELLO, tools=[other, WEATHER], tool_choice=choice
        )
        call: Any = (answer.choices[0].message.tool_calls or [])[0]
        assert call.function.name == name
    never = client.chat.completions.create(model="sandbox-tools", messages=HELLO, tools=[WEATHER], tool_choice="none")
    assert never.choices[0].message.tool_calls is None


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


def test_structured_output_is_parsed(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model="gpt-4o", messages=HELLO, response_format=Person)
    assert answer.choices[0].message.parsed == Person(name="sample", age=0, tags=[])


def test_reasoning_is_shown_and_counted(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="sandbox-reason", messages=HELLO)
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == 32
    assert answer.usage.completion_tokens == 16 + 32
    thought = answer.choices[0].message.to_dict()["reasoning_content"]
    stream = client.chat.completions.create(model="sandbox-reason", messages=HELLO, stream=True)
    deltas = [chunk.choices[0].delta.to_dict() for chunk in stream]
    assert "".join(str(delta.get("reasoning_content", "")) for delta in deltas) == thought


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal(client: openai.OpenAI, stream: bool) -> None:
    if stream:
        with client.chat.completions.stream(model="sandbox-refuse", messages=HELLO) as events:
            message: Any = events.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(model="sandbox-refuse", messages=HELLO).choices[0].message
    assert str(message.refusal).startswith("The sandbox was asked to refuse")
    assert not message.content


def test_a_limit_ends_the_answer(client: openai.OpenAI) -> None:
    for limit in ({"max_tokens": 3}, {"max_completion_tokens": 3}):
        answer = client.chat.completions.create(model="x", messages=HELLO, **limit)  # type: ignore[call-overload]
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.completion_tokens == 3


def test_as_many_choices_as_asked_for(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="x", messages=HELLO, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 48
    texts = {0: "", 1: "", 2: ""}
    for chunk in client.chat.completions.create(model="x", messages=HELLO, n=3, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert list(texts.values()) == [choice.message.content for choice in answer.choices]


# ---------------------------------------------------------------- usage, told in other ways


def streamed(sandbox: Sandbox, model: str, *, include_usage: bool) -> list[dict[str, Any]]:
    body = chat(model, stream=True, stream_options={"include_usage": include_usage})
    return chunks(ask(sandbox, post(CHAT, body)).body)


@pytest.mark.parametrize("include_usage", [False, True])
def test_usage_with_choices(sandbox: Sandbox, include_usage: bool) -> None:
    last = streamed(sandbox, "sandbox?usage=with_choices", include_usage=include_usage)[-1]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["completion_tokens"] == 16


def test_usage_in_every_chunk(sandbox: Sandbox) -> None:
    told = streamed(sandbox, "sandbox?usage=every_chunk&tokens=3", include_usage=True)
    assert [chunk["usage"]["completion_tokens"] for chunk in told] == [0, 1, 2, 3, 3, 3]
    assert told[-1]["choices"] == []


def test_usage_left_out_and_zero(sandbox: Sandbox) -> None:
    assert all("usage" not in chunk for chunk in streamed(sandbox, "sandbox?usage=none", include_usage=True))
    assert "usage" not in json.loads(ask(sandbox, post(CHAT, chat("sandbox?usage=none"))).body)
    assert streamed(sandbox, "sandbox?usage=zero", include_usage=True)[-1]["usage"]["total_tokens"] == 0


def test_cached_tokens_are_a_part_of_the_prompt(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="sandbox?prompt_tokens=100&cached_tokens=60&cache_write_tokens=10", messages=HELLO
    )
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert (answer.usage.prompt_tokens, answer.usage.prompt_tokens_details.cached_tokens) == (100, 60)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_an_error_of_each_status(client: openai.OpenAI, status: int, error: type[openai.APIStatusError]) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=f"sandbox-error-{status}?retry_after_s=3", messages=HELLO)
    assert caught.value.status_code == status
    assert caught.value.response.headers["retry-after"] == "3"
    validator("ErrorResponse").validate(caught.value.response.json())


def test_an_error_in_the_middle_of_a_stream(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="sandbox?error_after=2", messages=HELLO, stream=True)
    assert next(stream).choices
    assert next(stream).choices
    with pytest.raises(openai.APIError, match="in the middle of the stream"):
        next(stream)


def test_a_connection_that_is_dropped(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model="sandbox-drop", messages=HELLO)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        ({"messages": HELLO}, "model"),
        ({"model": "x"}, "messages"),
        ({"model": "x", "messages": []}, "messages"),
        ({"model": "x", "messages": [{"content": "a"}]}, "messages[0].role"),
        ({"model": "x", "messages": "hello"}, "messages"),
        ({"model": "x", "messages": HELLO, "max_tokens": 0}, "max_tokens"),
        ({"model": "x", "messages": HELLO, "n": 1000}, "n"),
        (
            {"model": "x", "messages": HELLO, "tools": [WEATHER], "tool_choice": {"function": {"name": "y"}}},
            "tool_choice",
        ),
        ({"model": "sandbox?token=1", "messages": HELLO}, None),
    ],
)
def test_what_is_obviously_wrong_is_a_400(sandbox: Sandbox, body: object, param: str | None) -> None:
    answer = ask(sandbox, post(CHAT, body))
    error = json.loads(answer.body)
    assert (answer.status, error["error"]["param"]) == (400, param)
    validator("ErrorResponse").validate(error)


def test_an_unknown_path_and_a_wrong_method(sandbox: Sandbox) -> None:
    for request, status in ((post("/v1/nowhere", {}), 404), (f"GET {CHAT} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 405)):
        answer = ask(sandbox, request)
        assert answer.status == status
        validator("ErrorResponse").validate(json.loads(answer.body))


# ---------------------------------------------------------------- the published schema

MODELS = ["sandbox", "sandbox-tools", "sandbox-reason", "sandbox-json", "sandbox-refuse", "sandbox?tokens=0"]


@pytest.mark.parametrize("model", MODELS)
def test_a_completion_is_valid(sandbox: Sandbox, model: str) -> None:
    answer = ask(sandbox, post(CHAT, chat(model, tools=[WEATHER], n=2)))
    validator("CreateChatCompletionResponse").validate(json.loads(answer.body))


@pytest.mark.parametrize("usage", ["normal", "every_chunk", "with_choices", "zero", "none"])
@pytest.mark.parametrize("model", MODELS[:-1])
def test_every_chunk_is_valid(sandbox: Sandbox, model: str, usage: str) -> None:
    judge = validator("CreateChatCompletionStreamResponse")
    body = chat(f"{model};usage={usage}", stream=True, tools=[WEATHER], stream_options={"include_usage": True})
    for chunk in chunks(ask(sandbox, post(CHAT, body)).body):
        judge.validate(chunk)


# ---------------------------------------------------------------- models and embeddings


def test_the_models_are_listed(client: openai.OpenAI, sandbox: Sandbox) -> None:
    names = [model.id for model in client.models.list()]
    assert {"sandbox", "sandbox-echo", "sandbox-error-429"} <= set(names)
    assert client.models.retrieve("sandbox-echo").id == "sandbox-echo"
    answer = ask(sandbox, b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
    validator("ListModelsResponse").validate(json.loads(answer.body))


def test_equal_texts_have_equal_vectors_of_length_one(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="x", input=["one", "two", "one"], dimensions=64)
    one, two, again = (item.embedding for item in answer.data)
    assert one == again != two
    assert len(one) == 64
    assert sum(number * number for number in one) == pytest.approx(1, abs=1e-5)
    assert answer.usage.prompt_tokens == 3


def test_an_embedding_may_be_numbers_or_base64(sandbox: Sandbox) -> None:
    told = []
    for form in ("float", "base64"):
        answer = ask(sandbox, post("/v1/embeddings", {"model": "x", "input": "one", "encoding_format": form}))
        told.append(json.loads(answer.body))
    validator("CreateEmbeddingResponse").validate(told[0])
    numbers, encoded = (one["data"][0]["embedding"] for one in told)
    assert len(numbers) == 1536
    assert struct.unpack("<1536f", base64.b64decode(encoded)) == pytest.approx(numbers, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "inputs", "tokens"), [([1, 2, 3], 1, 3), ([[1, 2], [3]], 2, 3), (["a", "b" * 8], 2, 3)]
)
def test_an_embedding_of_token_numbers(sandbox: Sandbox, value: object, inputs: int, tokens: int) -> None:
    told = json.loads(ask(sandbox, post("/v1/embeddings", {"model": "x", "input": value, "dimensions": 4})).body)
    assert (len(told["data"]), told["usage"]["prompt_tokens"]) == (inputs, tokens)


def test_embeddings_fail_as_chats_do(client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError):
        client.embeddings.create(model="sandbox-error-429", input="x")
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="x", input=[])
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="x", input="x", dimensions=0)

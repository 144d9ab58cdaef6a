"""Anthropic's own SDK against the sandbox."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from arouter.sandbox.server import Sandbox
from tests.sandbox.raw_client import ask, post

HELLO: Any = [{"role": "user", "content": [{"type": "text", "text": "Hello, sandbox"}]}]
WEATHER: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
MESSAGES = "/v1/messages"


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=sandbox.url, api_key="any", max_retries=0) as made:
        yield made


def message(model: str, **rest: object) -> dict[str, object]:
    return {"model": model, "max_tokens": 1000, "messages": HELLO, **rest}


def events(sandbox: Sandbox, model: str, **rest: object) -> list[dict[str, Any]]:
    body = ask(sandbox, post(MESSAGES, message(model, stream=True, **rest))).body
    told = []
    for event in body.split(b"\n\n")[:-1]:
        name, data = event.split(b"\n")
        told.append(json.loads(data.removeprefix(b"data: ")))
        assert name == b"event: " + told[-1]["type"].encode()
    return told


def test_a_message(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(model="x", max_tokens=1000, system="Be brief!!", messages=HELLO)
    assert (answer.model, answer.role, answer.stop_reason) == ("x", "assistant", "end_turn")
    assert answer.content[0].type == "text"
    assert answer.content[0].text.startswith("Hello from the sandbox.")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (6, 16)
    assert str(answer._request_id).startswith("req_sandbox")


@pytest.mark.parametrize("model", ["x", "sandbox-tools", "sandbox-reason", "sandbox-refuse", "sandbox?tokens=0"])
def test_a_stream_says_the_same(client: anthropic.Anthropic, model: str) -> None:
    whole = client.messages.create(model=model, max_tokens=1000, messages=HELLO, tools=[WEATHER])
    with client.messages.stream(model=model, max_tokens=1000, messages=HELLO, tools=[WEATHER]) as stream:
        streamed = stream.get_final_message()
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage.input_tokens == whole.usage.input_tokens
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert [{**block.to_dict(), "id": None} for block in streamed.content] == [
        {**block.to_dict(), "id": None} for block in whole.content
    ]


def test_the_events_of_a_stream(sandbox: Sandbox) -> None:
    told = events(sandbox, "sandbox?tokens=2")
    assert [event["type"] for event in told] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert (told[0]["message"]["usage"]["input_tokens"], told[0]["message"]["usage"]["output_tokens"]) == (3, 1)
    assert (told[-2]["usage"]["output_tokens"], told[-2]["delta"]["stop_reason"]) == (2, "end_turn")


def test_a_tool_is_called_and_its_result_taken(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(model="sandbox-tools", max_tokens=1000, messages=HELLO, tools=[WEATHER])
    call = answer.content[0]
    assert call.type == "tool_use"
    assert (answer.stop_reason, call.name, call.input) == ("tool_use", "weather", {"city": "sample"})
    result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    after: Any = [*HELLO, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    last = client.messages.create(model="sandbox-tools", max_tokens=1000, messages=after, tools=[WEATHER])
    assert last.stop_reason == "end_turn"


def test_a_tool_that_is_demanded_is_called_by_any_model(client: anthropic.Anthropic) -> None:
    other: Any = {"name": "other", "input_schema": {"type": "object"}}
    choices: list[tuple[Any, str]] = [({"type": "any"}, "other"), ({"type": "tool", "name": "weather"}, "weather")]
    for choice, name in choices:
        answer = client.messages.create(
            model="x", max_tokens=1000, messages=HELLO, tools=[other, WEATHER], tool_choice=choice
        )
        assert answer.content[0].type == "tool_use"
        assert answer.content[0].name == name


def test_thoughts_are_signed_and_counted(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(model="sandbox-reason", max_tokens=1000, messages=HELLO)
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert answer.content[0].type == "thinking"
    assert answer.content[0].signature
    assert answer.usage.output_tokens == 16 + 32


def test_json_for_a_schema(client: anthropic.Anthropic) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form: Any = {"format": {"type": "json_schema", "schema": schema}}
    answer = client.messages.create(model="x", max_tokens=1000, messages=HELLO, output_config=form)
    assert answer.content[0].type == "text"
    assert json.loads(answer.content[0].text) == {"n": 0}


def test_a_limit_ends_the_answer(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(model="x", max_tokens=3, messages=HELLO)
    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 3)
    call = client.messages.create(model="sandbox-tools", max_tokens=1, messages=HELLO, tools=[WEATHER])
    assert (call.stop_reason, call.content) == ("max_tokens", [])


def test_input_that_a_cache_had_to_do_with_is_told_apart(client: anthropic.Anthropic) -> None:
    model = "sandbox?prompt_tokens=100&cached_tokens=60&cache_write_tokens=10"
    usage = client.messages.create(model=model, max_tokens=1000, messages=HELLO).usage
    told = (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens)
    assert told == (30, 60, 10)


def test_usage_told_in_other_ways(sandbox: Sandbox) -> None:
    deltas = [
        event for event in events(sandbox, "sandbox?usage=every_chunk&tokens=3") if event["type"] == "message_delta"
    ]
    assert [delta["usage"]["output_tokens"] for delta in deltas] == [1, 2, 3, 3]
    assert not any('"usage":' in json.dumps(event) for event in events(sandbox, "sandbox?usage=none"))
    zero = events(sandbox, "sandbox?usage=zero")
    assert set(zero[0]["message"]["usage"].values()) == set(zero[-2]["usage"].values()) == {0}


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (402, anthropic.APIStatusError, "billing_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (504, anthropic.APIStatusError, "timeout_error"),
        (529, anthropic.APIStatusError, "overloaded_error"),
    ],
)
def test_an_error_of_each_status(
    client: anthropic.Anthropic, status: int, error: type[anthropic.APIStatusError], kind: str
) -> None:
    with pytest.raises(error) as caught:
        client.messages.create(model=f"sandbox-error-{status}", max_tokens=10, messages=HELLO)
    body = caught.value.response.json()
    assert (caught.value.status_code, body["type"], body["error"]["type"]) == (status, "error", kind)


def test_an_error_in_the_middle_of_a_stream(client: anthropic.Anthropic) -> None:
    stream = client.messages.create(model="sandbox?error_after=3", max_tokens=10, messages=HELLO, stream=True)
    with pytest.raises(anthropic.APIStatusError, match="in the middle of the stream"):
        list(stream)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"model": "x", "messages": HELLO}, "max_tokens: this field is required"),
        ({"model": "x", "max_tokens": 1}, "messages: this field is required"),
        ({"model": "x", "max_tokens": 0, "messages": HELLO}, "max_tokens"),
        ({"model": "x", "max_tokens": 1, "messages": []}, "messages"),
        ({"model": "x", "max_tokens": 1, "messages": [{"role": "tool", "content": ""}]}, "messages.0.role"),
        (b"\xff", "JSON"),
    ],
)
def test_what_is_obviously_wrong_is_a_400(sandbox: Sandbox, body: object, words: str) -> None:
    answer = ask(sandbox, post(MESSAGES, body))
    error = json.loads(answer.body)
    assert (answer.status, error["type"], error["error"]["type"]) == (400, "error", "invalid_request_error")
    assert words in error["error"]["message"]


def test_an_unknown_path_answers_in_this_dialect(sandbox: Sandbox) -> None:
    answer = ask(sandbox, post("/v1/messages/batches", {}))
    assert (answer.status, json.loads(answer.body)["error"]["type"]) == (404, "not_found_error")

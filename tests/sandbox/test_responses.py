"""OpenAI's own SDK against the sandbox's Responses, and OpenAI's own schema on what it says."""

import json
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from arouter.sandbox.server import Sandbox
from tests.sandbox.raw_client import ask, post
from tests.wire.openai_schemas import validator

RESPONSES = "/v1/responses"
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
MODELS = ("gpt-5.4", "sandbox-echo", "sandbox-tools", "sandbox-reason", "sandbox-refuse", "sandbox?tokens=0")


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sandbox.url + "/v1", api_key="any", max_retries=0) as made:
        yield made


def request(model: str, **rest: object) -> dict[str, object]:
    return {"model": model, "input": "Hello, sandbox", **rest}


def response(sandbox: Sandbox, model: str, **rest: object) -> dict[str, Any]:
    """A whole answer."""
    told: dict[str, Any] = json.loads(ask(sandbox, post(RESPONSES, request(model, **rest))).body)
    return told


def events(sandbox: Sandbox, model: str, **rest: object) -> list[dict[str, Any]]:
    """Those of a stream, each of which has its name twice."""
    body = ask(sandbox, post(RESPONSES, request(model, stream=True, **rest))).body
    told = []
    for event in body.split(b"\n\n")[:-1]:
        name, data = event.split(b"\n")
        told.append(json.loads(data.removeprefix(b"data: ")))
        assert name == b"event: " + told[-1]["type"].encode()
    return told


def without_ids(told: dict[str, Any]) -> dict[str, Any]:
    """What is the same in every answer to the same request."""
    output = [{**item, "id": None, "call_id": None} for item in told["output"]]
    return {**told, "id": None, "created_at": None, "output": output}


def test_a_response(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="gpt-5.4", instructions="Be brief.", input="Hello, sandbox")
    assert (answer.model, answer.status) == ("gpt-5.4", "completed")
    assert answer.output_text.startswith("Hello from the sandbox.")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (5, 16, 21)


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_ends_with_what_the_whole_answer_is(sandbox: Sandbox, model: str) -> None:
    whole = response(sandbox, model, tools=[WEATHER])
    told = events(sandbox, model, tools=[WEATHER])
    assert without_ids(told[-1]["response"]) == without_ids(whole)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))


@pytest.mark.parametrize("model", MODELS)
def test_the_sdk_puts_a_stream_together(client: openai.OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input="Hello, sandbox", tools=[WEATHER]) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(pieces) == final.output_text


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("limit", [1, 1000])
def test_everything_is_as_openai_publishes_it(sandbox: Sandbox, model: str, limit: int) -> None:
    whole = response(sandbox, model, tools=[WEATHER], max_output_tokens=limit)
    validator("Response").validate(whole)
    for event in events(sandbox, model, tools=[WEATHER], max_output_tokens=limit):
        validator("ResponseStreamEvent").validate(without_null_usage(event))


def without_null_usage(event: dict[str, Any]) -> dict[str, Any]:
    """Real streams have it until they end, which the description does not allow."""
    told = {name: value for name, value in event.get("response", {}).items() if name != "usage" or value is not None}
    return {**event, "response": told} if told else event


def test_the_events_of_a_thought_and_a_call(sandbox: Sandbox) -> None:
    told = events(sandbox, "sandbox-tools?reasoning_tokens=1", tools=[WEATHER])
    assert [event["type"].removeprefix("response.") for event in told] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_a_tool_is_called_and_its_result_taken(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="sandbox-tools", input="Hello, sandbox", tools=[WEATHER])
    [call] = answer.output
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "sample"})
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    items: Any = [{"role": "user", "content": "Hello, sandbox"}, call.to_dict(), result]
    after = client.responses.create(model="sandbox-tools", input=items, tools=[WEATHER])
    assert after.output_text.startswith("Hello from the sandbox.")


@pytest.mark.parametrize(
    ("choice", "called"),
    [("required", "other"), ({"type": "function", "name": "weather"}, "weather"), ("none", None), ("auto", None)],
)
def test_a_tool_that_is_demanded_is_called_by_any_model(client: openai.OpenAI, choice: Any, called: str | None) -> None:
    other: Any = {"type": "function", "name": "other", "parameters": None, "strict": False}
    answer = client.responses.create(
        model="gpt-5.4", input="Hello, sandbox", tools=[{"type": "web_search"}, other, WEATHER], tool_choice=choice
    )
    assert [item.name for item in answer.output if item.type == "function_call"] == ([called] if called else [])


class Person(BaseModel):
    name: str
    sex: Literal["f", "m"]


def test_structured_output_is_parsed(client: openai.OpenAI) -> None:
    answer = client.responses.parse(model="gpt-5.4", input="Hello, sandbox", text_format=Person)
    assert answer.output_parsed == Person(name="sample", sex="f")


@pytest.mark.parametrize(
    "form", [{"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "name": "a", "schema": {"const": 1}}]
)
def test_the_format_is_repeated(sandbox: Sandbox, form: dict[str, Any]) -> None:
    answer = response(sandbox, "gpt-5.4", text={"format": form})
    validator("Response").validate(answer)
    repeated = answer["text"]["format"]
    assert {name: repeated.get(name) for name in ("type", "schema")} == {
        "type": form["type"],
        "schema": form.get("schema"),
    }


def test_a_thought_is_shown_proved_and_counted(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="sandbox-reason", input="Hello, sandbox")
    thought, message = answer.output
    assert thought.type == "reasoning"
    assert thought.summary[0].text.startswith("The sandbox pretends to think")
    assert thought.encrypted_content
    assert message.type == "message"
    assert answer.usage is not None
    assert (answer.usage.output_tokens, answer.usage.output_tokens_details.reasoning_tokens) == (48, 32)


def test_a_refusal(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="sandbox-refuse", input="Hello, sandbox")
    [message] = answer.output
    assert message.type == "message"
    assert message.content[0].type == "refusal"
    assert answer.status == "completed"


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ({"max_output_tokens": 3}, "max_output_tokens"),
        ({"model": "sandbox?finish_reason=content_filter"}, "content_filter"),
        ({"model": "sandbox?finish_reason=something_else"}, "something_else"),
    ],
)
def test_an_answer_that_is_not_complete_says_why(client: openai.OpenAI, rest: Any, reason: str) -> None:
    answer = client.responses.create(**{"model": "gpt-5.4", "input": "Hello, sandbox", **rest})
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == reason


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "x"}, "input"),
        ({"model": "x", "input": []}, "input"),
        ({"model": "x", "input": ""}, "input"),
        ({"input": "Hello"}, "model"),
        (request("x", max_output_tokens=0), "max_output_tokens"),
        (request("x", tools=[WEATHER], tool_choice={"type": "function", "name": "nobody"}), "tool_choice"),
    ],
)
def test_what_is_wrong_is_named(sandbox: Sandbox, body: dict[str, object], param: str) -> None:
    answer = ask(sandbox, post(RESPONSES, body))
    assert (answer.status, json.loads(answer.body)["error"]["param"]) == (400, param)


def test_usage_that_is_cached_zero_or_left_out(sandbox: Sandbox) -> None:
    cached = response(sandbox, "sandbox?cached_tokens=7&cache_write_tokens=2")["usage"]
    assert cached["input_tokens_details"] == {"cached_tokens": 7, "cache_write_tokens": 2}
    assert cached["input_tokens"] == 9
    assert response(sandbox, "sandbox?usage=zero")["usage"]["total_tokens"] == 0
    assert response(sandbox, "sandbox?usage=none")["usage"] is None


def test_a_stream_that_fails_says_so_to_the_sdk(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="fail in the middle"):
        list(client.responses.create(model="sandbox?error_after=5", input="Hello, sandbox", stream=True))

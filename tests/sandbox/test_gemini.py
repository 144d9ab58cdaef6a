"""Google's own SDK against the sandbox."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from google import genai
from google.genai import errors, types

from arouter.sandbox.server import Sandbox
from tests.sandbox.raw_client import ask, post

HELLO = {"contents": [{"role": "user", "parts": [{"text": "Hello, sandbox"}]}]}
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            parameters=types.Schema(
                type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}, required=["city"]
            ),
        )
    ]
)
CALLING = types.GenerateContentConfig(
    tools=[WEATHER], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
)


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> Iterator[genai.Client]:
    made = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=sandbox.url))
    yield made
    made.close()


def path(model: str, verb: str = "generateContent", query: str = "") -> str:
    return f"/v1beta/models/{quote(model, safe='')}:{verb}{query}"


def streamed(sandbox: Sandbox, model: str) -> list[dict[str, Any]]:
    body = ask(sandbox, post(path(model, "streamGenerateContent", "?alt=sse"), HELLO)).body
    return [json.loads(event.removeprefix(b"data: ")) for event in body.split(b"\n\n")[:-1]]


def test_content_is_generated(client: genai.Client) -> None:
    config = types.GenerateContentConfig(system_instruction="Be brief!!")
    answer = client.models.generate_content(model="gemini-x", contents="Hello, sandbox", config=config)
    assert answer.text is not None
    assert answer.text.startswith("Hello from the sandbox.")
    assert answer.model_version == "gemini-x"
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (6, 16, 22)


def test_a_stream_says_the_same_with_usage_in_every_event(client: genai.Client) -> None:
    whole = client.models.generate_content(model="x", contents="Hello")
    events = list(client.models.generate_content_stream(model="x", contents="Hello"))
    assert "".join(event.text or "" for event in events) == whole.text
    counts = [event.usage_metadata.candidates_token_count for event in events if event.usage_metadata is not None]
    assert counts == list(range(1, 17))
    assert events[-1].usage_metadata == whole.usage_metadata
    reasons = [event.candidates[0].finish_reason for event in events if event.candidates]
    assert reasons == [None] * 15 + [types.FinishReason.STOP]


def test_a_stream_is_a_json_array_unless_asked_for_as_events(sandbox: Sandbox) -> None:
    answer = ask(sandbox, post(path("sandbox?tokens=3", "streamGenerateContent"), HELLO))
    assert answer.headers["content-type"] == "application/json"
    as_array = json.loads(answer.body)
    as_events = streamed(sandbox, "sandbox?tokens=3")
    assert [one["candidates"] for one in as_array] == [one["candidates"] for one in as_events]
    assert len(as_array) == 3


@pytest.mark.parametrize(
    "written", ["sandbox%3Ftokens%3D3", "sandbox?tokens=3", "sandbox;tokens=3", "sandbox%3Btokens=3"]
)
def test_the_settings_in_the_path_may_be_written_in_any_way(sandbox: Sandbox, written: str) -> None:
    answer = ask(sandbox, post(f"/v1beta/models/{written}:generateContent?key=any", HELLO))
    assert json.loads(answer.body)["usageMetadata"]["candidatesTokenCount"] == 3


def test_the_settings_pass_through_the_sdk(client: genai.Client) -> None:
    answer = client.models.generate_content(model="sandbox;tokens=3", contents="Hello")
    assert answer.text == "Hello from the"


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_its_result_taken(client: genai.Client, stream: bool) -> None:
    if stream:
        *_, answer = client.models.generate_content_stream(model="sandbox-tools", contents="Hello", config=CALLING)
    else:
        answer = client.models.generate_content(model="sandbox-tools", contents="Hello", config=CALLING)
    assert answer.function_calls is not None
    call = answer.function_calls[0]
    assert (call.name, call.args) == ("weather", {"city": "sample"})
    result = types.Part.from_function_response(name="weather", response={"weather": "sunny"})
    contents: Any = ["Hello", types.Content(role="user", parts=[result])]
    last = client.models.generate_content(model="sandbox-tools", contents=contents, config=CALLING)
    assert (last.function_calls, last.text is None) == (None, False)


def test_both_spellings_of_a_field_are_read(sandbox: Sandbox) -> None:
    declaration = {"name": "weather", "parameters": {"type": "OBJECT"}}
    for body in (
        {"tools": [{"functionDeclarations": [declaration]}], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        {
            "tools": [{"function_declarations": [declaration]}],
            "tool_config": {"function_calling_config": {"mode": "ANY"}},
        },
    ):
        told = json.loads(ask(sandbox, post(path("x"), {**HELLO, **body})).body)
        assert told["candidates"][0]["content"]["parts"] == [{"functionCall": {"name": "weather", "args": {}}}]


def test_json_for_a_schema(client: genai.Client) -> None:
    schema = types.Schema(
        type=types.Type.OBJECT, properties={"n": types.Schema(type=types.Type.INTEGER)}, required=["n"]
    )
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=schema)
    answer = client.models.generate_content(model="x", contents="Hello", config=config)
    assert json.loads(str(answer.text)) == {"n": 0}


def test_thoughts_are_marked_and_counted_apart(client: genai.Client) -> None:
    answer = client.models.generate_content(model="sandbox-reason", contents="Hello")
    assert answer.parts is not None
    assert [part.thought for part in answer.parts] == [True, None]
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.thoughts_token_count, usage.candidates_token_count) == (32, 16)
    assert usage.total_token_count == 48 + 1


def test_a_refusal_and_a_limit(client: genai.Client) -> None:
    refused = client.models.generate_content(model="sandbox-refuse", contents="Hello")
    assert refused.candidates is not None
    assert refused.candidates[0].finish_reason == types.FinishReason.SAFETY
    limit = types.GenerateContentConfig(max_output_tokens=3)
    short = client.models.generate_content(model="x", contents="Hello", config=limit)
    assert short.candidates is not None
    assert (short.candidates[0].finish_reason, short.text) == (types.FinishReason.MAX_TOKENS, "Hello from the")


def test_usage_told_in_other_ways(sandbox: Sandbox) -> None:
    assert all("usageMetadata" not in event for event in streamed(sandbox, "sandbox?usage=none"))
    assert streamed(sandbox, "sandbox?usage=zero")[-1]["usageMetadata"]["totalTokenCount"] == 0
    cached = streamed(sandbox, "sandbox?prompt_tokens=100&cached_tokens=60")[0]["usageMetadata"]
    assert (cached["promptTokenCount"], cached["cachedContentTokenCount"]) == (100, 60)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "INVALID_ARGUMENT"),
        (403, "PERMISSION_DENIED"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
    ],
)
def test_an_error_of_each_status(client: genai.Client, status: int, name: str) -> None:
    with pytest.raises(errors.APIError) as caught:
        client.models.generate_content(model=f"sandbox-error-{status}", contents="Hello")
    assert (caught.value.code, caught.value.status) == (status, name)


def test_an_error_says_when_to_come_back(sandbox: Sandbox) -> None:
    answer = ask(sandbox, post(path("sandbox-error-429?retry_after_s=7"), HELLO))
    assert answer.headers["retry-after"] == "7"
    assert json.loads(answer.body)["error"]["details"][0]["retryDelay"] == "7s"


def test_what_is_obviously_wrong_is_a_400(sandbox: Sandbox) -> None:
    bodies: list[dict[str, Any]] = [
        {},
        {"contents": []},
        {"contents": "Hello"},
        {**HELLO, "generationConfig": {"maxOutputTokens": 0}},
    ]
    for body in bodies:
        answer = ask(sandbox, post(path("x"), body))
        assert (answer.status, json.loads(answer.body)["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_an_unknown_path_answers_in_this_dialect(sandbox: Sandbox) -> None:
    answer = ask(sandbox, post("/v1beta/models/x:countTokens", HELLO))
    assert (answer.status, json.loads(answer.body)["error"]["status"]) == (404, "NOT_FOUND")

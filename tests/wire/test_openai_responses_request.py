"""The request: what each field is read as, and which field a malformed one is told about."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import (
    ChatRequest,
    Json,
    Message,
    ReasoningRequest,
    Refusal,
    ResponseFormat,
    Text,
    Tool,
    ToolChoice,
)
from arouter.domain.errors import InvalidRequest
from arouter.wire.gateway_fields import GATEWAY_FIELDS
from arouter.wire.openai_responses.request import CANONICAL_FIELDS, KEPT_ELSEWHERE, read_responses
from tests.recordings import Recording, need_recordings, recordings
from tests.wire.json_places import places, replaced
from tests.wire.openai_schemas import validator
from tests.wire.responses_bodies import fields_of, read, read_bytes, read_with
from tests.wire.strategies import JSON

# ---------------------------------------------------------------- what the router knows


def test_model_identity_and_stream_come_from_the_router() -> None:
    fields = fields_of({"model": "openai/x", "user": "raw", "stream": False, "input": "Hello"})
    request = read_responses(fields, model="x", identity="pseudonym", stream=True)
    assert (request.model, request.identity, request.stream) == ("x", "pseudonym", True)
    assert request.messages == (Message(role="user", parts=(Text(text="Hello"),)),)
    assert request.rest == {}


def test_unknown_fields_are_kept_and_the_gateways_own_are_not() -> None:
    request = read_with(**dict.fromkeys(GATEWAY_FIELDS, "x"), max_tool_calls=3, truncation="auto", min_p=None)
    assert request.rest == {"max_tool_calls": 3, "truncation": "auto"}


def test_a_null_says_nothing() -> None:
    nulls = (CANONICAL_FIELDS | KEPT_ELSEWHERE.keys() | {"background"}) - {"input"}
    assert read_with(**dict.fromkeys(nulls)) == read_with()


def test_what_asks_for_nothing_is_no_field() -> None:
    assert read_with(truncation="disabled", background=False, store=True) == read_with()


# ---------------------------------------------------------------- what only OpenAI can do


@pytest.mark.parametrize(
    ("field", "value", "instead"),
    [
        ("previous_response_id", "resp_1", "`input`"),
        ("conversation", {"id": "conv_1"}, "`input`"),
        ("conversation", "conv_1", "`input`"),
        ("prompt", {"id": "pmpt_1"}, "`instructions`"),
        ("background", True, "wait for the answer"),
    ],
)
def test_what_openai_keeps_is_refused_with_a_way_out(field: str, value: object, instead: str) -> None:
    with pytest.raises(InvalidRequest, match=instead) as caught:
        read_with(**{field: value})
    assert (caught.value.param, caught.value.code) == (field, "unsupported_parameter")
    assert "ask a model of OpenAI" in caught.value.message


# ---------------------------------------------------------------- tools


def test_tools() -> None:
    schema: Json = {"type": "object", "properties": {}}
    full = {"type": "function", "name": "f", "description": "does f", "parameters": schema, "strict": True}
    request = read_with(tools=[full, {"type": "function", "name": "g", "defer_loading": True}])
    assert request.tools == (Tool(name="f", description="does f", parameters=schema, strict=True), Tool(name="g"))
    assert request.rest == {}


def test_tools_that_are_no_functions_are_left_for_the_adapter() -> None:
    search = {"type": "web_search"}
    request = read_with(tools=[search, {"type": "function", "name": "f"}], tool_choice=search)
    assert request.tools == (Tool(name="f"),)
    assert request.tool_choice is None
    assert request.rest == {"tools": [search], "tool_choice": search}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("auto", ToolChoice(mode="auto")),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ({"type": "function", "name": "f"}, ToolChoice(mode="named", name="f")),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "mcp"}],
            },
            ToolChoice(mode="required", allowed=("f",)),
        ),
    ],
)
def test_the_choice_among_tools(value: object, expected: ToolChoice) -> None:
    assert read_with(tool_choice=value).tool_choice == expected


# ---------------------------------------------------------------- settings


def test_settings_are_read_by_their_names() -> None:
    request = read_with(
        max_output_tokens=16,
        temperature=0,
        top_p=0.5,
        top_k=40,
        frequency_penalty=-1.5,
        presence_penalty=2,
        parallel_tool_calls=False,
        service_tier="flex",
    )
    assert (request.max_tokens, request.temperature, request.top_p, request.top_k) == (16, 0, 0.5, 40)
    assert (request.frequency_penalty, request.presence_penalty) == (-1.5, 2)
    assert (request.parallel_tool_calls, request.service_tier) == (False, "flex")
    assert request.rest == {}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (None, None)),
        ({"include": ["message.output_text.logprobs"]}, (True, None)),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 0}, (True, 0)),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 5}, (True, 5)),
        ({"top_logprobs": 5}, (True, 5)),
        ({"top_logprobs": 0}, (None, None)),
    ],
)
def test_log_probabilities(fields: Json, expected: tuple[bool | None, int | None]) -> None:
    request = read_with(**fields)
    assert (request.logprobs, request.top_logprobs) == expected


def test_what_else_to_include_is_left_for_the_adapter() -> None:
    included = ["reasoning.encrypted_content", "web_search_call.results", "message.output_text.logprobs"]
    assert read_with(include=included).rest == {"include": ["web_search_call.results"]}


def test_response_formats() -> None:
    schema: Json = {"type": "object"}
    described = {"type": "json_schema", "name": "City", "schema": schema, "strict": True, "description": "a city"}
    assert read_with(text={}).response_format is None
    assert read_with(text={"format": {"type": "text"}}).response_format == ResponseFormat(kind="text")
    assert read_with(text={"format": {"type": "json_object"}}).response_format == ResponseFormat(kind="json_object")
    assert read_with(text={"format": described}).response_format == ResponseFormat(
        kind="json_schema", name="City", schema=schema, strict=True
    )


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        (None, None),
        ({}, None),
        ({"effort": None, "summary": "auto"}, None),
        ({"effort": "high", "summary": "detailed"}, ReasoningRequest(effort="high")),
        ({"effort": "max"}, ReasoningRequest(effort="xhigh")),
        ({"max_tokens": 2000}, ReasoningRequest(max_tokens=2000)),
        ({"enabled": False, "effort": "low"}, ReasoningRequest(effort="none")),
        ({"exclude": True}, ReasoningRequest(exclude=True)),
    ],
)
def test_how_much_to_think(reasoning: object, expected: ReasoningRequest | None) -> None:
    request = read_with(reasoning=reasoning)
    assert request.reasoning == expected
    assert request.rest == {}


def test_parts_of_a_field_without_counterpart_are_named_for_themselves() -> None:
    request = read_with(reasoning={"effort": "low", "context": "all_turns"}, text={"verbosity": "low", "x": 1})
    assert request.rest == {"reasoning.context": "all_turns", "verbosity": "low", "text.x": 1}


def test_openais_management_of_the_context_is_not_anthropics() -> None:
    compaction = [{"type": "compaction", "compact_threshold": 1000}]
    assert read_with(context_management=compaction).rest == {"context_management.compaction": compaction}
    edits: Json = {"edits": []}
    assert read_with(context_management=edits).rest == {"context_management": edits}


# ---------------------------------------------------------------- what is malformed


def user(content: object) -> Json:
    return {"input": [{"role": "user", "content": content}]}


def item(**fields: object) -> Json:
    return {"input": [fields]}


MALFORMED: list[tuple[Json, str, str]] = [
    ({}, "input", "missing_required_parameter"),
    ({"input": None}, "input", "missing_required_parameter"),
    ({"input": {}}, "input", "invalid_type"),
    ({"input": []}, "input", "invalid_value"),
    ({"input": ["Hello"]}, "input[0]", "invalid_type"),
    (item(), "input[0].content", "missing_required_parameter"),
    (item(type=1), "input[0].type", "invalid_type"),
    (item(type="smell"), "input[0].type", "invalid_value"),
    (item(content="x"), "input[0].role", "missing_required_parameter"),
    (item(role="robot", content="x"), "input[0].role", "invalid_value"),
    (item(role="user"), "input[0].content", "missing_required_parameter"),
    (user(5), "input[0].content", "invalid_type"),
    (user(["x"]), "input[0].content[0]", "invalid_type"),
    (user([{}]), "input[0].content[0].type", "missing_required_parameter"),
    (user([{"type": "smell"}]), "input[0].content[0].type", "invalid_value"),
    (user([{"type": "input_text"}]), "input[0].content[0].text", "missing_required_parameter"),
    (user([{"type": "input_image"}]), "input[0].content[0].image_url", "missing_required_parameter"),
    (user([{"type": "input_image", "image_url": {}}]), "input[0].content[0].image_url", "invalid_type"),
    (user([{"type": "input_image", "image_url": "data:x"}]), "input[0].content[0].image_url", "invalid_value"),
    (user([{"type": "input_file"}]), "input[0].content[0].file_data", "missing_required_parameter"),
    (user([{"type": "input_file", "file_data": "data:x"}]), "input[0].content[0].file_data", "invalid_value"),
    (user([{"type": "input_audio"}]), "input[0].content[0].input_audio", "missing_required_parameter"),
    (item(type="function_call", call_id="c", name="f"), "input[0].arguments", "missing_required_parameter"),
    (item(type="function_call", call_id="c", name="f", arguments={}), "input[0].arguments", "invalid_type"),
    (item(type="function_call", name="f", arguments="{}"), "input[0].call_id", "missing_required_parameter"),
    (item(type="function_call_output", output="x"), "input[0].call_id", "missing_required_parameter"),
    (item(type="function_call_output", call_id="c"), "input[0].output", "missing_required_parameter"),
    (item(type="custom_tool_call", call_id="c", name="f"), "input[0].input", "missing_required_parameter"),
    (item(type="reasoning", summary=["x"]), "input[0].summary[0]", "invalid_type"),
    (item(type="reasoning", summary=[], encrypted_content=1), "input[0].encrypted_content", "invalid_type"),
    (item(type="additional_tools", tools=1), "input[0].tools", "invalid_type"),
    (item(type="web_search_call"), "input", "invalid_value"),
    ({"input": "x", "instructions": 1}, "instructions", "invalid_type"),
    ({"input": "x", "tools": {}}, "tools", "invalid_type"),
    ({"input": "x", "tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter"),
    ({"input": "x", "tool_choice": 1}, "tool_choice", "invalid_type"),
    ({"input": "x", "tool_choice": "maybe"}, "tool_choice", "invalid_value"),
    ({"input": "x", "tool_choice": {"type": "function"}}, "tool_choice.name", "missing_required_parameter"),
    ({"input": "x", "tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools", "missing_required_parameter"),
    (
        {"input": "x", "tool_choice": {"type": "allowed_tools", "tools": [], "mode": "none"}},
        "tool_choice.mode",
        "invalid_value",
    ),
    ({"input": "x", "max_output_tokens": "5"}, "max_output_tokens", "invalid_type"),
    ({"input": "x", "temperature": False}, "temperature", "invalid_type"),
    ({"input": "x", "include": "x"}, "include", "invalid_type"),
    ({"input": "x", "include": [1]}, "include[0]", "invalid_type"),
    ({"input": "x", "text": "json"}, "text", "invalid_type"),
    ({"input": "x", "text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
    ({"input": "x", "text": {"verbosity": 1}}, "text.verbosity", "invalid_type"),
    ({"input": "x", "reasoning": {"effort": "heroic"}}, "reasoning.effort", "invalid_value"),
    ({"input": "x", "reasoning": {"summary": 1}}, "reasoning.summary", "invalid_type"),
    ({"input": "x", "background": "yes"}, "background", "invalid_type"),
    ({"input": "x", "service_tier": 1}, "service_tier", "invalid_type"),
]


@pytest.mark.parametrize(("body", "param", "code"), MALFORMED)
def test_a_malformed_request_names_the_field(body: Json, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(body)
    assert (caught.value.param, caught.value.code) == (param, code)
    assert caught.value.message.startswith(f"`{param}` ")


@pytest.mark.parametrize("broken", [b'"\xff"', b"1e999"])
def test_a_field_that_is_no_json_inside(broken: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_bytes(b'{"input":"x","y":' + broken + b"}")
    assert (caught.value.param, caught.value.code) == ("y", "invalid_json")


H: Json = {"type": "function", "name": "h", "parameters": None, "strict": None}

WHOLE: Json = {
    "model": "gpt-5",
    "instructions": "Be brief.",
    "input": [
        {"role": "developer", "content": "You are a clock."},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
                {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"},
                {"type": "input_file", "file_url": "https://example.com/a.pdf"},
                {"type": "input_file", "file_id": "file-1"},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "s"}],
            "content": [{"type": "reasoning_text", "text": "t"}],
            "encrypted_content": "gAAAAA",
            "status": "completed",
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "t", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "r"},
            ],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "d", "name": "g", "input": "i"},
        {"type": "function_call_output", "call_id": "c", "output": "4", "status": "completed"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "4"}]},
        {"type": "custom_tool_call_output", "call_id": "d", "output": "5"},
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AA=="},
        {"type": "additional_tools", "role": "developer", "tools": [H]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
    ],
    "tools": [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "parallel_tool_calls": True,
    "max_output_tokens": 100,
    "temperature": 1,
    "top_p": 1,
    "top_logprobs": 2,
    "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    "text": {
        "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
        "verbosity": "low",
    },
    "reasoning": {"effort": "low", "summary": "auto", "context": "auto"},
    "service_tier": "auto",
    "truncation": "auto",
}


def outcome(body: Json) -> ChatRequest | InvalidRequest:
    try:
        return read(body)
    except InvalidRequest as refused:
        return refused


def test_the_whole_request_is_openais_and_is_read() -> None:
    validator("CreateResponse").validate(WHOLE)
    request = read(WHOLE)
    assert [message.role for message in request.messages] == [
        "system",
        "developer",
        "user",
        "assistant",
        "tool",
        "tool",
        "tool",
        "assistant",
    ]
    assert set(request.rest) == {"tools", "truncation", "verbosity", "reasoning.context", "input.web_search_call"}


READ = {name: value for name, value in WHOLE.items() if name not in GATEWAY_FIELDS}
FIELDS = places({**READ, **dict.fromkeys((CANONICAL_FIELDS | KEPT_ELSEWHERE.keys() | {"background"}) - READ.keys())})


@given(st.sampled_from(FIELDS), JSON)
def test_any_json_anywhere_is_read_or_refused_by_name(path: tuple[str | int, ...], value: object) -> None:
    told = outcome(replaced(WHOLE, path, value))
    if isinstance(told, InvalidRequest):
        assert told.code in {"invalid_type", "invalid_value", "missing_required_parameter", "unsupported_parameter"}
        assert told.param is not None
        assert told.param.partition(".")[0].partition("[")[0] == path[0]
    else:
        assert told.messages


@given(st.dictionaries(st.sampled_from(sorted(CANONICAL_FIELDS)), JSON))
def test_any_json_is_read_or_refused(body: Json) -> None:
    assert isinstance(outcome(body), ChatRequest | InvalidRequest)


# ---------------------------------------------------------------- recorded requests

RECORDED = recordings("openai.responses")


def refused_by_rule(request: Json) -> bool:
    return any(request.get(name) for name in (*KEPT_ELSEWHERE, "background"))


def test_there_are_recorded_requests() -> None:
    need_recordings()
    assert sum(not refused_by_rule(recording.request) for recording in RECORDED) > 120


def texts_in(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content or () if "text" in part]


def items_of(request: dict[str, Any]) -> list[dict[str, Any]]:
    told = request["input"]
    return [{"role": "user", "content": told}] if isinstance(told, str) else told


@pytest.mark.parametrize("recording", RECORDED, ids=lambda recording: recording.id)
def test_every_recorded_request_is_read_or_refused_by_rule(recording: Recording) -> None:
    body = recording.request
    if refused_by_rule(body):
        with pytest.raises(InvalidRequest, match="ask a model of OpenAI"):
            read(body)
        return
    request = read(body)
    items = items_of(body)
    texts = [body["instructions"]] if body.get("instructions") else []
    for one in items:
        texts += texts_in(one.get("content", one.get("output")))
    told = [part.text for message in request.messages for part in message.parts if isinstance(part, Text | Refusal)]
    assert told == texts

    calls = [(one["call_id"], one["name"], one["arguments"]) for one in items if one.get("type") == "function_call"]
    assert [
        (call.id, call.name, call.arguments) for message in request.messages for call in message.tool_calls
    ] == calls
    answered = [one["call_id"] for one in items if one.get("type") == "function_call_output"]
    assert [message.tool_call_id for message in request.messages if message.role == "tool"] == answered

    declared = [*(body.get("tools") or ()), *(tool for one in items for tool in one.get("tools", ()))]
    functions = dict.fromkeys(tool["name"] for tool in declared if tool["type"] == "function")
    assert [tool.name for tool in request.tools] == list(functions)
    assert request.rest.get("tools", []) == [tool for tool in declared if tool["type"] != "function"]
    assert not set(request.rest) & GATEWAY_FIELDS

"""The request: what each field is read as, and which field a malformed one is told about."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import ChatRequest, Json, Message, ReasoningRequest, ResponseFormat, Text, Tool, ToolChoice
from arouter.domain.errors import InvalidRequest
from arouter.wire.gateway_fields import GATEWAY_FIELDS
from arouter.wire.openai_chat.request import CANONICAL_FIELDS, read_chat
from tests.recordings import Recording, need_recordings, recordings
from tests.wire.chat_bodies import HELLO, read, read_bytes, read_with
from tests.wire.json_places import places, replaced
from tests.wire.strategies import JSON

# ---------------------------------------------------------------- what the router knows


def test_model_identity_and_stream_come_from_the_router() -> None:
    fields = msgspec.json.decode(
        msgspec.json.encode({"model": "openai/x", "user": "raw", "stream": False, "messages": HELLO}),
        type=dict[str, msgspec.Raw],
    )
    request = read_chat(fields, model="x", identity="pseudonym", stream=True)
    assert (request.model, request.identity, request.stream) == ("x", "pseudonym", True)
    assert request.messages == (Message(role="user", parts=(Text(text="Hello"),)),)
    assert request.rest == {}


def test_unknown_fields_are_kept_and_the_gateways_own_are_not() -> None:
    request = read_with(**dict.fromkeys(GATEWAY_FIELDS, "x"), logit_bias={"50256": -100}, min_p=0.1, top_a=None)
    assert request.rest == {"logit_bias": {"50256": -100}, "min_p": 0.1}


def test_a_null_says_nothing() -> None:
    assert read_with(**dict.fromkeys(CANONICAL_FIELDS - {"messages"})) == read_with()


# ---------------------------------------------------------------- tools


def test_tools() -> None:
    schema: Json = {"type": "object", "properties": {}}
    mark: Json = {"type": "ephemeral"}
    full = {"name": "f", "description": "does f", "parameters": schema, "strict": True}
    request = read_with(
        tools=[{"type": "function", "function": full, "cache_control": mark}, {"function": {"name": "g"}}]
    )
    assert request.tools == (
        Tool(name="f", description="does f", parameters=schema, strict=True, cache_control=mark),
        Tool(name="g"),
    )
    assert "tools" not in request.rest


def test_legacy_functions_are_tools() -> None:
    request = read_with(functions=[{"name": "f", "parameters": {}}], function_call={"name": "f"})
    assert request.tools == (Tool(name="f", parameters={}),)
    assert request.tool_choice == ToolChoice(mode="named", name="f")
    assert read_with(function_call="none").tool_choice == ToolChoice(mode="none")


def test_tools_that_are_no_functions_are_left_for_the_adapter() -> None:
    custom = {"type": "custom", "custom": {"name": "sql"}}
    request = read_with(tools=[custom, {"type": "function", "function": {"name": "f"}}], tool_choice=custom)
    assert request.tools == (Tool(name="f"),)
    assert request.tool_choice is None
    assert request.rest == {"tools": [custom], "tool_choice": custom}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("auto", ToolChoice(mode="auto")),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ("any", ToolChoice(mode="required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice(mode="named", name="f")),
        ({"function": {"name": "f"}}, ToolChoice(mode="named", name="f")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
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
        temperature=0,
        top_p=0.5,
        top_k=40,
        n=2,
        seed=-7,
        frequency_penalty=-1.5,
        presence_penalty=2,
        logprobs=True,
        top_logprobs=0,
        parallel_tool_calls=False,
        service_tier="flex",
    )
    assert (request.temperature, request.top_p, request.top_k, request.n, request.seed) == (0, 0.5, 40, 2, -7)
    assert (request.frequency_penalty, request.presence_penalty) == (-1.5, 2)
    assert (request.logprobs, request.top_logprobs, request.parallel_tool_calls) == (True, 0, False)
    assert request.service_tier == "flex"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 5, "max_completion_tokens": 7}, 7),
        ({"max_tokens": 5, "max_completion_tokens": 0}, 0),
        ({"max_tokens": 5, "max_completion_tokens": None}, 5),
    ],
)
def test_the_newer_limit_comes_first(fields: dict[str, int], expected: int | None) -> None:
    assert read_with(**fields).max_tokens == expected


@pytest.mark.parametrize(
    ("stop", "expected"), [(None, ()), ("END", ("END",)), ("", ("",)), (["a", "b"], ("a", "b")), ([], ())]
)
def test_stop_is_a_text_or_a_list(stop: object, expected: tuple[str, ...]) -> None:
    assert read_with(stop=stop).stop == expected


def test_response_formats() -> None:
    schema: Json = {"type": "object"}
    described = {"name": "City", "schema": schema, "strict": True, "description": "a city"}
    assert read_with(response_format={"type": "text"}).response_format == ResponseFormat(kind="text")
    assert read_with(response_format={"type": "json_object"}).response_format == ResponseFormat(kind="json_object")
    assert read_with(
        response_format={"type": "json_schema", "json_schema": described}
    ).response_format == ResponseFormat(kind="json_schema", name="City", schema=schema, strict=True)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"reasoning_effort": "high"}, ReasoningRequest(effort="high")),
        ({"reasoning_effort": "none"}, ReasoningRequest(effort="none")),
        ({"reasoning_effort": "default"}, None),
        ({"reasoning": {}}, None),
        ({"reasoning": {"effort": "low", "exclude": True}}, ReasoningRequest(effort="low", exclude=True)),
        ({"reasoning": {"effort": "low"}, "reasoning_effort": "high"}, ReasoningRequest(effort="low")),
        ({"reasoning": {"exclude": True}, "reasoning_effort": "high"}, ReasoningRequest(effort="high", exclude=True)),
        ({"reasoning": {"max_tokens": 2000}}, ReasoningRequest(max_tokens=2000)),
        ({"reasoning": {"max_tokens": 0}}, ReasoningRequest(max_tokens=0)),
        ({"reasoning": {"enabled": True}}, ReasoningRequest(effort="medium")),
        ({"reasoning": {"enabled": True, "max_tokens": 9}}, ReasoningRequest(max_tokens=9)),
        ({"reasoning": {"enabled": False, "max_tokens": 9}}, ReasoningRequest(effort="none")),
        ({"reasoning": {"exclude": False}}, None),
    ],
)
def test_how_much_to_think(fields: dict[str, object], expected: ReasoningRequest | None) -> None:
    assert read_with(**fields).reasoning == expected


# ---------------------------------------------------------------- what is malformed

USER = {"role": "user"}
FUNCTION = {"id": "c", "type": "function"}


def user(content: object) -> dict[str, object]:
    return {"messages": [*HELLO, {"role": "user", "content": content}]}


def assistant(**fields: object) -> dict[str, object]:
    return {"messages": [{"role": "assistant", **fields}]}


MALFORMED: list[tuple[dict[str, object], str, str]] = [
    ({}, "messages", "missing_required_parameter"),
    ({"messages": None}, "messages", "missing_required_parameter"),
    ({"messages": {}}, "messages", "invalid_type"),
    ({"messages": []}, "messages", "invalid_value"),
    ({"messages": ["Hello"]}, "messages[0]", "invalid_type"),
    ({"messages": [{}]}, "messages[0].role", "missing_required_parameter"),
    ({"messages": [{"role": 1}]}, "messages[0].role", "invalid_type"),
    ({"messages": [{"role": "robot"}]}, "messages[0].role", "invalid_value"),
    ({"messages": [USER]}, "messages[0].content", "missing_required_parameter"),
    ({"messages": [USER | {"content": None}]}, "messages[0].content", "invalid_type"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", "missing_required_parameter"),
    ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].name", "invalid_value"),
    (user(5), "messages[1].content", "invalid_type"),
    (user({"type": "text"}), "messages[1].content", "invalid_type"),
    (user(["x"]), "messages[1].content[0]", "invalid_type"),
    (user([{}]), "messages[1].content[0].type", "missing_required_parameter"),
    (user([{"type": "smell"}]), "messages[1].content[0].type", "invalid_value"),
    (user([{"type": "text"}]), "messages[1].content[0].text", "missing_required_parameter"),
    (user([{"type": "text", "text": []}]), "messages[1].content[0].text", "invalid_type"),
    (user([{"type": "text", "text": "", "cache_control": 1}]), "messages[1].content[0].cache_control", "invalid_type"),
    (user([{"type": "image_url"}]), "messages[1].content[0].image_url", "missing_required_parameter"),
    (user([{"type": "image_url", "image_url": 5}]), "messages[1].content[0].image_url", "invalid_type"),
    (
        user([{"type": "image_url", "image_url": {}}]),
        "messages[1].content[0].image_url.url",
        "missing_required_parameter",
    ),
    (
        user([{"type": "image_url", "image_url": {"url": "data:image/png"}}]),
        "messages[1].content[0].image_url.url",
        "invalid_value",
    ),
    (user([{"type": "file", "file": {}}]), "messages[1].content[0].file.file_data", "missing_required_parameter"),
    (
        user([{"type": "input_audio", "input_audio": {"data": "x"}}]),
        "messages[1].content[0].input_audio.format",
        "missing_required_parameter",
    ),
    (assistant(tool_calls={}), "messages[0].tool_calls", "invalid_type"),
    (assistant(tool_calls=[{}]), "messages[0].tool_calls[0].id", "missing_required_parameter"),
    (assistant(tool_calls=[FUNCTION]), "messages[0].tool_calls[0].function", "missing_required_parameter"),
    (
        assistant(tool_calls=[FUNCTION | {"function": {"name": "f", "arguments": {}}}]),
        "messages[0].tool_calls[0].function.arguments",
        "invalid_type",
    ),
    (assistant(tool_calls=[FUNCTION | {"type": "x"}]), "messages[0].tool_calls[0].type", "invalid_value"),
    (assistant(reasoning_details=[1]), "messages[0].reasoning_details[0]", "invalid_type"),
    ({"messages": HELLO, "tools": "f"}, "tools", "invalid_type"),
    ({"messages": HELLO, "tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
    ({"messages": HELLO, "tools": [{"function": {}}]}, "tools[0].function.name", "missing_required_parameter"),
    ({"messages": HELLO, "tool_choice": 1}, "tool_choice", "invalid_type"),
    ({"messages": HELLO, "tool_choice": "maybe"}, "tool_choice", "invalid_value"),
    ({"messages": HELLO, "tool_choice": {"type": "function"}}, "tool_choice.function", "missing_required_parameter"),
    (
        {"messages": HELLO, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}},
        "tool_choice.allowed_tools.tools",
        "missing_required_parameter",
    ),
    ({"messages": HELLO, "function_call": "required"}, "function_call", "invalid_value"),
    ({"messages": HELLO, "function_call": 1}, "function_call", "invalid_type"),
    ({"messages": HELLO, "max_tokens": "5"}, "max_tokens", "invalid_type"),
    ({"messages": HELLO, "max_tokens": True}, "max_tokens", "invalid_type"),
    ({"messages": HELLO, "n": 1.5}, "n", "invalid_type"),
    ({"messages": HELLO, "temperature": "hot"}, "temperature", "invalid_type"),
    ({"messages": HELLO, "temperature": False}, "temperature", "invalid_type"),
    ({"messages": HELLO, "logprobs": 1}, "logprobs", "invalid_type"),
    ({"messages": HELLO, "stop": 1}, "stop", "invalid_type"),
    ({"messages": HELLO, "stop": ["a", 1]}, "stop[1]", "invalid_type"),
    ({"messages": HELLO, "response_format": "json"}, "response_format", "invalid_type"),
    ({"messages": HELLO, "response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    (
        {"messages": HELLO, "response_format": {"type": "json_schema"}},
        "response_format.json_schema",
        "missing_required_parameter",
    ),
    ({"messages": HELLO, "reasoning_effort": "heroic"}, "reasoning_effort", "invalid_value"),
    ({"messages": HELLO, "reasoning": {"effort": 1}}, "reasoning.effort", "invalid_type"),
    ({"messages": HELLO, "reasoning": True}, "reasoning", "invalid_type"),
    ({"messages": HELLO, "service_tier": 1}, "service_tier", "invalid_type"),
]


@pytest.mark.parametrize(("body", "param", "code"), MALFORMED)
def test_a_malformed_request_names_the_field(body: dict[str, object], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(body)
    assert (caught.value.param, caught.value.code) == (param, code)
    assert caught.value.message.startswith(f"`{param}` ")


def test_the_message_says_what_was_expected() -> None:
    with pytest.raises(InvalidRequest, match=r"^`max_tokens` must be an integer, not a string\.$"):
        read_with(max_tokens="secret")


@pytest.mark.parametrize("broken", [b'"\xff"', b"1e999"])
def test_a_field_that_is_no_json_inside(broken: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_bytes(b'{"messages":[],"x":' + broken + b"}")
    assert (caught.value.param, caught.value.code) == ("x", "invalid_json")


WHOLE: Json = {
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}}]},
        {
            "role": "user",
            "name": "n",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
                {"type": "file", "file": {"file_data": "JVBERi0=", "filename": "a.pdf"}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "video_url", "video_url": "https://example.com/v"},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "reasoning": "Hm",
            "reasoning_content": "Hm",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "Hm", "signature": None, "format": "x", "id": None, "index": 0},
                {"type": "reasoning.encrypted", "data": "ZA==", "id": "c", "index": 1},
            ],
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "s"}},
                },
                {"id": "d", "type": "custom", "custom": {"name": "g", "input": "i"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "4"},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "4"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}, "strict": True}}],
    "functions": [{"name": "g"}],
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
    },
    "function_call": {"name": "g"},
    "stop": ["a"],
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
    "reasoning": {"effort": "low", "max_tokens": 5, "exclude": False, "enabled": True},
}


def outcome(body: Json) -> ChatRequest | InvalidRequest:
    try:
        return read(body)
    except InvalidRequest as refused:
        return refused


def test_the_whole_request_is_read() -> None:
    assert len(read(WHOLE).messages) == 6


FIELDS = places({**WHOLE, **dict.fromkeys(CANONICAL_FIELDS - WHOLE.keys())})


@given(st.sampled_from(FIELDS), JSON)
def test_any_json_anywhere_is_read_or_refused_by_name(path: tuple[str | int, ...], value: object) -> None:
    told = outcome(replaced(WHOLE, path, value))
    if isinstance(told, InvalidRequest):
        assert told.code in {"invalid_type", "invalid_value", "missing_required_parameter"}
        assert told.param is not None
        assert told.param.partition(".")[0].partition("[")[0] == path[0]
    else:
        assert told.messages


@given(st.dictionaries(st.sampled_from(sorted(CANONICAL_FIELDS)), JSON))
def test_any_json_is_read_or_refused(body: Json) -> None:
    assert isinstance(outcome(body), ChatRequest | InvalidRequest)


# ---------------------------------------------------------------- recorded requests

CHATS = [
    recording
    for api in ("openai.chat", "compatible.chat", "openrouter.chat")
    for recording in recordings(api)
    if recording.path.endswith("/chat/completions")
]


def test_there_are_recorded_requests() -> None:
    need_recordings()
    assert len(CHATS) > 200


@pytest.mark.parametrize("recording", CHATS, ids=lambda recording: recording.id)
def test_every_recorded_request_is_read(recording: Recording) -> None:
    request = read(recording.request)
    assert len(request.messages) == len(recording.request["messages"])
    told = [len(message.get("tool_calls") or ()) for message in recording.request["messages"]]
    assert [len(message.tool_calls) for message in request.messages] == told
    declared = recording.request.get("tools") or ()
    assert len(request.tools) == sum("function" in tool for tool in declared)
    assert not set(request.rest) & GATEWAY_FIELDS

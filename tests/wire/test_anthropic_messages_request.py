"""A request of the Messages API, read into the canonical form."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import (
    ChatRequest,
    File,
    Image,
    Json,
    Message,
    Reasoning,
    ReasoningRequest,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from arouter.domain.errors import InvalidRequest
from arouter.wire.anthropic_messages.request import CANONICAL_FIELDS, read_messages_request
from arouter.wire.anthropic_messages.thoughts import redacted
from arouter.wire.gateway_fields import GATEWAY_FIELDS
from arouter.wire.seals import Seal
from tests.recordings import Recording, need_recordings, recordings
from tests.wire.messages_bodies import HELLO, Object, read, read_bytes
from tests.wire.strategies import JSON

MARK: Json = {"type": "ephemeral", "ttl": "1h"}
RECORDED = recordings("anthropic.messages")


def messages(*told: Object) -> tuple[Message, ...]:
    return read({"messages": list(told)}).messages


def user(*blocks: Object) -> tuple[Message, ...]:
    return messages({"role": "user", "content": list(blocks)})


def assistant(*blocks: Object) -> Message:
    (message,) = messages({"role": "assistant", "content": list(blocks)})
    return message


def refused(body: Object) -> tuple[str, str | None]:
    with pytest.raises(InvalidRequest) as refusal:
        read(body)
    return refusal.value.code, refusal.value.param


# ---------------------------------------------------------------- system and messages


def test_a_string_is_one_text() -> None:
    request = read({"system": "Be brief.", "messages": HELLO})
    assert request.messages == (
        Message(role="system", parts=(Text(text="Be brief."),)),
        Message(role="user", parts=(Text(text="Hello"),)),
    )


def test_blocks_of_the_system_prompt_keep_their_cache_marks() -> None:
    blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": MARK}]
    (system, _) = read({"system": blocks, "messages": HELLO}).messages
    assert system.parts == (Text(text="a"), Text(text="b", cache_control=MARK))


@pytest.mark.parametrize("system", [None, []])
def test_a_system_prompt_that_says_nothing_is_none(system: object) -> None:
    assert [message.role for message in read({"system": system, "messages": HELLO}).messages] == ["user"]


def test_a_system_message_stays_where_it_is() -> None:
    told = messages(*HELLO, {"role": "system", "content": "From now on, in French."}, *HELLO)
    assert [message.role for message in told] == ["user", "system", "user"]


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ({"type": "base64", "media_type": "image/png", "data": "iVBO"}, Image(data="iVBO", media_type="image/png")),
        ({"type": "url", "url": "https://a.example/b.png"}, Image(url="https://a.example/b.png")),
        ({"type": "file", "file_id": "file_1"}, File(file_id="file_1")),
    ],
)
def test_an_image_by_value_by_url_and_by_file(source: Object, part: Image | File) -> None:
    (message,) = user({"type": "image", "source": source})
    assert message.parts == (part,)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (
            {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            File(data="JVBERi0=", media_type="application/pdf", name="T", cache_control=MARK),
        ),
        (
            {"type": "text", "media_type": "text/plain", "data": "Zoë"},
            File(data="Wm/Dqw==", media_type="text/plain", name="T", cache_control=MARK),
        ),
        (
            {"type": "url", "url": "https://a.example/b.pdf"},
            File(url="https://a.example/b.pdf", name="T", cache_control=MARK),
        ),
        ({"type": "file", "file_id": "file_1"}, File(file_id="file_1", name="T", cache_control=MARK)),
    ],
)
def test_a_document_of_every_source(source: Object, part: File) -> None:
    (message,) = user({"type": "document", "title": "T", "source": source, "cache_control": MARK})
    assert message.parts == (part,)


def test_a_document_of_blocks_is_its_blocks_under_its_title() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}
    source = {"type": "content", "content": [{"type": "text", "text": "a"}, image]}
    (message,) = user({"type": "document", "title": "T", "source": source, "cache_control": MARK})
    assert message.parts == (
        Text(text="T\n\n"),
        Text(text="a"),
        Image(url="https://a.example/b.png", cache_control=MARK),
    )


def test_a_search_result_of_the_client_is_text() -> None:
    block = {
        "type": "search_result",
        "title": "T",
        "source": "https://a.example",
        "content": [{"type": "text", "text": "a"}],
    }
    (message,) = user(block)
    assert message.parts == (Text(text="T\nhttps://a.example\n\n"), Text(text="a"))


def test_a_summary_of_what_was_compacted_is_text() -> None:
    assert assistant({"type": "compaction", "content": "So far: hello."}).parts == (Text(text="So far: hello."),)


def test_results_and_what_is_said_beside_them_keep_their_order() -> None:
    def result(of: str) -> Object:
        return {"type": "tool_result", "tool_use_id": of, "content": of}

    def text(said: str) -> Object:
        return {"type": "text", "text": said}

    told = user(result("a"), result("b"), text("c"), text("d"), result("e"), text("f"))
    assert [(message.role, message.tool_call_id, message.parts) for message in told] == [
        ("tool", "a", (Text(text="a"),)),
        ("tool", "b", (Text(text="b"),)),
        ("user", None, (Text(text="c"), Text(text="d"))),
        ("tool", "e", (Text(text="e"),)),
        ("user", None, (Text(text="f"),)),
    ]


def test_a_result_may_hold_pictures_be_marked_and_be_a_failure() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
    (message,) = user(
        {
            "type": "tool_result",
            "tool_use_id": "toolu_1",
            "is_error": True,
            "cache_control": MARK,
            "content": [{"type": "text", "text": "a"}, image],
        }
    )
    assert message == Message(
        role="tool",
        tool_call_id="toolu_1",
        is_error=True,
        parts=(Text(text="a"), Image(data="iVBO", media_type="image/png", cache_control=MARK)),
    )


def test_a_result_may_be_empty() -> None:
    (message,) = user({"type": "tool_result", "tool_use_id": "toolu_1"})
    assert message == Message(role="tool", tool_call_id="toolu_1")


def test_an_assistant_says_thinks_and_calls() -> None:
    message = assistant(
        {"type": "thinking", "thinking": "Hm.", "signature": "Eq=="},
        {"type": "redacted_thinking", "data": "Em=="},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
    )
    assert message == Message(
        role="assistant",
        parts=(
            Reasoning(text="Hm.", signature="Eq==", format="anthropic-claude-v1"),
            Reasoning(data="Em==", format="anthropic-claude-v1"),
            Text(text="Let me see."),
        ),
        tool_calls=(ToolCall(id="toolu_1", name="look", arguments='{"at":1}'),),
    )


def test_the_input_of_a_call_is_the_text_that_was_written() -> None:
    written = '{ "a": 1.50, "b":12345678901234567890, "a" : [1e2] }'
    body = (
        '{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"text","text":"y"},'
        f'{{"type":"tool_use","id":"i","name":"n","input":{written}}}]}}]}}'
    )
    assert read_bytes(body.encode()).messages[1].tool_calls[0].arguments == written


def test_a_call_without_input_has_none() -> None:
    call = assistant({"type": "tool_use", "id": "i", "name": "n", "input": None}).tool_calls[0]
    assert call.arguments == "{}"


def test_a_proof_before_a_call_belongs_to_it() -> None:
    message = assistant(
        redacted(Seal(call_id="call_2", signature="Cs4B")),
        {"type": "tool_use", "id": "call_1", "name": "n", "input": {}},
        {"type": "tool_use", "id": "call_2", "name": "n", "input": {}},
    )
    assert message.parts == ()
    assert [call.signature for call in message.tool_calls] == [None, "Cs4B"]


def test_what_other_providers_cannot_know_is_left_out_by_name() -> None:
    request = read(
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "container_upload", "file_id": "f"},
                        {
                            "type": "document",
                            "source": {"type": "url", "url": "u"},
                            "context": "c",
                            "citations": {"enabled": False},
                        },
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                        {"type": "text", "text": "a"},
                    ],
                },
            ],
            "tools": [{"name": "n", "input_schema": {}, "defer_loading": True, "input_examples": []}],
        }
    )
    assert set(request.rest) == {
        "messages.container_upload",
        "messages.document.context",
        "messages.server_tool_use",
        "tools.defer_loading",
    }
    assert [message.parts for message in request.messages] == [(File(url="u"),), (Text(text="a"),)]


def test_a_message_of_which_nothing_is_left_is_none() -> None:
    lost = [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}]
    told = messages(*HELLO, {"role": "assistant", "content": lost}, {"role": "system", "content": []}, *HELLO)
    assert [message.role for message in told] == ["user", "user"]


# ---------------------------------------------------------------- tools


def test_a_tool_of_the_client() -> None:
    schema: Json = {"type": "object", "properties": {}}
    tool = {"name": "n", "description": "d", "input_schema": schema, "strict": True, "cache_control": MARK}
    known = Tool(name="n", description="d", parameters=schema, strict=True, cache_control=MARK)
    request = read({"messages": HELLO, "tools": [tool, {**tool, "type": "custom"}]})
    assert request.tools == (known, known)
    assert request.rest == {}


def test_tools_of_anthropic_stay_as_they_came() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    request = read({"messages": HELLO, "tools": [{"name": "n", "input_schema": {}}, search]})
    assert [tool.name for tool in request.tools] == ["n"]
    assert request.rest == {"tools": [search]}


@pytest.mark.parametrize(
    ("choice", "read_as", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode="auto"), None),
        ({"type": "any"}, ToolChoice(mode="required"), None),
        ({"type": "none"}, ToolChoice(mode="none"), None),
        ({"type": "tool", "name": "n"}, ToolChoice(mode="named", name="n"), None),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(mode="auto"), False),
        ({"type": "auto", "disable_parallel_tool_use": False}, ToolChoice(mode="auto"), True),
        (None, None, None),
    ],
)
def test_the_choice_among_the_tools(choice: Object | None, read_as: ToolChoice | None, parallel: bool | None) -> None:
    request = read({"messages": HELLO, "tool_choice": choice})
    assert (request.tool_choice, request.parallel_tool_calls) == (read_as, parallel)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("body", "reasoning"),
    [
        ({}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, ReasoningRequest(max_tokens=2048)),
        ({"thinking": {"type": "disabled"}}, ReasoningRequest(effort="none")),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, ReasoningRequest(effort="none")),
        ({"thinking": {"type": "adaptive"}}, ReasoningRequest(effort="high")),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, ReasoningRequest(effort="low")),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
            ReasoningRequest(effort="xhigh", exclude=True),
        ),
        ({"output_config": {"effort": "medium"}}, ReasoningRequest(effort="medium")),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2048}, "output_config": {"effort": "low"}},
            ReasoningRequest(effort="low", max_tokens=2048),
        ),
    ],
)
def test_how_much_to_think(body: Object, reasoning: ReasoningRequest | None) -> None:
    request = read({"messages": HELLO, **body})
    assert request.reasoning == reasoning
    assert request.rest == {}


def test_thinking_of_a_kind_not_known_here_is_left_to_anthropic() -> None:
    request = read({"messages": HELLO, "thinking": {"type": "between_tools"}})
    assert request.reasoning is None
    assert request.rest == {"thinking": {"type": "between_tools"}}


@pytest.mark.parametrize("where", ["output_format", "output_config"])
def test_the_form_of_the_answer(where: str) -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    request = read({"messages": HELLO, where: form if where == "output_format" else {"format": form}})
    assert request.response_format == ResponseFormat(kind="json_schema", schema={"type": "object"})
    assert request.rest == {}


def test_plain_settings() -> None:
    request = read(
        {
            "messages": HELLO,
            "max_tokens": 5,
            "temperature": 0,
            "top_p": 0.5,
            "top_k": 0,
            "stop_sequences": ["a", "b"],
            "service_tier": "standard_only",
        }
    )
    assert (request.max_tokens, request.temperature, request.top_p, request.top_k) == (5, 0, 0.5, 0)
    assert (request.stop, request.service_tier) == (("a", "b"), "default")


def test_fields_of_anthropic_alone_stay_as_they_came() -> None:
    others = {
        "context_management": {"edits": []},
        "container": "c",
        "mcp_servers": [],
        "speed": "fast",
        "output_config": {"task_budget": {"total": 1}},
    }
    assert read({"messages": HELLO, **others}).rest == others


def test_whom_it_is_for_and_where_it_goes_is_not_the_adapters_business() -> None:
    body = dict.fromkeys(GATEWAY_FIELDS, "x")
    assert read({**body, "messages": HELLO}).rest == {}


def test_the_caller_says_model_identity_and_stream() -> None:
    raw = msgspec.Raw(msgspec.json.encode(HELLO))
    fields = {"messages": raw, "model": msgspec.Raw(b'"other"')}
    request = read_messages_request(fields, model="claude-x", identity="abc", stream=True)
    assert (request.model, request.identity, request.stream) == ("claude-x", "abc", True)


# ---------------------------------------------------------------- what is refused

BAD = [
    ({}, "missing_required_parameter", "messages"),
    ({"messages": []}, "invalid_value", "messages"),
    ({"messages": "x"}, "invalid_type", "messages"),
    ({"messages": [1]}, "invalid_type", "messages[0]"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "invalid_value", "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "missing_required_parameter", "messages[0].content"),
    ({"messages": [{"role": "user", "content": None}]}, "invalid_type", "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{}]}]}, "missing_required_parameter", "messages[0].content[0].type"),
    (
        {"messages": [{"role": "user", "content": [{"type": "a\r\nb"}]}]},
        "invalid_value",
        "messages[0].content[0].type",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
        "missing_required_parameter",
        "messages[0].content[0].tool_use_id",
    ),
    (
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "i", "name": "n", "input": "x"}]}]},
        "invalid_type",
        "messages[0].content[0].input",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "x"}}]}]},
        "invalid_value",
        "messages[0].content[0].source.type",
    ),
    ({"messages": HELLO, "tool_choice": {"type": "tool"}}, "missing_required_parameter", "tool_choice.name"),
    ({"messages": HELLO, "tool_choice": "auto"}, "invalid_type", "tool_choice"),
    ({"messages": HELLO, "output_config": {"effort": "huge"}}, "invalid_value", "output_config.effort"),
    ({"messages": HELLO, "output_format": {"type": "text"}}, "invalid_value", "output_format.type"),
    (
        {"messages": HELLO, "output_format": {"type": "json_schema"}},
        "missing_required_parameter",
        "output_format.schema",
    ),
    ({"messages": HELLO, "stop_sequences": [1]}, "invalid_type", "stop_sequences[0]"),
    ({"messages": HELLO, "max_tokens": True}, "invalid_type", "max_tokens"),
]


@pytest.mark.parametrize(("body", "code", "param"), BAD)
def test_what_is_wrong_is_refused_by_name(body: Object, code: str, param: str) -> None:
    assert refused(body) == (code, param)


# ---------------------------------------------------------------- any JSON

WHOLE: Object = {
    "system": [{"type": "text", "text": "s", "cache_control": MARK}],
    "messages": [
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "redacted_thinking", "data": "d"},
                {"type": "text", "text": "a", "citations": None},
                {"type": "tool_use", "id": "i", "name": "n", "input": {"a": 1}},
                {"type": "compaction", "content": "c"},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "i",
                    "is_error": False,
                    "content": [{"type": "tool_reference", "tool_name": "n"}],
                },
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
                {"type": "document", "title": "t", "source": {"type": "text", "data": "d"}},
                {"type": "search_result", "title": "t", "source": "s", "content": [{"type": "text", "text": "c"}]},
            ],
        },
    ],
    "tools": [{"name": "n", "input_schema": {"type": "object"}}, {"type": "bash_20250124", "name": "bash"}],
    "tool_choice": {"type": "tool", "name": "n", "disable_parallel_tool_use": True},
    "max_tokens": 5,
    "stop_sequences": ["a"],
    "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "service_tier": "auto",
}


def places(node: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where every value of a JSON document is."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in inner:
        yield (*path, name)
        yield from places(value, (*path, name))


def replaced(body: Object, path: tuple[str | int, ...], value: object) -> Object:
    """A copy of `body` with another value in one place."""
    copy: Any = msgspec.json.decode(msgspec.json.encode(body))
    node = copy
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = value
    return copy  # type: ignore[no-any-return]


def outcome(body: Object) -> ChatRequest | InvalidRequest:
    try:
        return read(body)
    except InvalidRequest as refusal:
        return refusal


def test_the_whole_request_is_read() -> None:
    assert [message.role for message in read(WHOLE).messages] == ["system", "user", "assistant", "tool", "user"]


FIELDS = list(places({**WHOLE, **dict.fromkeys(CANONICAL_FIELDS - WHOLE.keys())}))


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
def test_any_json_is_read_or_refused(body: Object) -> None:
    assert isinstance(outcome(body), ChatRequest | InvalidRequest)


# ---------------------------------------------------------------- recorded requests


def test_there_are_recorded_requests() -> None:
    need_recordings()
    assert len(RECORDED) > 100


def _blocks(recording: Recording, kind: str) -> list[Object]:
    return [
        block
        for message in recording.request["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
        if block["type"] == kind
    ]


@pytest.mark.parametrize("recording", RECORDED, ids=lambda recording: recording.id)
def test_every_recorded_request_is_read(recording: Recording) -> None:
    request = read(recording.request)
    calls = [call for message in request.messages for call in message.tool_calls]
    results = [message for message in request.messages if message.role == "tool"]
    assert [(call.id, call.name, msgspec.json.decode(call.arguments)) for call in calls] == [
        (block["id"], block["name"], block["input"]) for block in _blocks(recording, "tool_use")
    ]
    assert [result.tool_call_id for result in results] == [
        block["tool_use_id"] for block in _blocks(recording, "tool_result")
    ]
    said = [part.text for message in request.messages for part in message.parts if isinstance(part, Text)]
    assert all(block["text"] in said for block in _blocks(recording, "text"))
    assert not set(request.rest) & GATEWAY_FIELDS

"""Canonical requests written for Bedrock's Converse."""

import re
from typing import Any

import msgspec
import pytest

from arouter.domain.chat import (
    Audio,
    ChatRequest,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    ReasoningRequest,
    Refusal,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from arouter.domain.errors import InvalidRequest
from arouter.providers.base import Prepared
from arouter.providers.converse import ConverseAdapter

Body = dict[str, Any]

NOVA = "us.amazon.nova-pro-v1:0"
OURS = "bedrock-converse-v1"


def user(*parts: Part) -> Message:
    return Message(role="user", parts=parts)


def said(text: str) -> Message:
    return user(Text(text=text))


HELLO = said("Hello")


def prepare(*messages: Message, model: str = NOVA, **rest: Any) -> Prepared:
    return ConverseAdapter().prepare(ChatRequest(model=model, messages=messages or (HELLO,), **rest))


def body(*messages: Message, **rest: Any) -> Body:
    return msgspec.json.decode(prepare(*messages, **rest).body, type=Body)


def blocks(*parts: Part) -> list[Body]:
    [message] = body(user(*parts))["messages"]
    written: list[Body] = message["content"]
    return written


# ---------------------------------------------------------------- where


@pytest.mark.parametrize(("stream", "operation"), [(False, "converse"), (True, "converse-stream")])
def test_the_model_and_the_operation_are_in_the_path(stream: bool, operation: str) -> None:
    assert prepare(stream=stream).path == f"/model/us.amazon.nova-pro-v1%3A0/{operation}"
    assert body(stream=stream) == {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}


def test_a_profiles_arn_stays_in_its_segment_of_the_path() -> None:
    path = prepare(model="arn:aws:bedrock:us-east-1:1:inference-profile/x").path
    assert path == "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse"


# ---------------------------------------------------------------- the conversation


def test_system_messages_stand_apart_and_turns_of_one_role_are_one_message() -> None:
    system = Message(role="system", parts=(Text(text="Be brief."),))
    developer = Message(role="developer", parts=(Text(text="Be kind."),))
    assistant = Message(role="assistant", parts=(Refusal(text="No."),))
    written = body(system, said("a"), said("b"), developer, assistant, said("c"))
    assert written["system"] == [{"text": "Be brief."}, {"text": "Be kind."}]
    assert written["messages"] == [
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
        {"role": "assistant", "content": [{"text": "No."}]},
        {"role": "user", "content": [{"text": "c"}]},
    ]


def test_a_block_without_content_is_left_out_and_so_is_a_message_without_blocks() -> None:
    assert body(said(""), Message(role="assistant"), HELLO)["messages"] == [
        {"role": "user", "content": [{"text": "Hello"}]}
    ]


def test_a_call_and_its_result_are_blocks_and_results_come_first() -> None:
    call = ToolCall(id="call:1", name="weather", arguments='{"city": "Rome", "n": 1.50}')
    asked = Message(role="assistant", parts=(Text(text="I look."),), tool_calls=(call,))
    failed = Message(role="tool", tool_call_id="call:1", parts=(Text(text="down"),), is_error=True)
    prepared = prepare(HELLO, asked, said("And?"), failed, Message(role="tool", tool_call_id="2"))
    assert b'"input":{"city": "Rome", "n": 1.50}' in prepared.body
    _, answer, result = msgspec.json.decode(prepared.body, type=Body)["messages"]
    assert answer["content"] == [
        {"text": "I look."},
        {"toolUse": {"toolUseId": "call_1", "name": "weather", "input": {"city": "Rome", "n": 1.5}}},
    ]
    assert result["content"] == [
        {"toolResult": {"toolUseId": "call_1", "content": [{"text": "down"}], "status": "error"}},
        {"toolResult": {"toolUseId": "2", "content": []}},
        {"text": "And?"},
    ]


def test_an_image_travels_by_value_or_from_s3() -> None:
    assert blocks(Image(data="AAAA", media_type="image/jpeg"), Image(url="s3://bucket/cat.png")) == [
        {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
        {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/cat.png"}}}},
    ]


def test_a_document_has_its_format_and_a_name_of_the_letters_that_are_allowed() -> None:
    assert blocks(
        File(data="JVBERi0x", name="Bericht  (neu)_ü.pdf"),
        File(data="AAAA", media_type="text/csv"),
        File(data="AAAA", media_type="image/png"),
    ) == [
        {"document": {"format": "pdf", "name": "Bericht (neu) pdf", "source": {"bytes": "JVBERi0x"}}},
        {"document": {"format": "csv", "name": "document", "source": {"bytes": "AAAA"}}},
        {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
    ]


def test_sound_travels_by_value() -> None:
    assert blocks(Audio(data="AAAA", format="wav")) == [{"audio": {"format": "wav", "source": {"bytes": "AAAA"}}}]


def test_a_cache_mark_is_a_block_behind_what_it_marks() -> None:
    marked = Text(text="long", cache_control={"type": "ephemeral", "ttl": "1h"})
    tool = Tool(name="clock", cache_control={"type": "ephemeral"})
    written = body(user(marked), tools=(tool,))
    assert written["messages"][0]["content"] == [{"text": "long"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert written["toolConfig"]["tools"][1:] == [{"cachePoint": {"type": "default"}}]


def test_long_ids_are_made_shorter_and_stay_apart() -> None:
    ids = [f"{'call.' * 20}{number}" for number in range(2)]
    calls = tuple(ToolCall(id=call_id, name="clock", arguments="{}") for call_id in ids)
    results = (Message(role="tool", tool_call_id=call_id, parts=(Text(text="noon"),)) for call_id in ids)
    written = body(HELLO, Message(role="assistant", tool_calls=calls), *results, tools=(Tool(name="clock"),))
    called = [block["toolUse"]["toolUseId"] for block in written["messages"][1]["content"]]
    assert called == [block["toolResult"]["toolUseId"] for block in written["messages"][2]["content"]]
    assert len(set(called)) == 2
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call_id) for call_id in called)


def test_a_mark_within_what_tools_gave_is_a_block_behind_all_of_it() -> None:
    calls = tuple(ToolCall(id=call_id, name="clock", arguments="{}") for call_id in ("a", "b"))
    marked = Text(text="noon", cache_control={"type": "ephemeral"})
    written = body(
        HELLO,
        Message(role="assistant", tool_calls=calls),
        Message(role="tool", tool_call_id="a", parts=(marked, Text(text="sharp"))),
        Message(role="tool", tool_call_id="b", parts=(marked,)),
        said("Thanks"),
        tools=(Tool(name="clock"),),
    )
    assert written["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "a", "content": [{"text": "noon"}, {"text": "sharp"}]}},
        {"toolResult": {"toolUseId": "b", "content": [{"text": "noon"}]}},
        {"cachePoint": {"type": "default"}},
        {"text": "Thanks"},
    ]


@pytest.mark.parametrize(
    ("thought", "written"),
    [
        (
            Reasoning(text="Hm.", signature="proof", format=OURS),
            [{"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "proof"}}}],
        ),
        (Reasoning(data="AAAA", format=OURS), [{"reasoningContent": {"redactedContent": "AAAA"}}]),
        (Reasoning(text="Hm.", format=OURS), []),
        (Reasoning(text="Hm.", signature="proof", format="anthropic-claude-v1"), []),
        (Reasoning(text="Hm.", signature="proof"), []),
    ],
)
def test_thoughts_go_back_if_they_are_this_dialects_own_and_proved(thought: Reasoning, written: list[Body]) -> None:
    assert blocks(thought, Text(text="x")) == [*written, {"text": "x"}]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (user(Image(url="https://example.com/cat.png")), "messages[0].content"),
        (user(Image(data="AAAA", media_type="image/tiff")), "messages[0].content"),
        (user(Image(data="AAAA")), "messages[0].content"),
        (user(File(data="AAAA")), "messages[0].content"),
        (user(File(file_id="file-1", media_type="application/pdf")), "messages[0].content"),
        (Message(role="tool", parts=(Text(text="x"),)), "messages[0].tool_call_id"),
        (
            Message(role="assistant", tool_calls=(ToolCall(id="1", name="x", arguments="[1]"),)),
            "messages[0].tool_calls[0].function.arguments",
        ),
    ],
)
def test_what_has_no_place_at_all_is_the_clients_error_and_named(message: Message, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        prepare(message)
    assert refused.value.param == param


# ---------------------------------------------------------------- parameters


def test_parameters_under_their_names_here() -> None:
    written = body(max_tokens=5, temperature=0.0, top_p=0.5, stop=("x", ""), service_tier="flex")
    assert written["inferenceConfig"] == {"maxTokens": 5, "temperature": 0.0, "topP": 0.5, "stopSequences": ["x"]}
    assert written["serviceTier"] == {"type": "flex"}


SCHEMA: Body = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool(name="weather", description="Tells the weather.", parameters=SCHEMA, strict=True)
CLOCK = Tool(name="clock")


def test_tools_are_specifications() -> None:
    assert body(tools=(WEATHER, CLOCK))["toolConfig"] == {
        "tools": [
            {
                "toolSpec": {
                    "name": "weather",
                    "description": "Tells the weather.",
                    "inputSchema": {"json": SCHEMA},
                    "strict": True,
                }
            },
            {"toolSpec": {"name": "clock", "inputSchema": {"json": {"type": "object"}}}},
        ]
    }


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode="auto"), None),
        (ToolChoice(mode="required"), {"any": {}}),
        (ToolChoice(mode="named", name="clock"), {"tool": {"name": "clock"}}),
    ],
)
def test_the_choice_of_a_tool(choice: ToolChoice, written: Body | None) -> None:
    assert body(tools=(CLOCK,), tool_choice=choice)["toolConfig"].get("toolChoice") == written


def test_tools_that_are_not_allowed_are_not_offered() -> None:
    written = body(tools=(WEATHER, CLOCK), tool_choice=ToolChoice(mode="auto", allowed=("clock",)))
    assert [tool["toolSpec"]["name"] for tool in written["toolConfig"]["tools"]] == ["clock"]


def test_no_tool_at_all_is_no_tool_offered_unless_the_conversation_has_calls() -> None:
    none = ToolChoice(mode="none")
    assert "toolConfig" not in body(tools=(CLOCK,), tool_choice=none)
    called = Message(role="assistant", tool_calls=(ToolCall(id="1", name="clock", arguments=""),))
    prepared = prepare(HELLO, called, tools=(CLOCK,), tool_choice=none)
    assert b"toolConfig" in prepared.body
    assert prepared.dropped == ("tool_choice",)


def test_a_schema_for_the_answer_is_text_within_the_json() -> None:
    written = body(response_format=ResponseFormat(kind="json_schema", name="city", schema=SCHEMA))
    assert written["outputConfig"]["textFormat"] == {
        "type": "json_schema",
        "structure": {"jsonSchema": {"schema": msgspec.json.encode(SCHEMA).decode(), "name": "city"}},
    }


def test_fields_of_its_own_pass_as_they_are() -> None:
    own = {"additionalModelRequestFields": {"top_k": 3}, "guardrailConfig": {"guardrailIdentifier": "g"}}
    prepared = prepare(rest=own)
    written = msgspec.json.decode(prepared.body, type=Body)
    assert {name: written[name] for name in own} == own
    assert prepared.dropped == ()


@pytest.mark.parametrize(
    ("parameters", "dropped"),
    [
        ({"n": 2}, "n"),
        ({"seed": 1}, "seed"),
        ({"top_k": 1}, "top_k"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 0}, "top_logprobs"),
        ({"stop": ("",)}, "stop"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"response_format": ResponseFormat(kind="json_object")}, "response_format"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"reasoning": ReasoningRequest(effort="high")}, "reasoning_effort"),
        ({"reasoning": ReasoningRequest(max_tokens=5)}, "reasoning"),
        ({"rest": {"modalities": ["audio"]}}, "modalities"),
        ({"rest": {"thinking": {}}}, "thinking"),
    ],
)
def test_what_has_no_counterpart_is_left_out_and_named(parameters: Body, dropped: str) -> None:
    prepared = prepare(**parameters)
    assert prepared.dropped == (dropped,)
    assert prepared.body == prepare().body


@pytest.mark.parametrize(
    "parameters",
    [
        {"n": 1},
        {"frequency_penalty": 0.0, "presence_penalty": 0.0, "logprobs": False},
        {"service_tier": "auto"},
        {"response_format": ResponseFormat(kind="text")},
        {"parallel_tool_calls": True},
        {"rest": {"modalities": ["text"], "logit_bias": {}, "store": None}},
    ],
)
def test_what_asks_for_nothing_is_not_named(parameters: Body) -> None:
    assert prepare(**parameters) == prepare()


def test_what_of_a_message_has_no_counterpart_is_named_too() -> None:
    detailed = Image(data="AAAA", media_type="image/png", detail="high")
    assert prepare(user(detailed)).dropped == ("messages.image_url.detail",)
    assert prepare(Message(role="user", name="Ann", parts=HELLO.parts)).dropped == ("messages.name",)


def test_who_the_end_user_is_goes_nowhere() -> None:
    assert prepare(identity="0123abcd") == prepare()

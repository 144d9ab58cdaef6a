"""A conversation, written for the Messages API: on the left the messages, on the right what is sent."""

import json
from base64 import b64encode
from typing import Any

import pytest
from anthropic.types.content_block_param import ContentBlockParam
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from arouter.domain.chat import (
    File,
    Image,
    Json,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from arouter.domain.errors import InvalidRequest
from tests.providers.anthropic_requests import EPHEMERAL, HELLO, assistant, prepare, result, sent, text, user

PDF = b64encode(b"%PDF-1.7 \xff").decode()
NOTE = b64encode("Grüße".encode()).decode()
CALL = ToolCall(id="call_1", name="look_up", arguments='{"q": "x"}')
SENT_CALL = {"type": "tool_use", "id": "call_1", "name": "look_up", "input": {"q": "x"}}

CONVERSATIONS: dict[str, tuple[tuple[Message, ...], list[Json]]] = {
    "consecutive messages of one role become one": (
        (user(Text(text="a")), user(Text(text="b")), assistant(Text(text="c")), assistant(Text(text="d"))),
        [
            {"role": "user", "content": [text("a"), text("b")]},
            {"role": "assistant", "content": [text("c"), text("d")]},
        ],
    ),
    "the results of a turn are one message of the user, before what he says": (
        (
            assistant(Text(text="Wait."), calls=(CALL, ToolCall(id="call_2", name="add", arguments=""))),
            user(Text(text="And hurry.")),
            result("call_1", Text(text="found")),
            result("call_2"),
        ),
        [
            {
                "role": "assistant",
                "content": [text("Wait."), SENT_CALL, {"type": "tool_use", "id": "call_2", "name": "add", "input": {}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": [text("found")]},
                    {"type": "tool_result", "tool_use_id": "call_2"},
                    text("And hurry."),
                ],
            },
        ],
    ),
    "a failed call says so, and its cache mark belongs to the whole result": (
        (result("call_1", Text(text="no such", cache_control=EPHEMERAL), is_error=True),),
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "call_1",
                        "content": [text("no such")],
                        "is_error": True,
                        "cache_control": EPHEMERAL,
                    }
                ],
            }
        ],
    ),
    "an id from elsewhere is written in Anthropic's alphabet, the same on both sides": (
        (
            assistant(calls=(ToolCall(id="functions.add:0", name="add", arguments="{}"),)),
            result("functions.add:0", Text(text="3")),
        ),
        [
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "functions_add_0", "name": "add", "input": {}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "functions_add_0", "content": [text("3")]}],
            },
        ],
    ),
    "images by URL and by value": (
        (
            user(
                Image(url="https://example.com/a.png", detail="auto"),
                Image(data="AAAA", media_type="image/png", cache_control=EPHEMERAL),
            ),
        ),
        [
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                        "cache_control": EPHEMERAL,
                    },
                ],
            }
        ],
    ),
    "documents by value, by URL, by id, as text, and images that came as files": (
        (
            user(
                File(data=PDF, media_type="application/pdf", name="a.pdf"),
                File(data=PDF),
                File(url="https://example.com/a.pdf"),
                File(file_id="file_1", cache_control=EPHEMERAL),
                File(data=NOTE, media_type="text/markdown"),
                File(data="AAAA", media_type="image/webp"),
                File(url="https://example.com/a", media_type="image/webp"),
            ),
        ),
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                        "title": "a.pdf",
                    },
                    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
                    {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
                    {
                        "type": "document",
                        "source": {"type": "file", "file_id": "file_1"},
                        "cache_control": EPHEMERAL,
                    },
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "AAAA"}},
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/a"}},
                ],
            }
        ],
    ),
    "thoughts go back with their proofs, and others' thoughts do not": (
        (
            assistant(
                Reasoning(text="Hm.", signature="proof", format="anthropic-claude-v1"),
                Reasoning(data="cipher", format="anthropic-claude-v1"),
                Reasoning(text="Well.", signature="proof 2"),
                Reasoning(text="unsigned", format="anthropic-claude-v1"),
                Reasoning(text="foreign", signature="proof 3", format="google-gemini-v1"),
                Reasoning(data="foreign cipher", format="openai-responses-v1"),
                Reasoning(data="of unknown origin"),
                Text(text="Yes."),
            ),
        ),
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "proof"},
                    {"type": "redacted_thinking", "data": "cipher"},
                    {"type": "thinking", "thinking": "Well.", "signature": "proof 2"},
                    text("Yes."),
                ],
            }
        ],
    ),
    "an earlier refusal is what the assistant said": (
        (HELLO, assistant(Refusal(text="No."))),
        [{"role": "user", "content": [text("Hello")]}, {"role": "assistant", "content": [text("No.")]}],
    ),
    "nothing is not sent": (
        (HELLO, assistant(Text(text="")), user(Text(text=""), Text(text="?"))),
        [{"role": "user", "content": [text("Hello")]}, {"role": "user", "content": [text("?")]}],
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation(name: str) -> None:
    messages, written = CONVERSATIONS[name]
    assert sent(*messages)["messages"] == written


BLOCK_OF_THE_SDK: TypeAdapter[Any] = TypeAdapter(ContentBlockParam)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_every_block_is_one_that_anthropics_sdk_defines(name: str) -> None:
    messages, _ = CONVERSATIONS[name]
    for message in sent(*messages)["messages"]:
        for block in message["content"]:
            BLOCK_OF_THE_SDK.validate_python(block)


def test_system_and_developer_messages_stand_before_the_conversation_in_their_order() -> None:
    body = sent(
        Message(role="system", parts=(Text(text="one", cache_control={"type": "ephemeral", "ttl": "1h"}),)),
        user(Text(text="a")),
        Message(role="developer", parts=(Text(text="two"), Text(text="three"))),
        user(Text(text="b")),
    )
    assert body["system"] == [
        {"type": "text", "text": "one", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        text("two"),
        text("three"),
    ]
    assert body["messages"] == [{"role": "user", "content": [text("a"), text("b")]}]


def test_arguments_are_sent_as_they_were_written() -> None:
    arguments = '{"z": 1.10, "a": 12345678901234567890123, "e": 1e400}'
    body = prepare(assistant(calls=(ToolCall(id="c", name="add", arguments=arguments),))).body
    assert arguments.encode() in body


@pytest.mark.parametrize("arguments", ['{"q": ', "[1]", "3", "null", "{} {}", "\ud800", "[" * 100_000])
def test_arguments_that_are_no_object_are_refused_by_name(arguments: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        prepare(HELLO, assistant(calls=(CALL, ToolCall(id="c", name="add", arguments=arguments))))
    assert refused.value.param == "messages[1].tool_calls[1].function.arguments"


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.lists(st.booleans())))
def test_any_object_arrives(arguments: dict[str, object]) -> None:
    call = ToolCall(id="c", name="add", arguments=json.dumps(arguments))
    assert sent(assistant(calls=(call,)))["messages"][0]["content"][0]["input"] == arguments


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (Message(role="tool", parts=(Text(text="3"),)), "messages[0].tool_call_id"),
        (user(Image(data="AAAA")), "messages[0].content"),
        (user(File(data="not base64!", media_type="text/plain")), "messages[0].content"),
        (user(File(data="AAAA", media_type="video/mp4")), "messages[0].content"),
        (user(Text(text="See!"), File(url="https://x.example/1", media_type="video/mp4")), "messages[0].content"),
        (user(File(data=b64encode(b"\xff\xfe").decode(), media_type="application/zip")), "messages[0].content"),
    ],
)
def test_what_cannot_be_said_at_all_is_refused_by_name(message: Message, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        prepare(message)
    assert refused.value.param == param

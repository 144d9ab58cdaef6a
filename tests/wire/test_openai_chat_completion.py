"""A whole answer."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from arouter.domain.chat import (
    Annotated,
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.domain.usage import NOTHING_REPORTED
from arouter.wire.openai_chat.completion import completion_body
from tests.wire.openai_schemas import validator
from tests.wire.strategies import TEXT, answers

Object = dict[str, Any]
OPENAI_REASONS = {"stop", "length", "tool_calls", "content_filter"}


def body(events: list[Event], usage_json: bytes | None = None) -> Object:
    written = completion_body(events, id="gen-1", created_s=1_700_000_000, model="m", usage_json=usage_json)
    return msgspec.json.decode(written, type=Object)


def message(events: list[Event]) -> Object:
    (choice,) = body(events)["choices"]
    told = choice["message"]
    assert isinstance(told, dict)
    return told


def test_a_text_answer_looks_like_openais() -> None:
    events: list[Event] = [
        Started(id="msg_1", model="m-2026"),
        TextDelta(text="Hel"),
        TextDelta(text="lo"),
        Finished(reason=FinishReason.STOP, native_reason="end_turn"),
    ]
    assert body(events) == {
        "id": "gen-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m-2026",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
                "native_finish_reason": "end_turn",
            }
        ],
    }


def test_the_usage_goes_in_as_it_is_written() -> None:
    written = completion_body([], id="i", created_s=1, model="m", usage_json=b'{"cost":0.0000010}')
    assert written.endswith(b',"usage":{"cost":0.0000010}}')


def test_an_answer_of_tool_calls_has_no_content() -> None:
    told = message(
        [
            ReasoningDelta(text="Weather?"),
            ToolCallStarted(index=0, id="call_1", name="f"),
            ToolCallStarted(index=1, id="call_2", name="g", signature="c2ln"),
            ToolCallArguments(index=0, fragment='{"a":'),
            ToolCallArguments(index=1, fragment="{}"),
            ToolCallArguments(index=0, fragment=" 1}"),
            Finished(reason=FinishReason.TOOL_CALLS),
        ]
    )
    assert told["content"] is None
    assert told["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {
            "id": "call_2",
            "type": "function",
            "function": {"name": "g", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": "c2ln"}},
        },
    ]


def test_a_refusal_has_no_content() -> None:
    told = message([RefusalDelta(text="N"), RefusalDelta(text="o"), Finished(reason=FinishReason.STOP)])
    assert (told["content"], told["refusal"]) == (None, "No")


def test_an_answer_of_thoughts_alone_has_the_empty_text() -> None:
    told = message([ReasoningDelta(text="Hm"), Finished(reason=FinishReason.LENGTH)])
    assert (told["content"], told["reasoning"]) == ("", "Hm")


def test_thoughts_are_joined_by_their_blocks() -> None:
    told = message(
        [
            ReasoningDelta(text="a", format="anthropic-claude-v1"),
            ReasoningDelta(text="x", format="anthropic-claude-v1", index=1),
            ReasoningDelta(text="b", format="anthropic-claude-v1"),
            ReasoningDelta(signature="sA"),
            ReasoningDelta(signature="sX", index=1),
            ReasoningDelta(data="ZGF0YQ==", format="anthropic-claude-v1", index=2),
            Finished(reason=FinishReason.STOP),
        ]
    )
    text = {"type": "reasoning.text", "format": "anthropic-claude-v1"}
    assert told["reasoning"] == "axb"
    assert told["reasoning_details"] == [
        text | {"index": 0, "text": "ab", "signature": "sA"},
        text | {"index": 1, "text": "x", "signature": "sX"},
        {"type": "reasoning.encrypted", "format": "anthropic-claude-v1", "index": 2, "data": "ZGF0YQ=="},
    ]


def test_several_choices_come_in_order() -> None:
    told = body(
        [
            TextDelta(text="b", choice=1),
            TextDelta(text="a"),
            Finished(reason=FinishReason.STOP),
            Finished(reason=FinishReason.LENGTH, choice=1),
        ]
    )
    assert [(choice["index"], choice["message"]["content"], choice["finish_reason"]) for choice in told["choices"]] == [
        (0, "a", "stop"),
        (1, "b", "length"),
    ]


def test_a_choice_that_never_finished_says_so() -> None:
    (choice,) = body([TextDelta(text="a")])["choices"]
    assert choice["finish_reason"] is None


@settings(max_examples=50)
@given(answers(max_choices=2))
def test_every_answer_is_openais(events: list[Event]) -> None:
    told = body(events, b'{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}')
    if {choice["finish_reason"] for choice in told["choices"]} <= OPENAI_REASONS:
        validator("CreateChatCompletionResponse").validate(told)
        ChatCompletion.model_validate(told)


AT = st.sampled_from([0, 0, 0, 1])
ENDS = st.builds(Finished, reason=st.sampled_from(FinishReason), native_reason=st.none() | TEXT, choice=AT)
PLAIN = st.lists(st.builds(TextDelta, text=TEXT, choice=AT) | ENDS, max_size=4)
NOTHING = Annotated(annotation={"type": "file_citation"})
"""An event that nothing is told of, and that a text alone does not have."""


@given(PLAIN)
def test_a_text_alone_is_told_as_it_is_in_any_company(events: list[Event]) -> None:
    assert body([Started(model="m2"), *events]) == body([Started(model="m2"), *events, NOTHING])


def test_a_text_alone_is_told_whole() -> None:
    end = Finished(reason=FinishReason.STOP, native_reason="STOP")
    used = UsageReported(usage=NOTHING_REPORTED, raw=b"{}")
    [choice] = body([Started(id="r1"), TextDelta(text="a"), used, TextDelta(text="é"), end, used])["choices"]
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "aé", "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
        "native_finish_reason": "STOP",
    }

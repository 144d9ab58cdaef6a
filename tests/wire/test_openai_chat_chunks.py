"""A streamed answer: what each event looks like on the wire, and that the pieces make the whole answer."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming._deltas import accumulate_delta
from openai.types.chat import ChatCompletionChunk

from arouter.domain.chat import (
    Annotated,
    Event,
    Failed,
    Finished,
    FinishReason,
    ImageMade,
    Json,
    LogprobsTold,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.domain.usage import Usage
from arouter.wire import sse
from arouter.wire.openai_chat.chunks import ChunkEncoder
from arouter.wire.openai_chat.completion import completion_body
from tests.wire.openai_schemas import validator
from tests.wire.strategies import answers

Object = dict[str, Any]
OPENAI_REASONS = {"stop", "length", "tool_calls", "content_filter"}


def encoder() -> ChunkEncoder:
    return ChunkEncoder(id="gen-1", created_s=1_700_000_000, model="m")


def chunks(stream: bytes) -> list[Object]:
    splitter = sse.Splitter()
    events = splitter.feed(stream)
    assert splitter.pending == b""
    return [msgspec.json.decode(event.data) for event in events if event.data != sse.DONE]


def deltas(events: Sequence[Event]) -> list[Object]:
    return [chunk["choices"][0]["delta"] for chunk in chunks(encoder().encode(events))]


# ---------------------------------------------------------------- single events


def test_a_text_answer_looks_like_openais() -> None:
    events: list[Event] = [
        TextDelta(text="Hel"),
        TextDelta(text="lo"),
        Finished(reason=FinishReason.STOP, native_reason="end_turn"),
    ]
    assert encoder().encode(events) == (
        b'data: {"id":"gen-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":'
        b'[{"index":0,"delta":{"role":"assistant","content":"Hel"},"logprobs":null,"finish_reason":null}]}\n\n'
        b'data: {"id":"gen-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":'
        b'[{"index":0,"delta":{"content":"lo"},"logprobs":null,"finish_reason":null}]}\n\n'
        b'data: {"id":"gen-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":'
        b'[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop","native_finish_reason":"end_turn"}]}\n\n'
    )


def test_the_start_writes_nothing_and_names_the_model() -> None:
    writer = encoder()
    assert writer.encode([Started(id="x", model="m-2026")]) == b""
    assert writer.encode([Started(id="x")]) == b""
    assert [chunk["model"] for chunk in chunks(writer.encode([TextDelta(text="a")]))] == ["m-2026"]


def test_the_model_may_be_named_in_mid_stream() -> None:
    told = chunks(encoder().encode([TextDelta(text="a"), TextDelta(text="b"), Started(model="n"), TextDelta(text="c")]))
    assert [chunk["model"] for chunk in told] == ["m", "m", "n"]


def test_what_adds_nothing_makes_no_chunk() -> None:
    silent: list[Event] = [
        TextDelta(text=""),
        ReasoningDelta(),
        RefusalDelta(text=""),
        UsageReported(usage=Usage(), raw=b"{}"),
        Failed(message="gone"),
    ]
    writer = encoder()
    assert writer.encode(silent) == b"".join(writer.encode([event]) for event in silent) == b""
    assert writer.encode([]) == b""


def test_each_choice_begins_with_its_role() -> None:
    told = chunks(encoder().encode([TextDelta(text="a"), TextDelta(text="b", choice=1), TextDelta(text="c", choice=1)]))
    assert [(chunk["choices"][0]["index"], "role" in chunk["choices"][0]["delta"]) for chunk in told] == [
        (0, True),
        (1, True),
        (1, False),
    ]


def test_a_tool_call_begins_with_its_name_and_goes_on_with_its_arguments() -> None:
    events: list[Event] = [
        ToolCallStarted(index=0, id="call_1", name="f"),
        ToolCallArguments(index=0, fragment='{"a"'),
        ToolCallArguments(index=0, fragment=": 1}"),
        ToolCallStarted(index=1, id="call_2", name="g"),
    ]
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
    second = {"index": 1, "id": "call_2", "type": "function", "function": {"name": "g", "arguments": ""}}
    assert deltas(events) == [
        {"role": "assistant", "content": None, "tool_calls": [first]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
        {"tool_calls": [second]},
    ]


def test_the_arguments_of_another_call_do_not_share_the_chunk() -> None:
    events: list[Event] = [
        ToolCallStarted(index=0, id="call_1", name="f"),
        ToolCallStarted(index=1, id="call_2", name="g"),
        ToolCallArguments(index=0, fragment="{}"),
    ]
    assert [delta["tool_calls"][0]["index"] for delta in deltas(events)] == [0, 1, 0]


def test_the_proof_of_a_tool_call_is_told_in_both_forms() -> None:
    (delta,) = deltas([ToolCallStarted(index=0, id="call_1", name="f", signature="c2ln")])
    assert delta["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert delta["reasoning_details"] == [
        {"type": "reasoning.encrypted", "index": 0, "format": "google-gemini-v1", "id": "call_1", "data": "c2ln"}
    ]


def test_thoughts_are_told_as_text_and_as_details() -> None:
    events: list[Event] = [
        ReasoningDelta(text="Hm", format="anthropic-claude-v1"),
        ReasoningDelta(text="m.", format="anthropic-claude-v1"),
        ReasoningDelta(signature="c2ln", format="anthropic-claude-v1"),
        ReasoningDelta(data="Y2lwaGVy", format="anthropic-claude-v1", index=1),
    ]
    assert deltas(events) == [
        {
            "role": "assistant",
            "content": None,
            "reasoning": "Hm",
            "reasoning_details": [
                {"type": "reasoning.text", "index": 0, "format": "anthropic-claude-v1", "text": "Hm"}
            ],
        },
        {"reasoning": "m.", "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "m."}]},
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "", "signature": "c2ln"}]},
        {
            "reasoning_details": [
                {"type": "reasoning.encrypted", "index": 1, "format": "anthropic-claude-v1", "data": "Y2lwaGVy"}
            ]
        },
    ]


def test_a_summary_of_hidden_thought_is_called_one() -> None:
    (delta,) = deltas([ReasoningDelta(text="In short", format="openai-responses-v1", id="rs_1")])
    assert delta["reasoning_details"] == [
        {"type": "reasoning.summary", "index": 0, "format": "openai-responses-v1", "id": "rs_1", "summary": "In short"}
    ]


def test_refusals_citations_and_images() -> None:
    citation: Json = {"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "t"}}
    events: list[Event] = [
        RefusalDelta(text="No."),
        Annotated(annotation=citation),
        Annotated(annotation=citation),
        ImageMade(url="data:image/png;base64,AA=="),
    ]
    assert deltas(events) == [
        {"role": "assistant", "content": None, "refusal": "No."},
        {"annotations": [citation | {"index": 0}]},
        {"annotations": [citation | {"index": 1}]},
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}, "index": 0}]},
    ]


@pytest.mark.parametrize("kind", ["file_citation", "container_file_citation", "file_path"])
def test_citations_of_files_are_left_out(kind: str) -> None:
    told = Annotated(annotation={"type": kind, kind: {"file_id": "f", "filename": "a.txt", "index": 2}})
    assert deltas([TextDelta(text="a"), told]) == [{"role": "assistant", "content": "a"}]


def test_log_probabilities_share_the_chunk_of_their_text() -> None:
    told = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    (chunk,) = chunks(encoder().encode([TextDelta(text="a"), LogprobsTold(content=(told,))]))
    assert chunk["choices"][0]["delta"] == {"role": "assistant", "content": "a"}
    assert chunk["choices"][0]["logprobs"] == {"content": [told], "refusal": None}


def test_log_probabilities_may_come_alone() -> None:
    told = {"token": "", "logprob": 0.0, "bytes": None, "top_logprobs": []}
    alone = LogprobsTold(content=(told,))
    for stream in (encoder().encode([alone]), encoder().encode([TextDelta(text=""), alone])):
        (chunk,) = chunks(stream)
        assert chunk["choices"][0]["delta"] == {"role": "assistant", "content": None}
        assert chunk["choices"][0]["logprobs"]["content"] == [told]


def test_an_answer_that_says_nothing_has_the_empty_text() -> None:
    assert deltas([Finished(reason=FinishReason.STOP)]) == [{"role": "assistant", "content": ""}]


def test_line_ends_in_the_text_do_not_end_the_event() -> None:
    text = "a\nb\r\nc\u2028d\u0085e"
    assert deltas([TextDelta(text=text), TextDelta(text=text)])[1] == {"content": text}


# ---------------------------------------------------------------- the end


def test_the_last_chunk_has_the_usage_and_no_choices() -> None:
    assert encoder().last(b'{"prompt_tokens":1,"cost":0.0000010}') == (
        b'data: {"id":"gen-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[],'
        b'"usage":{"prompt_tokens":1,"cost":0.0000010}}\n\ndata: [DONE]\n\n'
    )


def test_a_usage_of_several_lines_stays_one_event() -> None:
    (chunk,) = chunks(encoder().last(b'{\r\n  "prompt_tokens": 1\n\n}'))
    assert chunk["usage"] == {"prompt_tokens": 1}


def test_without_a_usage_only_the_end_is_told() -> None:
    assert encoder().last(None) == b"data: [DONE]\n\n"


def test_an_error_in_mid_stream() -> None:
    (chunk,) = chunks(encoder().error("The provider broke off.", "upstream_error", {"provider": "openai"}))
    assert chunk["error"] == {
        "message": "The provider broke off.",
        "type": "server_error",
        "param": None,
        "code": "upstream_error",
        "metadata": {"provider": "openai"},
    }
    assert chunk["choices"] == [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
    assert (chunk["id"], chunk["object"], chunk["model"]) == ("gen-1", "chat.completion.chunk", "m")


# ---------------------------------------------------------------- any answer


def fold(stream: list[Object]) -> dict[int, Object]:
    """The choices that a client of the official SDK puts together."""
    choices: dict[int, Object] = {}
    for chunk in stream:
        for told in chunk["choices"]:
            choice = choices.setdefault(told["index"], {"message": {}, "logprobs": None})
            accumulate_delta(choice["message"], told["delta"])
            if told["logprobs"] is not None:
                before = [] if choice["logprobs"] is None else choice["logprobs"]["content"]
                choice["logprobs"] = {"content": before + told["logprobs"]["content"], "refusal": None}
            if told["finish_reason"] is not None:
                choice |= {name: told[name] for name in ("finish_reason", "native_finish_reason")}
    return choices


def as_whole(choice: Object) -> Object:
    """A folded choice in the form of a whole answer, which has no positions but those of thoughts and images."""
    message = {"refusal": None, **choice["message"]}
    for name in ("annotations", "tool_calls"):
        if name in message:
            message[name] = [{key: told for key, told in entry.items() if key != "index"} for entry in message[name]]
    return choice | {"message": message}


def cut(events: list[Event], places: list[int]) -> list[list[Event]]:
    edges = [0, *sorted({place % (len(events) + 1) for place in places}), len(events)]
    return [events[start:end] for start, end in pairwise(edges)]


@given(answers(), st.lists(st.integers(0, 100), max_size=30))
def test_the_chunks_make_the_whole_answer(events: list[Event], places: list[int]) -> None:
    writer = encoder()
    stream = chunks(b"".join(writer.encode(batch) for batch in cut(events, places)))
    body = msgspec.json.decode(completion_body(events, id="gen-1", created_s=1_700_000_000, model="m", usage_json=None))
    folded = {index: as_whole(choice) for index, choice in fold(stream).items()}
    whole = {choice.pop("index"): choice for choice in body["choices"]}
    assert folded == whole
    assert {chunk["model"] for chunk in stream} == {body["model"]}


@settings(max_examples=50)
@given(answers(max_choices=2))
def test_every_chunk_is_openais(events: list[Event]) -> None:
    writer = encoder()
    schema = validator("CreateChatCompletionStreamResponse")
    for chunk in chunks(
        writer.encode(events) + writer.last(b'{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}')
    ):
        if all(told["finish_reason"] in OPENAI_REASONS | {None} for told in chunk["choices"]):
            schema.validate(chunk)
            ChatCompletionChunk.model_validate(chunk)


@pytest.mark.parametrize("reason", FinishReason)
def test_every_finish_reason_is_told_by_its_word(reason: FinishReason) -> None:
    (chunk,) = chunks(encoder().encode([Finished(reason=reason)]))
    assert chunk["choices"][0]["finish_reason"] == reason.value
    assert chunk["choices"][0]["native_finish_reason"] is None

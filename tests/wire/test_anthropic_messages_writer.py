"""An answer in the words of the Messages API: what each event looks like, and that the SDK reads what was meant."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.charge import Charge
from arouter.domain.chat import (
    Annotated,
    Event,
    Failed,
    Finished,
    FinishReason,
    ImageMade,
    LogprobsTold,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.domain.money import Picodollars
from arouter.domain.usage import Usage
from arouter.wire.seals import PREFIX, Seal, unsealed
from tests.wire.messages_bodies import Object, as_the_sdk_reads, read, streamed, told, whole, writer
from tests.wire.strategies import answers

STOP = Finished(reason=FinishReason.STOP)
CITED = Annotated(
    annotation={
        "type": "url_citation",
        "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2, "content": "a"},
    }
)
EXPENSIVE = Charge(
    usage=Usage(input_tokens=7, output_tokens=5),
    cost=Picodollars(1_234_500_000),
    prompt_cost=Picodollars(234_500_000),
    completion_cost=Picodollars(1_000_000_000),
)


def content(*events: Event) -> list[Object]:
    """The content of a streamed answer, as the SDK reads it; it is that of the whole answer."""
    streaming = as_the_sdk_reads(streamed([*events, STOP]))["content"]
    assert streaming == whole([*events, STOP])["content"]
    return streaming  # type: ignore[no-any-return]


# ---------------------------------------------------------------- the stream


def test_a_text_answer_looks_like_anthropics() -> None:
    writing = writer()
    began = writing.encode([Started(id="x", model="claude-x"), UsageReported(usage=Usage(input_tokens=7), raw=b"{}")])
    assert began == (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"gen-1","type":"message",'
        b'"role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,'
        b'"usage":{"input_tokens":7,"output_tokens":0}}}\n\n'
    )
    assert writing.encode([TextDelta(text="Hel")]) == (
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"Hel"}}\n\n'
    )
    assert writing.encode([TextDelta(text="lo")]) == (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"lo"}}\n\n'
    )
    assert writing.encode([STOP]) == (b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n')
    assert writing.last(EXPENSIVE) == (
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
        b'"stop_sequence":null},"usage":{"input_tokens":7,"output_tokens":5,"cost":0.0012345,"cost_details":'
        b'{"upstream_inference_cost":null,"prompt_cost":0.0002345,"completion_cost":0.001}}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )


def test_nothing_is_written_of_nothing() -> None:
    assert writer().encode([]) == b""
    assert writer().encode([Failed(message="no")]) == b""


def test_an_answer_without_any_event_is_still_a_message() -> None:
    message = as_the_sdk_reads(streamed([]))
    assert (message["content"], message["stop_reason"]) == ([], None)


def test_a_client_that_wants_no_cost_gets_the_usage_that_was_reported() -> None:
    stream = streamed([TextDelta(text="a"), UsageReported(usage=Usage(output_tokens=3), raw=b"{}"), STOP], None)
    assert told(stream)[-2]["usage"] == {"input_tokens": None, "output_tokens": 3}


def test_an_error_is_an_event_of_its_own() -> None:
    writing = writer()
    writing.encode([TextDelta(text="a")])
    assert told(writing.error("Busy.", "upstream_busy", {"provider": "x"}, type_="server_error")) == [
        {
            "type": "error",
            "error": {
                "message": "Busy.",
                "type": "overloaded_error",
                "param": None,
                "code": "upstream_busy",
                "metadata": {"provider": "x"},
            },
        }
    ]


def test_an_answer_that_broke_off_ends_in_an_error_and_not_in_a_stop() -> None:
    end = Finished(reason=FinishReason.ERROR, native_reason="MALFORMED_FUNCTION_CALL")
    events = told(streamed([TextDelta(text="a"), end]))
    assert [event["type"] for event in events[-2:]] == ["message_delta", "error"]
    assert events[-2]["delta"]["stop_reason"] is None
    assert events[-1]["error"]["type"] == "api_error"
    assert "MALFORMED_FUNCTION_CALL" in events[-1]["error"]["message"]
    assert whole([TextDelta(text="a"), end])["stop_reason"] is None


# ---------------------------------------------------------------- blocks


def test_text_thought_and_calls_are_blocks_in_their_order() -> None:
    assert content(
        ReasoningDelta(text="H", format="anthropic-claude-v1"),
        ReasoningDelta(text="m."),
        ReasoningDelta(signature="Eq=="),
        ReasoningDelta(data="Em==", format="anthropic-claude-v1", index=1),
        TextDelta(text="Let me "),
        TextDelta(text="see."),
        ToolCallStarted(index=0, id="i", name="n"),
        ToolCallArguments(index=0, fragment='{"a"'),
        ToolCallArguments(index=0, fragment=":1}"),
    ) == [
        {"type": "thinking", "thinking": "Hm.", "signature": "Eq=="},
        {"type": "redacted_thinking", "data": "Em=="},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "i", "name": "n", "input": {"a": 1}},
    ]


def test_two_thoughts_are_two_blocks() -> None:
    blocks = content(
        ReasoningDelta(text="a", index=0), ReasoningDelta(text="b", index=1), ReasoningDelta(text="c", index=1)
    )
    assert [block["thinking"] for block in blocks] == ["a", "bc"]


def test_calls_whose_pieces_come_mixed_are_told_one_after_the_other() -> None:
    events: list[Event] = [
        ToolCallStarted(index=0, id="i", name="n"),
        ToolCallStarted(index=1, id="j", name="m"),
        ToolCallArguments(index=1, fragment='{"b":'),
        ToolCallArguments(index=0, fragment='{"a":'),
        ToolCallArguments(index=1, fragment="2}"),
        TextDelta(text="t"),
        ToolCallArguments(index=0, fragment="1}"),
    ]
    assert content(*events) == [
        {"type": "tool_use", "id": "i", "name": "n", "input": {"a": 1}},
        {"type": "tool_use", "id": "j", "name": "m", "input": {"b": 2}},
        {"type": "text", "text": "t"},
    ]


def test_a_call_that_is_whole_does_not_hold_back_the_next_one() -> None:
    writing = writer()
    writing.encode([ToolCallStarted(index=0, id="i", name="n"), ToolCallArguments(index=0, fragment="{}")])
    assert [event["type"] for event in told(writing.encode([ToolCallStarted(index=1, id="j", name="m")]))] == [
        "content_block_stop",
        "content_block_start",
    ]


def test_calls_without_arguments_have_an_empty_input() -> None:
    blocks = content(ToolCallStarted(index=0, id="i", name="n"), ToolCallStarted(index=1, id="j", name="m"))
    assert [block["input"] for block in blocks] == [{}, {}]


def test_the_input_of_a_whole_answer_has_the_digits_that_were_written() -> None:
    events: list[Event] = [
        ToolCallStarted(index=0, id="i", name="n"),
        ToolCallArguments(index=0, fragment='{"a": 1.50}'),
        STOP,
    ]
    assert b'"input":{"a": 1.50}' in writer().whole(events, Charge())


def test_arguments_that_broke_off_are_kept_under_the_key_that_anthropic_proposes() -> None:
    end = Finished(reason=FinishReason.LENGTH)
    message = whole([ToolCallStarted(index=0, id="i", name="n"), ToolCallArguments(index=0, fragment='{"a":'), end])
    assert message["content"][0]["input"] == {"INVALID_JSON": '{"a":'}
    assert message["stop_reason"] == "max_tokens"


def test_a_citation_belongs_to_the_text_before_it_and_ends_its_block() -> None:
    citation = {
        "type": "web_search_result_location",
        "url": "https://a.example",
        "title": "A",
        "cited_text": "a",
        "encrypted_index": PREFIX,
    }
    assert content(TextDelta(text="ab"), CITED, CITED, TextDelta(text="c")) == [
        {"type": "text", "text": "ab", "citations": [citation, citation]},
        {"type": "text", "text": "c"},
    ]


def test_a_citation_of_no_text_and_of_another_kind_has_no_place() -> None:
    other = Annotated(annotation={"type": "file_citation", "file_citation": {"file_id": "f"}})
    assert content(CITED, TextDelta(text="a"), other) == [{"type": "text", "text": "a"}]


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("data:image/png;base64,iVBO", {"type": "base64", "media_type": "image/png", "data": "iVBO"}),
        ("https://a.example/b.png", {"type": "url", "url": "https://a.example/b.png"}),
    ],
)
def test_a_picture_is_an_image_block_that_a_client_can_send_back(url: str, source: Object) -> None:
    events: list[Event] = [TextDelta(text="a"), ImageMade(url=url), STOP]
    (_, image) = msgspec.json.decode(writer().whole(events, Charge()))["content"]
    assert image == {"type": "image", "source": source}
    starts = [event for event in told(streamed(events)) if event["type"] == "content_block_start"]
    assert starts[1]["content_block"] == image


def test_another_choice_and_log_probabilities_are_left_out() -> None:
    assert content(LogprobsTold(content=()), TextDelta(text="a"), TextDelta(text="b", choice=1)) == [
        {"type": "text", "text": "a"}
    ]


# ---------------------------------------------------------------- how it ends


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (Finished(reason=FinishReason.STOP), "end_turn"),
        (Finished(reason=FinishReason.LENGTH, native_reason="MAX_TOKENS"), "max_tokens"),
        (Finished(reason=FinishReason.TOOL_CALLS), "tool_use"),
        (Finished(reason=FinishReason.CONTENT_FILTER, native_reason="SAFETY"), "refusal"),
        (Finished(reason=FinishReason.STOP, native_reason="stop_sequence"), "stop_sequence"),
        (Finished(reason=FinishReason.STOP, native_reason="pause_turn"), "pause_turn"),
        (Finished(reason=FinishReason.STOP, native_reason="max_tokens"), "end_turn"),
        (Finished(reason=FinishReason.ERROR), None),
    ],
)
def test_the_stop_reason(end: Finished, reason: str | None) -> None:
    assert whole([TextDelta(text="a"), end])["stop_reason"] == reason


def test_an_answer_with_calls_stops_for_them_whatever_the_provider_called_it() -> None:
    call = ToolCallStarted(index=0, id="i", name="n")
    assert whole([call, Finished(reason=FinishReason.STOP, native_reason="stop")])["stop_reason"] == "tool_use"
    assert whole([call, Finished(reason=FinishReason.STOP, native_reason="end_turn")])["stop_reason"] == "end_turn"


def test_a_refusal_is_told_beside_the_stop_reason() -> None:
    events: list[Event] = [RefusalDelta(text="I "), RefusalDelta(text="can't."), STOP]
    details = {"type": "refusal", "category": None, "explanation": "I can't."}
    for message in (whole(events), as_the_sdk_reads(streamed(events))):
        assert message["stop_reason"] == "refusal"
        assert message["stop_details"] == details
        assert message["content"] == []


# ---------------------------------------------------------------- any answer


def folded(events: Sequence[Event]) -> Object:
    """What an answer says, without its form."""
    calls: dict[int, list[str]] = {}
    said: Object = {"text": "", "thought": "", "refusal": ""}
    for event in events:
        match event:
            case TextDelta(choice=0):
                said["text"] += event.text
            case ReasoningDelta(choice=0):
                said["thought"] += event.text
            case RefusalDelta(choice=0):
                said["refusal"] += event.text
            case ToolCallStarted(choice=0):
                calls[event.index] = [event.id, event.name, ""]
            case ToolCallArguments(choice=0):
                calls[event.index][2] += event.fragment
    return said | {"calls": [(call_id, name) for call_id, name, _ in calls.values()]}


def sent_back(stream: bytes) -> list[Any]:
    """The blocks of a stream, with the proofs opened."""
    return [
        unsealed(block.get("data"))
        for event in told(stream)
        if event["type"] == "content_block_start" and (block := event["content_block"])["type"] == "redacted_thinking"
    ]


@given(answers(max_choices=2), st.booleans())
def test_any_answer_is_the_same_streamed_and_whole(events: list[Event], at_once: bool) -> None:
    stream = streamed(events, Charge(), at_once=at_once)
    pieces = told(stream)
    ended: list[int] = []
    texts: Object = {"text_delta": "", "thinking_delta": ""}
    for piece in pieces:
        match piece:
            case {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}:
                assert index == len(ended)
                for name in ("text", "thinking"):
                    texts[f"{name}_delta"] += delta.get(name, "") if kind == f"{name}_delta" else ""
            case {"type": "content_block_stop", "index": index}:
                assert index == len(ended)
                ended.append(index)
    said = folded(events)
    assert (texts["text_delta"], texts["thinking_delta"]) == (said["text"], said["thought"])
    content = msgspec.json.decode(writer().whole(events, Charge()), type=dict[str, Any])["content"]
    assert len(content) == len(ended)
    starts = [piece["content_block"] for piece in pieces if piece["type"] == "content_block_start"]
    assert [block["type"] for block in content] == [block["type"] for block in starts]
    assert [(block["id"], block["name"]) for block in content if block["type"] == "tool_use"] == said["calls"]
    assert "".join(block["text"] for block in content if block["type"] == "text") == said["text"]
    assert "".join(block["thinking"] for block in content if block["type"] == "thinking") == said["thought"]


@given(answers(max_choices=1))
def test_the_proofs_of_any_answer_come_back_with_the_next_request(events: list[Event]) -> None:
    content = msgspec.json.decode(writer().whole(events, Charge()), type=dict[str, Any])["content"]
    kept = [*content, {"type": "text", "text": "."}]
    (message,) = read({"messages": [{"role": "assistant", "content": kept}]}).messages
    started = [event for event in events if isinstance(event, ToolCallStarted)]
    assert [(call.id, call.signature) for call in message.tool_calls] == [(call.id, call.signature) for call in started]
    thoughts = [event for event in events if isinstance(event, ReasoningDelta)]
    proofs = [(part.signature, part.data) for part in message.parts if isinstance(part, Reasoning)]
    given_proofs = [(one.signature, one.data) for one in thoughts if one.signature is not None or one.data is not None]
    assert [proof for proof in proofs if proof != (None, None)] == given_proofs


def test_a_proof_of_a_call_stands_right_before_it() -> None:
    stream = streamed([ToolCallStarted(index=0, id="i", name="n", signature="Cs4B"), STOP])
    assert sent_back(stream) == [Seal(call_id="i", signature="Cs4B")]
    assert [block["type"] for block in as_the_sdk_reads(stream)["content"]] == ["redacted_thinking", "tool_use"]

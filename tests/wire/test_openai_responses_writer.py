"""An answer: what each event looks like on the wire, and what the whole of it says."""

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
from arouter.wire.seals import Seal, seal
from tests.wire.responses_bodies import Object, events_of, kinds, whole, writer

STOP = Finished(reason=FinishReason.STOP, native_reason="end_turn")


def told(*events: Event) -> list[Object]:
    """What a stream says of `events`, without how it begins and without the numbers."""
    first, second, *rest = events_of(writer().encode(events))
    assert [first["type"], second["type"]] == ["response.created", "response.in_progress"]
    for event in rest:
        del event["sequence_number"]
    return rest


def item_of(*events: Event) -> Object:
    """The only item of a whole answer."""
    (item,) = whole(events)["output"]
    assert isinstance(item, dict)
    return item


# ---------------------------------------------------------------- a text


def test_a_text_answer_looks_like_openais() -> None:
    place: Json = {"item_id": "msg_gen-1_0", "output_index": 0, "content_index": 0}
    part: Json = {"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello"}
    item: Json = {"id": "msg_gen-1_0", "type": "message", "role": "assistant"}
    empty = item | {"status": "in_progress", "content": []}
    full = item | {"status": "completed", "content": [part]}
    assert told(TextDelta(text="Hel"), TextDelta(text="lo"), STOP) == [
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        {"type": "response.content_part.added", **place, "part": part | {"text": ""}},
        {"type": "response.output_text.delta", **place, "delta": "Hel", "logprobs": []},
        {"type": "response.output_text.delta", **place, "delta": "lo", "logprobs": []},
        {"type": "response.output_text.done", **place, "text": "Hello", "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": full},
    ]


def test_the_bytes_of_a_piece_of_text() -> None:
    writing = writer()
    writing.encode([TextDelta(text="a")])
    assert writing.encode([TextDelta(text="b\u2028")]) == (
        b"event: response.output_text.delta\n"
        b'data: {"type":"response.output_text.delta","item_id":"msg_gen-1_0","output_index":0,"content_index":0,'
        b'"delta":"b\xe2\x80\xa8","logprobs":[],"sequence_number":5}\n\n'
    )


def test_a_piece_that_comes_alone_looks_like_one_among_others() -> None:
    pieces: list[Event] = [TextDelta(text="a"), TextDelta(text="b"), RefusalDelta(text="c"), TextDelta(text="d\n")]
    together, alone = writer(), writer()
    assert together.encode(pieces) == b"".join(alone.encode([piece]) for piece in pieces)
    assert together.last(None) == alone.last(None)


def test_events_are_numbered_across_calls() -> None:
    writing = writer()
    stream = writing.encode([Started(id="x")]) + writing.encode([TextDelta(text="a")]) + writing.encode([STOP])
    events = events_of(stream + writing.last(None))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_the_start_names_the_model() -> None:
    created, in_progress = events_of(writer().encode([Started(id="x", model="m-2026")]))
    assert created["response"] == in_progress["response"]
    response = created["response"]
    assert (response["id"], response["object"], response["created_at"]) == ("gen-1", "response", 1_700_000_000)
    assert (response["status"], response["model"], response["output"]) == ("in_progress", "m-2026", [])
    assert response["usage"] is None


def test_what_adds_nothing_writes_nothing() -> None:
    writing = writer()
    assert writing.encode([]) == b""
    assert writing.encode([UsageReported(usage=Usage(), raw=b"{}"), Failed(message="gone")]) == b""
    begun = writing.encode([Started()])
    assert kinds(events_of(begun)) == ["created", "in_progress"]
    silent: list[Event] = [
        TextDelta(text=""),
        ReasoningDelta(),
        RefusalDelta(text=""),
        LogprobsTold(content=()),
        ToolCallArguments(index=7, fragment="{}"),
        TextDelta(text="x", choice=1),
    ]
    assert writing.encode(silent) == b"".join(writing.encode([event]) for event in silent) == b""


def test_log_probabilities_share_the_event_of_their_text() -> None:
    entry: Json = {"token": "é", "logprob": -0.5, "bytes": None, "top_logprobs": []}
    full = entry | {"bytes": [195, 169]}
    events = told(TextDelta(text="é"), LogprobsTold(content=(entry,)), LogprobsTold(content=(entry,)), STOP)
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    assert [(event["delta"], event["logprobs"]) for event in deltas] == [("é", [full]), ("", [full])]
    assert events[-1]["item"]["content"][0]["logprobs"] == [full, full]


def test_log_probabilities_without_a_text_have_no_place() -> None:
    entry: Json = {"token": "{", "logprob": 0.0, "bytes": None, "top_logprobs": []}
    assert told(LogprobsTold(content=(entry,))) == []
    late: list[Event] = [
        TextDelta(text="a"),
        ToolCallStarted(index=0, id="c", name="f"),
        LogprobsTold(content=(entry,)),
        STOP,
    ]
    assert whole(late)["output"][0]["content"][0]["logprobs"] == [entry | {"bytes": [123]}]


# ---------------------------------------------------------------- refusals, citations, images


def test_a_refusal_is_a_part_of_its_own() -> None:
    events = told(TextDelta(text="Well. "), RefusalDelta(text="No"), RefusalDelta(text="."), STOP)
    assert kinds(events) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
    ]
    assert events[-1]["item"]["content"][1] == {"type": "refusal", "refusal": "No."}


def cited(start: int, end: int) -> Annotated:
    inner = {"url": "https://example.com", "title": "t", "start_index": start, "end_index": end}
    return Annotated(annotation={"type": "url_citation", "url_citation": inner})


def flat(start: int, end: int) -> Json:
    return {
        "type": "url_citation",
        "url": "https://example.com",
        "title": "t",
        "start_index": start,
        "end_index": end,
    }


def test_citations_are_flat() -> None:
    events = told(TextDelta(text="abc"), cited(0, 3), cited(1, 2), STOP)
    first, second = (event for event in events if event["type"] == "response.output_text.annotation.added")
    assert (first["annotation_index"], first["annotation"]) == (0, flat(0, 3))
    assert (second["annotation_index"], second["annotation"]) == (1, flat(1, 2))
    assert events[-1]["item"]["content"][0]["annotations"] == [flat(0, 3), flat(1, 2)]


def test_citations_count_in_their_own_text() -> None:
    """Providers count in the answer's text, and may tell at its end."""
    answer: list[Event] = [
        TextDelta(text="abc"),
        ReasoningDelta(text="Hm"),
        TextDelta(text="def"),
        cited(1, 2),
        cited(3, 6),
        STOP,
    ]
    first, _, second = whole(answer)["output"]
    assert first["content"][0]["annotations"] == [flat(1, 2)]
    assert second["content"][0]["annotations"] == [flat(0, 3)]


def test_an_image_is_what_openais_image_tool_gives() -> None:
    assert item_of(ImageMade(url="data:image/webp;base64,AA=="), STOP) == {
        "id": "ig_gen-1_0",
        "type": "image_generation_call",
        "status": "completed",
        "result": "AA==",
        "output_format": "webp",
    }
    assert kinds(told(ImageMade(url="data:image/png;base64,AA=="))) == [
        "output_item.added",
        "image_generation_call.in_progress",
        "image_generation_call.completed",
        "output_item.done",
    ]


# ---------------------------------------------------------------- calls


def test_a_call_is_told_as_it_comes() -> None:
    place: Json = {"item_id": "fc_gen-1_0", "output_index": 0}
    item: Json = {"id": "fc_gen-1_0", "type": "function_call", "call_id": "call_1", "name": "f"}
    events = told(
        ToolCallStarted(index=0, id="call_1", name="f"),
        ToolCallArguments(index=0, fragment='{"a"'),
        ToolCallArguments(index=0, fragment=": 1.0}"),
        Finished(reason=FinishReason.TOOL_CALLS),
    )
    whole_text = '{"a": 1.0}'
    assert events == [
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": item | {"status": "in_progress", "arguments": ""},
        },
        {"type": "response.function_call_arguments.delta", **place, "delta": '{"a"'},
        {"type": "response.function_call_arguments.delta", **place, "delta": ": 1.0}"},
        {"type": "response.function_call_arguments.done", **place, "name": "f", "arguments": whole_text},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": item | {"status": "completed", "arguments": whole_text},
        },
    ]


def test_calls_may_grow_side_by_side() -> None:
    events: list[Event] = [
        ToolCallStarted(index=0, id="call_1", name="f"),
        ToolCallStarted(index=1, id="call_2", name="g"),
        ToolCallArguments(index=1, fragment="{}"),
        ToolCallArguments(index=0, fragment="[]"),
    ]
    assert [item["arguments"] for item in whole(events)["output"]] == ["[]", "{}"]


def test_a_text_ends_where_a_call_begins() -> None:
    events = told(TextDelta(text="a"), ToolCallStarted(index=0, id="c", name="f"), TextDelta(text="b"))
    assert kinds(events) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
    ]
    assert [event["output_index"] for event in events] == [0] * 6 + [1] + [2] * 3


def test_the_proof_of_a_call_is_an_item_before_it() -> None:
    proof, call = whole([ToolCallStarted(index=0, id="call_1", name="f", signature="c2ln")])["output"]
    assert proof == {
        "id": "rs_gen-1_0",
        "type": "reasoning",
        "summary": [],
        "encrypted_content": seal(Seal(signature="c2ln", call_id="call_1")),
    }
    assert (call["id"], call["call_id"]) == ("fc_gen-1_1", "call_1")


# ---------------------------------------------------------------- thoughts


def test_openais_thought_keeps_its_own_fields() -> None:
    events = told(
        ReasoningDelta(text="In ", format="openai-responses-v1", id="rs_1"),
        ReasoningDelta(text="short", format="openai-responses-v1", id="rs_1"),
        ReasoningDelta(data="gAAAAA", format="openai-responses-v1", id="rs_1"),
    )
    assert kinds(events) == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    assert events[-1]["item"] == {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "In short"}],
        "encrypted_content": "gAAAAA",
    }


def test_another_providers_proof_is_sealed() -> None:
    item = item_of(
        ReasoningDelta(text="Hm", format="anthropic-claude-v1"),
        ReasoningDelta(signature="c2ln", format="anthropic-claude-v1"),
    )
    assert item == {
        "id": "rs_gen-1_0",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Hm"}],
        "encrypted_content": seal(Seal(format="anthropic-claude-v1", signature="c2ln")),
    }


def test_thought_that_is_shown_as_it_was_is_no_summary() -> None:
    events = told(ReasoningDelta(text="Hm"), STOP)
    assert kinds(events) == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
    ]
    item = events[-1]["item"]
    assert (item["summary"], item["content"]) == ([], [{"type": "reasoning_text", "text": "Hm"}])


def test_a_proof_ends_its_thought() -> None:
    items = whole(
        [ReasoningDelta(text="a", signature="x"), ReasoningDelta(text="b"), ReasoningDelta(text="c", index=1)]
    )
    assert [item["content"][0]["text"] for item in items["output"]] == ["a", "b", "c"]


def test_two_thoughts_of_one_name_are_two_items() -> None:
    blocks = [ReasoningDelta(data=data, format="openai-responses-v1", id="rs_1") for data in ("gA", "gB")]
    assert [item["id"] for item in whole(blocks)["output"]] == ["rs_1", "rs_gen-1_1"]

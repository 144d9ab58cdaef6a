"""An answer: what each event looks like on the wire, and what the whole of it says."""

from collections.abc import Iterator

import msgspec
import pytest
from openai import APIError, OpenAI, Stream
from openai._models import FinalRequestOptions
from openai.types.responses import ResponseStreamEvent

from arouter.domain.charge import Charge
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
from arouter.domain.errors import InvalidRequest
from arouter.domain.money import Picodollars
from arouter.domain.usage import Usage
from arouter.wire.openai_responses.sealed import Sealed, seal
from arouter.wire.openai_responses.writer import ResponsesWriter
from tests.wire.responses_bodies import Object, events_of, streamed, whole, writer

STOP = Finished(reason=FinishReason.STOP, native_reason="end_turn")


def told(*events: Event) -> list[Object]:
    """What a stream says of `events`, without how it begins and without the numbers."""
    first, second, *rest = events_of(writer().encode(events))
    assert [first["type"], second["type"]] == ["response.created", "response.in_progress"]
    for event in rest:
        del event["sequence_number"]
    return rest


def kinds(events: list[Object]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


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
        "encrypted_content": seal(Sealed(signature="c2ln", call_id="call_1")),
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
        "encrypted_content": seal(Sealed(format="anthropic-claude-v1", signature="c2ln")),
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


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize(
    ("reason", "status", "incomplete", "code", "item"),
    [
        (None, "completed", None, None, "completed"),
        (FinishReason.STOP, "completed", None, None, "completed"),
        (FinishReason.TOOL_CALLS, "completed", None, None, "completed"),
        (FinishReason.LENGTH, "incomplete", {"reason": "max_output_tokens"}, None, "incomplete"),
        (FinishReason.CONTENT_FILTER, "incomplete", {"reason": "content_filter"}, None, "incomplete"),
        (FinishReason.ERROR, "failed", None, "server_error", "incomplete"),
    ],
)
def test_every_end(
    reason: FinishReason | None, status: str, incomplete: Json | None, code: str | None, item: str
) -> None:
    finish = [] if reason is None else [Finished(reason=reason)]
    end = streamed([TextDelta(text="a"), *finish])[-1]
    assert end["type"] == f"response.{status}"
    response = end["response"]
    assert response == whole([TextDelta(text="a"), *finish]) | {"usage": None}
    assert (response["status"], response["incomplete_details"]) == (status, incomplete)
    assert (response["error"] or {}).get("code") == code
    assert response["output"][0]["status"] == item


def test_only_what_was_cut_is_incomplete() -> None:
    cut: list[Event] = [
        TextDelta(text="a"),
        ReasoningDelta(text="Hm"),
        TextDelta(text="b"),
        Finished(reason=FinishReason.LENGTH),
    ]
    first, _, last = whole(cut)["output"]
    assert (first["status"], last["status"]) == ("completed", "incomplete")


def test_an_answer_that_never_began_ends_as_one_that_did() -> None:
    events = streamed([])
    assert kinds(events) == ["created", "in_progress", "completed"]
    assert events[-1]["response"]["output"] == []


def test_the_end_has_the_usage_and_the_cost() -> None:
    charge = Charge(
        usage=Usage(input_tokens=10, output_tokens=5), cost=Picodollars(1_000_000), prompt_cost=Picodollars(600_000)
    )
    writing = writer()
    writing.encode([TextDelta(text="a"), STOP])
    assert b'"cost":0.000001,' in writing.last(charge)
    usage = whole([STOP], charge)["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (10, 5, 15)


# ---------------------------------------------------------------- a stream that broke off


def test_a_stream_that_breaks_off_ends_as_openais() -> None:
    writing = writer()
    stream = writing.encode([TextDelta(text="Hel")])
    ending = writing.error("Gone.", "upstream_error", {"provider": "x"}, type_="server_error")
    error, failed = events_of(stream + ending)[-2:]
    assert error == {
        "type": "error",
        "code": "upstream_error",
        "message": "Gone.",
        "param": None,
        "error": {
            "message": "Gone.",
            "type": "server_error",
            "param": None,
            "code": "upstream_error",
            "metadata": {"provider": "x"},
        },
        "sequence_number": 5,
    }
    response = failed["response"]
    assert (failed["type"], failed["sequence_number"]) == ("response.failed", 6)
    assert (response["status"], response["error"]) == ("failed", {"code": "server_error", "message": "Gone."})
    assert response["output"][0]["content"][0]["text"] == "Hel"
    assert response["output"][0]["status"] == "incomplete"


def test_a_limit_of_the_provider_has_a_code_of_its_own() -> None:
    stream = writer().error("Slow down.", "rate_limit_exceeded", {}, type_="rate_limit_error")
    events = events_of(stream)
    assert kinds(events) == ["created", "in_progress", "error", "failed"]
    assert events[-1]["response"]["error"]["code"] == "rate_limit_exceeded"


class Bytes:
    """As much of an HTTP response as the SDK's stream reads."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.request = None

    def iter_bytes(self) -> Iterator[bytes]:
        yield self._data

    def close(self) -> None: ...


def test_the_sdk_raises_the_error() -> None:
    ending = writer().error("Gone.", "upstream_error", {}, type_="server_error")
    stream = Stream[ResponseStreamEvent](
        cast_to=ResponseStreamEvent,  # type: ignore[arg-type]  # as the SDK calls it
        response=Bytes(ending),  # type: ignore[arg-type]
        client=OpenAI(api_key="x", base_url="http://localhost"),
        options=FinalRequestOptions(method="post", url="/responses"),
    )
    with pytest.raises(APIError, match=r"^Gone\.$") as caught:
        list(stream)
    assert caught.value.code == "upstream_error"


# ---------------------------------------------------------------- what is repeated of the request


def test_the_settings_of_the_request_are_repeated() -> None:
    schema: Json = {"type": "object"}
    sent: Json = {
        "instructions": "Be brief.",
        "max_output_tokens": 100,
        "temperature": 0,
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_object"}},
        "tool_choice": "required",
        "truncation": "auto",
        "metadata": {"a": "b"},
        "user": "user_12345",
    }
    tools = [{"type": "function", "name": "f", "parameters": schema}, {"type": "web_search"}]
    answer = whole([], None, input="Hello", tools=tools, store=True, service_tier="flex", **sent)
    assert {name: answer[name] for name in sent} == sent
    function: Json = {"type": "function", "name": "f", "description": None, "parameters": schema, "strict": None}
    assert answer["tools"] == [function, {"type": "web_search"}]
    assert (answer["store"], answer["service_tier"], answer["background"]) == (False, None, False)
    assert "input" not in answer


def test_what_was_not_sent_has_openais_default_or_none() -> None:
    answer = whole([])
    assert answer == whole([], temperature=None, tools=None, metadata=None, text=None)
    assert (answer["temperature"], answer["top_p"], answer["tools"], answer["tool_choice"]) == (None, None, [], "auto")
    assert (answer["parallel_tool_calls"], answer["metadata"]) == (True, {})
    assert answer["text"] == {"format": {"type": "text"}}


def test_a_setting_that_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        ResponsesWriter(id="gen-1", created_s=1, model="m", fields={"metadata": msgspec.Raw(b'{"a":tru}')})
    assert (caught.value.param, caught.value.code) == ("metadata", "invalid_json")


def test_line_ends_of_the_request_do_not_end_an_event() -> None:
    fields = {"metadata": msgspec.Raw(b'{\n\n"a":"b"\r\n}')}
    writing = ResponsesWriter(id="gen-1", created_s=1, model="m", fields=fields)
    assert events_of(writing.encode([Started()]))[0]["response"]["metadata"] == {"a": "b"}

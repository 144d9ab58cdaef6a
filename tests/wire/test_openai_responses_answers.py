"""Any answer: its stream makes the whole, is what OpenAI and its SDK take, and comes back as what it was.

A client goes on with the items of an answer: what it sends back must be the same thoughts with the same proofs, and
the same calls, whoever made them.
"""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from arouter.domain.charge import Charge
from arouter.domain.chat import (
    Annotated,
    Event,
    Image,
    ImageMade,
    Message,
    Part,
    Reasoning,
    ReasoningDelta,
    Refusal,
    RefusalDelta,
    Text,
    TextDelta,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
)
from arouter.domain.usage import Usage
from arouter.providers.anthropic.answer import AnthropicStream, read_message
from arouter.providers.gemini.answer import GeminiStreamReader, read_answer
from tests.recordings import Recording, need_recordings, recordings
from tests.wire.openai_schemas import validator
from tests.wire.responses_bodies import Object, events_of, sent_back, streamed, whole, writer
from tests.wire.strategies import MAYBE, TEXT, answers

USED = Charge(
    usage=Usage(input_tokens=1, cache_read_tokens=0, cache_write_tokens=0, output_tokens=2, reasoning_tokens=1)
)
STREAM_EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


# ---------------------------------------------------------------- a client that puts the stream together


def fold(stream: list[Object]) -> list[Object]:
    """The items that the pieces make. Whatever ends must be what its pieces made."""
    items: list[Object] = []
    for event in stream:
        match event:
            case {"type": "response.output_item.added", "output_index": index, "item": item}:
                assert index == len(items)
                items.append(item)
            case {"type": "response.output_item.done", "output_index": index, "item": item}:
                # What only the end tells.
                ended = {"status", "encrypted_content", "result", "output_format"}
                made, told = ({**one, **dict.fromkeys(ended)} for one in without_logprobs([items[index], item]))
                assert made == told
                items[index] = item
            case {"output_index": index, "type": str() as kind}:
                _grow(items[index], kind.removeprefix("response."), event)
    return items


def _grow(item: Object, kind: str, event: Object) -> None:
    match kind:
        case "content_part.added":
            item.setdefault("content", []).append(event["part"])
        case "content_part.done":
            assert item["content"][event["content_index"]] == event["part"]
        case "output_text.delta":
            item["content"][event["content_index"]]["text"] += event["delta"]
            item["content"][event["content_index"]]["logprobs"] += event["logprobs"]
        case "output_text.done":
            assert item["content"][event["content_index"]]["text"] == event["text"]
        case "output_text.annotation.added":
            annotations = item["content"][event["content_index"]]["annotations"]
            assert len(annotations) == event["annotation_index"]
            annotations.append(event["annotation"])
        case "refusal.delta":
            item["content"][event["content_index"]]["refusal"] += event["delta"]
        case "reasoning_text.delta":
            item["content"][event["content_index"]]["text"] += event["delta"]
        case "reasoning_summary_part.added":
            item["summary"].append(event["part"])
        case "reasoning_summary_text.delta":
            item["summary"][event["summary_index"]]["text"] += event["delta"]
        case "function_call_arguments.delta":
            item["arguments"] += event["delta"]
        case "function_call_arguments.done":
            assert item["arguments"] == event["arguments"]


def without_logprobs(items: list[Object]) -> list[Object]:
    """Log probabilities of a text that has ended are told when its item ends, or the answer."""

    def plain(part: Object) -> Object:
        return {name: told for name, told in part.items() if name != "logprobs"}

    return [item | {"content": [plain(part) for part in item.get("content", ())]} for item in items]


def cut(events: list[Event], places: list[int]) -> list[list[Event]]:
    edges = [0, *sorted({place % (len(events) + 1) for place in places}), len(events)]
    return [events[start:end] for start, end in pairwise(edges)]


@given(answers(), st.lists(st.integers(0, 100), max_size=30))
def test_the_stream_makes_the_whole_answer(events: list[Event], places: list[int]) -> None:
    writing = writer()
    pieces = b"".join(writing.encode(batch) for batch in cut(events, places))
    stream = events_of(pieces + writing.last(USED))
    answer = whole(events, USED)
    assert stream[-1]["response"] == answer
    assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
    assert {event["type"] for event in stream[:2]} == {"response.created", "response.in_progress"}
    assert without_logprobs(fold(stream)) == without_logprobs(answer["output"])


@settings(max_examples=50)
@given(answers(max_choices=1))
def test_every_event_is_openais(events: list[Event]) -> None:
    schema = validator("ResponseStreamEvent")
    state = ResponseStreamState[None](input_tools=omit, text_format=omit)
    for event in streamed(events, USED):
        parsed = STREAM_EVENT.validate_python(event)
        state.handle_event(parsed)
        schema.validate(with_openais_nulls_left_out(event))


@settings(max_examples=50)
@given(answers(max_choices=1))
def test_every_whole_answer_is_openais(events: list[Event]) -> None:
    answer = whole(events, USED)
    parsed = Response.model_validate(answer)
    assert parsed.output_text == "".join(event.text for event in events if isinstance(event, TextDelta))
    validator("Response").validate(with_openais_nulls_left_out(answer))


def with_openais_nulls_left_out(told: Object) -> Object:
    """Real answers have these nulls, which the description does not allow."""
    if "response" in told:
        return told | {"response": with_openais_nulls_left_out(told["response"])}
    return {name: value for name, value in told.items() if name not in ("user", "usage") or value is not None}


# ---------------------------------------------------------------- what comes back


class Expected:
    """The message that events mean, put together the plain way."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.calls: dict[int, ToolCall] = {}
        self.open: object = None

    def add(self, event: Event) -> None:
        match event:
            case TextDelta(text=text) if text:
                self._extend(Text, text)
            case RefusalDelta(text=text) if text:
                self._extend(Refusal, text)
            case ReasoningDelta() if event.text or event.signature is not None or event.data is not None:
                self._think(event)
            case ToolCallStarted(index=index):
                self.calls[index] = ToolCall(id=event.id, name=event.name, arguments="", signature=event.signature)
                self.open = None
            case ToolCallArguments(index=index, fragment=fragment):
                call = self.calls[index]
                arguments = call.arguments + fragment
                self.calls[index] = ToolCall(id=call.id, name=call.name, arguments=arguments, signature=call.signature)
            case ImageMade(url=url):
                self.parts.append(Image(data=url.partition(",")[2], media_type="image/png"))
                self.open = None
            case Annotated() if not any(isinstance(part, Text) for part in self.parts):
                self._extend(Text, "")

    def _extend(self, kind: type[Text] | type[Refusal], text: str) -> None:
        if self.open is kind:
            last = self.parts.pop()
            assert isinstance(last, Text | Refusal)
            text = last.text + text
        self.parts.append(kind(text=text))
        self.open = kind

    def _think(self, delta: ReasoningDelta) -> None:
        last = self.parts[-1] if self.open == delta.index else None
        same = isinstance(last, Reasoning) and (last.id is None or delta.id is None or last.id == delta.id)
        before = self.parts.pop() if same else Reasoning()
        assert isinstance(before, Reasoning)
        self.parts.append(
            Reasoning(
                text=before.text + delta.text,
                signature=delta.signature,
                data=delta.data,
                format=delta.format if before.format is None else before.format,
                id=delta.id if before.id is None else before.id,
            )
        )
        self.open = delta.index if delta.signature is None and delta.data is None else None

    def message(self) -> Message:
        return Message(role="assistant", parts=spoken(self.parts), tool_calls=tuple(self.calls.values()))


def spoken(parts: Any) -> tuple[Part, ...]:
    """Without the empty texts that hold nothing but a citation."""
    return tuple(part for part in parts if part != Text(text=""))


def expected(events: list[Event]) -> Message:
    putting_together = Expected()
    for event in events:
        putting_together.add(event)
    return putting_together.message()


def returned(output: list[Object]) -> Message:
    """What a client that sends back an answer says."""
    if not output:
        return Message(role="assistant")
    (message,) = sent_back(output)
    return Message(role=message.role, parts=spoken(message.parts), tool_calls=message.tool_calls)


@given(answers(max_choices=1))
def test_a_client_that_sends_the_answer_back_returns_what_it_was(events: list[Event]) -> None:
    assert returned(whole(events)["output"]) == expected(events)
    assert returned(fold(streamed(events))) == expected(events)


@st.composite
def openai_thoughts(draw: st.DrawFn) -> list[Event]:
    """Thoughts as OpenAI's own adapter tells them: with ids, some of them odd or twice the same."""
    ids = st.sampled_from(["rs_1", "rs_2", "rs_é", "", "arouter.sealed.x"]) | MAYBE
    data = MAYBE | TEXT.map("arouter.sealed.{}".format)
    events: list[Event] = []
    for index in range(draw(st.integers(1, 4))):
        name = draw(ids)
        events += [
            ReasoningDelta(text=text, format="openai-responses-v1", id=name, index=index)
            for text in draw(st.lists(TEXT, max_size=2))
        ]
        events.append(
            ReasoningDelta(data=draw(data), signature=draw(MAYBE), format="openai-responses-v1", id=name, index=index)
        )
    return events


@given(openai_thoughts())
def test_openais_thoughts_come_back_whatever_their_names(events: list[Event]) -> None:
    output = whole(events)["output"]
    assert returned(output) == expected(events)
    assert len({item["id"] for item in output}) == len(output)


def test_an_sdk_that_knows_only_its_own_fields_returns_the_proofs() -> None:
    """Clients in other languages keep the documented fields of an item, and no more."""
    events: list[Event] = [
        ReasoningDelta(text="Hm", signature="c2ln", format="anthropic-claude-v1"),
        ToolCallStarted(index=0, id="call_1", name="f", signature="cHJvb2Y="),
        ToolCallArguments(index=0, fragment="{}"),
    ]
    documented = {"type", "id", "summary", "encrypted_content", "call_id", "name", "arguments"}
    output = [{name: told for name, told in item.items() if name in documented} for item in whole(events)["output"]]
    assert returned(output) == expected(events)


# ---------------------------------------------------------------- recorded answers of other providers


def recorded_events(recording: Recording) -> list[Event]:
    is_gemini = recording.api == "google.generate"
    if not recording.stream:
        body = recording.response_text.encode()
        return read_answer(body) if is_gemini else read_message(body)
    reader = GeminiStreamReader() if is_gemini else AnthropicStream()
    return reader.feed(recording.response_text.encode())


RECORDED = [
    recording
    for api in ("anthropic.messages", "google.generate")
    for recording in recordings(api)
    if recording.status == 200 and ("enerateContent" in recording.path or recording.path.endswith("/messages"))
]


def test_there_are_recorded_answers() -> None:
    need_recordings()
    assert len(RECORDED) > 100


@pytest.mark.parametrize("recording", RECORDED, ids=lambda recording: recording.id)
def test_every_recorded_answer_is_told_and_comes_back(recording: Recording) -> None:
    events = recorded_events(recording)
    stream = streamed(events, USED)
    answer = whole(events, USED)
    assert stream[-1]["response"] == answer
    for event in stream:
        STREAM_EVENT.validate_python(event)
    back = returned(fold(stream))
    assert back == expected(events)
    texts = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert Response.model_validate(answer).output_text == texts
    proofs = [event.signature for event in events if isinstance(event, ToolCallStarted | ReasoningDelta)]
    kept = [part.signature for part in back.parts if isinstance(part, Reasoning)]
    kept += [call.signature for call in back.tool_calls]
    assert sorted(filter(None, kept)) == sorted(filter(None, proofs))

"""A whole answer: events to one `chat.completion`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from arouter.domain.chat import (
    ChoiceEvent,
    Event,
    Failed,
    Finished,
    Json,
    LogprobsTold,
    Started,
    TextDelta,
    UsageReported,
)
from arouter.wire.openai_chat.deltas import ChoiceDeltas, logprobs
from arouter.wire.openai_chat.reasoning_details import join_pieces

_TEXTS = ("content", "refusal", "reasoning")
_SAID_NOTHING: Mapping[str, object] = {"role": "assistant", "content": None, "refusal": None}
_BESIDE_CHOICES = (Started, UsageReported, Failed)
_json = msgspec.json.Encoder().encode


def completion_body(
    events: Sequence[Event],
    *,
    id: str,  # noqa: A002 - the field's own name
    created_s: int,
    model: str,
    usage_json: bytes | None,
) -> bytes:
    """The body that tells `events`. A choice that never finished has `finish_reason: null`.

    `id` is our generation id, `created_s` Unix seconds; the model is the one that `Started` names, or else `model`.
    """
    for event in events:
        if isinstance(event, Started) and event.model is not None:
            model = event.model
    body: Json = {
        "id": id,
        "object": "chat.completion",
        "created": created_s,
        "model": model,
        "choices": _text_alone(events) or _choices(events),
    }
    if usage_json is not None:
        body["usage"] = msgspec.Raw(usage_json)
    return _json(body)


def _text_alone(events: Sequence[Event]) -> list[Json] | None:
    """Of an answer with one choice that says a text and ends, as nearly every one does; None of any other."""
    texts: list[str] = []
    end: Finished | None = None
    for event in events:
        if isinstance(event, _BESIDE_CHOICES):
            continue
        if end is not None or event.choice != 0:
            return None
        if isinstance(event, TextDelta):
            texts.append(event.text)
        elif isinstance(event, Finished):
            end = event
        else:
            return None
    if end is None:
        return None
    return [_told(0, {**_SAID_NOTHING, "content": "".join(texts)}, None, end)]


def _choices(events: Sequence[Event]) -> list[Json]:
    """Of any answer."""
    choices: dict[int, _Choice] = {}
    for event in events:
        if isinstance(event, ChoiceEvent):
            choices.setdefault(event.choice, _Choice()).add(event)
    return [choice.told(index) for index, choice in sorted(choices.items()) if choice.begun]


def _told(index: int, message: Json, probabilities: Json | None, end: Finished | None) -> Json:
    return {
        "index": index,
        "message": message,
        "logprobs": probabilities,
        "finish_reason": None if end is None else end.reason,
        "native_finish_reason": None if end is None else end.native_reason,
    }


@dataclass(slots=True)
class _Choice:
    """The sum of a choice's deltas."""

    deltas: ChoiceDeltas = field(default_factory=ChoiceDeltas)
    begun: bool = False
    texts: dict[str, list[str]] = field(default_factory=dict)
    calls: dict[int, "_Call"] = field(default_factory=dict)
    details: list[Json] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)
    probabilities: list[Json] | None = None
    end: Finished | None = None

    def add(self, event: ChoiceEvent) -> None:
        delta = self.deltas.delta(event)
        if delta is None:
            return
        self.begun = True
        for name, value in delta.items():
            self._add_field(name, value)
        if isinstance(event, LogprobsTold):
            self.probabilities = self.probabilities if self.probabilities is not None else []
            self.probabilities += event.content
        elif isinstance(event, Finished):
            self.end = event

    def _add_field(self, name: str, value: object) -> None:
        match value:
            case str() if name in _TEXTS:
                self.texts.setdefault(name, []).append(value)
            case list() if name == "tool_calls":
                for piece in value:
                    self.calls.setdefault(piece["index"], _Call()).add(piece)
            case list() if name == "reasoning_details":
                self.details += value
            case list() if name == "annotations":
                # The position is of use in a stream only.
                self.annotations += [{key: told for key, told in entry.items() if key != "index"} for entry in value]
            case list() if name == "images":
                self.images += value

    def told(self, index: int) -> Json:
        probabilities = self.probabilities
        told = None if probabilities is None else logprobs(LogprobsTold(content=tuple(probabilities)))
        return _told(index, self._message(), told, self.end)

    def _message(self) -> Json:
        message: Json = {**_SAID_NOTHING}
        message |= {name: "".join(pieces) for name, pieces in self.texts.items()}
        if self.details:
            message["reasoning_details"] = join_pieces(self.details)
        if self.calls:
            message["tool_calls"] = [call.told() for _, call in sorted(self.calls.items())]
        if self.annotations:
            message["annotations"] = self.annotations
        if self.images:
            message["images"] = self.images
        return message


@dataclass(slots=True)
class _Call:
    """A tool call, gathered from its pieces."""

    head: Json = field(default_factory=dict)
    name: object = ""
    arguments: list[str] = field(default_factory=list)

    def add(self, piece: Json) -> None:
        for key, value in piece.items():
            match key, value:
                case "index", _:
                    continue
                case "function", {"arguments": str() as fragment, **rest}:
                    self.arguments.append(fragment)
                    self.name = rest.get("name", self.name)
                case _:
                    self.head[key] = value

    def told(self) -> Json:
        function = {"name": self.name, "arguments": "".join(self.arguments)}
        return {"id": "", "type": "function", **self.head, "function": function}

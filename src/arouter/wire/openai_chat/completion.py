"""A whole answer: events to one `chat.completion`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from arouter.domain.chat import ChoiceEvent, Event, Finished, Json, LogprobsTold, Started
from arouter.wire.openai_chat.deltas import ChoiceDeltas, logprobs
from arouter.wire.openai_chat.reasoning_details import join_pieces

_TEXTS = ("content", "refusal", "reasoning")


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
    choices: dict[int, _Choice] = {}
    for event in events:
        if isinstance(event, Started) and event.model is not None:
            model = event.model
        elif isinstance(event, ChoiceEvent):
            choices.setdefault(event.choice, _Choice()).add(event)
    body: Json = {
        "id": id,
        "object": "chat.completion",
        "created": created_s,
        "model": model,
        "choices": [choice.told(index) for index, choice in sorted(choices.items()) if choice.begun],
    }
    if usage_json is not None:
        body["usage"] = msgspec.Raw(usage_json)
    return msgspec.json.encode(body)


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
        probabilities = (
            None if self.probabilities is None else logprobs(LogprobsTold(content=tuple(self.probabilities)))
        )
        return {
            "index": index,
            "message": self._message(),
            "logprobs": probabilities,
            "finish_reason": None if self.end is None else self.end.reason,
            "native_finish_reason": None if self.end is None else self.end.native_reason,
        }

    def _message(self) -> Json:
        message: Json = {"role": "assistant", "content": None, "refusal": None}
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

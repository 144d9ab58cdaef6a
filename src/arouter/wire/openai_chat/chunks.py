"""A streamed answer: events to `chat.completion.chunk` server-sent events.

A chunk is one constant head, one delta and one constant tail; only the delta is encoded for each event. Nothing is
held back between two calls. Within one call what belongs together shares a chunk, as it does at OpenAI: a call with
the first piece of its arguments, a text with its log probabilities.
"""

from collections.abc import Mapping, Sequence

import msgspec

from arouter.domain.chat import (
    ChoiceEvent,
    Event,
    Finished,
    Json,
    LogprobsTold,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
)
from arouter.wire import sse
from arouter.wire.errors import error_object
from arouter.wire.openai_chat.deltas import ChoiceDeltas, logprobs

_json = msgspec.json.Encoder().encode
_TEXT_HEAD = b'{"content":'
_RUNNING = b',"logprobs":null,"finish_reason":null}]}\n\n'
_TEXT_TAIL = b"}" + _RUNNING
_COMPANIONS = frozenset({ToolCallArguments, LogprobsTold})
"""The events that may share a chunk with the one before."""


class ChunkEncoder:
    """Writes one streamed answer. `id` is our generation id, `created_s` Unix seconds."""

    __slots__ = ("_choices", "_created", "_head", "_id", "_starts", "_text_heads")

    def __init__(self, *, id: str, created_s: int, model: str) -> None:  # noqa: A002 - the field's own name
        self._id = _json(id)
        self._created = _json(created_s)
        self._choices: dict[int, ChoiceDeltas] = {}
        self._head = b""
        self._starts: dict[int, bytes] = {}
        self._text_heads: dict[int, bytes] = {}
        """Everything of a chunk before its text, by choice, where a further text is nothing but itself."""
        self._name_model(model)

    def encode(self, events: Sequence[Event]) -> bytes:
        """The chunks that tell `events`; empty where they add nothing.

        `Started` names the model of the chunks after it. `UsageReported` and `Failed` write nothing here: the one is
        told by `last`, the other by `error`.
        """
        if len(events) == 1:
            return self._chunk(events[0], None)
        chunks: list[bytes] = []
        waiting: Event | None = None
        for event in events:
            if waiting is not None:
                if type(event) in _COMPANIONS and _shares_chunk(waiting, event):
                    chunks.append(self._chunk(waiting, event))
                    waiting = None
                    continue
                chunks.append(self._chunk(waiting, None))
            waiting = event
        if waiting is not None:
            chunks.append(self._chunk(waiting, None))
        return b"".join(chunks)

    def last(self, usage_json: bytes | None) -> bytes:
        """The end of the stream: the usage in a chunk without choices, if there is one, and the closing event."""
        done = sse.encode(sse.DONE)
        if usage_json is None:
            return done
        # Between the tokens of an upstream's own JSON there may be line ends, which an event cannot hold.
        one_line = usage_json.replace(b"\r", b" ").replace(b"\n", b" ")
        return self._head + b',"choices":[],"usage":' + one_line + b"}\n\n" + done

    def error(
        self,
        message: str,
        code: str,
        metadata: Mapping[str, object] | None = None,
        *,
        type_: str = "server_error",
    ) -> bytes:
        """The chunk that tells that the answer broke off; `last(None)` may follow."""
        error = error_object(message=message, type_=type_, param=None, code=code, metadata=metadata or {})
        end = b',"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}\n\n'
        return self._head + b',"error":' + _json(error) + end

    def _name_model(self, model: str) -> None:
        self._head = (
            b'data: {"id":'
            + self._id
            + b',"object":"chat.completion.chunk","created":'
            + self._created
            + b',"model":'
            + _json(model)
        )
        self._starts = {}
        self._text_heads = {}

    def _start(self, choice: int) -> bytes:
        """Everything of a chunk before its delta."""
        start = self._starts.get(choice)
        if start is None:
            start = self._starts[choice] = self._head + b',"choices":[{"index":%d,"delta":' % choice
        return start

    def _chunk(self, event: Event, companion: Event | None) -> bytes:
        if type(event) is TextDelta and companion is None and event.text:
            head = self._text_heads.get(event.choice)
            if head is not None:
                return b"".join((head, _json(event.text), _TEXT_TAIL))
        if isinstance(event, Started):
            if event.model is not None:
                self._name_model(event.model)
            return b""
        return self._choice_chunk(event, companion)

    def _choice_chunk(self, event: Event, companion: Event | None) -> bytes:
        if not isinstance(event, ChoiceEvent):
            return b""
        deltas = self._choices.setdefault(event.choice, ChoiceDeltas())
        delta = deltas.delta(event)
        if isinstance(companion, ToolCallArguments) and delta is not None:
            _add_arguments(delta, companion.fragment)
        probabilities = companion if isinstance(companion, LogprobsTold) else event
        if isinstance(probabilities, LogprobsTold):
            delta = deltas.delta(probabilities) if delta is None else delta
            tail = b',"logprobs":' + _json(logprobs(probabilities)) + b',"finish_reason":null}]}\n\n'
        elif isinstance(event, Finished):
            tail = _finish(event)
        else:
            tail = _RUNNING
        start = self._start(event.choice)
        if deltas.has_content:
            self._text_heads[event.choice] = start + _TEXT_HEAD
        return b"" if delta is None else start + _json(delta) + tail


def _finish(end: Finished) -> bytes:
    reasons = (b',"logprobs":null,"finish_reason":', _json(end.reason), b',"native_finish_reason":')
    return b"".join((*reasons, _json(end.native_reason), b"}]}\n\n"))


def _add_arguments(delta: Json, fragment: str) -> None:
    """Puts the first piece of the arguments into the delta that begins the call."""
    match delta:
        case {"tool_calls": [{"function": {"arguments": ""} as function}]}:
            function["arguments"] = fragment


def _shares_chunk(first: Event, second: Event) -> bool:
    match first, second:
        case ToolCallStarted(), ToolCallArguments():
            return first.choice == second.choice and first.index == second.index
        case ((TextDelta() | RefusalDelta()), LogprobsTold()):
            return first.choice == second.choice
        case _:
            return False

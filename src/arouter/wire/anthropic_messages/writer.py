"""A whole answer and a streamed one, in the words of the Messages API.

    message_start, then for each block content_block_start, content_block_delta…, content_block_stop,
    then message_delta with the stop reason and the usage, and message_stop

(https://platform.claude.com/docs/en/build-with-claude/streaming). The blocks are in
`arouter.wire.anthropic_messages.blocks`. An answer has one choice here: events of another are left out, and so are
log probabilities.
"""

from collections.abc import Mapping, Sequence

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.chat import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Json,
    RefusalDelta,
    Started,
    TextDelta,
    UsageReported,
)
from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.wire import sse
from arouter.wire.anthropic_messages.blocks import BlockEvent, Blocks, whole_blocks
from arouter.wire.anthropic_messages.errors import anthropic_error
from arouter.wire.anthropic_messages.stop_reasons import stop_reason
from arouter.wire.anthropic_messages.usage import counts, counts_at_start, message_usage

_json = msgspec.json.Encoder().encode
_TEXT_HEAD = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":'
)
_TEXT_TAIL = b"}}\n\n"


class MessagesWriter:
    """Writes one answer. `id` is our generation id."""

    __slots__ = ("_blocks", "_end", "_id", "_model", "_refusal", "_started", "_usage")

    def __init__(self, *, id: str, model: str) -> None:  # noqa: A002 - the field's own name
        self._id = id
        self._model = model
        self._blocks = Blocks()
        self._refusal = ""
        self._end: Finished | None = None
        self._usage: Usage | None = None
        self._started = False

    # ---------------------------------------------------------------- a stream

    def encode(self, events: Sequence[Event]) -> bytes:
        """The events of the stream that tell `events`; empty where they add nothing.

        The first of them is `message_start`, with the model and the usage that `events` tell. `Failed` writes nothing
        here: it is told by `error`.
        """
        if not events:
            return b""
        if len(events) == 1:
            event = events[0]
            if type(event) is TextDelta and event.text and event.choice == 0:
                index = self._blocks.text_index
                if index is not None:
                    return b"".join((_TEXT_HEAD % index, _json(event.text), _TEXT_TAIL))
        return _encoded([*self._start(events), *self._content(events)])

    def last(self, charge: Charge | None) -> bytes:
        """The end of the stream: the stop reason with the usage, and `message_stop`.

        None: no cost is told, and the usage is what the provider reported. An answer that broke off ends with an
        `error` instead, which no client takes for an answer.
        """
        pieces = [*self._start(()), *self._blocks.close()]
        usage = counts(self._usage or NOTHING_REPORTED) if charge is None else message_usage(charge)
        pieces.append({"type": "message_delta", "delta": self._stopped(), "usage": usage})
        if self._end is not None and self._end.reason == FinishReason.ERROR:
            return _encoded(pieces) + self.error(_broken(self._end), "upstream_error", {}, type_="server_error")
        pieces.append({"type": "message_stop"})
        return _encoded(pieces)

    def error(self, message: str, code: str, metadata: Mapping[str, object], *, type_: str) -> bytes:
        """The event `error`, which ends the stream."""
        return _encoded([anthropic_error(message, code, metadata, type_=type_, param=None)])

    def _start(self, events: Sequence[Event]) -> list[Json]:
        """`message_start`, before anything else is told."""
        if self._started or (events and all(isinstance(event, Failed) for event in events)):
            return []
        for event in events:
            self._note(event)
        self._started = True
        message = self._message([], counts_at_start(self._usage))
        return [{"type": "message_start", "message": message}]

    # ---------------------------------------------------------------- a whole answer

    def whole(self, events: Sequence[Event], charge: Charge) -> bytes:
        """The message that tells `events`. One that never finished has `stop_reason: null`."""
        for event in events:
            self._note(event)
        content = whole_blocks([*self._content(events), *self._blocks.close()])
        return _json(self._message(content, message_usage(charge)) | self._stopped())

    # ---------------------------------------------------------------- both

    def _note(self, event: Event) -> None:
        """What is told beside the content."""
        if isinstance(event, Started) and event.model is not None:
            self._model = event.model
        elif isinstance(event, UsageReported):
            self._usage = event.usage

    def _content(self, events: Sequence[Event]) -> list[Json]:
        told: list[Json] = []
        for event in events:
            match event:
                case UsageReported(usage=usage):
                    self._usage = usage
                case RefusalDelta(text=text, choice=0):
                    self._refusal += text
                case Finished(choice=0):
                    self._end = event
                    told += self._blocks.close()
                case _ if isinstance(event, BlockEvent) and event.choice == 0:
                    told += self._blocks.tell(event)
        return told

    def _message(self, content: list[Json], usage: Json) -> Json:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }

    def _stopped(self) -> Json:
        """Why the answer ended. Which of the stop sequences it was is not told by every provider, so it never is."""
        end = self._end
        refused = bool(self._refusal)
        reason = None if end is None else stop_reason(end, called=self._blocks.called, refused=refused)
        told: Json = {"stop_reason": reason, "stop_sequence": None}
        if refused:
            told["stop_details"] = {"type": "refusal", "category": None, "explanation": self._refusal}
        return told


def _broken(end: Finished) -> str:
    if end.native_reason is None:
        return "The provider did not finish its answer."
    return f"The provider did not finish its answer: {end.native_reason}."


def _encoded(pieces: Sequence[Json]) -> bytes:
    return b"".join([sse.encode(_json(piece), str(piece["type"]).encode()) for piece in pieces])

"""A Messages answer, whole or streamed, as canonical events.

A stream is `message_start`, then for each block `content_block_start`, `content_block_delta`…, `content_block_stop`,
then `message_delta` and `message_stop` (https://platform.claude.com/docs/en/build-with-claude/streaming).

1. Usage is told by `message_start` and, cumulatively, by `message_delta`: each is reported as soon as it is there,
   the second merged into the first.
2. `ping`, and every event and delta of a type not known here, is passed over.
3. An `error` event is a `Failed`; what is not JSON, or an event that does not look as its type says, is an
   UpstreamFailed: it cannot be said what the answer would have been.
"""

from collections.abc import Callable

import msgspec

from arouter.domain.chat import (
    Event,
    Failed,
    Finished,
    FinishReason,
    RefusalDelta,
    Started,
    UsageReported,
)
from arouter.providers.anthropic.blocks import DELTA_TYPES, Blocks, Delta
from arouter.providers.anthropic.errors import (
    MALFORMED,
    ErrorObject,
    from_error_object,
    not_this_dialect,
)
from arouter.providers.text_usage import anthropic_text_usage
from arouter.providers.usage import anthropic_usage, merge_anthropic
from arouter.wire import sse
from arouter.wire.anthropic_messages.stop_reasons import FINISH_REASONS

_NOTHING = msgspec.Raw(b"")


class _StopDetails(msgspec.Struct, gc=False):
    explanation: str | None = None


class _Message(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    usage: dict[str, object] | None = None


class _WholeMessage(msgspec.Struct, gc=False):
    content: list[msgspec.Raw] | None = None
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None
    usage: dict[str, object] | None = None
    error: ErrorObject | None = None


class _Delta(Delta, gc=False):
    """The `delta` of a `content_block_delta` or of a `message_delta`."""

    stop_reason: str | None = None
    stop_details: _StopDetails | None = None


class _StreamEvent(msgspec.Struct, gc=False):
    type: str
    index: int = 0
    delta: _Delta | None = None
    content_block: msgspec.Raw = _NOTHING
    message: _Message | None = None
    usage: dict[str, object] | None = None
    error: ErrorObject | None = None


class _Inner(msgspec.Struct, gc=False):
    type: str = ""


class _Outline(msgspec.Struct, gc=False):
    """So much of an event as says whether we know its kind."""

    type: str
    delta: msgspec.Raw = msgspec.Raw(b"{}")


_WHOLE = msgspec.json.Decoder(_WholeMessage)
_decode_event: Callable[[bytes], _StreamEvent] = msgspec.json.Decoder(_StreamEvent).decode
_OUTLINE = msgspec.json.Decoder(_Outline)
_INNER = msgspec.json.Decoder(_Inner)
_EVENT_TYPES = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
    }
)


def read_message(body: bytes) -> list[Event]:
    """The events of a whole answer. UpstreamFailed if it is an error or no message."""
    try:
        message = _WHOLE.decode(body)
        if message.content is not None:
            return _events_of(message)
    except MALFORMED as error:
        raise not_this_dialect(body) from error
    if message.error is not None:
        raise from_error_object(message.error)
    raise not_this_dialect(body)


def _events_of(message: _WholeMessage) -> list[Event]:
    events: list[Event] = [Started(id=message.id, model=message.model)]
    blocks = Blocks()
    for index, raw in enumerate(message.content or ()):
        events += blocks.open(index, raw)
        events += blocks.close(index)
    events += _finish(message.stop_reason, message.stop_details)
    if message.usage is not None:
        events.append(_reported(message.usage))
    return events


class AnthropicStream:
    """Reads one streamed answer: bytes in, in pieces of any size; events out."""

    __slots__ = ("_blocks", "_complete", "_splitter", "_usage")

    def __init__(self) -> None:
        self._splitter = sse.Splitter()
        self._blocks = Blocks()
        self._usage: dict[str, object] = {}
        self._complete = False

    @property
    def complete(self) -> bool:
        """Whether `message_stop` has come."""
        return self._complete

    def take_usage(self) -> None:
        """None: no usage is kept back."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. UpstreamFailed(retryable=False) if it is not this dialect."""
        only = self._splitter.only_event(data)
        if only is not None:
            return self._read(only)
        try:
            blocks = self._splitter.cut(data)
        except sse.EventTooLarge as error:
            raise not_this_dialect(data) from error
        events: list[Event] = []
        for block in blocks:
            said = sse.data_of(block)
            if said:
                events += self._read(said)
        return events

    def _read(self, data: bytes) -> list[Event]:
        try:
            event = _decode_event(data)
        except MALFORMED as error:
            if data == sse.DONE or (isinstance(error, msgspec.ValidationError) and _is_of_unknown_kind(data)):
                return []
            raise not_this_dialect(data) from error
        try:
            if event.type == "content_block_delta" and event.delta is not None:
                return self._blocks.extend(event.index, event.delta)
            return self._translate(event)
        except MALFORMED as error:
            raise not_this_dialect(data) from error

    def _translate(self, event: _StreamEvent) -> list[Event]:
        """Of an event that is no piece of a block."""
        match event.type:
            case "content_block_start":
                return self._blocks.open(event.index, event.content_block)
            case "content_block_stop":
                return self._blocks.close(event.index)
            case "message_start" if event.message is not None:
                return [Started(id=event.message.id, model=event.message.model), *self._used(event.message.usage)]
            case "message_delta":
                return [*self._stopped(event.delta), *self._used(event.usage)]
            case "message_stop":
                self._complete = True
                return self._blocks.close_all()
            case "error":
                error = event.error or ErrorObject()
                return [Failed(message=error.message or "The provider reported an error.", code=error.type)]
        return []

    def _stopped(self, delta: _Delta | None) -> list[Event]:
        if delta is None or delta.stop_reason is None:
            return []
        return [*self._blocks.close_all(), *_finish(delta.stop_reason, delta.stop_details)]

    def _used(self, usage: dict[str, object] | None) -> list[Event]:
        if usage is None:
            return []
        self._usage = merge_anthropic(self._usage, usage)
        return [_reported(self._usage)]


def _is_of_unknown_kind(data: bytes) -> bool:
    """Whether an event that does not look as expected is none that we know."""
    try:
        outline = _OUTLINE.decode(data)
        if outline.type == "content_block_delta":
            return _INNER.decode(outline.delta).type not in DELTA_TYPES
    except MALFORMED:
        return False
    return outline.type not in _EVENT_TYPES


def _finish(native_reason: str | None, details: _StopDetails | None) -> list[Event]:
    """The end of an answer, after the provider's explanation of a refusal, if it gave one."""
    finished = Finished(reason=FINISH_REASONS.get(native_reason or "", FinishReason.STOP), native_reason=native_reason)
    if native_reason == "refusal" and details is not None and details.explanation:
        return [RefusalDelta(text=details.explanation), finished]
    return [finished]


def _reported(usage: dict[str, object]) -> UsageReported:
    raw = msgspec.json.encode(usage)
    return UsageReported(usage=anthropic_text_usage(raw) or anthropic_usage(usage), raw=raw)

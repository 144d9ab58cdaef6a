"""A Converse answer, whole or streamed, as canonical events.

A stream is `messageStart`, then for each block `contentBlockStart` (of a call), `contentBlockDelta`…,
`contentBlockStop`, then `messageStop` and `metadata`, each a message of AWS's framing.

1. Calls and thoughts are each counted from 0, whatever the index of their block. A call's arguments are the streamed
   fragments, verbatim; of a whole answer, its `input` as compact JSON with its numbers as written.
2. Text with citations is text; blocks of a kind not known here are passed over.
3. Usage is told once, behind `messageStop`. The tier that served the request stands beside it, and is laid into it.
4. An exception is a `Failed`. Damage at the start is not this dialect, and UpstreamFailed; after a good start it is a
   `Failed` too, so that what was told before it is not lost. Nothing counts after either.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from arouter.domain.chat import (
    Event,
    Failed,
    Finished,
    FinishReason,
    ImageMade,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.domain.errors import UpstreamFailed
from arouter.providers.bedrock.errors import damaged, exception_of
from arouter.providers.converse.contents import REASONING_FORMAT
from arouter.providers.usage import converse_usage
from arouter.wire.aws_event_stream import Malformed, Message, Splitter

_FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "content_filtered": FinishReason.CONTENT_FILTER,
}

_EMPTY_OBJECT = msgspec.Raw(b"{}")
_MALFORMED = (msgspec.MsgspecError, UnicodeError, RecursionError)
_SHOWN_BYTES = 500


class _ToolUse(msgspec.Struct, rename="camel", gc=False):
    tool_use_id: str = ""
    name: str = ""
    input: msgspec.Raw = _EMPTY_OBJECT


class _ReasoningText(msgspec.Struct, gc=False):
    text: str = ""
    signature: str | None = None


class _Reasoning(msgspec.Struct, rename="camel", gc=False):
    """`reasoningText` in a whole answer; `text` or `signature` in a delta."""

    reasoning_text: _ReasoningText | None = None
    text: str = ""
    signature: str | None = None
    redacted_content: str | None = None


class _Cited(msgspec.Struct, gc=False):
    text: str = ""


class _Citations(msgspec.Struct, gc=False):
    content: list[_Cited] | None = None


class _ImageSource(msgspec.Struct, gc=False):
    encoded: str = msgspec.field(name="bytes", default="")


class _Image(msgspec.Struct, gc=False):
    format: str = "png"
    source: _ImageSource | None = None


class _Block(msgspec.Struct, rename="camel", gc=False):
    """A block of a whole answer."""

    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Citations | None = None
    image: _Image | None = None


class _Message(msgspec.Struct, gc=False):
    content: list[_Block] | None = None


class _Output(msgspec.Struct, gc=False):
    message: _Message | None = None


class _Tier(msgspec.Struct, gc=False):
    type: str | None = None


class _Answer(msgspec.Struct, rename="camel", gc=False):
    output: _Output
    stop_reason: str | None = None
    usage: dict[str, object] | None = None
    service_tier: _Tier | None = None


class _Fragment(msgspec.Struct, gc=False):
    input: str = ""


class _Delta(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    tool_use: _Fragment | None = None
    reasoning_content: _Reasoning | None = None


class _Start(msgspec.Struct, rename="camel", gc=False):
    tool_use: _ToolUse | None = None


class _StreamEvent(msgspec.Struct, rename="camel", gc=False):
    """The payload of any event of a stream."""

    content_block_index: int = 0
    start: _Start | None = None
    delta: _Delta | None = None
    stop_reason: str | None = None
    usage: dict[str, object] | None = None
    service_tier: _Tier | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_STREAM_EVENT = msgspec.json.Decoder(_StreamEvent)

T = TypeVar("T")


def _decode(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    try:
        return decoder.decode(data)
    except _MALFORMED as exc:
        raise UpstreamFailed(
            "The provider's answer is not one of Bedrock's Converse API.",
            retryable=False,
            detail=data[:_SHOWN_BYTES].decode(errors="replace"),
        ) from exc


# ---------------------------------------------------------------- a whole answer


def read_answer(body: bytes) -> list[Event]:
    """The events of a whole answer. UpstreamFailed if it is none."""
    answer = _decode(_ANSWER, body)
    events: list[Event] = [Started()]
    calls = thoughts = 0
    blocks = answer.output.message.content if answer.output.message is not None else None
    for block in blocks or ():
        if block.tool_use is not None:
            events += _whole_call(block.tool_use, calls)
            calls += 1
        elif block.reasoning_content is not None:
            events.append(_whole_thought(block.reasoning_content, thoughts))
            thoughts += 1
        else:
            events += _visible(block)
    events.append(_finished(answer.stop_reason))
    events += _reported(answer.usage, answer.service_tier)
    return events


def _whole_call(call: _ToolUse, index: int) -> Iterator[Event]:
    yield ToolCallStarted(index=index, id=call.tool_use_id, name=call.name)
    yield ToolCallArguments(index=index, fragment=msgspec.json.format(bytes(call.input), indent=-1).decode())


def _whole_thought(thought: _Reasoning, index: int) -> ReasoningDelta:
    said = thought.reasoning_text or _ReasoningText()
    return ReasoningDelta(
        text=said.text,
        signature=said.signature,
        data=thought.redacted_content,
        format=REASONING_FORMAT,
        index=index,
    )


def _visible(block: _Block) -> Iterator[Event]:
    cited = block.citations_content.content if block.citations_content is not None else None
    for text in (block.text, *(part.text for part in cited or ())):
        if text:
            yield TextDelta(text=text)
    if block.image is not None and block.image.source is not None:
        yield ImageMade(url=f"data:image/{block.image.format};base64,{block.image.source.encoded}")


# ---------------------------------------------------------------- a stream


@dataclass(slots=True)
class _Open:
    """A call or a thought that has begun and not ended."""

    number: int
    is_call: bool
    fragments: int = 0


class ConverseStreamReader:
    """Reads one streamed answer; see the head of this file."""

    __slots__ = ("_broken", "_calls", "_complete", "_open", "_splitter", "_started", "_thoughts")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._open: dict[int, _Open] = {}
        self._calls = 0
        self._thoughts = 0
        self._started = False
        self._complete = False
        self._broken = False

    @property
    def complete(self) -> bool:
        """Whether `messageStop` has come."""
        return self._complete

    def take_usage(self) -> None:
        """None: no usage is kept back."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. UpstreamFailed(retryable=False) if it is not this dialect."""
        events: list[Event] = []
        if self._broken:
            return events
        try:
            for message in self._splitter.feed(data):
                events += self._read(message)
                if self._broken:
                    break
        except Malformed as exc:
            events.append(self._nonsense(damaged(data, exc)))
        except UpstreamFailed as exc:
            events.append(self._nonsense(exc))
        return events

    def _nonsense(self, failure: UpstreamFailed) -> Failed:
        """Rule 4."""
        self._broken = True
        if not self._started:
            raise failure
        return Failed(message=failure.message)

    def _read(self, message: Message) -> Iterator[Event]:
        exception = exception_of(message)
        if exception is not None:
            self._broken = True
            code, text = exception
            yield Failed(message=text, code=code)
            return
        event = _decode(_STREAM_EVENT, message.payload)
        if not self._started:
            self._started = True
            yield Started()
        match message.headers.get(":event-type"):
            case "contentBlockStart" if event.start is not None and event.start.tool_use is not None:
                yield self._call(event.content_block_index, event.start.tool_use)
            case "contentBlockDelta" if event.delta is not None:
                yield from self._extend(event.content_block_index, event.delta)
            case "contentBlockStop":
                yield from self._close(event.content_block_index)
            case "messageStop":
                for index in tuple(self._open):
                    yield from self._close(index)
                self._complete = True
                yield _finished(event.stop_reason)
            case "metadata":
                yield from _reported(event.usage, event.service_tier)

    def _call(self, index: int, call: _ToolUse) -> Event:
        number = self._calls
        self._calls += 1
        self._open[index] = _Open(number, is_call=True)
        return ToolCallStarted(index=number, id=call.tool_use_id, name=call.name)

    def _extend(self, index: int, delta: _Delta) -> Iterator[Event]:
        if delta.text:
            yield TextDelta(text=delta.text)
        opened = self._open.get(index)
        if delta.tool_use is not None and delta.tool_use.input and opened is not None and opened.is_call:
            opened.fragments += 1
            yield ToolCallArguments(index=opened.number, fragment=delta.tool_use.input)
        if (thought := delta.reasoning_content) is not None:
            yield ReasoningDelta(
                text=thought.text,
                signature=thought.signature,
                data=thought.redacted_content,
                format=REASONING_FORMAT,
                index=self._thought(index),
            )

    def _thought(self, index: int) -> int:
        opened = self._open.get(index)
        if opened is None or opened.is_call:
            opened = self._open[index] = _Open(self._thoughts, is_call=False)
            self._thoughts += 1
        return opened.number

    def _close(self, index: int) -> Iterator[Event]:
        """A call without a single fragment has no arguments."""
        opened = self._open.pop(index, None)
        if opened is not None and opened.is_call and not opened.fragments:
            yield ToolCallArguments(index=opened.number, fragment="{}")


# ---------------------------------------------------------------- both


def _finished(native_reason: str | None) -> Finished:
    """A word that says that something broke, and one that we do not know, is `error`: nobody must take it for a full
    answer."""
    return Finished(reason=_FINISH_REASONS.get(native_reason or "", FinishReason.ERROR), native_reason=native_reason)


def _reported(usage: dict[str, object] | None, tier: _Tier | None) -> Iterator[Event]:
    if usage is None:
        return
    raw = usage if tier is None or tier.type is None else {**usage, "serviceTier": tier.type}
    yield UsageReported(usage=converse_usage(usage), raw=msgspec.json.encode(raw))

"""Readers of answers that are nobody's to change: usage, ids and models, out of JSON and of server-sent events.

A tap is an `arouter.providers.base.Relay` of which nothing but `told` is used. What it cannot read it passes over: an
answer of another shape is for the client to judge.
"""

from collections.abc import Callable, Mapping

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.providers.openai_endpoints.usage import added, endpoint_usage
from arouter.providers.told import Told
from arouter.providers.usage import (
    advice_in,
    anthropic_usage,
    circumstances,
    gemini_usage,
    merge_anthropic,
    openai_usage,
)
from arouter.wire import sse

Note = Callable[[Told, bytes], None]
"""Notes what one JSON object tells: a whole answer, or the data of an event."""

_NULL = msgspec.Raw(b"null")
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_object_decoder: msgspec.json.Decoder[dict[str, object]] = msgspec.json.Decoder(dict[str, object])


class ObjectTap:
    """Reads one answer with a function that notes what an object tells."""

    __slots__ = ("_note", "_splitter", "told")

    def __init__(self, note: Note, told: Told) -> None:
        """`told` is filled; it says by its kind whether what is not told can be estimated."""
        self.told = told
        self._note = note
        self._splitter = sse.Splitter()

    def read_answer(self, body: bytes) -> None:
        """An object, or a list of objects: Gemini's stream where no events are asked for."""
        if body.lstrip()[:1] != b"[":
            self._hear(body)
            return
        try:
            pieces = _list_decoder.decode(body)
        except _MALFORMED:
            return
        for piece in pieces:
            self._hear(bytes(piece))

    def feed(self, data: bytes) -> bytes:
        try:
            events = self._splitter.feed(data)
        except sse.EventTooLarge:
            return b""
        for event in events:
            if event.data and event.data != sse.DONE:
                self._hear(event.data)
        return b""

    def _hear(self, said: bytes) -> None:
        try:
            self._note(self.told, said)
        except _MALFORMED:
            return

    def answer(self, charge: Charge) -> bytes:
        return b""

    def end(self) -> None:
        """Nothing is missing."""

    def failed(self) -> bytes:
        return b""

    def last(self, charge: Charge | None) -> bytes:
        return b""


# ---------------------------------------------------------------- OpenAI's responses


class _Response(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    service_tier: str | None = None
    usage: msgspec.Raw = _NULL


class _ResponseEvent(_Response):
    type: str | None = None
    response: _Response | None = None
    delta: object = None


_response_decoder = msgspec.json.Decoder(_ResponseEvent)


def note_response(told: Told, said: bytes) -> None:
    """A response, or an event of its stream; `response.incomplete` and `response.failed` tell usage too."""
    event = _response_decoder.decode(said)
    if isinstance(event.delta, str):
        told.output_bytes += len(event.delta.encode(errors="replace"))
    response = event if event.response is None else event.response
    if event.response is None and event.type is not None:
        return
    _note_names(told, response.id, response.model)
    if response.service_tier is not None:
        told.service_tier = response.service_tier
    if response.status is not None and response.status not in ("in_progress", "queued"):
        told.finish_reason = response.status
    _note_usage(told, bytes(response.usage), openai_usage)


# ---------------------------------------------------------------- Anthropic's messages


class _Delta(msgspec.Struct):
    stop_reason: str | None = None
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None


class _Message(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = _NULL


class _MessageEvent(_Message):
    type: str | None = None
    message: _Message | None = None
    delta: _Delta | None = None
    error: dict[str, object] | None = None


_message_decoder = msgspec.json.Decoder(_MessageEvent)


def note_message(told: Told, said: bytes) -> None:
    """A message, or an event of its stream. What `message_delta` tells is cumulative."""
    event = _message_decoder.decode(said)
    if event.type == "error":
        told.failure = str((event.error or {}).get("message", "The provider reported an error."))
        return
    if event.type not in ("message", "message_start", "message_delta", "content_block_delta"):
        return
    message = event if event.message is None else event.message
    _note_names(told, message.id, message.model)
    reason = message.stop_reason
    if event.delta is not None:
        reason = event.delta.stop_reason if reason is None else reason
        for text in (event.delta.text, event.delta.thinking, event.delta.partial_json):
            told.output_bytes += 0 if text is None else len(text.encode(errors="replace"))
    told.finish_reason = told.finish_reason if reason is None else reason
    _note_message_usage(told, bytes(message.usage))


def _note_message_usage(told: Told, raw: bytes) -> None:
    if raw[:1] != b"{":
        return
    if told.raw_usage is not None:
        before, now = _object_decoder.decode(told.raw_usage), _object_decoder.decode(raw)
        raw = msgspec.json.encode(merge_anthropic(before, now))
    _note_usage(told, raw, anthropic_usage)
    told.service_tier, told.speed = circumstances(raw)
    told.advice = advice_in(raw)


# ---------------------------------------------------------------- Gemini's generateContent


class _GeminiPart(msgspec.Struct):
    text: str | None = None


class _GeminiContent(msgspec.Struct):
    parts: list[_GeminiPart] | None = None


class _Candidate(msgspec.Struct):
    content: _GeminiContent | None = None
    finishReason: str | None = None  # noqa: N815 - Gemini's own name


class _Generated(msgspec.Struct):
    candidates: list[_Candidate] | None = None
    usageMetadata: msgspec.Raw = _NULL  # noqa: N815
    modelVersion: str | None = None  # noqa: N815
    responseId: str | None = None  # noqa: N815


_generated_decoder = msgspec.json.Decoder(_Generated)


def note_generated(told: Told, said: bytes) -> None:
    """An answer, or a piece of a stream; the last usage counts."""
    generated = _generated_decoder.decode(said)
    _note_names(told, generated.responseId, generated.modelVersion)
    for candidate in generated.candidates or ():
        if candidate.finishReason is not None:
            told.finish_reason = candidate.finishReason
        for part in (candidate.content and candidate.content.parts) or ():
            told.output_bytes += 0 if part.text is None else len(part.text.encode(errors="replace"))
    raw = bytes(generated.usageMetadata)
    _note_usage(told, raw, gemini_usage)
    if told.raw_usage == raw:
        told.service_tier, told.speed = circumstances(raw)


# ---------------------------------------------------------------- OpenAI's other endpoints


class _Endpoint(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = _NULL


_endpoint_decoder = msgspec.json.Decoder(_Endpoint)


def note_endpoint(vendor: str, *, of_images: bool = False) -> Note:
    """For the answers of embeddings, images, transcriptions, and of whatever else has a `usage`."""

    def note(told: Told, said: bytes) -> None:
        answer = _endpoint_decoder.decode(said)
        _note_names(told, answer.id, answer.model)
        usage = endpoint_usage(bytes(answer.usage), vendor, of_images=of_images)
        if usage is not None:
            before = told.usage if of_images else None
            told.usage = usage if before is None else added(before, usage)
            told.raw_usage = bytes(answer.usage)

    return note


# ---------------------------------------------------------------- all of them


def _note_names(told: Told, upstream_id: str | None, model: str | None) -> None:
    if upstream_id:
        told.upstream_id = upstream_id
    if model:
        told.upstream_model = model


def _note_usage(told: Told, raw: bytes, read: Callable[[Mapping[str, object]], Usage]) -> None:
    if raw[:1] != b"{":
        return
    usage = read(_object_decoder.decode(raw))
    if usage != NOTHING_REPORTED:
        told.usage = usage
        told.raw_usage = raw

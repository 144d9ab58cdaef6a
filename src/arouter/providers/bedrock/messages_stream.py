"""Anthropic's events, taken out of AWS's framing.

1. Each message of the type `event` holds `{"bytes": "…"}`, an event of Anthropic's in Base64; it becomes the
   server-sent event that Anthropic itself would have sent.
2. An exception in the middle of a stream becomes an `error` event.
3. Damage at the start is no stream of Bedrock's, and UpstreamFailed; after a good start it becomes an `error` event
   too, so that what was told before it, usage above all, is not lost with it. Nothing counts after it.
"""

from base64 import b64decode

import msgspec

from arouter.providers.bedrock.errors import damaged, exception_of
from arouter.wire.aws_event_stream import Malformed, Message, Splitter

_MALFORMED = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)


class _Chunk(msgspec.Struct):
    encoded: str = msgspec.field(name="bytes", default="")


class _Typed(msgspec.Struct):
    type: str = ""


_CHUNK = msgspec.json.Decoder(_Chunk)
_TYPED = msgspec.json.Decoder(_Typed)


class MessagesUnwrapper:
    """One streamed answer of `invoke-with-response-stream`."""

    __slots__ = ("_broken", "_splitter", "_started")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._started = False
        self._broken = False

    def feed(self, data: bytes) -> bytes:
        """The server-sent events that `data` completes. UpstreamFailed(retryable=False) if it is not this framing."""
        if self._broken:
            return b""
        events = []
        try:
            for message in self._splitter.feed(data):
                events.append(_server_event(message))
                self._started = True
        except Malformed as exc:
            self._broken = True
            failure = damaged(data, exc)
            if not self._started:
                raise failure from exc
            events.append(_error_event("malformed_stream", failure.message))
        return b"".join(events)


def _server_event(message: Message) -> bytes:
    exception = exception_of(message)
    if exception is not None:
        return _error_event(*exception)
    if message.headers.get(":event-type") != "chunk":
        return b""
    try:
        event = b64decode(_CHUNK.decode(message.payload).encoded, validate=True)
        name = _TYPED.decode(event).type.encode("ascii")
    except _MALFORMED as exc:
        raise Malformed("a chunk without an event of Anthropic's") from exc
    return b"event: " + _one_line(name) + b"\ndata: " + _one_line(event) + b"\n\n"


def _one_line(text: bytes) -> bytes:
    """Between the tokens of JSON a line end is white space."""
    return text.replace(b"\r", b" ").replace(b"\n", b" ")


def _error_event(code: str, text: str) -> bytes:
    error = {"type": "error", "error": {"type": code, "message": text}}
    return b"event: error\ndata: " + msgspec.json.encode(error) + b"\n\n"

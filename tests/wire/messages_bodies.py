"""Bodies of the Messages API, read as a gateway reads them, and answers, read as Anthropic's SDK reads them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message as SdkMessage
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from arouter.domain.charge import Charge
from arouter.domain.chat import ChatRequest, Event
from arouter.domain.usage import Usage
from arouter.wire import sse
from arouter.wire.answer import AnswerWriter
from arouter.wire.anthropic_messages.request import read_messages_request
from arouter.wire.anthropic_messages.writer import MessagesWriter

Object = dict[str, Any]

HELLO = [{"role": "user", "content": "Hello"}]

KNOWN = Charge(usage=Usage(input_tokens=7, output_tokens=5))

_EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


def read_bytes(body: bytes) -> ChatRequest:
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return read_messages_request(fields, model="m", identity=None, stream=False)


def read(body: Mapping[str, object]) -> ChatRequest:
    return read_bytes(msgspec.json.encode(body))


def writer() -> AnswerWriter:
    return MessagesWriter(id="gen-1", model="m")


def told(stream: bytes) -> list[Object]:
    """The data of the events of a stream; each has the name of its type."""
    splitter = sse.Splitter()
    events = splitter.feed(stream)
    assert splitter.pending == b""
    read = [msgspec.json.decode(event.data, type=dict[str, Any]) for event in events]
    assert [event.name.decode() for event in events] == [data["type"] for data in read]
    return read


def streamed(events: Sequence[Event], charge: Charge | None = KNOWN, *, at_once: bool = False) -> bytes:
    """The whole stream of an answer whose events come one by one, or all at once."""
    writing = writer()
    pieces = [writing.encode(events)] if at_once else [writing.encode([event]) for event in events]
    return b"".join([*pieces, writing.last(charge)])


def as_the_sdk_reads(stream: bytes) -> Object:
    """The message that the SDK puts together of a stream. It is checked against the SDK's types, event by event."""
    snapshot = None
    buffers: dict[int, bytes] = {}
    ended: set[int] = set()
    for data in told(stream):
        event = _EVENT.validate_python(data)
        if event.type == "content_block_delta":
            assert event.index not in ended
        if event.type == "content_block_stop":
            ended.add(event.index)
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    assert snapshot is not None
    assert len(ended) == len(snapshot.content)
    return snapshot.to_dict()


def whole(events: Sequence[Event], charge: Charge = KNOWN) -> Object:
    """The body of a whole answer, checked against the SDK's type."""
    body = writer().whole(events, charge)
    message = msgspec.json.decode(body, type=dict[str, Any])
    SdkMessage.model_validate(message)
    return message

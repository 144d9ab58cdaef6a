"""Responses bodies, read as the router reads them, and answers written for them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.chat import ChatRequest, Event, Json, Message
from arouter.wire import sse
from arouter.wire.answer import AnswerWriter
from arouter.wire.openai_responses.request import read_responses
from arouter.wire.openai_responses.writer import ResponsesWriter

Object = dict[str, Any]


def fields_of(body: Mapping[str, object]) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(msgspec.json.encode(body), type=dict[str, msgspec.Raw])


def read_bytes(body: bytes) -> ChatRequest:
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return read_responses(fields, model="m", identity=None, stream=False)


def read(body: Mapping[str, object]) -> ChatRequest:
    return read_bytes(msgspec.json.encode(body))


def read_with(**fields: object) -> ChatRequest:
    """A request that says hello, with some more fields."""
    return read({"input": "Hello", **fields})


def read_items(*items: Mapping[str, object]) -> tuple[Message, ...]:
    """The messages of a conversation of items."""
    return read({"input": items}).messages


def writer(**fields: object) -> ResponsesWriter:
    """Of the answer to a request with these fields."""
    return ResponsesWriter(id="gen-1", created_s=1_700_000_000, model="m", fields=fields_of(fields))


def events_of(stream: bytes) -> list[Object]:
    """What a stream says. Its event lines must name the types."""
    splitter = sse.Splitter()
    events = splitter.feed(stream)
    assert splitter.pending == b""
    told: list[Object] = [msgspec.json.decode(event.data) for event in events]
    assert [event.name.decode() for event in events] == [event["type"] for event in told]
    return told


def kinds(events: Sequence[Object]) -> list[str]:
    """The types of events, without what all of them begin with."""
    return [event["type"].removeprefix("response.") for event in events]


def whole(events: Sequence[Event], charge: Charge | None = None, **fields: object) -> Object:
    """The whole answer."""
    body = writer(**fields).whole(events, Charge() if charge is None else charge)
    return msgspec.json.decode(body, type=Object)


def streamed(events: Sequence[Event], charge: Charge | None = None, **fields: object) -> list[Object]:
    """The stream, up to its end."""
    writing: AnswerWriter = writer(**fields)
    return events_of(writing.encode(events) + writing.last(charge))


def sent_back(output: list[Json]) -> tuple[Message, ...]:
    """The messages of a client that goes on with an answer's items, as the SDKs' examples do."""
    return read_items(*output, {"role": "user", "content": "Go on"})[:-1]

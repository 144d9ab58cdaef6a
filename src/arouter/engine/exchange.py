"""One request to one provider, without I/O: the request in its dialect, and its answer in the client's.

Two kinds: a relay, where both sides speak the same dialect and bytes pass through, and a translation, where events
in canonical form stand in between. The pipeline does not know which one it drives.
"""

import re
from typing import Protocol

from arouter.domain.chat import (
    ChatRequest,
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    UsageReported,
)
from arouter.domain.errors import ARouterError, InvalidRequest
from arouter.engine.billing import Bill
from arouter.engine.call import Call
from arouter.engine.routing import Route
from arouter.providers.base import Adapter, Prepared, Relay, StreamReader
from arouter.providers.told import Told
from arouter.providers.usage import advice_in, circumstances
from arouter.wire.answer import AnswerWriter

_IN_MESSAGES = re.compile(r"messages(?=[.\[]|$)")


class Exchange(Protocol):
    """What the pipeline needs of either kind."""

    @property
    def prepared(self) -> Prepared:
        """The request for the provider."""

    @property
    def told(self) -> Told:
        """What the provider has told so far. Complete before the stream's end: nothing of interest can follow."""

    def read_answer(self, body: bytes) -> None:
        """Read a whole answer. UpstreamFailed if it is none."""

    def answer(self, bill: Bill) -> bytes:
        """The client's whole answer, with usage and cost."""

    def feed(self, data: bytes) -> bytes:
        """What the client gets of a piece of the stream; may be empty."""

    def end(self) -> None:
        """The provider closed the stream."""

    def last(self, bill: Bill | None) -> bytes:
        """The last bytes of a stream: the usage, unless the client wanted none (None), and the end mark."""

    def failure(self, error: ARouterError, type_: str) -> bytes:
        """The last bytes of a stream that broke off: the error, and the end mark."""


class RelayExchange:
    """The client's dialect is the provider's."""

    __slots__ = ("_call", "_relay", "_route", "answer", "feed", "prepared", "read_answer", "told")

    def __init__(self, call: Call, route: Route, prepared: Prepared, relay: Relay) -> None:
        self.prepared = prepared
        self.told = relay.told
        self.feed = relay.feed
        self.read_answer = relay.read_answer
        self.answer = relay.answer
        self._relay = relay
        self._call = call
        self._route = route

    def end(self) -> None:
        self._relay.end()

    def last(self, bill: Bill | None) -> bytes:
        return self._relay.last(bill)

    def failure(self, error: ARouterError, type_: str) -> bytes:
        return self._relay.failed() or _broken_off(
            self._call.ingress.writer(self._call, self._route.model, begun=True), error, type_
        )


class TranslatedExchange:
    """The client speaks one dialect, the provider another one."""

    __slots__ = ("_adapter", "_events", "_reader", "_told", "_writer", "prepared")

    def __init__(self, call: Call, route: Route, adapter: Adapter, identity: str | None) -> None:
        self.prepared = _prepared(adapter, call.ingress.read(call, route.model, identity), call.ingress.conversation)
        self._told = Told()
        self._adapter = adapter
        self._reader: StreamReader | None = None
        self._writer = call.ingress.writer(call, route.model)
        self._events: list[Event] = []

    @property
    def told(self) -> Told:
        kept = None if self._reader is None else self._reader.take_usage()
        if kept is not None:
            self._note([kept])
            # It makes no piece of a stream, but the end of one may tell it.
            self._writer.encode([kept])
        return self._told

    def read_answer(self, body: bytes) -> None:
        self._events = self._adapter.read_answer(body)
        self._note(self._events)
        self._told.complete = True

    def answer(self, bill: Bill) -> bytes:
        return self._writer.whole(self._events, bill)

    def feed(self, data: bytes) -> bytes:
        if self._reader is None:
            self._reader = self._adapter.stream_reader()
        events = self._reader.feed(data)
        if not events:
            return b""
        self._note(events)
        return self._writer.encode(events)

    def end(self) -> None:
        # Not before: Gemini may go on telling usage after it finished.
        self._told.complete = self._reader is not None and self._reader.complete

    def last(self, bill: Bill | None) -> bytes:
        return self._writer.last(bill)

    def failure(self, error: ARouterError, type_: str) -> bytes:
        return _broken_off(self._writer, error, type_)

    def _note(self, events: list[Event]) -> None:
        told = self._told
        for event in events:
            if type(event) is TextDelta:
                told.output_bytes += _size(event.text)
                continue
            match event:
                case UsageReported():
                    self._note_usage(event)
                case Started(id=upstream_id, model=model):
                    told.upstream_id = upstream_id if upstream_id is not None else told.upstream_id
                    told.upstream_model = model if model is not None else told.upstream_model
                case Finished(reason=reason):
                    told.finish_reason = reason
                case ReasoningDelta(text=text) | RefusalDelta(text=text) | ToolCallArguments(fragment=text):
                    told.output_bytes += _size(text)
                case Failed(message=message, code=code):
                    told.failure = message
                    told.failure_code = code

    def _note_usage(self, reported: UsageReported) -> None:
        """The counts, and what the price depends on besides them."""
        told, raw = self._told, reported.raw
        told.usage, told.raw_usage = reported.usage, raw
        told.service_tier, told.speed = circumstances(raw)
        if reported.service_tier is not None:
            told.service_tier = reported.service_tier
        told.advice = advice_in(raw)


def _size(text: str) -> int:
    """In bytes."""
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _prepared(adapter: Adapter, request: ChatRequest, conversation: str | None) -> Prepared:
    """The request for the provider. InvalidRequest that names a field of the client's own."""
    try:
        return adapter.prepare(request)
    except InvalidRequest as error:
        error.param = clients_place(error.param, conversation)
        raise


def clients_place(param: str | None, conversation: str | None) -> str | None:
    """A place in a canonical request as one in the client's: within a conversation that was told in other entries it
    is the `conversation`, and no more is known of it."""
    if param is None or conversation is None or _IN_MESSAGES.match(param) is None:
        return param
    return conversation


def _broken_off(writer: AnswerWriter, error: ARouterError, type_: str) -> bytes:
    return writer.error(error.message, error.code, error.metadata, type_=type_)

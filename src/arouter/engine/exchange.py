"""One request to one provider, without I/O: the request in its dialect, and its answer in the client's.

Two kinds: a relay, where both sides speak the same dialect and bytes pass through, and a translation, where events
in canonical form stand in between. The pipeline does not know which one it drives.
"""

from typing import Protocol

from arouter.domain.chat import (
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
from arouter.domain.errors import ARouterError, UpstreamFailed
from arouter.engine.billing import Bill
from arouter.engine.call import Call
from arouter.engine.routing import Route
from arouter.providers import openai
from arouter.providers.base import Adapter, Prepared
from arouter.providers.told import Told
from arouter.providers.usage import advice_in, circumstances
from arouter.wire.openai_chat.chunks import ChunkEncoder
from arouter.wire.openai_chat.completion import completion_body
from arouter.wire.openai_chat.request import read_chat
from arouter.wire.openai_chat.usage import extend_usage, usage_json


class Exchange(Protocol):
    """What the pipeline needs of either kind."""

    @property
    def prepared(self) -> Prepared:
        """The request for the provider."""

    @property
    def told(self) -> Told:
        """What the provider has told so far. Complete before the stream's end: nothing of interest can follow."""

    def read_error(self, status: int, body: bytes) -> UpstreamFailed:
        """The provider's error answer as ours."""

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


def _usage(told: Told, bill: Bill) -> bytes:
    if told.raw_usage is None:
        return usage_json(
            bill.usage, cost=bill.cost, prompt_cost=bill.prompt_cost, completion_cost=bill.completion_cost
        )
    return extend_usage(
        told.raw_usage, cost=bill.cost, prompt_cost=bill.prompt_cost, completion_cost=bill.completion_cost
    )


class RelayExchange:
    """OpenAI's dialect on both sides."""

    __slots__ = ("_call", "_relay", "_route", "feed", "prepared", "read_answer", "told")

    def __init__(self, call: Call, route: Route, identity: str | None) -> None:
        vendor = route.deployment.vendor
        self.prepared = openai.relay_request(
            call.fields, vendor=vendor, model=route.model, stream=call.stream, identity=identity
        )
        self._call = call
        self._route = route
        self._relay = relay = openai.Relay(vendor)
        self.told = relay.told
        self.feed = relay.feed
        self.read_answer = relay.read_answer

    def read_error(self, status: int, body: bytes) -> UpstreamFailed:
        return openai.read_error(self._route.deployment.provider, status, body)

    def answer(self, bill: Bill) -> bytes:
        return self._relay.answer(_usage(self.told, bill))

    def end(self) -> None:
        self._relay.end()

    def last(self, bill: Bill | None) -> bytes:
        return self._relay.last_chunk(_usage(self.told, bill) if bill is not None else None)

    def failure(self, error: ARouterError, type_: str) -> bytes:
        return _broken_off(_encoder(self._call, self._route), error, type_)


class TranslatedExchange:
    """OpenAI's dialect towards the client, another one towards the provider."""

    __slots__ = ("_adapter", "_call", "_encoder", "_events", "_model", "_reader", "prepared", "told")

    def __init__(self, call: Call, route: Route, adapter: Adapter, identity: str | None) -> None:
        request = read_chat(call.fields, model=route.model, identity=identity, stream=call.stream)
        self.prepared = adapter.prepare(request)
        self.told = Told()
        self._adapter = adapter
        self._reader = adapter.stream_reader()
        self._encoder = _encoder(call, route)
        self._events: list[Event] = []
        self._call = call
        self._model = route.model

    def read_error(self, status: int, body: bytes) -> UpstreamFailed:
        return self._adapter.read_error(status, body)

    def read_answer(self, body: bytes) -> None:
        self._events = self._adapter.read_answer(body)
        self._note(self._events)
        self.told.complete = True

    def answer(self, bill: Bill) -> bytes:
        return completion_body(
            self._events,
            id=self._call.opening.id,
            created_s=self._call.opening.created_at_us // 1_000_000,
            model=self._model,
            usage_json=self._usage(bill),
        )

    def feed(self, data: bytes) -> bytes:
        events = self._reader.feed(data)
        if not events:
            return b""
        self._note(events)
        return self._encoder.encode(events)

    def end(self) -> None:
        # Not before: Gemini may go on telling usage after it finished.
        self.told.complete = self._reader.complete

    def last(self, bill: Bill | None) -> bytes:
        return self._encoder.last(self._usage(bill) if bill is not None else None)

    def failure(self, error: ARouterError, type_: str) -> bytes:
        return _broken_off(self._encoder, error, type_)

    def _usage(self, bill: Bill) -> bytes:
        return usage_json(
            bill.usage, cost=bill.cost, prompt_cost=bill.prompt_cost, completion_cost=bill.completion_cost
        )

    def _note(self, events: list[Event]) -> None:
        told = self.told
        for event in events:
            match event:
                case TextDelta(text=text) | ReasoningDelta(text=text) | RefusalDelta(text=text):
                    told.output_bytes += len(text.encode(errors="replace"))
                case ToolCallArguments(fragment=fragment):
                    told.output_bytes += len(fragment.encode(errors="replace"))
                case UsageReported(usage=usage, raw=raw, service_tier=tier):
                    told.usage = usage
                    told.raw_usage = raw
                    self._note_circumstances(raw, tier)
                case Started(id=upstream_id, model=model):
                    told.upstream_id = upstream_id if upstream_id is not None else told.upstream_id
                    told.upstream_model = model if model is not None else told.upstream_model
                case Finished(reason=reason):
                    told.finish_reason = reason
                case Failed(message=message, code=code):
                    told.failure = message
                    told.failure_code = code

    def _note_circumstances(self, raw: bytes, tier: str | None) -> None:
        """What the price depends on besides the counts; `tier` is what the provider told beside its usage object."""
        told = self.told
        told.service_tier, told.speed = circumstances(raw)
        if tier is not None:
            told.service_tier = tier
        told.advice = advice_in(raw)


def _encoder(call: Call, route: Route) -> ChunkEncoder:
    return ChunkEncoder(id=call.opening.id, created_s=call.opening.created_at_us // 1_000_000, model=route.model)


def _broken_off(encoder: ChunkEncoder, error: ARouterError, type_: str) -> bytes:
    return encoder.error(error.message, error.code, error.metadata, type_=type_) + encoder.last(None)


def messages_bytes(fields: openai.Fields) -> int:
    """The size of what a request asks the model to read: its messages and tools."""
    size = len(memoryview(fields["messages"])) if "messages" in fields else 0
    return size + len(memoryview(fields["tools"])) if "tools" in fields else size

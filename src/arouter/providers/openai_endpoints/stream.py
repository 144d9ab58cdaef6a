"""Streamed answers of OpenAI's other endpoints on their way through.

Images, transcriptions and speech come as named events. The last one tells the usage: it is kept back until the record
is durable, and goes out with the cost. Every other event goes on as it came. Speech may also come as bare bytes.
"""

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.errors import UpstreamFailed
from arouter.providers.openai import Fields
from arouter.providers.openai_endpoints.answer import MALFORMED, not_this_answer
from arouter.providers.openai_endpoints.usage import added, endpoint_usage
from arouter.providers.told import Told, ToldWithoutText
from arouter.providers.vendors import Vendor
from arouter.wire import sse
from arouter.wire.openai_chat.usage import extend_usage

_NULL = msgspec.Raw(b"null")
_LAST = (".completed", ".done")
"""How the type ends of the event that is the last one of an answer, or of one image of several."""

_fields_decoder: msgspec.json.Decoder[Fields] = msgspec.json.Decoder(Fields)


class _Failure(msgspec.Struct):
    message: str | None = None
    code: str | int | None = None


class _Event(msgspec.Struct):
    type: str | None = None
    usage: msgspec.Raw = _NULL
    error: _Failure | None = None
    message: str | None = None
    code: str | int | None = None


_event_decoder = msgspec.json.Decoder(_Event)


class EventRelay:
    """One stream of events. Implements `arouter.providers.base.Relay`."""

    __slots__ = ("_done", "_held", "_of_images", "_splitter", "_vendor", "_what", "told")

    def __init__(self, vendor: Vendor, *, what: str, of_images: bool = False) -> None:
        self.told: Told = ToldWithoutText()
        self._vendor = vendor.name
        self._what = what
        self._of_images = of_images
        self._splitter = sse.Splitter()
        self._held: sse.ServerEvent | None = None
        self._done = b""

    def read_answer(self, body: bytes) -> None:
        raise not_this_answer(self._vendor, self._what, body)

    def answer(self, charge: Charge) -> bytes:
        """There is no whole answer."""
        return b""

    def feed(self, data: bytes) -> bytes:
        try:
            events = self._splitter.feed(data)
        except sse.EventTooLarge as exc:
            raise UpstreamFailed(
                f"The provider {self._vendor} sent a stream that is not one.", retryable=False, detail=str(exc)
            ) from exc
        forwarded = []
        for event in events:
            if self.told.complete or self.told.failure is not None:
                break
            if not event.data:
                forwarded.append(event.raw)
            elif event.data == sse.DONE:
                self._done = event.raw
                self.told.complete = True
            else:
                forwarded.append(self._forward(event))
        return b"".join(forwarded)

    def end(self) -> None:
        self.told.complete = self.told.complete or self._held is not None

    def failed(self) -> bytes:
        return b""

    def last(self, charge: Charge | None) -> bytes:
        return (b"" if self._held is None else _with_cost(self._held, charge)) + self._done

    def _forward(self, event: sse.ServerEvent) -> bytes:
        """What to forward now: the event, or the one that was held back for being the last until this one came."""
        try:
            told = _event_decoder.decode(event.data)
        except msgspec.ValidationError:
            told = _Event()
        except MALFORMED as exc:
            raise not_this_answer(self._vendor, self._what, event.data) from exc
        if told.type == "error" or told.error is not None:
            self._fail(told)
            return b""
        if told.usage != _NULL:
            self._read_usage(bytes(told.usage))
        held, self._held = self._held, None
        before = b"" if held is None else held.raw
        if told.type is not None and told.type.endswith(_LAST):
            self._held = event
            return before
        return before + event.raw

    def _read_usage(self, raw: bytes) -> None:
        usage = endpoint_usage(raw, self._vendor, of_images=self._of_images)
        if usage is None:
            return
        # Each image has an event of its own, with its own usage.
        before = self.told.usage if self._of_images else None
        self.told.usage = usage if before is None else added(before, usage)
        self.told.raw_usage = raw

    def _fail(self, told: _Event) -> None:
        failure = _Failure(told.message, told.code) if told.error is None else told.error
        self.told.failure = failure.message or "The provider reported an error."
        self.told.failure_code = None if failure.code is None else str(failure.code)


class BytesRelay:
    """Bytes of any kind, until the provider ends them. Implements `arouter.providers.base.Relay`."""

    __slots__ = ("told",)

    def __init__(self, raw_usage: bytes | None) -> None:
        """`raw_usage` is what is known of the usage beforehand."""
        self.told: Told = ToldWithoutText()
        self.told.raw_usage = raw_usage

    def read_answer(self, body: bytes) -> None:
        self.told.complete = True

    def answer(self, charge: Charge) -> bytes:
        """There is no whole answer."""
        return b""

    def feed(self, data: bytes) -> bytes:
        return data

    def end(self) -> None:
        self.told.complete = True

    def failed(self) -> bytes:
        return b""

    def last(self, charge: Charge | None) -> bytes:
        """The end of the body is the end of the answer, and comes by itself."""
        return b""


def _with_cost(event: sse.ServerEvent, charge: Charge | None) -> bytes:
    """The event with the cost in its usage, if it has one."""
    fields = _fields_decoder.decode(event.data)
    usage = fields.get("usage", _NULL)
    if charge is None or not bytes(usage).startswith(b"{"):
        return event.raw
    told = extend_usage(
        bytes(usage), cost=charge.cost, prompt_cost=charge.prompt_cost, completion_cost=charge.completion_cost
    )
    fields["usage"] = msgspec.Raw(told)
    return sse.encode(msgspec.json.encode(fields).replace(b"\r", b" ").replace(b"\n", b" "), event.name)

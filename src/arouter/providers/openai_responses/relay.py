"""Responses on both sides: bytes pass through, and the ledger reads along.

A request is decoded one level deep and its fields stay the bytes that the client wrote; only `model` and the identity
change, and what is for a gateway stays here. Of the answer not one byte changes. The event that ends the stream is kept
back until the record is durable: it is what tells the client that it is at its end. With it is the end mark of a vendor
that has one.

A response that is made in the background is told as it stands when the request ends: its usage is not known yet.
"""

from collections.abc import Mapping

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.chat import FinishReason
from arouter.providers.base import Prepared
from arouter.providers.openai_error import MALFORMED, error_object, not_this_dialect, read_error
from arouter.providers.openai_responses.answer import EXPECTED
from arouter.providers.openai_responses.request import PATH
from arouter.providers.openai_responses.schema import (
    ENDS,
    NULL,
    UNFINISHED,
    Response,
    decode_outline,
    decode_response,
    finish_of,
    usage_of,
)
from arouter.providers.routing_fields import taken_from
from arouter.providers.told import Told
from arouter.providers.vendors import Vendor
from arouter.wire import sse

_OK = 200
_CALLS = frozenset({"function_call", "custom_tool_call"})


class _Event(msgspec.Struct, gc=False):
    """As much of an event as the ledger needs."""

    type: str = ""
    delta: msgspec.Raw = NULL
    item: msgspec.Raw = NULL
    response: Response | None = None
    error: msgspec.Raw = NULL


_decode_event = msgspec.json.Decoder(_Event).decode


def relay_responses_request(
    fields: Mapping[str, msgspec.Raw], *, vendor: Vendor, model: str, stream: bool, identity: str | None
) -> Prepared:
    """The client's request for this vendor. `stream` is what the client asked for: its field passes as it is.

    `identity` is the end user's pseudonym; what the client sent as `user` or `safety_identifier` never leaves.
    """
    sent = dict(fields)
    for name in taken_from(gateway=vendor.takes_routing_fields) & sent.keys():
        del sent[name]
    sent["model"] = msgspec.Raw(msgspec.json.encode(model))
    if identity is not None and vendor.identity_field is not None:
        sent[vendor.identity_field] = msgspec.Raw(msgspec.json.encode(identity))
    return Prepared(path=PATH, body=msgspec.json.encode(sent))


class ResponsesRelay:
    """One answer on its way through."""

    __slots__ = ("_awaits_mark", "_body", "_called", "_has_mark", "_kept", "_splitter", "_vendor", "told")

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor.name
        self._has_mark = vendor.has_end_mark_in_responses
        self._awaits_mark = False
        """All but the end mark has come."""
        self._splitter = sse.Splitter()
        self._body = b""
        self._kept = b""
        self._called = False
        self.told = Told()

    # ---------------------------------------------------------------- a whole answer

    def read_answer(self, body: bytes) -> None:
        """Read a response. UpstreamFailed if it is none, or one that failed and used nothing."""
        try:
            response = decode_response(body)
        except MALFORMED as error:
            raise not_this_dialect(self._vendor, EXPECTED, body) from error
        if response.output is None and response.error == NULL:
            raise not_this_dialect(self._vendor, EXPECTED, body)
        if response.error != NULL and usage_of(response, self._vendor) is None:
            raise read_error(self._vendor, _OK, body)
        self._body = body
        self._read_end(response)
        if self.told.usage is None:
            self.told.output_bytes = sum(len(memoryview(item)) for item in response.output or ())

    def answer(self, charge: Charge) -> bytes:
        """The response as it came."""
        return self._body

    # ---------------------------------------------------------------- a stream

    def feed(self, data: bytes) -> bytes:
        """What to forward of `data`; empty while an event is incomplete or kept back."""
        try:
            events = self._splitter.feed(data)
        except sse.EventTooLarge as error:
            raise not_this_dialect(self._vendor, "a stream of one", data) from error
        forwarded = []
        for event in events:
            if self.told.complete or self.told.failure is not None:
                break  # Nothing counts after the end, however the network cut it.
            if self._awaits_mark:
                self._kept += event.raw
                self.told.complete = event.data == sse.DONE
            elif event.data and event.data != sse.DONE and self._ends(event.data):
                self._kept = event.raw
                if self._has_mark and self.told.complete:
                    self._awaits_mark = True
                    self.told.complete = False
            else:
                forwarded.append(event.raw)
        return b"".join(forwarded)

    def end(self) -> None:
        """The stream is closed. Only the event that ends it says that it is whole, with or without its mark."""
        self.told.complete = self.told.complete or self._awaits_mark

    def failed(self) -> bytes:
        """The event that told the failure, as it came: it may hold what was generated, and its usage."""
        return self._kept if self.told.failure is not None else b""

    def last(self, charge: Charge | None) -> bytes:
        """The event that ended the stream, as it came."""
        return self._kept

    def _ends(self, data: bytes) -> bool:
        """Reads an event; whether it is the stream's last."""
        try:
            event = _decode_event(data)
        except msgspec.ValidationError:
            return False  # JSON of another shape than the one we know: the client may know it.
        except MALFORMED as error:
            raise not_this_dialect(self._vendor, EXPECTED, data) from error
        if event.type == "error" or (not event.type and event.error != NULL):
            self._fail(data)
            return True
        if event.response is not None:
            if event.type in ENDS:
                self._read_end(event.response)
                return True
            self._read_head(event.response)
        elif event.type.endswith(".delta"):
            self.told.output_bytes += max(0, len(memoryview(event.delta)) - 2)
        elif event.type == "response.output_item.added" and event.item != NULL:
            self._called = self._called or _is_call(event.item)
        return False

    # ---------------------------------------------------------------- both

    def _read_head(self, response: Response) -> None:
        told = self.told
        if told.upstream_id is None and response.id:
            told.upstream_id = response.id
        if response.model:
            told.upstream_model = response.model

    def _read_end(self, response: Response) -> None:
        """The last word on everything. The tier that was asked for is in every event, that of the end was served."""
        told = self.told
        self._read_head(response)
        told.service_tier = response.service_tier
        if response.status not in UNFINISHED:
            reason, _ = finish_of(response)
            called = self._called or any(_is_call(item) for item in response.output or ())
            told.finish_reason = FinishReason.TOOL_CALLS if reason == FinishReason.STOP and called else reason
        used = usage_of(response, self._vendor)
        if used is not None:
            told.usage, told.raw_usage = used
        if response.error != NULL:
            self._fail(b'{"error":' + bytes(response.error) + b"}")
        elif response.status == "failed":
            told.failure = "The provider reported an error."
        told.complete = told.failure is None

    def _fail(self, data: bytes) -> None:
        error = error_object(data)
        self.told.failure = error.message or "The provider reported an error."
        self.told.failure_code = None if error.name == "error" else error.name


def _is_call(item: msgspec.Raw) -> bool:
    try:
        return decode_outline(item).type in _CALLS
    except MALFORMED:
        return False

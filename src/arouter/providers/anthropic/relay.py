"""The Messages API on both sides: bytes pass through.

A request is decoded one level deep and its fields stay the bytes that the client wrote; only `model`, the identity
and what is addressed to the gateway change. One thing more is taken out where it occurs, because Anthropic refuses the
request for it: thoughts and citations of other providers, which a conversation that began there brings along
(`arouter.wire.anthropic_messages.thoughts`).

An answer is forwarded byte for byte, whole or streamed. Each event is decoded as far as the ledger needs; the last
one, `message_stop`, is kept back until the record is durable, and an `error` goes to the pipeline, which tells it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.errors import InvalidRequest, UpstreamFailed
from arouter.domain.usage import NOTHING_REPORTED
from arouter.providers.anthropic.errors import MALFORMED, ErrorObject, from_error_object, not_this_dialect, shown
from arouter.providers.anthropic.request import PATH, VERSION_HEADER
from arouter.providers.anthropic.unsealing import without_seals
from arouter.providers.base import Prepared
from arouter.providers.told import Told
from arouter.providers.usage import advice_in, anthropic_usage, circumstances, merge_anthropic
from arouter.providers.vendors import Vendor
from arouter.wire import sse
from arouter.wire.anthropic_messages.stop_reasons import FINISH_REASONS

Fields = Mapping[str, msgspec.Raw]
"""The top level of a JSON object; each value as its bytes."""

COUNT_PATH = "/v1/messages/count_tokens"

_TAKEN = frozenset({"user", "safety_identifier", "metadata", "models", "route", "stream_options"})
"""Obeyed or recorded here, and of no meaning at Anthropic, but for `metadata`, which says who the user is."""
_TAKEN_FROM_VENDORS = _TAKEN.union(("provider", "session_id", "usage", "transforms", "plugins", "trace"))

_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BETAS = re.compile(r"[A-Za-z0-9._-]+(?:[ \t]*,[ \t]*[A-Za-z0-9._-]+)*")

_encode = msgspec.json.encode
_NOTHING = msgspec.Raw(b"")
_STOP = b'{"type":"message_stop"}'
_QUOTE = ord('"')

# ---------------------------------------------------------------- the request


def relay_messages_request(
    fields: Fields,
    *,
    vendor: Vendor,
    model: str,
    stream: bool,
    identity: str | None,
    version: str | None = None,
    betas: Sequence[str] = (),
) -> Prepared:
    """The client's request for this vendor: `fields` with the few that are ours to change, changed.

    `identity` is the end user's pseudonym, `version` and `betas` are the values of the client's headers
    `anthropic-version` and `anthropic-beta`. InvalidRequest if a header is not what its name says.
    """
    sent = _relayed(fields, vendor, model)
    if identity is not None and vendor.identity_field == "metadata.user_id":
        sent["metadata"] = msgspec.Raw(_encode({"user_id": identity}))
    if stream and "stream" not in sent:
        sent["stream"] = msgspec.Raw(b"true")
    return Prepared(path=PATH, body=_encode(sent), headers=relayed_headers(version, betas))


def relay_count_request(
    fields: Fields, *, vendor: Vendor, model: str, version: str | None = None, betas: Sequence[str] = ()
) -> Prepared:
    """The request for `/v1/messages/count_tokens`, which takes neither identity nor stream."""
    sent = _relayed(fields, vendor, model)
    sent.pop("stream", None)
    return Prepared(path=COUNT_PATH, body=_encode(sent), headers=relayed_headers(version, betas))


def relayed_headers(version: str | None, betas: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The headers that go on: the version, ours where the client named none, and the beta versions in one line."""
    if version is not None and _VERSION.fullmatch(version) is None:
        raise _not_a_header("anthropic-version", "a date such as 2023-06-01")
    asked = [names for beta in betas if (names := beta.strip())]
    if any(_BETAS.fullmatch(names) is None for names in asked):
        raise _not_a_header("anthropic-beta", "the names of beta versions, with commas between them")
    told = VERSION_HEADER if version is None else ("anthropic-version", version)
    return (told, ("anthropic-beta", ",".join(asked))) if asked else (told,)


def _not_a_header(name: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"The header {name} must be {expected}.", code="invalid_value", param=name)


def _relayed(fields: Fields, vendor: Vendor, model: str) -> dict[str, msgspec.Raw]:
    taken = _TAKEN if vendor.takes_routing_fields else _TAKEN_FROM_VENDORS
    sent = {name: raw for name, raw in fields.items() if name not in taken}
    sent["model"] = msgspec.Raw(_encode(model))
    if "messages" in sent:
        sent["messages"] = without_seals(sent["messages"])
    return sent


# ---------------------------------------------------------------- the answer


class _Message(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = _NOTHING
    content: list[msgspec.Raw] | None = None
    stop_reason: str | None = None
    error: ErrorObject | None = None


class _Delta(msgspec.Struct, gc=False):
    """What was generated, as bytes, and why it ended."""

    text: msgspec.Raw = _NOTHING
    thinking: msgspec.Raw = _NOTHING
    partial_json: msgspec.Raw = _NOTHING
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: _Delta | None = None
    message: _Message | None = None
    usage: msgspec.Raw = _NOTHING
    error: msgspec.Raw = _NOTHING


_WHOLE = msgspec.json.Decoder(_Message)
_EVENT = msgspec.json.Decoder(_Event)
_USAGE = msgspec.json.Decoder(dict[str, object] | None)
_ERROR = msgspec.json.Decoder(ErrorObject)
_GENERATED = msgspec.json.Decoder(_Delta)


class MessagesRelay:
    """One answer on its way through: reads what the ledger needs, gives back the bytes that came."""

    __slots__ = ("_body", "_end", "_failed", "_splitter", "_usage", "told")

    def __init__(self) -> None:
        self._splitter = sse.Splitter()
        self._body = b""
        self._end = b""
        """The event that tells the client that the stream is at its end, as it came."""
        self._failed = b""
        self._usage: dict[str, object] = {}
        self.told = Told()

    # ---------------------------------------------------------------- a whole answer

    def read_answer(self, body: bytes) -> None:
        """Read a message. UpstreamFailed if it is an error or none."""
        try:
            message = _WHOLE.decode(body)
        except MALFORMED as error:
            raise not_this_dialect(body) from error
        if message.content is None:
            raise not_this_dialect(body) if message.error is None else from_error_object(message.error)
        self._body = body
        self._read_message(message)
        if self.told.usage is None:
            self._count_blocks(message.content)
        self.told.complete = True

    def answer(self, charge: Charge) -> bytes:
        """The message that was read, byte for byte."""
        return self._body

    def _count_blocks(self, blocks: Iterable[msgspec.Raw]) -> None:
        """What a message says, for an estimate."""
        for block in blocks:
            try:
                self._count(_GENERATED.decode(block))
            except MALFORMED:
                continue

    # ---------------------------------------------------------------- a stream

    def feed(self, data: bytes) -> bytes:
        """What to forward of `data`; empty while an event is incomplete or kept back."""
        try:
            events = self._splitter.feed(data)
        except sse.EventTooLarge as error:
            raise not_this_dialect(data) from error
        forwarded = []
        for event in events:
            if self.told.complete or self.told.failure is not None:
                break
            if not event.data or event.name == b"ping" or self._passes(event):
                forwarded.append(event.raw)
        return b"".join(forwarded)

    def end(self) -> None:
        """The stream is closed. One that told why it stopped is whole, with or without `message_stop`."""
        self.told.complete = self.told.complete or self.told.finish_reason is not None

    def failed(self) -> bytes:
        """The event that told the failure, as it came."""
        return self._failed

    def last(self, charge: Charge | None) -> bytes:
        """`message_stop`, as it came. The usage was told before, as this dialect has it."""
        return self._end or sse.encode(_STOP, b"message_stop")

    def _passes(self, event: sse.ServerEvent) -> bool:
        """Reads an event; whether it goes on to the client now."""
        try:
            said = _EVENT.decode(event.data)
        except msgspec.ValidationError:
            # JSON of another shape than the one we know: the client may know it.
            return True
        except MALFORMED as error:
            raise not_this_dialect(event.data) from error
        match said.type:
            case "content_block_delta" if said.delta is not None:
                self._count(said.delta)
            case "message_start" if said.message is not None:
                self._read_message(said.message)
            case "message_delta":
                self._read_usage(said.usage)
                if said.delta is not None:
                    self._read_reason(said.delta.stop_reason)
            case "message_stop":
                self._end = event.raw
                self.told.complete = True
                return False
            case "error":
                self._failed = event.raw
                self._fail(said.error)
                return False
        return True

    def _fail(self, raw: msgspec.Raw) -> None:
        try:
            error = _ERROR.decode(raw)
        except MALFORMED:
            error = ErrorObject()
        self.told.failure = error.message or "The provider reported an error."
        self.told.failure_code = error.type

    # ---------------------------------------------------------------- both

    def _read_message(self, message: _Message) -> None:
        told = self.told
        if message.id is not None:
            told.upstream_id = message.id
        if message.model is not None:
            told.upstream_model = message.model
        self._read_reason(message.stop_reason)
        self._read_usage(message.usage)

    def _read_reason(self, stop_reason: str | None) -> None:
        """In our words; a word that we do not know stays the provider's."""
        if stop_reason is not None:
            self.told.finish_reason = FINISH_REASONS.get(stop_reason, stop_reason)

    def _read_usage(self, raw: msgspec.Raw) -> None:
        """The counts so far, over those that were told before."""
        try:
            usage = _USAGE.decode(raw) if raw is not _NOTHING else None
        except MALFORMED:
            return
        if usage is None:
            return
        self._usage = merge_anthropic(self._usage, usage)
        counts = anthropic_usage(self._usage)
        if counts == NOTHING_REPORTED:
            return
        told = self.told
        told.usage = counts
        told.raw_usage = _encode(self._usage)
        told.service_tier, told.speed = circumstances(told.raw_usage)
        told.advice = advice_in(told.raw_usage)

    def _count(self, said: _Delta) -> None:
        self.told.output_bytes += _string_bytes(said.text) + _string_bytes(said.thinking)
        self.told.output_bytes += _string_bytes(said.partial_json)


def _string_bytes(raw: msgspec.Raw) -> int:
    """The bytes of a string as it is written in JSON, without its quotes; nothing for what is none."""
    written = memoryview(raw)
    return len(written) - 2 if len(written) > 1 and written[0] == _QUOTE else 0


# ---------------------------------------------------------------- counting beforehand


class _Count(msgspec.Struct, gc=False):
    input_tokens: int


_COUNT = msgspec.json.Decoder(_Count)


def read_token_count(body: bytes) -> int:
    """The tokens in an answer of `/v1/messages/count_tokens`. UpstreamFailed if it is none."""
    try:
        return _COUNT.decode(body).input_tokens
    except MALFORMED as error:
        raise UpstreamFailed(
            "The provider's answer is not a count of tokens.", retryable=False, detail=shown(body)
        ) from error

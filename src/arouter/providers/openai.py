"""The OpenAI dialect as an upstream of the OpenAI dialect: bytes pass through.

A request is decoded one level deep and its fields stay the bytes that the client wrote; only `model`,
`stream_options` and the identity change. Of an answer, each event is decoded just as far as the ledger needs, and
forwarded as it came – but for usage, which is kept back until the end: a client gets it once, in one last chunk with
`choices: []`, whichever way the provider sent it.
"""

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.errors import InvalidRequest, UpstreamFailed
from arouter.domain.value import constructor
from arouter.providers.base import Prepared
from arouter.providers.likeness import Likeness, likeness_of
from arouter.providers.openai_error import MALFORMED, error_object, not_this_dialect, read_error
from arouter.providers.routing_fields import FALL_BACK_FIELDS, ROUTING_FIELDS, taken_from
from arouter.providers.told import Told
from arouter.providers.usage import openai_usage_in, plain_usage
from arouter.providers.vendors import Vendor
from arouter.wire import sse
from arouter.wire.openai_chat.usage import charged_usage, extend_usage

__all__ = [
    "CHAT_PATH",
    "FALL_BACK_FIELDS",
    "ROUTING_FIELDS",
    "Choice",
    "Fields",
    "Relay",
    "decode_answer",
    "read_completion",
    "read_error",
    "relay_request",
    "string_bytes",
    "with_usage",
    "write_completion",
]

Fields = dict[str, msgspec.Raw]
"""The top level of a JSON object; each value as its bytes."""

_TAKEN = taken_from(gateway=True)
_TAKEN_FROM_VENDORS = taken_from(gateway=False)

CHAT_PATH = "/chat/completions"
"""Appended to the base URL."""

_new_prepared = constructor(Prepared)
_NULL = msgspec.Raw(b"null")
_NOTHING = msgspec.Raw(b"")
_CARRIAGE_RETURN = ord("\r")

MOST_UNLIKE = 4
"""After so many events that are not like the one before, the next ones are not compared any more."""


class _Function(msgspec.Struct, gc=False):
    arguments: msgspec.Raw = _NOTHING


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: msgspec.Raw = _NOTHING
    reasoning: msgspec.Raw = _NOTHING
    reasoning_content: msgspec.Raw = _NOTHING
    refusal: msgspec.Raw = _NOTHING
    tool_calls: list[_ToolCall] | None = None


class Choice(msgspec.Struct, gc=False):
    """What a chunk or a completion says of one choice."""

    delta: _Delta | None = None
    message: _Delta | None = None
    text: msgspec.Raw = _NOTHING
    """Of the completions before chat."""
    finish_reason: str | None = None


class _Head(msgspec.Struct, gc=False):
    """What a chunk and a whole completion say beside their choices, as far as the ledger needs it."""

    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = _NULL
    service_tier: str | None = None
    error: msgspec.Raw = _NULL


class _Answer(_Head):
    """A chunk or a whole completion, with what was generated."""

    choices: list[Choice] | None = None


class _WholeChoice(msgspec.Struct, gc=False):
    finish_reason: str | None = None


class _Whole(_Head, gc=False):
    """A whole completion where the provider tells the usage: what was generated is not looked into."""

    choices: list[_WholeChoice] | None = None


decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_whole = msgspec.json.Decoder(_Whole).decode
_decode_fields: msgspec.json.Decoder[Fields] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode


def relay_request(fields: Fields, *, vendor: Vendor, model: str, stream: bool, identity: str | None) -> Prepared:
    """The client's request for this vendor: `fields` with the few that are ours to change, changed.

    `identity` is the end user's pseudonym; what the client sent as `user` or `safety_identifier` never leaves.
    """
    sent: dict[str, object] = {**fields}
    taken = _TAKEN if vendor.takes_routing_fields else _TAKEN_FROM_VENDORS
    for name in taken.intersection(fields):
        del sent[name]
    sent["model"] = model
    if identity is not None and vendor.identity_field is not None:
        sent[vendor.identity_field] = identity
    if "stream_options" in sent and not vendor.takes_stream_options:
        del sent["stream_options"]
    elif stream and vendor.takes_stream_options:
        sent["stream_options"] = with_usage(fields.get("stream_options"))
    return _new_prepared(path=CHAT_PATH, body=_encode(sent))


def with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    """The `stream_options` that ask for the usage. InvalidRequest if those of the client are no object."""
    if options is None or options == _NULL:
        return msgspec.Raw(b'{"include_usage":true}')
    try:
        asked = _decode_fields.decode(options)
    except MALFORMED as exc:
        raise InvalidRequest("stream_options must be an object.", code="invalid_type", param="stream_options") from exc
    asked["include_usage"] = msgspec.Raw(b"true")
    return msgspec.Raw(_encode(asked))


def read_completion(body: bytes, vendor: str, told: Told) -> None:
    """Read a whole completion into `told`. UpstreamFailed if it is none.

    With its usage it is complete; where that is not told, what was generated is still to be counted.
    """
    try:
        answer = _decode_whole(body)
    except MALFORMED as exc:
        raise _no_completion(vendor, body) from exc
    if answer.error is not _NULL and answer.error != _NULL:
        raise read_error(vendor, 200, body)
    if answer.choices is None:
        raise _no_completion(vendor, body)
    told.upstream_id = answer.id or None
    told.upstream_model = answer.model or None
    told.service_tier = answer.service_tier
    for choice in answer.choices:
        if choice.finish_reason:
            told.finish_reason = choice.finish_reason
    raw = bytes(answer.usage)
    usage = plain_usage(raw, vendor)
    if usage is not None:
        told.has_plain_usage = True
    else:
        usage = openai_usage_in(raw, vendor)
    if usage is not None:
        told.usage = usage
        told.raw_usage = raw
        told.complete = True


def write_completion(body: bytes, vendor: str, told: Told, charge: Charge) -> bytes:
    """The completion of which that was told, with the cost in its usage object; every other byte as it came.

    UpstreamFailed if it is not Unicode where that had not to be read before.
    """
    own = told.raw_usage
    if own is not None and len(parts := body.rsplit(own, 2)) == 2:
        # Nothing else in the answer has the same bytes, so they are the usage that was read.
        usage = extend_usage(
            own,
            cost=charge.cost,
            prompt_cost=charge.prompt_cost,
            completion_cost=charge.completion_cost,
            is_plain=told.has_plain_usage,
        )
        return usage.join(parts)
    try:
        fields = _decode_fields.decode(body)
    except MALFORMED as exc:
        raise _no_completion(vendor, body) from exc
    fields["usage"] = msgspec.Raw(charged_usage(told.raw_usage, charge))
    return _encode(fields)


class Relay:
    """One answer on its way through: reads what the ledger needs, gives back what the client gets."""

    __slots__ = ("_body", "_envelope", "_likeness", "_splitter", "_unlike", "_vendor", "told")

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor.name
        self._splitter: sse.Splitter | None = None
        self._body = b""
        self._envelope: Fields | None = None
        self._likeness: Likeness | None = None
        """That of the event before, where it said nothing but text. Nothing has come of the next one."""
        self._unlike = 0
        """How many likenesses were of no use, one after the other."""
        self.told = Told()

    # ---------------------------------------------------------------- a whole answer

    def read_answer(self, body: bytes) -> None:
        """Read a completion. UpstreamFailed if it is not one."""
        self._body = body
        read_completion(body, self._vendor, self.told)
        if not self.told.complete:
            self._count_output(body)
            self.told.complete = True

    def _count_output(self, body: bytes) -> None:
        """What the answer says, for an estimate."""
        try:
            answer = decode_answer(body)
        except MALFORMED as exc:
            raise _no_completion(self._vendor, body) from exc
        for choice in answer.choices or ():
            if choice.message is not None:
                self.told.output_bytes += _text_bytes(choice.message)

    def answer(self, charge: Charge) -> bytes:
        """The completion that was read, with the cost in its usage object."""
        return write_completion(self._body, self._vendor, self.told, charge)

    # ---------------------------------------------------------------- a stream

    def feed(self, data: bytes) -> bytes:
        """What to forward of `data`; empty while an event is incomplete or kept back."""
        if self._likeness is not None:
            text_bytes = self._likeness.text_bytes(data)
            if text_bytes is not None:
                self.told.output_bytes += text_bytes
                self._unlike = 0
                return data
        splitter = self._splitter
        if splitter is None:
            splitter = self._splitter = sse.Splitter()
        said = splitter.only_event(data)
        if said is None:
            return self._feed(splitter, data)
        self._likeness = None
        told = self.told
        if told.complete or told.failure is not None:
            return b""  # Nothing counts after the end, however the network cut it.
        if said == sse.DONE:
            told.complete = True
            return b""
        return self._forward(data, said)

    def _feed(self, splitter: sse.Splitter, data: bytes) -> bytes:
        forwarded = []
        try:
            events = splitter.cut(data)
        except sse.EventTooLarge as exc:
            raise UpstreamFailed(
                f"The provider {self._vendor} sent a stream that is not one.", retryable=False, detail=str(exc)
            ) from exc
        told = self.told
        for raw in events:
            if told.complete or told.failure is not None:
                break
            if self._likeness is not None:
                text_bytes = self._likeness.text_bytes(raw)
                if text_bytes is not None:
                    told.output_bytes += text_bytes
                    self._unlike = 0
                    forwarded.append(raw)
                    continue
                self._likeness = None
            said = sse.read_event(raw).data
            if not said:
                forwarded.append(raw)
            elif said == sse.DONE:
                told.complete = True
            else:
                forwarded.append(self._forward(raw, said))
        if splitter.pending:
            self._likeness = None  # What comes next is not an event from its beginning on.
        return b"".join(forwarded)

    def end(self) -> None:
        """The stream is closed. One that told why it finished is whole, with or without `[DONE]`."""
        self.told.complete = self.told.complete or self.told.finish_reason is not None

    def failed(self) -> bytes:
        """Nothing: the failure is told in our contract's words."""
        return b""

    def last(self, charge: Charge | None) -> bytes:
        """The last bytes of the stream: one usage chunk, unless the client wants none, and `[DONE]`."""
        done = sse.encode(sse.DONE)
        if charge is None or self._envelope is None:
            return done
        self._envelope["choices"] = msgspec.Raw(b"[]")
        self._envelope["usage"] = msgspec.Raw(charged_usage(self.told.raw_usage, charge))
        return _event(self._envelope) + done

    def _forward(self, event: bytes, said: bytes) -> bytes:
        """What to forward of an event, whose data are `said`."""
        try:
            chunk = decode_answer(said)
            is_plain = self._envelope is not None and (chunk.usage is _NULL or chunk.usage == _NULL)
            fields = {} if is_plain else _decode_fields.decode(said)
        except msgspec.ValidationError:
            # JSON of another shape than the one we know: the client may know it.
            return event
        except MALFORMED as exc:
            raise _no_completion(self._vendor, said) from exc
        if chunk.error is not _NULL and chunk.error != _NULL:
            self._fail(chunk.error)
            return b""
        self._read_head(chunk)
        if chunk.choices:
            self._read_choices(chunk.choices)
        if is_plain:
            if self._unlike < MOST_UNLIKE and _CARRIAGE_RETURN not in event:  # Behind which a line feed may still come.
                self._unlike += 1
                self._likeness = _likeness(event, chunk.choices)
            return event
        self._envelope = _envelope(fields)
        if chunk.usage == _NULL:
            return event
        self._read_usage(bytes(chunk.usage))
        fields.pop("usage")
        return _event(fields) if chunk.choices else b""

    def _fail(self, error: msgspec.Raw) -> None:
        told = error_object(error)
        self.told.failure = told.message or "The provider reported an error."
        self.told.failure_code = told.name

    # ---------------------------------------------------------------- both

    def _read_choices(self, choices: list[Choice]) -> None:
        told = self.told
        for choice in choices:
            if choice.finish_reason:
                told.finish_reason = choice.finish_reason
            if (said := choice.delta if choice.delta is not None else choice.message) is not None:
                told.output_bytes += _text_bytes(said)

    def _read_head(self, answer: _Head) -> None:
        told = self.told
        if told.upstream_id is None and answer.id:
            told.upstream_id = answer.id
        if answer.model:
            told.upstream_model = answer.model
        if answer.service_tier is not None:
            told.service_tier = answer.service_tier

    def _read_usage(self, raw: bytes) -> None:
        usage = openai_usage_in(raw, self._vendor)
        if usage is not None:
            self.told.usage = usage
            self.told.raw_usage = raw


def _event(fields: Fields) -> bytes:
    """Between the tokens of a value as it came there may be line ends, which one line of an event cannot hold."""
    return sse.encode(_encode(fields).replace(b"\r", b" ").replace(b"\n", b" "))


def _envelope(chunk: Fields) -> Fields:
    return {name: value for name, value in chunk.items() if name not in ("choices", "usage")}


def _likeness(event: bytes, choices: list[Choice] | None) -> Likeness | None:
    """Of an event that says nothing but text, of one choice."""
    if choices is None or len(choices) != 1 or choices[0].finish_reason or choices[0].text is not _NOTHING:
        return None
    said = choices[0].delta
    if said is None or said.tool_calls or said.content is _NOTHING or _text_bytes(said) != string_bytes(said.content):
        return None
    return likeness_of(event, bytes(said.content))


def _text_bytes(said: _Delta) -> int:
    """The bytes of everything generated that it holds, as it is written in JSON."""
    total = 0
    if said.content is not _NOTHING:
        total = string_bytes(said.content)
    if said.reasoning is not _NOTHING:
        total += string_bytes(said.reasoning)
    if said.reasoning_content is not _NOTHING:
        total += string_bytes(said.reasoning_content)
    if said.refusal is not _NOTHING:
        total += string_bytes(said.refusal)
    for call in said.tool_calls or ():
        if call.function is not None:
            total += max(0, len(memoryview(call.function.arguments)) - 2)
    return total


def string_bytes(raw: msgspec.Raw) -> int:
    """Without the quotes; nothing for null."""
    size = len(memoryview(raw))
    return size - 2 if size > 2 and raw != _NULL else 0


def _no_completion(vendor: str, body: bytes) -> UpstreamFailed:
    return not_this_dialect(vendor, "a chat completion", body)

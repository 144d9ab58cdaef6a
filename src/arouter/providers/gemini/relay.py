"""Gemini's dialect on both sides: bytes pass through.

A request keeps the bytes of its fields, but for those that are the gateway's own. A thought that another provider
proved, and that the gateway had sealed for the client, would be refused by Gemini: in its place goes Gemini's own
proof, if the seal holds one, or the placeholder that Google documents for histories of other models.

An answer is forwarded byte for byte, in the form that the client asked for: server-sent events, or one JSON array.
Each piece is decoded just as far as the ledger needs. The piece that ends the answer, and what follows it, is kept
back until the record is durable.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.chat import FinishReason
from arouter.domain.errors import UpstreamFailed
from arouter.providers.base import Prepared
from arouter.providers.gemini.answer import bare
from arouter.providers.gemini.contents import PLACEHOLDER_SIGNATURE, REASONING_FORMAT
from arouter.providers.gemini.error import failure, message_of, read_error_object
from arouter.providers.gemini.request import resource
from arouter.providers.gemini.schema import Answer, Candidate, Part, decode, not_this_dialect
from arouter.providers.told import Told
from arouter.providers.usage import circumstances, gemini_usage
from arouter.providers.vendors import Vendor
from arouter.wire import sse
from arouter.wire.gemini_generate.calls import Method, answers_in_events
from arouter.wire.gemini_generate.proofs import FOREIGN_TO_GEMINI, unseal
from arouter.wire.gemini_generate.reasons import read_reason
from arouter.wire.gemini_generate.request import CONTENTS, GATEWAY_FIELDS, LABELS, without_user
from arouter.wire.json_array import ArraySplitter, Element, NotAnArray

_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_decode_usage = msgspec.json.Decoder(dict[str, object] | None).decode


def relay_generate_request(
    fields: Mapping[str, msgspec.Raw],
    *,
    vendor: Vendor,
    model: str,
    stream: bool,
    identity: str | None,
    query: Iterable[tuple[str, str]] = (),
) -> Prepared:
    """The client's request for Google: `fields` without what is the gateway's own.

    `query` holds the names and values of the client's query string: the form of a stream is taken from it, and
    nothing else. `vendor` and `identity` change nothing: Gemini has no field for an end user.
    """
    del vendor, identity
    method = Method.STREAM if stream else Method.GENERATE
    return Prepared(
        path=f"/v1beta/{resource(model)}:{method}",
        query="alt=sse" if stream and answers_in_events(query) else "",
        body=msgspec.json.encode(_sent(fields)),
    )


def relay_count_tokens_request(fields: Mapping[str, msgspec.Raw], *, model: str) -> Prepared:
    """The client's `:countTokens` for Google."""
    return Prepared(
        path=f"/v1beta/{resource(model)}:{Method.COUNT_TOKENS}",
        body=msgspec.json.encode(_sent(fields)),
    )


def _sent(fields: Mapping[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    sent = {name: raw for name, raw in fields.items() if name not in GATEWAY_FIELDS}
    if LABELS in sent:
        labels = without_user(sent.pop(LABELS))
        if labels is not None:
            sent[LABELS] = labels
    return {name: raw if name != CONTENTS else _with_proofs_of_gemini(raw) for name, raw in sent.items()}


def _with_proofs_of_gemini(contents: msgspec.Raw) -> msgspec.Raw:
    replaced, count = FOREIGN_TO_GEMINI.subn(_proof, bytes(contents))
    return msgspec.Raw(replaced) if count else contents


def _proof(seal: re.Match[bytes]) -> bytes:
    opened = unseal(seal[2].decode())
    if opened is None:
        return seal[0]
    thought = opened[0]
    own = thought.signature if thought.signature is not None else thought.data
    if thought.format != REASONING_FORMAT or own is None:
        own = PLACEHOLDER_SIGNATURE
    return seal[1] + msgspec.json.encode(own)[1:-1]


class _Splitter(Protocol):
    """Cuts a stream into pieces: what to forward, and the JSON in it."""

    def feed(self, data: bytes) -> list[sse.ServerEvent] | list[Element]: ...

    @property
    def pending(self) -> bytes: ...


class GenerateRelay:
    """One answer on its way through; `arouter.providers.base.Relay`."""

    __slots__ = ("_body", "_called", "_ended", "_finished", "_held", "_splitter", "begun", "told")

    def __init__(self, *, as_array: bool = False) -> None:
        """`as_array`: the stream is one JSON array."""
        self._splitter: _Splitter = ArraySplitter() if as_array else sse.Splitter()
        self._body = b""
        self._held: list[bytes] = []
        self._called: set[int] = set()
        """The candidates that hold calls."""
        self._finished: dict[int, bool] = {}
        """The candidates that began, and whether each has told its reason."""
        self._ended = False
        self.begun = False
        """Something was forwarded: what tells the client of a failure goes on from there."""
        self.told = Told()

    # ---------------------------------------------------------------- a whole answer

    def read_answer(self, body: bytes) -> None:
        """Read a whole answer. UpstreamFailed if it is none."""
        answer = decode(body)
        if answer.error is not None:
            raise failure(answer.error.code, answer.error)
        self._read(answer)
        if self.told.finish_reason is None:
            self.told.finish_reason = FinishReason.ERROR
        self._body = body
        self.told.complete = True

    def answer(self, charge: Charge) -> bytes:
        """The answer that was read, as it came: Gemini's own usage is in it, and `charge` is not."""
        del charge
        return self._body

    # ---------------------------------------------------------------- a stream

    def feed(self, data: bytes) -> bytes:
        """What to forward of a piece of the stream; empty while it is incomplete or kept back."""
        try:
            pieces = self._splitter.feed(data)
        except (sse.EventTooLarge, NotAnArray) as exc:
            raise not_this_dialect(str(exc)) from exc
        forwarded = []
        for piece in pieces:
            if self.told.failure is not None:
                break
            forwarded.append(self._forward(piece.raw, piece.data or bare(piece.raw)))
        released = b"".join(forwarded)
        self.begun = self.begun or bool(released)
        return released

    def end(self) -> None:
        """The provider closed the stream. It is whole if every candidate told its reason, or the prompt was blocked:
        Gemini has no other end mark."""
        self.told.complete = self._ended

    def failed(self) -> bytes:
        """Nothing: the failure is told in our contract's words."""
        return b""

    def last(self, charge: Charge | None) -> bytes:
        """What was kept back, as it came: the end of the answer, and of the array."""
        del charge
        last = b"".join((*self._held, self._splitter.pending))
        self._held = []
        return last

    def _forward(self, raw: bytes, data: bytes) -> bytes:
        """What may leave now that this piece came: at the end, all but the piece that ended it and those after it."""
        has_reason = bool(data) and self._read_piece(data)
        if self.told.failure is not None:
            return b""
        if self._ended and not has_reason:
            self._held.append(raw)
            return b""
        released, self._held = b"".join(self._held), []
        if self._ended:
            self._held.append(raw)
            return released
        return released + raw

    def _read_piece(self, data: bytes) -> bool:
        """Reads one piece of a stream; whether it tells why something ended."""
        try:
            answer = decode(data)
        except UpstreamFailed as failed:
            # An error may be the one element of an array, and JSON of another shape may be known to the client.
            error = read_error_object(data)
            if error is None and not _is_json(data):
                raise failed
            if error is not None:
                self._fail(message_of(error), error.status)
            return False
        if answer.error is not None:
            self._fail(message_of(answer.error), answer.error.status)
            return False
        return self._read(answer)

    def _fail(self, message: str, code: str | None) -> None:
        self.told.failure = message or "Gemini broke off with an error"
        self.told.failure_code = code

    # ---------------------------------------------------------------- both

    def _read(self, answer: Answer) -> bool:
        """Notes what the ledger needs; whether it tells why something ended."""
        told = self.told
        if told.upstream_id is None and answer.response_id:
            told.upstream_id = answer.response_id
        if answer.model_version:
            told.upstream_model = answer.model_version.removeprefix("models/")
        has_reason = False
        for candidate in answer.candidates or ():
            has_reason = self._read_candidate(candidate) or has_reason
        feedback = answer.prompt_feedback
        is_blocked = feedback is not None and feedback.block_reason is not None and not self._finished
        if is_blocked:
            told.finish_reason = FinishReason.CONTENT_FILTER
        self._ended = is_blocked or (self._ended if not self._finished else all(self._finished.values()))
        if bytes(answer.usage_metadata):
            self._read_usage(bytes(answer.usage_metadata))
        return has_reason or is_blocked

    def _read_candidate(self, candidate: Candidate) -> bool:
        index = candidate.index
        self._finished.setdefault(index, False)
        for part in (candidate.content.parts or ()) if candidate.content is not None else ():
            self.told.output_bytes += _text_bytes(part)
            if part.function_call is not None:
                self._called.add(index)
        reason = candidate.finish_reason
        if reason is None or reason == _UNSPECIFIED:
            return False
        self._finished[index] = True
        self.told.finish_reason = read_reason(reason, called=index in self._called)
        return True

    def _read_usage(self, raw: bytes) -> None:
        try:
            usage = _decode_usage(raw)
        except (ValueError, RecursionError):
            return
        if usage is not None:
            self.told.usage = gemini_usage(usage)
            self.told.raw_usage = raw
            self.told.service_tier, self.told.speed = circumstances(raw)


def _text_bytes(part: Part) -> int:
    """The bytes of everything generated in it, but for pictures."""
    size = len(part.text.encode(errors="replace")) if part.text is not None else 0
    return size if part.function_call is None else size + len(memoryview(part.function_call.args))


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return False
    return True

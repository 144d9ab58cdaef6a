"""Whole answers of OpenAI's other endpoints on their way through: usage is read, and told with its cost."""

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.errors import UpstreamFailed
from arouter.providers import openai
from arouter.providers.openai import Fields, string_bytes
from arouter.providers.openai_endpoints.usage import endpoint_usage
from arouter.providers.told import ToldWithoutText
from arouter.providers.vendors import Vendor

MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_NULL = msgspec.Raw(b"null")
_MOST_ERROR_TEXT = 2000
_decode_fields: msgspec.json.Decoder[Fields] = msgspec.json.Decoder(Fields)
_text_decoder: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)


class CompletionRelay(openai.Relay):
    """A completion from before chat: like one of chat, but its choices hold a `text`. Whole or as a stream."""

    __slots__ = ()

    def _read_choices(self, choices: list[openai.Choice]) -> None:
        told = self.told
        for choice in choices:
            if choice.finish_reason:
                told.finish_reason = choice.finish_reason
            told.output_bytes += string_bytes(choice.text)

    def _count_output(self, body: bytes) -> None:
        try:
            answer = openai.decode_answer(body)
        except MALFORMED as exc:
            raise not_this_answer(self._vendor, "a completion", body) from exc
        self._read_choices(answer.choices or [])


class BodyRelay(openai.Relay):
    """A JSON object, such as a list of embeddings. It is no stream."""

    __slots__ = ("_must", "_of_images", "_what")

    def __init__(self, vendor: Vendor, *, what: str, must: str, of_images: bool = False, of_text: bool = False) -> None:
        """`what` names the kind of answer in an error, `must` is the member that it has to have. `of_text`: tokens can
        be estimated where the provider tells none."""
        super().__init__(vendor)
        self._what = what
        self._must = must
        self._of_images = of_images
        if not of_text:
            self.told = ToldWithoutText()

    def read_answer(self, body: bytes) -> None:
        fields = self._fields(body)
        if fields.get("error", _NULL) != _NULL:
            raise openai.read_error(self._vendor, 200, body)
        if self._must not in fields:
            raise not_this_answer(self._vendor, self._what, body)
        self._body = body
        told = self.told
        told.upstream_id = _text(fields, "id")
        told.upstream_model = _text(fields, "model")
        usage = fields.get("usage", _NULL)
        if usage != _NULL:
            self._read_usage(bytes(usage))
        told.complete = True

    def answer(self, charge: Charge) -> bytes:
        told = self.told
        return super().answer(charge) if told.raw_usage is not None or told.countable else self._body

    def _fields(self, body: bytes) -> Fields:
        try:
            return _decode_fields.decode(body)
        except MALFORMED as exc:
            raise not_this_answer(self._vendor, self._what, body) from exc

    def _read_usage(self, raw: bytes) -> None:
        usage = endpoint_usage(raw, self._vendor, of_images=self._of_images)
        if usage is not None:
            self.told.usage = usage
            self.told.raw_usage = raw


class TextRelay(BodyRelay):
    """A transcription as plain text or subtitles: nothing in it is for the ledger."""

    __slots__ = ()

    def read_answer(self, body: bytes) -> None:
        self._body = body
        self.told.complete = True


def not_this_answer(vendor: str, what: str, body: bytes) -> UpstreamFailed:
    return UpstreamFailed(
        f"The provider {vendor} sent an answer that is not {what}.",
        retryable=False,
        metadata={"provider": vendor},
        detail=body[:_MOST_ERROR_TEXT].decode(errors="replace"),
    )


def _text(fields: Fields, name: str) -> str | None:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return _text_decoder.decode(raw) or None
    except MALFORMED:
        return None

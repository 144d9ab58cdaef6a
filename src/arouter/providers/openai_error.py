"""Errors in OpenAI's shape, which chat completions, responses and most vendors share, as ours."""

from collections.abc import Mapping

import msgspec

from arouter.domain.errors import UpstreamFailed

MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding bytes that are no JSON, or not of the wanted shape, may raise."""

_CLIENT_FAULTS = frozenset({400, 404, 409, 413, 415, 422})
_MOST_ERROR_TEXT = 2000
_NULL = msgspec.Raw(b"null")

_decode_fields: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Metadata(msgspec.Struct):
    """What OpenRouter tells beside its own message."""

    raw: msgspec.Raw = _NULL
    """The words of the provider behind it: a text, which may be JSON, or an object."""


_decode_metadata = msgspec.json.Decoder(_Metadata).decode


class ErrorObject(msgspec.Struct):
    """A provider's error, as far as it is told."""

    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    param: str | None = None

    @property
    def name(self) -> str | None:
        """What a machine knows it by: its code, or else its type."""
        return str(self.code) if self.code is not None else self.type


def read_error(vendor: str, status: int, body: bytes) -> UpstreamFailed:
    """A provider's error answer in OpenAI's shape, or in whatever shape it is."""
    error = error_object(body)
    message = error.message or f"The provider {vendor} answered with status {status}."
    return UpstreamFailed(
        message[:_MOST_ERROR_TEXT],
        upstream_status=status,
        client_fault=status in _CLIENT_FAULTS,
        code=error.name if status in _CLIENT_FAULTS else None,
        param=error.param,
        metadata={"provider": vendor, "upstream_status": status, "upstream_code": error.name},
        detail=body[:_MOST_ERROR_TEXT].decode(errors="replace"),
    )


def error_object(body: bytes | msgspec.Raw) -> ErrorObject:
    """The error in `{"error": {…}}`, `{"error": "…"}`, `{"message": …}`, a list of these, or an empty one.

    A gateway's message says that a provider failed; what that one said is in `metadata.raw` and follows it.
    Source: https://openrouter.ai/docs/api-reference/errors.
    """
    fields = _error_fields(body)
    if isinstance(fields, ErrorObject):
        return fields
    code = fields.get("code", _NULL)
    return ErrorObject(
        message=_with_cause(_text(fields.get("message", _NULL)), fields.get("metadata", _NULL)),
        type=_text(fields.get("type", _NULL)),
        code=_text(code) if (number := _whole_number(code)) is None else number,
        param=_text(fields.get("param", _NULL)),
    )


def _error_fields(body: bytes | msgspec.Raw) -> Mapping[str, msgspec.Raw] | ErrorObject:
    """The object that tells the error, or the error, where a text does."""
    raw = bytes(body).strip()
    fields: Mapping[str, msgspec.Raw] = {}
    for _ in range(3):
        try:
            if raw[:1] == b"[":
                raw = bytes(msgspec.json.decode(raw, type=list[msgspec.Raw])[0])
            fields = _decode_fields.decode(raw)
        except (*MALFORMED, IndexError):
            return ErrorObject(message=_text(msgspec.Raw(raw)))
        inner = fields.get("error", _NULL)
        if (message := _text(inner)) is not None:
            return ErrorObject(message=message)
        if bytes(inner)[:1] != b"{":
            break
        raw = bytes(inner)
    return fields


def _with_cause(message: str | None, metadata: msgspec.Raw) -> str | None:
    """The message and what `metadata.raw` says beyond it, both in one line of bounded length."""
    try:
        raw = _decode_metadata(metadata).raw
    except MALFORMED:
        return message
    if raw == _NULL:
        return message
    told = text if (text := _text(raw)) is not None else bytes(raw).decode(errors="replace")
    cause = _line(_message_in(told) or told)
    if message is None or not cause or cause in message:
        return message or cause or None
    return f"{message.rstrip(' .:')}: {cause}"[:_MOST_ERROR_TEXT]


def _message_in(text: str) -> str | None:
    """The message of an error that is JSON; None if it is none, or has no message."""
    fields = _error_fields(text.encode(errors="replace"))
    return fields.message if isinstance(fields, ErrorObject) else _text(fields.get("message", _NULL))


def _line(text: str) -> str:
    """A text without line ends and whatever else is not printable."""
    return " ".join("".join(char if char.isprintable() else " " for char in text[:_MOST_ERROR_TEXT]).split())


def not_this_dialect(vendor: str, expected: str, body: bytes) -> UpstreamFailed:
    """For an answer that is not what was `expected`, such as `a chat completion`."""
    return UpstreamFailed(
        f"The provider {vendor} sent an answer that is not {expected}.",
        retryable=False,
        metadata={"provider": vendor},
        detail=body[:_MOST_ERROR_TEXT].decode(errors="replace"),
    )


def _text(raw: msgspec.Raw) -> str | None:
    """A string; None for anything else, so that one odd field does not hide the others."""
    try:
        return msgspec.json.decode(raw, type=str)
    except MALFORMED:
        return None


def _whole_number(raw: msgspec.Raw) -> int | None:
    try:
        return msgspec.json.decode(raw, type=int)
    except MALFORMED:
        return None

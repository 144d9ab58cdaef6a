"""Gemini's errors as ours.

The shape is that of google.rpc.Status: `{"error": {"code", "message", "status", "details"}}`, sometimes as the one
element of an array. The HTTP status alone does not say who is to blame: 400 is also what an invalid key of ours, a
country without service or a project without billing answer with.
"""

import re

import msgspec

from arouter.domain.errors import UpstreamFailed

_CLIENT_FAULTS = frozenset({400, 404, 413, 422})
_OUR_STATUSES = frozenset({"FAILED_PRECONDITION", "PERMISSION_DENIED", "UNAUTHENTICATED"})
_OUR_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})
_OUR_WORDS = "api key"

_KEY = re.compile(r"AIza[\w-]{10,}|(?<=api_key:)[^\s'\"]+")
"""Messages about a suspended project quote the key itself."""

_MOST_OF_A_MESSAGE = 2000


class _Detail(msgspec.Struct, gc=False):
    reason: str | None = None


class ErrorObject(msgspec.Struct, gc=False):
    """google.rpc.Status."""

    code: int | None = None
    message: str | None = None
    status: str | None = None
    details: list[_Detail] | None = None


class _Envelope(msgspec.Struct, gc=False):
    error: ErrorObject


_DECODER = msgspec.json.Decoder(_Envelope | list[_Envelope])


def read_error(status: int, body: bytes) -> UpstreamFailed:
    """The error answer with HTTP status `status`, whatever its body holds."""
    return failure(status, read_error_object(body) or ErrorObject())


def read_error_object(body: bytes) -> ErrorObject | None:
    """The error in a body or an event; None if there is none."""
    try:
        envelope: _Envelope | list[_Envelope] = _DECODER.decode(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(envelope, list):
        return envelope[0].error if envelope else None
    return envelope.error


def failure(status: int | None, error: ErrorObject) -> UpstreamFailed:
    """`status` is the HTTP status; None stands for an error inside an answer that began well."""
    return UpstreamFailed(
        message_of(error) or f"Gemini answered with status {status}",
        code=error.status,
        upstream_status=status,
        client_fault=status in _CLIENT_FAULTS and not _is_ours(error),
        metadata={"upstream_status": status, "upstream_code": error.status},
    )


def message_of(error: ErrorObject) -> str:
    """The message without any key that it quotes, safe for the client; empty if there is none."""
    return _KEY.sub("[key]", error.message or "")[:_MOST_OF_A_MESSAGE]


def _is_ours(error: ErrorObject) -> bool:
    """Whether our key or our account is what Gemini refuses."""
    if error.status in _OUR_STATUSES or any(detail.reason in _OUR_REASONS for detail in error.details or ()):
        return True
    return _OUR_WORDS in (error.message or "").lower()

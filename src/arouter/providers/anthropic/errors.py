"""Anthropic's errors as ours.

    400 invalid_request_error   the client's fault, unless it is our account that has no credit left
    401 authentication_error    our key
    402 billing_error           our account
    403 permission_error        our key
    404 not_found_error         the client's fault: no such model
    413 request_too_large       the client's fault
    422                         the client's fault
    429 rate_limit_error        our account's limit; another attempt may succeed, as with 408, 409 and 5xx
    529 overloaded_error        another attempt may succeed

Source: https://platform.claude.com/docs/en/api/errors. What is nobody's but ours is neither blamed on the client nor
tried again with the same key.
"""

import msgspec

from arouter.domain.errors import UpstreamFailed

MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes that are no JSON, or not of the wanted shape, may raise."""

_CLIENT_FAULTS = frozenset({400, 413, 422})
_RETRYABLE = frozenset({408, 409, 429})
_TRANSIENT_TYPES = frozenset({"rate_limit_error", "timeout_error", "api_error", "overloaded_error"})
_NO_CREDIT = "credit balance is too low"
"""What Anthropic writes, with status 400 and no type of its own, when the account has run dry."""

_SHOWN_BYTES = 500


class ErrorObject(msgspec.Struct, gc=False):
    """`{"type": "overloaded_error", "message": "Overloaded"}`"""

    type: str | None = None
    message: str = ""


class _Body(msgspec.Struct, gc=False):
    error: ErrorObject
    request_id: str | None = None


_BODY = msgspec.json.Decoder(_Body)


def read_error(status: int, body: bytes) -> UpstreamFailed:
    """The answer as an error. A body of another shape (a proxy's page) goes to `detail` and not to the client."""
    retryable = status in _RETRYABLE or status >= 500
    try:
        told = _BODY.decode(body)
    except MALFORMED:
        return UpstreamFailed(
            f"The provider answered with status {status}.",
            upstream_status=status,
            client_fault=status in _CLIENT_FAULTS,
            retryable=retryable,
            detail=shown(body),
        )
    error = told.error
    return UpstreamFailed(
        error.message or f"The provider answered with status {status}.",
        code=error.type,
        upstream_status=status,
        client_fault=_blames_client(status, error),
        retryable=retryable,
        detail=None if told.request_id is None else f"Anthropic's request id: {told.request_id}",
    )


def from_error_object(error: ErrorObject) -> UpstreamFailed:
    """An error that came with status 200."""
    return UpstreamFailed(
        error.message or "The provider reported an error.",
        code=error.type,
        retryable=error.type in _TRANSIENT_TYPES,
    )


def not_this_dialect(data: bytes) -> UpstreamFailed:
    """For an answer that is no JSON, or no answer of the Messages API."""
    return UpstreamFailed(
        "The provider's answer is not one of Anthropic's Messages API.", retryable=False, detail=shown(data)
    )


def shown(data: bytes) -> str:
    """The beginning of `data`, for a log."""
    return data[:_SHOWN_BYTES].decode(errors="replace")


def _blames_client(status: int, error: ErrorObject) -> bool:
    if error.type == "billing_error" or _NO_CREDIT in error.message:
        return False
    return status in _CLIENT_FAULTS or (status == 404 and error.type == "not_found_error")

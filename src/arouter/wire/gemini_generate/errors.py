"""Errors in Google's shape: google.rpc.Status, with our code and metadata among its details.

https://google.aip.dev/193: `ErrorInfo` says what happened in words for machines, `BadRequest` which field is wrong,
`RetryInfo` how long to wait. Google's own SDKs know an error in a stream by `{"error":` at its very beginning.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from arouter.domain.chat import Json
from arouter.domain.errors import ARouterError, RateLimited, UpstreamFailed

_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_DOMAIN = "arouter"

_WORDS: Mapping[int, str] = MappingProxyType(
    {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        402: "FAILED_PRECONDITION",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        409: "ABORTED",
        429: "RESOURCE_EXHAUSTED",
        499: "CANCELLED",
        500: "INTERNAL",
        501: "UNIMPLEMENTED",
        502: "UNAVAILABLE",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    }
)
"""google.rpc.Code for each HTTP status. A spent budget has no word of its own there."""

_STATUSES: Mapping[str, int] = MappingProxyType(
    {
        "invalid_request_error": 400,
        "authentication_error": 401,
        "payment_required": 402,
        "permission_error": 403,
        "not_found_error": 404,
        "rate_limit_error": 429,
    }
)
"""The number in an error that ends a stream, whose HTTP status is long gone; anything else is 500."""


def gemini_error_body(error: ARouterError, status: int, type_: str) -> bytes:
    """The body of an error answer with that HTTP status. `type_` is the error's word in our contract.

    `error.detail` is not in it: it is for the operator.
    """
    details = [_info(error.code, {**error.metadata, "type": type_})]
    if error.param is not None:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": _BAD_REQUEST, "fieldViolations": [violation]})
    wait_s = error.retry_after_s if isinstance(error, RateLimited | UpstreamFailed) else None
    if wait_s is not None:
        details.append({"@type": _RETRY_INFO, "retryDelay": f"{max(wait_s, 0):.3f}s"})
    return _body(error.message, status, details)


def stream_error(message: str, code: str, metadata: Mapping[str, object], type_: str) -> bytes:
    """The object that ends a stream which broke off."""
    return _body(message, _STATUSES.get(type_, 500), [_info(code, {**metadata, "type": type_})])


def _body(message: str, status: int, details: list[Json]) -> bytes:
    word = _WORDS.get(status) or ("INVALID_ARGUMENT" if 400 <= status < 500 else "INTERNAL")
    return msgspec.json.encode({"error": {"code": status, "message": message, "status": word, "details": details}})


def _info(code: str, metadata: Mapping[str, object]) -> Json:
    """The values of an ErrorInfo are strings: what is none is told as JSON, and what is unknown is left out."""
    told = {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in metadata.items()
        if value is not None
    }
    return {"@type": _ERROR_INFO, "reason": code, "domain": _DOMAIN, "metadata": told}

"""Errors on HTTP: the only place that knows status codes."""

from arouter.domain import errors
from arouter.domain.errors import ARouterError, RateLimited, UpstreamFailed

_WORDS: dict[type[ARouterError], tuple[int, str]] = {
    ARouterError: (500, "server_error"),
    errors.InvalidRequest: (400, "invalid_request_error"),
    errors.RequestTooLarge: (413, "invalid_request_error"),
    errors.Conflict: (409, "invalid_request_error"),
    errors.HeadTooLarge: (431, "invalid_request_error"),
    errors.NotAuthenticated: (401, "authentication_error"),
    errors.PaymentRequired: (402, "payment_required"),
    errors.NotPermitted: (403, "permission_error"),
    errors.NotFound: (404, "not_found_error"),
    errors.RateLimited: (429, "rate_limit_error"),
    errors.UpstreamFailed: (502, "server_error"),
    errors.UpstreamTimeout: (504, "server_error"),
    errors.UpstreamBusy: (503, "server_error"),
    errors.NoProvider: (503, "server_error"),
    errors.StorageUnavailable: (503, "server_error"),
    errors.NotInstalled: (501, "server_error"),
    errors.ShuttingDown: (503, "server_error"),
    errors.InternalError: (500, "server_error"),
}

_KEPT = {404: "not_found_error", 429: "rate_limit_error"}
"""The types of an upstream's statuses that reach the client as they are; every other kept one is the client's fault."""


def status_and_type(error: ARouterError) -> tuple[int, str]:
    """The HTTP status and the error type of the contract.

    What the provider blames on the request keeps the provider's status, and so does its 429: the client can do
    something about both. Every other failure of a provider is 502, 503 or 504.
    """
    if isinstance(error, UpstreamFailed):
        status = error.upstream_status
        if status is not None and (error.client_fault or status == 429):
            return status, _KEPT.get(status, "invalid_request_error")
    for kind in type(error).__mro__:
        if (words := _WORDS.get(kind)) is not None:
            return words
    return _WORDS[ARouterError]


def status_of(error: ARouterError) -> int:
    return status_and_type(error)[0]


def type_of(error: ARouterError) -> str:
    return status_and_type(error)[1]


def retry_after_s(error: ARouterError) -> int | None:
    """Whole seconds for `Retry-After`, rounded up; None if there is nothing to say."""
    wait_s = error.retry_after_s if isinstance(error, RateLimited | UpstreamFailed) else None
    return None if wait_s is None else max(0, -int(-wait_s // 1))

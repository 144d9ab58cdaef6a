"""The error tree: every way in which a request can fail, in the words of the business.

    ARouterError
    ├── InvalidRequest          the request cannot be understood or is not allowed to look like this
    │   ├── RequestTooLarge
    │   └── Conflict            it names something that is there already, and is something else
    ├── HeadTooLarge            the header fields are longer than anything that makes sense
    ├── NotAuthenticated        no key, an unknown key, an expired key
    ├── PaymentRequired         a budget or the credits are spent
    ├── NotPermitted            the key is known, but may not do this
    ├── NotFound                no such model, key, record, path
    ├── RateLimited             too many requests, ours or the provider's
    ├── UpstreamFailed          the provider answered with an error, broke off, or spoke nonsense
    │   ├── UpstreamTimeout
    │   └── UpstreamBusy        no connection to the provider was free, and nothing was sent
    ├── NoProvider              nobody is configured who could answer
    ├── StorageUnavailable      the ledger cannot take a record, so nothing may be spent
    ├── NotInstalled            an optional library that this needs is not there
    ├── ShuttingDown            the gateway stops, and could not wait for the end of this request
    └── InternalError           a defect of ours

Each carries a stable `code` for machines, a `message` that is safe for the client and says what to do next,
the offending `param` if there is one, and `metadata` for the error body. What only the operator may see goes
into `detail`, which is logged and never sent. HTTP status codes are known to `arouter.web.errors` alone.
"""

from collections.abc import Mapping
from typing import ClassVar


class ARouterError(Exception):
    """The base; never raised itself."""

    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        metadata: Mapping[str, object] | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param
        self.metadata: Mapping[str, object] = metadata or {}
        self.detail = detail


class InvalidRequest(ARouterError):
    """The client sent something that cannot be understood, or a value outside the contract."""

    default_code = "invalid_request"


class RequestTooLarge(InvalidRequest):
    """The body is over the limit."""

    default_code = "request_too_large"


class Conflict(InvalidRequest):
    """What the request names is there already, and is not what the request says."""

    default_code = "idempotency_conflict"


class HeadTooLarge(ARouterError):
    """The request line and header fields are longer than anything an SDK sends."""

    default_code = "header_fields_too_large"


class NotAuthenticated(ARouterError):
    """No key, an unknown key, a disabled or an expired one."""

    default_code = "invalid_api_key"


class PaymentRequired(ARouterError):
    """A budget or the credits are spent. SDKs do not retry it."""

    default_code = "insufficient_credits"


class NotPermitted(ARouterError):
    """The key is valid, and may not do this."""

    default_code = "not_permitted"


class NotFound(ARouterError):
    """The thing named does not exist, or this key may not know of it."""

    default_code = "not_found"


class RateLimited(ARouterError):
    """Too many requests. `retry_after_s` is in seconds, or None if nobody said."""

    default_code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_s: float | None = None, **rest: object) -> None:
        super().__init__(message, **rest)  # type: ignore[arg-type]
        self.retry_after_s = retry_after_s


class UpstreamFailed(ARouterError):
    """The provider failed.

    `upstream_status` is the HTTP status that it answered with, None if it did not answer at all.
    `client_fault` says that the provider blames the request itself (bad parameter, context length, content
    policy): the status is then kept, and another provider is not tried.
    `retryable` says that another attempt may succeed.
    """

    default_code = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int | None = None,
        client_fault: bool = False,
        retryable: bool = True,
        **rest: object,
    ) -> None:
        super().__init__(message, **rest)  # type: ignore[arg-type]
        self.upstream_status = upstream_status
        self.client_fault = client_fault
        self.retryable = retryable and not client_fault
        self.retry_after_s: float | None = None
        """What the provider asked to be waited, in seconds."""


class UpstreamTimeout(UpstreamFailed):
    """The provider did not answer in time."""

    default_code = "upstream_timeout"


class UpstreamBusy(UpstreamFailed):
    """Every connection to the provider is taken, and too many requests wait for one, or this one waited too long.

    Nothing was sent: it costs nothing, and may be asked again when `retry_after_s` is over.
    """

    default_code = "upstream_busy"


class NoProvider(ARouterError):
    """No provider is configured that could answer."""

    default_code = "no_provider_available"


class StorageUnavailable(ARouterError):
    """The ledger cannot take a record: nothing is forwarded, so that nothing is spent unrecorded."""

    default_code = "storage_unavailable"


class NotInstalled(ARouterError):
    """What was asked for needs an optional library that is not installed. The message says how to install it."""

    default_code = "extra_not_installed"


class ShuttingDown(ARouterError):
    """The gateway stops, and the request was not at its end in time."""

    default_code = "shutting_down"


class InternalError(ARouterError):
    """A defect of ours. The client learns that much, the log learns what."""

    default_code = "internal_error"


def forget_frames(error: BaseException | None) -> None:
    """Let go of the frames that an error and its causes passed on their way.

    A frame that keeps its own error in a variable is kept alive by it, and with it all else that it knows, such as
    the body of a request, until the collector of cycles comes by: under a provider that fails, that is many bodies.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ if error.__cause__ is not None else error.__context__

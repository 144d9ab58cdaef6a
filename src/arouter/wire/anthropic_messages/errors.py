"""Errors in the form of the Messages API, which names them by type
(https://platform.claude.com/docs/en/api/errors).

Our code, param and metadata stay in the error object, beside the two fields that Anthropic's has.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from arouter.domain.chat import Json
from arouter.domain.errors import ARouterError
from arouter.wire.errors import error_object

_OF_TYPES: Mapping[str, str] = MappingProxyType({"payment_required": "billing_error", "server_error": "api_error"})
"""Words of our contract that Anthropic has another one for; the others are the same."""

_OF_CODES: Mapping[str, str] = MappingProxyType(
    {
        "request_too_large": "request_too_large",
        "upstream_timeout": "timeout_error",
        "timeout_error": "timeout_error",
        "overloaded_error": "overloaded_error",
        "upstream_busy": "overloaded_error",
        "storage_unavailable": "overloaded_error",
        "shutting_down": "overloaded_error",
    }
)
"""Codes, ours and the provider's own, that say more than the type: a client waits for what is overloaded."""


def anthropic_error_type(type_: str, code: str) -> str:
    """Anthropic's word for an error of ours."""
    return _OF_CODES.get(code) or _OF_TYPES.get(type_, type_)


def anthropic_error(message: str, code: str, metadata: Mapping[str, object], *, type_: str, param: str | None) -> Json:
    """`{"type": "error", "error": {…}}`: the body of an error, and the data of the event `error`."""
    word = anthropic_error_type(type_, code)
    told = error_object(message=message, type_=word, param=param, code=code, metadata=metadata)
    return {"type": "error", "error": told}


def anthropic_error_body(error: ARouterError, type_: str) -> bytes:
    """The body of a plain HTTP error. `type_` is the word of our contract for it; `error.detail` is not in it."""
    return msgspec.json.encode(
        anthropic_error(error.message, error.code, error.metadata, type_=type_, param=error.param)
    )

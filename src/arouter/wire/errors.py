"""The error body of the OpenAI format, which is ours: spec and SDKs read the same four fields, and `metadata`."""

from collections.abc import Mapping

import msgspec

from arouter.domain.chat import Json
from arouter.domain.errors import ARouterError


def error_body(error: ARouterError, type_: str) -> bytes:
    """`{"error": {…}}` as JSON. `type_` is the word for the status: `invalid_request_error`, `server_error`, ….

    `error.detail` is not in it: it is for the operator.
    """
    told = error_object(message=error.message, type_=type_, param=error.param, code=error.code, metadata=error.metadata)
    return msgspec.json.encode({"error": told})


def error_object(*, message: str, type_: str, param: str | None, code: str, metadata: Mapping[str, object]) -> Json:
    """The object under `error`. `code` is always a string: an SDK of ours fails on a number."""
    return {"message": message, "type": type_, "param": param, "code": code, "metadata": dict(metadata)}

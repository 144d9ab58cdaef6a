"""Bedrock's errors as ours.

The body is `{"message": "…"}`, and the name of the exception is in a header field, so that here the status says whose
fault it is:

    400 ValidationException                        the client's fault
    403 AccessDeniedException, ExpiredToken…       our account or key
    404 ResourceNotFoundException                  the client's fault: no such model
    408 ModelTimeoutException                      another attempt may succeed
    424 ModelErrorException                        the model itself failed: another one may not
    429 ThrottlingException, ModelNotReady…        our account's limit; another attempt may succeed, as with 5xx

In the middle of a stream an error is a message of the type `exception`, or `error`.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html.
"""

import msgspec

from arouter.domain.errors import UpstreamFailed
from arouter.wire.aws_event_stream import Malformed, Message

_CLIENT_FAULTS = frozenset({400, 404, 413, 422})
_CODES = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_OURS = ("security token", "credentials", "not authorized")
"""Words of a refusal that are about our account, whatever its status."""

_MOST_OF_A_MESSAGE = 2000
_SHOWN_BYTES = 500
NO_MESSAGE = "The provider reported an error."
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Body(msgspec.Struct):
    message: str | None = None
    capital_message: str | None = msgspec.field(name="Message", default=None)
    type: str | None = msgspec.field(name="__type", default=None)


_BODY = msgspec.json.Decoder(_Body)


def exception_of(message: Message) -> tuple[str, str] | None:
    """The code and the text of an exception in a stream; None for a message that is none."""
    headers = message.headers
    match headers.get(":message-type"):
        case "exception":
            code = headers.get(":exception-type", "exception")
            try:
                return code, _BODY.decode(message.payload).message or NO_MESSAGE
            except _MALFORMED:
                return code, NO_MESSAGE
        case "error":
            return headers.get(":error-code", "error"), headers.get(":error-message") or NO_MESSAGE
    return None


def damaged(data: bytes, cause: Malformed) -> UpstreamFailed:
    """For a stream that is none, or was damaged on its way."""
    return UpstreamFailed(
        "The provider bedrock sent a stream that is not one.",
        retryable=False,
        detail=f"{cause}: {data[:_SHOWN_BYTES]!r}",
    )


def read_error(status: int, body: bytes) -> UpstreamFailed | None:
    """The error of an answer that is not 2xx; None if it is not one of AWS's."""
    try:
        told = _BODY.decode(body)
    except _MALFORMED:
        return None
    message = told.message if told.message is not None else told.capital_message
    if message is None:
        return None
    code = told.type.rpartition("#")[2] if told.type else _CODES.get(status)
    ours = any(words in message for words in _OURS)
    return UpstreamFailed(
        message[:_MOST_OF_A_MESSAGE] or f"Bedrock answered with status {status}.",
        code=code,
        upstream_status=status,
        client_fault=status in _CLIENT_FAULTS and not ours,
        metadata={"upstream_status": status, "upstream_code": code},
    )

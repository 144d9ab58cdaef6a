"""The arguments of a tool call, for dialects in which they are no text but an object."""

import msgspec

from arouter.domain.errors import InvalidRequest

_MALFORMED = (msgspec.DecodeError, UnicodeError, RecursionError)


def as_object(text: str, where: str) -> msgspec.Raw:
    """The text itself, known to be a JSON object: decoding and encoding would round its numbers. No text is none.

    InvalidRequest, naming `where`, for anything else.
    """
    if not text.strip():
        return msgspec.Raw(b"{}")
    try:
        encoded = text.encode()
        msgspec.json.decode(encoded, type=dict[str, msgspec.Raw])
    except _MALFORMED as error:
        raise InvalidRequest("The arguments of a tool call must be the JSON text of an object.", param=where) from error
    return msgspec.Raw(encoded)

"""A small JSON body of the management API, read into a struct with messages that a person can act on.

Numbers declared as `decimal.Decimal` are read from the digits in the body, never through a float.
"""

import re
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from arouter.domain.errors import InvalidRequest
from arouter.wire.nearest import unknown

T = TypeVar("T", bound=msgspec.Struct)

_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_MISSING = re.compile(r"Object missing required field `(.+?)`")


def read_body(body: bytes, form: type[T], *, not_yet: Iterable[str] = ()) -> T:
    """`body` as a `form`. InvalidRequest says what is wrong and where.

    `not_yet` names the fields of the contract that this version does not act on. A value for one of them is an error,
    since to accept it would be to promise something; null is not, since it asks for nothing.
    """
    fields = _decode(body, dict[str, msgspec.Raw])
    known = form.__struct_encode_fields__
    for name, value in fields.items():
        if name in known or (name in not_yet and bytes(value) == b"null"):
            continue
        if name in not_yet:
            raise InvalidRequest(f"`{name}` is not supported yet.", code="unsupported_parameter", param=name)
        raise InvalidRequest(unknown("field", name, known), code="unknown_parameter", param=name[:64])
    return _decode(body, form)


Form = TypeVar("Form")


def _decode(body: bytes, form: type[Form]) -> Form:
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.ValidationError as exc:
        raise _invalid(str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidRequest("The body is not valid JSON.", code="invalid_json", metadata={"reason": str(exc)}) from exc


def _invalid(message: str) -> InvalidRequest:
    missing = _MISSING.match(message)
    if missing:
        name = missing.group(1)
        return InvalidRequest(f"`{name}` is required.", code="missing_required_parameter", param=name)
    place = _PLACE.search(message)
    if place is None or not place.group(1):
        return InvalidRequest("The body must be a JSON object.", code="invalid_json")
    param = place.group(1)
    return InvalidRequest(f"`{param}`: {message[: place.start()]}.", code="invalid_type", param=param)

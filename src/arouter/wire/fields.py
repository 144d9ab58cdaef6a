"""A JSON object of a request and where it stands in it, so that an error can name the field.

`null` reads like an absent field throughout: that is what OpenAI does, and what clients that serialise their
defaults rely on. A wrong type is InvalidRequest with the code `invalid_type`, the field's full path as `param` and
a message that says what was expected. Values never appear in a message: they may be anybody's text.
"""

from collections.abc import Mapping

import msgspec

from arouter.domain.chat import Json
from arouter.domain.errors import InvalidRequest


def decoded(name: str, raw: msgspec.Raw) -> object:
    """A field's value. The outer object was decoded without looking into it, so it may still be wrong inside."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"`{name}` is not valid JSON.", code="invalid_json", param=name) from exc
    except RecursionError as exc:
        raise InvalidRequest(f"`{name}` is nested too deeply.", code="invalid_value", param=name) from exc


def kind(value: object) -> str:
    """What a decoded JSON value is, as a reader would say it."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def wrong_type(param: str, expected: str, value: object) -> InvalidRequest:
    return InvalidRequest(f"`{param}` must be {expected}, not {kind(value)}.", code="invalid_type", param=param)


def wrong_value(param: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"`{param}` must be {expected}.", code="invalid_value", param=param)


def missing(param: str) -> InvalidRequest:
    return InvalidRequest(f"`{param}` is required.", code="missing_required_parameter", param=param)


class Fields:
    """Typed reading of one JSON object. Each reader gives None for a field that is absent or null."""

    __slots__ = ("path", "values")

    def __init__(self, values: Mapping[str, object], path: str = "") -> None:
        self.values = values
        self.path = path

    def param(self, name: str) -> str:
        """The full path of a field: `messages[2].content`."""
        return f"{self.path}.{name}" if self.path else name

    def get(self, name: str) -> object:
        return self.values.get(name)

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise wrong_type(self.param(name), "a string", value)

    def required_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing(self.param(name))
        return value

    def integer(self, name: str) -> int | None:
        value = self.values.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise wrong_type(self.param(name), "an integer", value)

    def number(self, name: str) -> float | None:
        value = self.values.get(name)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise wrong_type(self.param(name), "a number", value)

    def flag(self, name: str) -> bool | None:
        value = self.values.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise wrong_type(self.param(name), "a boolean", value)

    def array(self, name: str) -> list[object] | None:
        value = self.values.get(name)
        if value is None or isinstance(value, list):
            return value
        raise wrong_type(self.param(name), "an array", value)

    def json(self, name: str) -> Json | None:
        """An object as it is, unread."""
        value = self.values.get(name)
        if value is None or isinstance(value, dict):
            return value
        raise wrong_type(self.param(name), "an object", value)

    def child(self, name: str) -> "Fields | None":
        value = self.json(name)
        return None if value is None else Fields(value, self.param(name))

    def required_child(self, name: str) -> "Fields":
        child = self.child(name)
        if child is None:
            raise missing(self.param(name))
        return child

    def children(self, name: str) -> list["Fields"]:
        """The objects of an array; empty where it is absent."""
        return [as_fields(value, f"{self.param(name)}[{at}]") for at, value in enumerate(self.array(name) or ())]


def as_fields(value: object, path: str) -> Fields:
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)
    return Fields(value, path)

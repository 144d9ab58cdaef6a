"""Query parameters: declared once, read strictly, shown in the OpenAPI document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from arouter.domain.activity import Cursor
from arouter.domain.errors import InvalidRequest
from arouter.wire.instants import read_instant
from arouter.wire.nearest import quoted, unknown
from arouter.wire.query_string import read_query_string

KEY_PARAMETER = "key"
"""Gemini's SDK sends the API key so; it is read where keys are, and no endpoint may trip over it."""

_BRACKETS = "[]"
"""OpenAI's SDKs write it behind the name of what may be repeated."""

_TRUE, _FALSE = ("true", "1", ""), ("false", "0")


INSTANT: Mapping[str, object] = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date"},
        {"type": "number", "minimum": -2_208_988_800, "maximum": 253_402_214_400},
    ]
}
"""What `arouter.wire.instants` reads: RFC 3339, a date, Unix seconds; and it takes some more forms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """`schema` is the JSON Schema of one value."""

    name: str
    description: str
    repeatable: bool = False
    required: bool = False
    schema: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})


class Parameters:
    """The parameters of one request. Whatever does not fit is an InvalidRequest that names the parameter."""

    __slots__ = ("_values",)

    def __init__(self, query_string: bytes, known: Sequence[Parameter]) -> None:
        declared = {parameter.name: parameter for parameter in known}
        self._values: dict[str, list[str]] = {}
        for sent, value in read_query_string(query_string):
            if sent == KEY_PARAMETER:
                continue
            bare = declared.get(sent.removesuffix(_BRACKETS))
            name = bare.name if bare is not None and bare.repeatable else sent
            if name not in declared:
                raise InvalidRequest(unknown("parameter", name, declared), code="unknown_parameter", param=name[:64])
            values = self._values.setdefault(name, [])
            if values and not declared[name].repeatable:
                raise invalid(name, "is given more than once")
            values.append(value)

    def every(self, name: str) -> tuple[str, ...]:
        """All values, in their order."""
        return tuple(self._values.get(name, ()))

    def one(self, name: str) -> str | None:
        """The value, None if it was not given."""
        values = self._values.get(name)
        return values[0] if values else None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """`true`, `1`, or the bare name; `false` or `0`."""
        value = self.one(name)
        if value is None:
            return default
        if value.lower() not in _TRUE + _FALSE:
            raise invalid(name, "must be true or false")
        return value.lower() in _TRUE

    def whole(self, name: str, *, least: int, most: int) -> int | None:
        """A decimal integer from `least` to `most`."""
        value = self.one(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= 18) or not least <= int(value) <= most:
            raise invalid(name, f"must be a whole number from {least} to {most}")
        return int(value)

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """One of `choices`."""
        value = self.one(name)
        if value is not None and value not in choices:
            raise invalid(name, f"must be one of {', '.join(choices)}")
        return value

    def choices(self, name: str, choices: Sequence[str]) -> tuple[str, ...]:
        """Any of `choices`, repeated."""
        for value in self.every(name):
            if value not in choices:
                raise invalid(name, f"must be one of {', '.join(choices)}; it is `{quoted(value)}`")
        return self.every(name)

    def instant(self, name: str, zone: tzinfo = UTC) -> int | None:
        """Microseconds since the epoch."""
        value = self.one(name)
        if value is None:
            return None
        try:
            return read_instant(value, zone)
        except ValueError as exc:
            raise invalid(name, f"is {exc}") from exc


def read_cursor(parameters: Parameters) -> Cursor | None:
    """The place that `cursor` tells."""
    text = parameters.one("cursor")
    if text is None:
        return None
    try:
        return Cursor.from_text(text)
    except ValueError as exc:
        raise invalid("cursor", "is not a cursor; send `next_cursor` as it came") from exc


def invalid(name: str, what: str) -> InvalidRequest:
    """`what` completes the sentence that begins with the parameter's name."""
    return InvalidRequest(f"`{name}` {what}.", code="invalid_parameter", param=name)

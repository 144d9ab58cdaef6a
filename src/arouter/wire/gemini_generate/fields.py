"""A JSON object as Google's servers read it, which take more than their reference shows.

Their rules are those of ProtoJSON (https://protobuf.dev/programming-guides/json/), and Google's own SDK relies on
them: it writes `mime_type` beside `inlineData`, and `"topK": 40.0`.

1. A name may be in camel case or in snake case.
2. A whole number may be written as `40`, `40.0` or `"40"`, and any number in quotes.
3. Where a list is wanted, one object stands for a list of one; Google's own examples do that.
4. Bytes are base64, of either alphabet, with or without the padding.
"""

import base64
import re
from collections.abc import Mapping

from arouter.domain.errors import InvalidRequest
from arouter.wire.fields import Fields, wrong_type, wrong_value

_HUMP = re.compile(r"(?<=.)_(.)")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")


class ProtoFields(Fields):
    """Typed reading of one object, by the rules above. Names are looked up in camel case."""

    __slots__ = ()

    def __init__(self, values: Mapping[str, object], path: str = "") -> None:
        super().__init__({camel(name): value for name, value in values.items()}, path)

    def integer(self, name: str) -> int | None:
        value = self.values.get(name)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            return int(value)
        return super().integer(name)

    def number(self, name: str) -> float | None:
        value = self.values.get(name)
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            return float(value)
        return super().number(name)

    def array(self, name: str) -> list[object] | None:
        value = self.values.get(name)
        return [value] if isinstance(value, dict) else super().array(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings of an array; empty where it is absent."""
        found = []
        for at, value in enumerate(self.array(name) or ()):
            if not isinstance(value, str):
                raise wrong_type(f"{self.param(name)}[{at}]", "a string", value)
            found.append(value)
        return tuple(found)

    def base64(self, name: str) -> str | None:
        """Bytes in the standard alphabet and padded, as other providers want them."""
        value = self.text(name)
        if value is None:
            return None
        plain = standard_base64(value)
        if plain is None:
            raise wrong_value(self.param(name), "base64")
        return plain

    def child(self, name: str) -> "ProtoFields | None":
        value = self.json(name)
        return None if value is None else ProtoFields(value, self.param(name))

    def required_child(self, name: str) -> "ProtoFields":
        super().required_child(name)
        child = self.child(name)
        assert child is not None
        return child

    def objects(self, name: str) -> list["ProtoFields"]:
        """The objects of an array; empty where it is absent."""
        return [ProtoFields(child.values, child.path) for child in super().children(name)]


def camel(name: str) -> str:
    """`top_p` → `topP`; a name without an underscore is what it was."""
    return _HUMP.sub(lambda match: match[1].upper(), name) if "_" in name else name


def standard_base64(text: str) -> str | None:
    """Base64 of either alphabet in the standard one, padded; None if it is none."""
    if not _BASE64.fullmatch(text):
        return None
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    return None if len(bare) % 4 == 1 else bare + "=" * (-len(bare) % 4)


def strict_base64(text: str) -> str | None:
    """As `standard_base64`, and without a bit behind the last byte: Google's SDK refuses one that is not zero."""
    plain = standard_base64(text)
    if not plain:
        return plain
    return plain[:-4] + base64.b64encode(base64.b64decode(plain[-4:])).decode()


def too_deep(param: str) -> InvalidRequest:
    return InvalidRequest(f"`{param}` is nested too deeply.", code="invalid_value", param=param)

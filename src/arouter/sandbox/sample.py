"""A small value that satisfies a JSON schema: what a model would have said, without the model.

Known: const, enum, $ref within the document, anyOf, oneOf, allOf, type (also in Gemini's capitals), required
properties, minItems, minLength, the bounds and multiples of numbers, and the common string formats. Not known:
pattern, not, if, dependent schemas, uniqueItems, minProperties. A schema that demands itself gets a null where it
would begin again.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from arouter.domain.chat import Json

_FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "date": "2024-01-01",
        "date-time": "2024-01-01T00:00:00Z",
        "time": "00:00:00Z",
        "duration": "PT1S",
        "email": "someone@example.com",
        "hostname": "example.com",
        "ipv4": "192.0.2.1",
        "ipv6": "2001:db8::1",
        "uri": "https://example.com/",
        "url": "https://example.com/",
        "uuid": "00000000-0000-4000-8000-000000000000",
    }
)


def sample(schema: object) -> object:
    """A JSON value that is valid under `schema`, as far as the keywords above go; null for what is no schema."""
    return _sample(schema, schema, ())


def sample_object(schema: Json | None) -> Json:
    """As `sample`, for the arguments of a tool, which are always an object."""
    value = sample(schema if schema is not None else {"type": "object"})
    return cast(Json, value) if isinstance(value, dict) else {}


def _sample(schema: object, root: object, seen: tuple[str, ...]) -> object:
    if not isinstance(schema, dict):
        return None
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return None if reference in seen else _sample(_resolve(reference, root), root, (*seen, reference))
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    merged = _merged(schema, root, seen)
    if merged is None:
        return None
    schema, seen = merged
    for keyword in ("anyOf", "oneOf"):
        options = schema.get(keyword)
        if isinstance(options, list) and options:
            rest = {name: value for name, value in schema.items() if name != keyword}
            return _sample(_both(rest, options[0]), root, seen)
    return _sample_of_type(_type(schema), schema, root, seen)


def _sample_of_type(kind: str, schema: Json, root: object, seen: tuple[str, ...]) -> object:
    match kind:
        case "object":
            return _object(schema, root, seen)
        case "array":
            items = schema.get("items", {"type": "string"})
            return [_sample(items, root, seen) for _ in range(_whole(schema.get("minItems")))]
        case "string":
            text = _FORMATS.get(str(schema.get("format")), "sample")
            most = schema.get("maxLength")
            text = text[: _whole(most)] if most is not None else text
            return text.ljust(_whole(schema.get("minLength")), "x")
        case "integer" | "number":
            return _number(schema, whole=kind == "integer")
        case "boolean":
            return False
        case _:
            return None


def _object(schema: Json, root: object, seen: tuple[str, ...]) -> Json:
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    return {str(name): _sample(known.get(name, {"type": "string"}), root, seen) for name in names}


def _number(schema: Json, *, whole: bool) -> int | float:
    """The number nearest to zero that is within the bounds, as an integer where one will do."""
    step = _float(schema.get("multipleOf")) or 1.0
    if whole and not step.is_integer():
        step = 1.0
    least, above = _float(schema.get("minimum")), _float(schema.get("exclusiveMinimum"))
    most, below = _float(schema.get("maximum")), _float(schema.get("exclusiveMaximum"))
    steps = 0
    if least is not None and least > 0:
        steps = math.ceil(least / step)
    if above is not None and above >= 0:
        steps = max(steps, math.floor(above / step) + 1)
    if most is not None and most < 0:
        steps = math.floor(most / step)
    if below is not None and below <= 0:
        steps = min(steps, math.ceil(below / step) - 1)
    value = steps * step
    if not whole and "multipleOf" not in schema and not _within(value, least, above, most, below):
        low = least if least is not None else above
        high = most if most is not None else below
        return ((low or 0.0) + (high or 0.0)) / 2
    return int(value) if value.is_integer() else value


def _within(value: float, least: float | None, above: float | None, most: float | None, below: float | None) -> bool:
    return (
        (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
        and (below is None or value < below)
    )


def _type(schema: Json) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()
    if "properties" in schema or "required" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _merged(schema: Json, root: object, seen: tuple[str, ...]) -> tuple[Json, tuple[str, ...]] | None:
    """The schema with the members of its `allOf` taken in, and what was seen then; None if it demands itself."""
    members = schema.get("allOf")
    if not isinstance(members, list):
        return schema, seen
    merged = {name: value for name, value in schema.items() if name != "allOf"}
    for member in members:
        reference = member.get("$ref") if isinstance(member, dict) else None
        if not isinstance(reference, str):
            merged = _both(merged, member)
            continue
        if reference in seen:
            return None
        seen = (*seen, reference)
        merged = _both(merged, _resolve(reference, root))
    return _merged(merged, root, seen)


def _both(left: Json, right: object) -> Json:
    if not isinstance(right, dict):
        return left
    joined: Json = {**left, **right}
    for keyword in ("properties", "required"):
        one, other = left.get(keyword), right.get(keyword)
        if isinstance(one, dict) and isinstance(other, dict):
            joined[keyword] = {**one, **other}
        elif isinstance(one, list) and isinstance(other, list):
            joined[keyword] = [*one, *other]
    return joined


def _resolve(reference: str, root: object) -> object:
    """`#/$defs/name` in the document; None where it leads nowhere."""
    found = root
    for step in reference.removeprefix("#").split("/")[1:]:
        if not isinstance(found, dict):
            return None
        found = found.get(step.replace("~1", "/").replace("~0", "~"))
    return found


def _whole(value: object) -> int:
    """A count from a schema; Gemini writes them as strings."""
    number = _float(value)
    return 0 if number is None else max(0, min(int(number), 10_000))


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None

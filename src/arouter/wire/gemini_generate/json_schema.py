"""Google's schemas as JSON Schemas.

`parameters` and `responseSchema` are written in a subset of OpenAPI 3.0: types in capitals, `nullable` beside the
type, lengths as strings. What JSON Schema says otherwise is translated, what has no meaning in it (`propertyOrdering`)
is left out, and everything else stays as it is.
"""

from collections.abc import Mapping
from types import MappingProxyType

from arouter.domain.chat import Json
from arouter.wire.fields import as_fields
from arouter.wire.gemini_generate.fields import ProtoFields, too_deep

MOST_LEVELS = 64

_TYPES: Mapping[str, str | None] = MappingProxyType(
    {
        "STRING": "string",
        "NUMBER": "number",
        "INTEGER": "integer",
        "BOOLEAN": "boolean",
        "ARRAY": "array",
        "OBJECT": "object",
        "NULL": "null",
        "TYPE_UNSPECIFIED": None,
    }
)
_LENGTHS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_BOUNDS = ("minimum", "maximum")
_SCHEMAS = ("items", "additionalProperties")
_NAMED_SCHEMAS: Mapping[str, str] = MappingProxyType({"properties": "properties", "defs": "$defs"})
_TRANSLATED = frozenset(
    {
        "type",
        "nullable",
        "enum",
        "anyOf",
        "example",
        "propertyOrdering",
        "ref",
        *_LENGTHS,
        *_BOUNDS,
        *_SCHEMAS,
        *_NAMED_SCHEMAS,
    }
)


def json_schema(schema: ProtoFields, level: int = 0) -> Json:
    """The JSON Schema that says what `schema` says. InvalidRequest if it is malformed, or deeper than any is."""
    if level > MOST_LEVELS:
        raise too_deep(schema.path)
    told = _own(schema) | _inner(schema, level)
    return _with_null(told) if schema.flag("nullable") else told


def _own(schema: ProtoFields) -> Json:
    """What the schema says of a value without looking into it."""
    told: Json = {}
    kind = _kind(schema)
    if kind is not None:
        told["type"] = kind
    told |= {name: value for name, value in schema.values.items() if name not in _TRANSLATED and value is not None}
    told |= {name: length for name in _LENGTHS if (length := schema.integer(name)) is not None}
    told |= {name: bound for name in _BOUNDS if (bound := schema.number(name)) is not None}
    if (values := schema.array("enum")) is not None:
        told["enum"] = values
    if schema.get("example") is not None:
        told["examples"] = [schema.get("example")]
    if (reference := schema.text("ref")) is not None:
        told["$ref"] = reference.replace("#/defs/", "#/$defs/")
    return told


def _inner(schema: ProtoFields, level: int) -> Json:
    """The schemas of what is in the value."""
    told: Json = {}
    for name in _SCHEMAS:
        if isinstance(schema.get(name), bool):
            told[name] = schema.get(name)
        elif (inner := schema.child(name)) is not None:
            told[name] = json_schema(inner, level + 1)
    for name, word in _NAMED_SCHEMAS.items():
        if (named := schema.json(name)) is not None:
            told[word] = {key: _named(schema.param(name), key, value, level) for key, value in named.items()}
    if schema.array("anyOf") is not None:
        told["anyOf"] = [json_schema(option, level + 1) for option in schema.objects("anyOf")]
    return told


def _kind(schema: ProtoFields) -> object:
    """The type; a word that is not Google's, or a list of them, is already JSON Schema's."""
    value = schema.get("type")
    return _TYPES.get(value.upper(), value) if isinstance(value, str) else value


def _named(param: str, name: str, value: object, level: int) -> Json:
    found = as_fields(value, f"{param}.{name}")
    return json_schema(ProtoFields(found.values, found.path), level + 1)


def _with_null(told: Json) -> Json:
    """`nullable` in the words of JSON Schema, wherever the schema says what a value may be."""
    kind, values, options = told.get("type"), told.get("enum"), told.get("anyOf")
    if isinstance(kind, str) and kind != "null":
        told["type"] = [kind, "null"]
    if isinstance(values, list) and None not in values:
        told["enum"] = [*values, None]
    if isinstance(options, list) and {"type": "null"} not in options:
        told["anyOf"] = [*options, {"type": "null"}]
    return told

"""Google's schemas as JSON Schemas."""

from typing import Any

import jsonschema_rs
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import InvalidRequest
from arouter.wire.gemini_generate.fields import ProtoFields
from arouter.wire.gemini_generate.json_schema import MOST_LEVELS, json_schema


def read(schema: dict[str, Any]) -> dict[str, Any]:
    return json_schema(ProtoFields(schema, "schema"))


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "STRING", "description": "d"}, {"type": "string", "description": "d"}),
        ({"type": "integer"}, {"type": "integer"}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "TYPE_UNSPECIFIED"}, {}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "STRING", "enum": ["a"], "nullable": True, "format": "enum"},
            {"type": ["string", "null"], "enum": ["a", None], "format": "enum"},
        ),
        ({"type": "STRING", "min_length": "3", "maxLength": 5}, {"type": "string", "minLength": 3, "maxLength": 5}),
        ({"type": "NUMBER", "minimum": "0.5", "maximum": 2}, {"type": "number", "minimum": 0.5, "maximum": 2}),
        ({"type": "ARRAY", "items": {"type": "BOOLEAN"}, "minItems": "1"},
         {"type": "array", "items": {"type": "boolean"}, "minItems": 1}),
        (
            {"anyOf": [{"type": "STRING"}, {"type": "NULL"}], "nullable": True},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
        ({"anyOf": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (
            {
                "type": "OBJECT",
                "properties": {"any_of": {"type": "STRING"}, "type": {"type": "INTEGER"}},
                "required": ["type"],
                "propertyOrdering": ["type", "any_of"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"any_of": {"type": "string"}, "type": {"type": "integer"}},
                "required": ["type"],
                "additionalProperties": False,
            },
        ),
        ({"type": "STRING", "example": "x", "default": None}, {"type": "string", "examples": ["x"]}),
        (
            {"defs": {"pet": {"type": "STRING"}}, "ref": "#/defs/pet"},
            {"$defs": {"pet": {"type": "string"}}, "$ref": "#/$defs/pet"},
        ),
    ],
)  # fmt: skip
def test_a_schema_says_the_same(schema: dict[str, Any], told: dict[str, Any]) -> None:
    assert read(schema) == told
    jsonschema_rs.validator_for(told)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"properties": {"a": 1}}, "schema.properties.a"),
        ({"properties": {"a": {"items": []}}}, "schema.properties.a.items"),
        ({"anyOf": [1]}, "schema.anyOf[0]"),
        ({"minItems": "x"}, "schema.minItems"),
        ({"nullable": "yes"}, "schema.nullable"),
    ],
)
def test_what_is_no_schema_is_named(schema: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read(schema)
    assert refusal.value.param == param


def test_a_schema_deeper_than_any_is_refused() -> None:
    schema: dict[str, Any] = {"type": "STRING"}
    for _ in range(MOST_LEVELS):
        schema = {"type": "ARRAY", "items": schema}
    read(schema)
    with pytest.raises(InvalidRequest):
        read({"items": schema})


SCALARS = st.sampled_from([("STRING", "a"), ("INTEGER", 1), ("NUMBER", 1.5), ("BOOLEAN", True)])


@given(SCALARS, st.booleans(), st.booleans())
def test_what_google_s_sdk_writes_holds_for_the_same_values(
    scalar: tuple[str, object], nullable: bool, in_array: bool
) -> None:
    kind, value = scalar
    schema = types.Schema(type=types.Type(kind), nullable=nullable)
    if in_array:
        schema = types.Schema(type=types.Type.ARRAY, items=schema, min_items=1)
    told = jsonschema_rs.validator_for(read(schema.model_dump(mode="json", exclude_none=True)))
    assert told.is_valid([value] if in_array else value)
    assert told.is_valid([None] if in_array else None) is nullable
    assert not told.is_valid({})

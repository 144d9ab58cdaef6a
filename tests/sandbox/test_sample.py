"""A sample is valid under the schema that it is made from."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.sandbox.sample import sample, sample_object

NODE: dict[str, Any] = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["value", "next"],
}

SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]},
    {"type": ["null", "string"], "minLength": 20},
    {"type": "string", "maxLength": 2},
    {"enum": ["celsius", "fahrenheit"]},
    {"const": {"a": 1}},
    {"type": "array", "items": {"type": "number", "exclusiveMinimum": 3}, "minItems": 2},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "integer", "multipleOf": 7, "minimum": 8},
    {"type": "integer", "maximum": -3},
    {"oneOf": [{"type": "boolean"}, {"type": "string"}]},
    {"allOf": [{"$ref": "#/$defs/a"}, {"required": ["b"]}], "$defs": {"a": {"properties": {"b": {"type": "boolean"}}}}},
    {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
    {
        "properties": {"at": {"type": "string", "format": "date-time"}, "id": {"format": "uuid"}},
        "required": ["at", "id"],
    },
    {"type": "object", "required": ["undeclared"]},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
def test_a_sample_is_valid(schema: dict[str, Any]) -> None:
    jsonschema_rs.validate(schema, sample(schema), validate_formats=True)


@pytest.mark.parametrize(
    "kind", ["date", "date-time", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"]
)
def test_a_format_is_kept(kind: str) -> None:
    schema = {"type": "string", "format": kind}
    jsonschema_rs.validate(schema, sample(schema), validate_formats=True)


def test_gemini_writes_its_types_in_capitals_and_its_counts_as_strings() -> None:
    schema = {
        "type": "ARRAY",
        "minItems": "2",
        "items": {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]},
    }
    assert sample(schema) == [{"n": 0}, {"n": 0}]


def test_a_schema_that_demands_itself_comes_to_an_end() -> None:
    for child in ({"$ref": "#/$defs/a"}, {"allOf": [{"$ref": "#/$defs/a"}]}):
        endless = {
            "$ref": "#/$defs/a",
            "$defs": {"a": {"type": "object", "properties": {"a": child}, "required": ["a"]}},
        }
        assert sample(endless) == {"a": None}


def test_arguments_are_an_object_whatever_the_schema() -> None:
    assert sample_object(None) == {}
    assert sample_object({"type": "string"}) == {}


LEAVES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.integers(0, 30).map(lambda n: {"type": "string", "minLength": n}),
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(-99, 99),
        st.integers(0, 9),
    ),
    st.builds(
        lambda low, more: {"type": "number", "minimum": low, "maximum": low + more},
        st.integers(-99, 99),
        st.floats(0, 1),
    ),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {}]),
    st.lists(st.one_of(st.text(max_size=3), st.integers(-3, 3)), min_size=1, max_size=3, unique=True).map(
        lambda e: {"enum": e}
    ),
)


def _deeper(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.dictionaries(st.text(max_size=4), inner, max_size=4).map(
            lambda properties: {"type": "object", "properties": properties, "required": list(properties)[::2]}
        ),
        st.builds(lambda items, least: {"type": "array", "items": items, "minItems": least}, inner, st.integers(0, 2)),
        st.lists(inner, min_size=1, max_size=2).map(lambda options: {"anyOf": options}),
    )


@given(st.recursive(LEAVES, _deeper, max_leaves=8))
@settings(max_examples=200, deadline=None)
def test_a_sample_of_any_schema_is_valid(schema: dict[str, Any]) -> None:
    jsonschema_rs.validate(schema, sample(schema))

"""`/v1/embeddings` as a client speaks it."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from arouter.domain.charge import Charge
from arouter.domain.embeddings import EmbeddingsAnswer, EmbeddingsRequest, Input
from arouter.domain.errors import InvalidRequest
from arouter.domain.money import Picodollars
from arouter.domain.usage import Usage
from arouter.wire.openai_embeddings import (
    CANONICAL_FIELDS,
    GATEWAY_FIELDS,
    embeddings_body,
    pack,
    read_embeddings,
    unpack,
    wants_base64,
)
from tests.wire.strategies import JSON

Fields = dict[str, msgspec.Raw]


def fields(body: dict[str, Any]) -> Fields:
    return msgspec.json.decode(msgspec.json.encode(body), type=Fields)


def read(**body: Any) -> EmbeddingsRequest:
    return read_embeddings(fields(body), model="m", identity="pseudonym")


@pytest.mark.parametrize(
    ("value", "inputs"),
    [
        ("Hello", ("Hello",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ((1, 2),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
        (["a", [1]], ("a", (1,))),
    ],
)
def test_inputs(value: object, inputs: tuple[Input, ...]) -> None:
    assert read(input=value) == EmbeddingsRequest(model="m", inputs=inputs, identity="pseudonym")


def test_everything_else() -> None:
    request = read(
        input="a",
        dimensions=8,
        encoding_format="base64",
        task_type="CLUSTERING",
        title="t",
        input_type="query",
        nothing=None,
        **dict.fromkeys(GATEWAY_FIELDS, "x"),
    )
    assert request == EmbeddingsRequest(
        model="m",
        inputs=("a",),
        dimensions=8,
        task_type="CLUSTERING",
        title="t",
        identity="pseudonym",
        rest={"input_type": "query"},
    )


def test_a_null_says_nothing() -> None:
    assert read(input="a", **dict.fromkeys(CANONICAL_FIELDS - {"input"})) == read(input="a")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, ("missing_required_parameter", "input")),
        ({"input": None}, ("missing_required_parameter", "input")),
        ({"input": ""}, ("invalid_value", "input")),
        ({"input": []}, ("invalid_value", "input")),
        ({"input": [[]]}, ("invalid_value", "input[0]")),
        ({"input": ["a", ""]}, ("invalid_value", "input[1]")),
        ({"input": 7}, ("invalid_type", "input")),
        ({"input": [1, "a"]}, ("invalid_type", "input[1]")),
        ({"input": [True]}, ("invalid_type", "input[0]")),
        ({"input": ["a", {}]}, ("invalid_type", "input[1]")),
        ({"input": "a", "dimensions": 0}, ("invalid_value", "dimensions")),
        ({"input": "a", "dimensions": "8"}, ("invalid_type", "dimensions")),
        ({"input": "a", "encoding_format": "hex"}, ("invalid_value", "encoding_format")),
    ],
)
def test_a_malformed_field_is_named(body: dict[str, Any], told: tuple[str, str]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read(**body)
    assert (refusal.value.code, refusal.value.param) == told


@given(st.dictionaries(st.sampled_from(sorted(CANONICAL_FIELDS)), JSON))
def test_any_body_is_read_or_refused(body: dict[str, Any]) -> None:
    try:
        request = read(**body)
    except InvalidRequest:
        return
    assert request.inputs


def test_the_form_of_the_numbers() -> None:
    assert wants_base64(fields({"encoding_format": "base64"}))
    for body in ({}, {"encoding_format": None}, {"encoding_format": "float"}):
        assert not wants_base64(fields(body))
    with pytest.raises(InvalidRequest):
        wants_base64(fields({"encoding_format": 1}))


# ---------------------------------------------------------------- answers

ANSWER = EmbeddingsAnswer(vectors=((0.25, -1.0), (3.0, 4.0)), model="text-embedding-3-small")
CHARGE = Charge(usage=Usage(input_tokens=7), cost=Picodollars(140_000), prompt_cost=Picodollars(140_000))


def test_an_answer() -> None:
    body = embeddings_body(ANSWER, model="m", as_base64=False, charge=CHARGE)
    assert json.loads(body) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.25, -1.0]},
            {"object": "embedding", "index": 1, "embedding": [3.0, 4.0]},
        ],
        "model": "text-embedding-3-small",
        "usage": {
            "prompt_tokens": 7,
            "total_tokens": 7,
            "cost": 1.4e-07,
            "cost_details": {"upstream_inference_cost": None, "prompt_cost": 1.4e-07, "completion_cost": None},
        },
    }
    assert b'"cost":0.00000014,' in body
    assert CreateEmbeddingResponse.model_validate_json(body).data[1].embedding == [3.0, 4.0]


def test_a_model_that_the_answer_does_not_name_is_the_one_that_was_asked() -> None:
    answer = EmbeddingsAnswer(vectors=((1.0,),))
    assert json.loads(embeddings_body(answer, model="m", as_base64=False, charge=CHARGE))["model"] == "m"


def test_numbers_in_base64() -> None:
    body = json.loads(embeddings_body(ANSWER, model="m", as_base64=True, charge=CHARGE))
    assert body["data"][0]["embedding"] == "AACAPgAAgL8="
    assert unpack(body["data"][1]["embedding"]) == (3.0, 4.0)


@given(st.lists(st.floats(width=32, allow_nan=False)).map(tuple))
def test_what_is_packed_is_unpacked(vector: tuple[float, ...]) -> None:
    assert unpack(pack(vector)) == vector


def test_a_number_beyond_32_bits_is_no_error() -> None:
    assert unpack(pack((1e300, -1e300, 1.0))) == (math.inf, -math.inf, 1.0)


@pytest.mark.parametrize("text", ["AAA=", "not base64!", "AAAAAAA", "é"])
def test_what_holds_no_numbers_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        unpack(text)

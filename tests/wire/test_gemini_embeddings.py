"""`:embedContent` and `:batchEmbedContents` as a client speaks them."""

import json
from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.charge import Charge
from arouter.domain.embeddings import EmbeddingsAnswer, EmbeddingsRequest
from arouter.domain.errors import InvalidRequest
from arouter.domain.money import Picodollars
from arouter.domain.usage import Usage
from arouter.wire.gemini_embeddings import embed_body, read_embed
from tests.wire.strategies import JSON

Body = dict[str, Any]


def read(body: Body, *, is_batch: bool = False) -> EmbeddingsRequest:
    fields = msgspec.json.decode(msgspec.json.encode(body), type=dict[str, msgspec.Raw])
    return read_embed(fields, model="m", identity="pseudonym", is_batch=is_batch)


def content(*texts: str) -> Body:
    return {"content": {"parts": [{"text": text} for text in texts]}}


def test_one_content() -> None:
    body = {
        **content("a", "b"),
        "taskType": "CLUSTERING",
        "title": "t",
        "outputDimensionality": 8.0,
        "model": "models/x",
    }
    assert read(body) == EmbeddingsRequest(
        model="m", inputs=("a\nb",), dimensions=8, task_type="CLUSTERING", title="t", identity="pseudonym"
    )


def test_a_batch() -> None:
    alike = {"task_type": "CLUSTERING", "output_dimensionality": 8}
    requests = [{**content("a"), **alike, "model": "models/x"}, {**content("b"), **alike}]
    assert read({"requests": requests, "user": "me"}, is_batch=True) == EmbeddingsRequest(
        model="m", inputs=("a", "b"), dimensions=8, task_type="CLUSTERING", identity="pseudonym"
    )


def test_what_has_no_canonical_form_is_kept() -> None:
    assert read({**content("a"), "autoTruncate": True, "taskType": "TASK_TYPE_UNSPECIFIED"}) == EmbeddingsRequest(
        model="m", inputs=("a",), identity="pseudonym", rest={"autoTruncate": True}
    )


PICTURE = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}


@pytest.mark.parametrize(
    ("body", "is_batch", "param"),
    [
        ({}, False, "content"),
        ({"content": {}}, False, "content.parts"),
        ({"content": {"parts": [{"text": "a"}, PICTURE]}}, False, "content.parts[1]"),
        ({**content("a"), "outputDimensionality": 0}, False, "outputDimensionality"),
        ({}, True, "requests"),
        ({"requests": []}, True, "requests"),
        ({"requests": [{}]}, True, "requests[0].content"),
        (
            {"requests": [content("a"), {**content("b"), "outputDimensionality": 8}]},
            True,
            "requests[1].outputDimensionality",
        ),
    ],
)
def test_what_cannot_be_said_is_named(body: Body, is_batch: bool, param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read(body, is_batch=is_batch)
    assert refusal.value.param == param


WORDS = st.sampled_from(["content", "parts", "text", "requests", "taskType", "title", "outputDimensionality", "model"])
NESTED = st.recursive(
    JSON, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(WORDS, NESTED), st.booleans())
def test_any_body_is_read_or_refused(body: Body, is_batch: bool) -> None:
    try:
        request = read(body, is_batch=is_batch)
    except InvalidRequest:
        return
    assert request.inputs


# ---------------------------------------------------------------- answers

CHARGE = Charge(usage=Usage(input_tokens=7), cost=Picodollars(140_000))


@pytest.mark.parametrize("is_batch", [False, True])
def test_an_answer(is_batch: bool) -> None:
    body = embed_body(EmbeddingsAnswer(vectors=((0.25, -1.0),)), is_batch=is_batch, charge=CHARGE)
    told = json.loads(body)
    assert told.pop("usageMetadata") == {"promptTokenCount": 7, "totalTokenCount": 7, "cost": 1.4e-07}
    assert told == ({"embeddings": [{"values": [0.25, -1.0]}]} if is_batch else {"embedding": {"values": [0.25, -1.0]}})
    assert b'"cost":0.00000014}' in body


def test_google_s_sdk_reads_it() -> None:
    body = embed_body(EmbeddingsAnswer(vectors=((0.25,), (1.0,))), is_batch=True, charge=Charge())
    answer = types.EmbedContentResponse._from_response(response=json.loads(body), kwargs={})
    assert [one.values for one in answer.embeddings or ()] == [[0.25], [1.0]]

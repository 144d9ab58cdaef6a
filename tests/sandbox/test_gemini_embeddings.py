"""Google's own SDK, asking the sandbox for vectors."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from arouter.sandbox.embeddings import vector
from arouter.sandbox.server import Sandbox
from tests.sandbox.raw_client import ask, post

ONE = "/v1beta/models/gemini-embedding-001:embedContent"
BATCH = "/v1beta/models/gemini-embedding-001:batchEmbedContents"


def content(text: str) -> dict[str, object]:
    return {"content": {"parts": [{"text": text}]}}


def told(sandbox: Sandbox, path: str, body: object) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(ask(sandbox, post(path, body)).body)
    return answer


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> Iterator[genai.Client]:
    with genai.Client(api_key="any", http_options=types.HttpOptions(base_url=sandbox.url)) as made:
        yield made


TWO: list[types.PartUnionDict] = ["a", "b"]


def test_each_text_has_the_vector_that_it_has_in_openais_dialect(client: genai.Client) -> None:
    config = types.EmbedContentConfig(output_dimensionality=3)
    answer = client.models.embed_content(model="gemini-embedding-001", contents=TWO, config=config)
    assert [one.values for one in answer.embeddings or []] == [vector("a", 3), vector("b", 3)]


def test_a_vector_alone_is_that_of_a_batch_and_as_long_as_googles(sandbox: Sandbox) -> None:
    one = told(sandbox, ONE, content("Hello"))
    batch = told(sandbox, BATCH, {"requests": [content("Hello")]})
    assert one["embedding"] == batch["embeddings"][0]
    assert len(one["embedding"]["values"]) == 3072


def test_input_is_counted(sandbox: Sandbox) -> None:
    batch = told(sandbox, BATCH, {"requests": [content("x" * 8), content("x" * 12)]})
    assert batch["usageMetadata"]["promptTokenCount"] == 5


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (ONE, {}, "content"),
        (BATCH, {"requests": []}, "requests"),
        (ONE, {**content("a"), "outputDimensionality": 0}, "output_dimensionality"),
        (ONE, {**content("a"), "output_dimensionality": 3073}, "output_dimensionality"),
    ],
)
def test_what_is_wrong_is_told_in_googles_form(sandbox: Sandbox, path: str, body: object, param: str) -> None:
    error = told(sandbox, path, body)["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert param in error["message"]


def test_it_misbehaves_as_told(client: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as caught:
        client.models.embed_content(model="sandbox-error-429", contents="a")
    assert caught.value.code == 429

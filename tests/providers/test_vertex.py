"""Vertex AI: where models of each maker are asked, and Google's own errors."""

import msgspec
import pytest

from arouter.domain.errors import InvalidRequest
from arouter.providers.base import Prepared
from arouter.providers.vertex import Vertex, base_url
from tests.providers.gemini_requests import prepare


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_each_location_has_its_host(location: str, host: str) -> None:
    assert base_url("my-project", location) == f"https://{host}/v1/projects/my-project/locations/{location}"


@pytest.mark.parametrize(
    ("stream", "method", "query"), [(False, "generateContent", ""), (True, "streamGenerateContent", "alt=sse")]
)
def test_gemini_is_asked_as_at_its_own_api_under_another_path(stream: bool, method: str, query: str) -> None:
    prepared = prepare(model="gemini-2.5-pro", stream=stream)
    placed = Vertex().place(prepared, "gemini-2.5-pro", "gemini")
    assert (placed.path, placed.query) == (f"/publishers/google/models/gemini-2.5-pro:{method}", query)
    assert placed.body == prepared.body


def test_a_tuned_model_of_the_other_api_is_none_here() -> None:
    prepared = prepare(model="tunedModels/x")
    with pytest.raises(InvalidRequest) as refused:
        Vertex().place(prepared, "tunedModels/x", "gemini")
    assert refused.value.param == "model"


def test_models_of_other_makers_are_asked_in_the_dialect_of_openai() -> None:
    prepared = Prepared(path="/chat/completions", body=b'{"model":"meta/llama"}')
    placed = Vertex().place(prepared, "meta/llama", "openai")
    assert (placed.path, placed.body) == ("/endpoints/openapi/chat/completions", prepared.body)


def test_an_error_of_googles_is_read_whatever_the_dialect() -> None:
    error = {"error": {"code": 404, "message": "Publisher Model x was not found.", "status": "NOT_FOUND"}}
    for body in (error, [error]):
        failure = Vertex().read_error(404, msgspec.json.encode(body))
        assert failure is not None
        assert (failure.message, failure.code, failure.client_fault) == (error["error"]["message"], "NOT_FOUND", True)
    denied = {"error": {"code": 403, "message": "No.", "status": "PERMISSION_DENIED"}}
    failure = Vertex().read_error(403, msgspec.json.encode(denied))
    assert failure is not None
    assert not failure.client_fault


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"type":"error","error":{"type":"invalid_request_error","message":"No."}}']
)
def test_what_is_no_error_of_googles_is_left_to_the_dialect(body: bytes) -> None:
    assert Vertex().read_error(400, body) is None

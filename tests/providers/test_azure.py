"""Azure: both of its APIs, and what its content filter refuses."""

import msgspec
import pytest

from arouter.providers.azure import Azure
from arouter.providers.base import Prepared

CHAT = Prepared(path="/chat/completions", body=b'{"model":"my deployment"}')


def test_the_v1_api_is_asked_as_openai_is() -> None:
    assert Azure().place(CHAT, "my deployment", "openai") == CHAT
    preview = Azure(api_version="preview").place(CHAT, "my deployment", "openai")
    assert (preview.path, preview.query, preview.body) == (CHAT.path, "api-version=preview", CHAT.body)


@pytest.mark.parametrize(
    ("path", "placed"),
    [
        ("/chat/completions", "/deployments/my%20deployment%2Fx/chat/completions"),
        ("/embeddings", "/deployments/my%20deployment%2Fx/embeddings"),
        ("/responses", "/responses"),
    ],
)
def test_a_dated_version_names_the_deployment_in_the_path(path: str, placed: str) -> None:
    azure = Azure(api_version="2024-10-21", by_deployment=True)
    found = azure.place(Prepared(path=path, body=b"{}"), "my deployment/x", "openai")
    assert (found.path, found.query) == (placed, "api-version=2024-10-21")


def test_a_query_is_kept() -> None:
    found = Azure(api_version="preview").place(Prepared(path="/x", query="a=b", body=b""), "m", "openai")
    assert found.query == "a=b&api-version=preview"


REFUSED = {
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {
            "hate": {"filtered": True, "severity": "high"},
            "jailbreak": {"filtered": True, "detected": True},
            "sexual": {"filtered": False, "severity": "safe"},
            "custom_blocklists": "of another shape",
        },
    },
}


def test_a_refused_prompt_is_the_clients_fault_and_says_for_what() -> None:
    failure = Azure().read_error(400, msgspec.json.encode({"error": REFUSED}))
    assert failure is not None
    assert (failure.client_fault, failure.code, failure.param) == (True, "content_filter", "prompt")
    assert failure.message == REFUSED["message"]
    assert failure.metadata["reasons"] == ["hate", "jailbreak"]
    assert failure.metadata["provider"] == "azure"


def test_the_reasons_may_stand_in_a_list_of_filters() -> None:
    told = [
        {"blocked": True, "content_filter_results": {"violence": {"filtered": True}}},
        {"blocked": False, "content_filter_results": {"hate": {"filtered": True}}},
    ]
    error = {"code": "content_filter", "message": "No.", "content_filters": told}
    failure = Azure().read_error(400, msgspec.json.encode({"error": error}))
    assert failure is not None
    assert failure.metadata["reasons"] == ["violence"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"error":"text"}',
        b'{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}',
        b'{"statusCode":401,"message":"Access denied due to invalid subscription key."}',
    ],
)
def test_every_other_error_is_left_to_the_dialect(body: bytes) -> None:
    assert Azure().read_error(400, body) is None

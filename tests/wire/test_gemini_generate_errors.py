"""Errors in Google's shape."""

import json
from typing import Any

import pytest
from google.genai import errors as sdk

from arouter.domain.errors import (
    ARouterError,
    InvalidRequest,
    NoProvider,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    PaymentRequired,
    RateLimited,
    UpstreamFailed,
    UpstreamTimeout,
)
from arouter.web.errors import status_and_type
from arouter.wire.gemini_generate.errors import gemini_error_body, stream_error

INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def told(error: ARouterError) -> dict[str, Any]:
    status, type_ = status_and_type(error)
    body = json.loads(gemini_error_body(error, status, type_))
    assert list(body) == ["error"]
    assert body["error"]["code"] == status
    assert body["error"]["message"] == error.message
    inner: dict[str, Any] = body["error"]
    return inner


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (InvalidRequest("x"), "INVALID_ARGUMENT"),
        (NotAuthenticated("x"), "UNAUTHENTICATED"),
        (PaymentRequired("x"), "FAILED_PRECONDITION"),
        (NotPermitted("x"), "PERMISSION_DENIED"),
        (NotFound("x"), "NOT_FOUND"),
        (RateLimited("x"), "RESOURCE_EXHAUSTED"),
        (NoProvider("x"), "UNAVAILABLE"),
        (UpstreamFailed("x"), "UNAVAILABLE"),
        (UpstreamTimeout("x"), "DEADLINE_EXCEEDED"),
        (UpstreamFailed("x", upstream_status=422, client_fault=True), "INVALID_ARGUMENT"),
    ],
)
def test_the_word_for_each_status(error: ARouterError, word: str) -> None:
    assert told(error)["status"] == word


def test_our_code_and_metadata_are_in_the_details() -> None:
    error = InvalidRequest(
        "No.", code="model_not_found", param="model", metadata={"provider": "x", "limit_usd": 5, "at": None}
    )
    assert told(error)["details"] == [
        {
            "@type": INFO,
            "reason": "model_not_found",
            "domain": "arouter",
            "metadata": {"provider": "x", "limit_usd": "5", "type": "invalid_request_error"},
        },
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "model", "description": "No."}],
        },
    ]


def test_how_long_to_wait_is_in_the_details() -> None:
    [_, retry] = told(RateLimited("x", retry_after_s=1.5))["details"]
    assert retry == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.500s"}
    assert len(told(RateLimited("x"))["details"]) == 1


def test_what_only_the_operator_may_see_is_not_told() -> None:
    assert "secret" not in json.dumps(told(InvalidRequest("x", detail="secret")))


def test_google_s_sdk_reads_it() -> None:
    body = gemini_error_body(RateLimited("Too many requests."), 429, "rate_limit_error")
    error = sdk.ClientError(429, json.loads(body))
    assert (error.code, error.status, error.message) == (429, "RESOURCE_EXHAUSTED", "Too many requests.")


@pytest.mark.parametrize(("type_", "code"), [("rate_limit_error", 429), ("server_error", 500), ("anything", 500)])
def test_an_error_in_a_stream_begins_as_google_s_sdk_expects_it(type_: str, code: int) -> None:
    body = stream_error("Broke off.", "upstream_error", {"provider": "x"}, type_)
    assert body.startswith(b'{"error":')
    error = json.loads(body)["error"]
    assert (error["code"], error["message"]) == (code, "Broke off.")
    assert error["details"][0]["reason"] == "upstream_error"

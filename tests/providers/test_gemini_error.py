"""Gemini's error answers: whose fault they are, and what the client may read of them."""

import json
from typing import Any

import pytest

from arouter.domain.errors import UpstreamFailed
from arouter.providers.gemini import GeminiAdapter
from tests.providers.gemini_answers import ERROR, Body


def error(status: int, message: str = "No.", name: str = "SOME_STATUS", **rest: Any) -> UpstreamFailed:
    body = {"error": {"code": status, "message": message, "status": name, **rest}}
    return GeminiAdapter().read_error(status, json.dumps(body).encode())


def test_an_error_keeps_its_message_its_code_and_its_status() -> None:
    failed = error(404, "models/x is not found.", "NOT_FOUND")
    assert (failed.message, failed.code, failed.upstream_status) == ("models/x is not found.", "NOT_FOUND", 404)


def test_an_error_may_be_the_one_element_of_an_array() -> None:
    failed = GeminiAdapter().read_error(503, b"[" + json.dumps(ERROR).encode() + b"]")
    assert (failed.message, failed.code) == ("The model is overloaded.", "UNAVAILABLE")


@pytest.mark.parametrize(
    ("status", "client_fault"),
    [
        (400, True),
        (404, True),
        (413, True),
        (422, True),
        (401, False),
        (403, False),
        (429, False),
        (500, False),
        (503, False),
    ],
)
def test_who_is_to_blame(status: int, client_fault: bool) -> None:
    failed = error(status)
    assert failed.client_fault is client_fault
    assert failed.retryable is not client_fault


@pytest.mark.parametrize(
    ("message", "name", "details"),
    [
        ("API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", []),
        ("No.", "INVALID_ARGUMENT", [{"@type": "…/ErrorInfo", "reason": "API_KEY_INVALID"}]),
        ("User location is not supported for the API use.", "FAILED_PRECONDITION", []),
    ],
)
def test_a_400_about_our_key_or_account_is_not_the_clients_fault(message: str, name: str, details: list[Body]) -> None:
    assert not error(400, message, name, details=details).client_fault


def test_a_key_that_a_message_quotes_is_not_passed_on() -> None:
    key = "AIza" + "Sy0123456789-abcdefghijklmnopqrstu_"
    assert error(403, f"Consumer 'api_key:{key}' has been suspended.").message == (
        "Consumer 'api_key:[key]' has been suspended."
    )
    assert key not in error(400, f"Key {key} is odd.").message


@pytest.mark.parametrize("body", [b"", b"Bad gateway", b"[]", b'{"error": "no"}', b'{"error": {}}', b"\xff"])
def test_an_error_of_any_shape_is_an_error(body: bytes) -> None:
    failed = GeminiAdapter().read_error(502, body)
    assert failed.upstream_status == 502
    assert "502" in failed.message
    assert not failed.client_fault

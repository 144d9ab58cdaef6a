"""Error answers of the Messages API: who is to blame, and whether to try again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import UpstreamFailed
from arouter.providers.anthropic import AnthropicAdapter


def read(status: int, kind: str, message: str = "It says so.") -> UpstreamFailed:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return AnthropicAdapter().read_error(status, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "kind", "client_fault", "retryable"),
    [
        (400, "invalid_request_error", True, False),
        (401, "authentication_error", False, False),
        (402, "billing_error", False, False),
        (403, "permission_error", False, False),
        (404, "not_found_error", True, False),
        (404, "something_new", False, False),
        (408, "timeout_error", False, True),
        (413, "request_too_large", True, False),
        (422, "invalid_request_error", True, False),
        (429, "rate_limit_error", False, True),
        (500, "api_error", False, True),
        (504, "timeout_error", False, True),
        (529, "overloaded_error", False, True),
    ],
)
def test_who_is_to_blame_and_whether_to_try_again(status: int, kind: str, client_fault: bool, retryable: bool) -> None:
    failed = read(status, kind)
    assert failed.message == "It says so."
    assert failed.code == kind
    assert failed.upstream_status == status
    assert failed.client_fault is client_fault
    assert failed.retryable is retryable
    assert failed.detail == "Anthropic's request id: req_1"


def test_our_own_empty_account_is_not_the_clients_fault() -> None:
    failed = read(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.")
    assert not failed.client_fault
    assert not failed.retryable


@pytest.mark.parametrize("body", [b"", b"<html>secret host</html>", b'{"error": "text"}', b"[]", b"[" * 100_000])
def test_a_page_of_a_proxy_is_for_the_log_only(body: bytes) -> None:
    failed = AnthropicAdapter().read_error(502, body)
    assert failed.message == "The provider answered with status 502."
    assert failed.code == "upstream_error"
    assert failed.detail == body[:500].decode()
    assert failed.retryable
    assert not AnthropicAdapter().read_error(404, body).client_fault
    assert AnthropicAdapter().read_error(413, body).client_fault


@given(st.integers(400, 599), st.binary())
def test_every_body_becomes_an_error(status: int, body: bytes) -> None:
    assert AnthropicAdapter().read_error(status, body).upstream_status == status

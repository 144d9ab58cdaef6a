"""Bedrock's error answers: whose fault they are, and what the client may read of them."""

import msgspec
import pytest

from arouter.domain.errors import UpstreamFailed
from arouter.providers.bedrock import Bedrock
from arouter.providers.converse import ConverseAdapter


def error(status: int, text: str = "No.", name: str = "message") -> UpstreamFailed:
    failure = Bedrock().read_error(status, msgspec.json.encode({name: text}))
    assert failure is not None
    return failure


@pytest.mark.parametrize(
    ("status", "code", "client_fault", "retryable"),
    [
        (400, "ValidationException", True, False),
        (403, "AccessDeniedException", False, True),
        (404, "ResourceNotFoundException", True, False),
        (408, "ModelTimeoutException", False, True),
        (424, "ModelErrorException", False, True),
        (429, "ThrottlingException", False, True),
        (500, "InternalServerException", False, True),
        (503, "ServiceUnavailableException", False, True),
    ],
)
def test_the_status_says_whose_fault_it_is(status: int, code: str, client_fault: bool, retryable: bool) -> None:
    failure = error(status)
    assert (failure.message, failure.code, failure.upstream_status) == ("No.", code, status)
    assert (failure.client_fault, failure.retryable) == (client_fault, retryable)


@pytest.mark.parametrize(
    "text",
    [
        "The security token included in the request is expired",
        "Your account is not authorized to invoke this API operation.",
    ],
)
def test_what_is_about_our_account_is_not_the_clients_fault(text: str) -> None:
    assert not error(400, text).client_fault


def test_older_spellings_are_read() -> None:
    assert error(403, "Forbidden", name="Message").message == "Forbidden"
    told = {"__type": "com.amazon.coral.service#UnrecognizedClientException", "message": "No."}
    failure = Bedrock().read_error(403, msgspec.json.encode(told))
    assert failure is not None
    assert failure.code == "UnrecognizedClientException"


def test_a_long_message_is_cut() -> None:
    assert len(error(400, "x" * 100_000).message) == 2000


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":{"message":"No."}}', b'{"message":1}', b"\xff"])
def test_what_is_no_error_of_awss_is_left_to_the_dialect(body: bytes) -> None:
    assert Bedrock().read_error(502, body) is None
    failure = ConverseAdapter().read_error(502, body)
    assert (failure.message, failure.upstream_status) == ("Bedrock answered with status 502.", 502)

"""A Google service account: what it signs, and what Google says to that."""

from base64 import urlsafe_b64decode
from urllib.parse import parse_qs

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from arouter.domain.errors import UpstreamFailed
from arouter.providers.service_account import ServiceAccount
from tests.service_accounts import EMAIL, curve_key, key_file, private_key

NOW_S = 1_795_348_800


def decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_an_assertion_says_who_asks_for_what_for_an_hour_and_is_signed() -> None:
    account = ServiceAccount(key_file())
    form = parse_qs(account.write_request(NOW_S * 1_000_000 + 999_999).decode(), strict_parsing=True)
    assert form.keys() == {"grant_type", "assertion"}
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    header, claims, signature = form["assertion"][0].split(".")
    assert msgspec.json.decode(decoded(header)) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    assert msgspec.json.decode(decoded(claims)) == {
        "iss": EMAIL,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": NOW_S,
        "exp": NOW_S + 3600,
    }
    private_key().public_key().verify(decoded(signature), f"{header}.{claims}".encode(), PKCS1v15(), SHA256())


def test_it_knows_its_project_and_where_to_ask() -> None:
    account = ServiceAccount(key_file())
    assert (account.project_id, account.token_url) == ("my-project", "https://oauth2.googleapis.com/token")
    assert ServiceAccount(key_file(project_id=None)).project_id is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not the JSON of a service account's key"),
        ("[]", "not the JSON of a service account's key"),
        ('{"type": "service_account"}', "client_email and private_key are needed"),
        ("\ud800", "not the JSON of a service account's key"),
        (key_file(type="authorized_user"), "only the key of a service account"),
        (key_file(private_key="sesame"), "private_key of the service account cannot be read"),
        (key_file(private_key="é"), "private_key of the service account cannot be read"),
        (key_file(private_key=curve_key()), "not an RSA key"),
    ],
)
def test_what_is_no_key_is_said_without_telling_any_of_it(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        ServiceAccount(text)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("expires_in", [3599, "3599"])
def test_a_token_comes_with_its_lifetime(expires_in: object) -> None:
    body = msgspec.json.encode({"access_token": "ya29.x", "expires_in": expires_in, "token_type": "Bearer"})
    assert ServiceAccount(key_file()).read_answer(200, body) == ("ya29.x", 3599)


def test_a_refusal_tells_the_client_its_status_and_the_log_the_reason() -> None:
    body = b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}'
    with pytest.raises(UpstreamFailed) as refused:
        ServiceAccount(key_file()).read_answer(400, body)
    assert "status 400" in refused.value.message
    assert "invalid_grant" not in refused.value.message
    assert refused.value.detail == "invalid_grant: Invalid JWT Signature."
    assert refused.value.retryable


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"<html>"),
        (200, b""),
        (200, b'{"id_token":"x"}'),
        (200, b'{"access_token":"a\\r\\nX-Evil: 1","expires_in":3600}'),
        (200, b'{"access_token":"","expires_in":3600}'),
        (200, b'{"access_token":"x","expires_in":0}'),
        (200, b'{"access_token":"x","expires_in":1e9}'),
        (200, b'{"access_token":"x","expires_in":"soon"}'),
        (200, b"\xff"),
    ],
)
def test_what_holds_no_token_is_a_failure_that_another_provider_may_not_have(status: int, body: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        ServiceAccount(key_file()).read_answer(status, body)
    assert failed.value.retryable
    assert not failed.value.client_fault

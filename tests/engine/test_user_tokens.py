"""Signed user tokens: what is read of one, and everything that is none."""

import base64
import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from arouter.domain.errors import NotAuthenticated
from arouter.engine.user_tokens import AUDIENCE, ISSUER, LEEWAY_S, TYPE, Claims, named_key, sign, signing_key, verify

NOW_S = 1_795_327_200
SECRET = bytes(range(32))
KEY = signing_key(SECRET, "org_a", "hash-a", "1" * 64)
CLAIMS = Claims(
    id="ut_1",
    user="jürgen\x00",
    organization_id="org_a",
    key_hash="hash-a",
    issued_at_s=NOW_S,
    expires_at_s=NOW_S + 900,
)
PAYLOAD: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "u",
    "iat": NOW_S,
    "exp": NOW_S + 900,
    "jti": "ut_1",
    "org": "org_a",
    "key": "hash-a",
}


def refused(token: str, *, now_s: int = NOW_S, key: bytes = KEY) -> str:
    """The code with which it is refused."""
    with pytest.raises(NotAuthenticated) as told:
        verify(token, key, now_s=now_s)
    return told.value.code


def encoded(payload: dict[str, Any], key: Any = KEY, *, algorithm: str = "HS256", **headers: Any) -> str:
    return jwt.encode(payload, key, algorithm=algorithm, headers={"typ": TYPE, **headers})


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("user", ["", "u", "jürgen\x00", "🙂" * 256, "me"])
def test_a_token_says_what_was_signed(user: str) -> None:
    claims = replace(CLAIMS, user=user)
    token = sign(claims, KEY)
    assert named_key(token) == ("org_a", "hash-a")
    assert verify(token, KEY, now_s=NOW_S) == claims


def test_it_says_no_more_than_that() -> None:
    header, payload, _ = sign(CLAIMS, KEY).split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "typ": TYPE}
    assert json.loads(base64.urlsafe_b64decode(payload + "==")) == {**PAYLOAD, "sub": "jürgen\x00"}


def test_it_ends_on_the_second() -> None:
    token = sign(CLAIMS, KEY)
    assert verify(token, KEY, now_s=NOW_S + 899) == CLAIMS
    assert refused(token, now_s=NOW_S + 900) == "expired_user_token"


def test_one_of_the_future_is_none() -> None:
    token = sign(CLAIMS, KEY)
    assert verify(token, KEY, now_s=NOW_S - LEEWAY_S) == CLAIMS
    assert refused(token, now_s=NOW_S - LEEWAY_S - 1) == "invalid_user_token"


@pytest.mark.parametrize(
    "other",
    [
        signing_key(bytes(32), "org_a", "hash-a", "1" * 64),
        signing_key(SECRET, "org_b", "hash-a", "1" * 64),
        signing_key(SECRET, "org_a", "hash-b", "1" * 64),
        signing_key(SECRET, "org_a", "hash-a", "2" * 64),
    ],
    ids=["another database", "another organization", "another key", "the key rotated"],
)
def test_another_key_signs_otherwise(other: bytes) -> None:
    assert refused(sign(CLAIMS, other)) == "invalid_user_token"


def test_a_token_that_was_changed_in_any_character_is_none() -> None:
    token = sign(CLAIMS, KEY)
    for place, character in enumerate(token):
        changed = token[:place] + ("." if character != "." else "x") + token[place + 1 :]
        assert refused(changed) == "invalid_user_token"
    header, payload, signature = token.split(".")
    for forged in (part({**PAYLOAD, "sub": "admin"}), part({**PAYLOAD, "exp": NOW_S + 10**6})):
        assert refused(f"{header}.{forged}.{signature}") == "invalid_user_token"
    assert refused(f"{header}.{payload}.") == "invalid_user_token"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_without_a_signature_it_is_none(algorithm: str) -> None:
    for signature in ("", "x", sign(CLAIMS, KEY).rpartition(".")[2]):
        token = f"{part({'alg': algorithm, 'typ': TYPE})}.{part(PAYLOAD)}.{signature}"
        assert refused(token) == "invalid_user_token"
        with pytest.raises(NotAuthenticated):
            named_key(token)


def test_the_algorithm_is_ours_and_not_the_tokens() -> None:
    for algorithm in ("HS384", "HS512"):
        token = encoded(PAYLOAD, KEY + KEY, algorithm=algorithm)
        assert refused(token, key=KEY + KEY) == "invalid_user_token"
        with pytest.raises(NotAuthenticated):
            named_key(token)
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = encoded(PAYLOAD, private, algorithm="RS256")
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert refused(token, key=public) == "invalid_user_token"
    with pytest.raises(NotAuthenticated):
        named_key(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "somebody"},
        {"aud": None},
        {"aud": []},
        {"iss": "somebody"},
        {"sub": None},
        {"sub": 7},
        {"exp": None},
        {"exp": str(NOW_S + 900)},
        {"exp": True},
        {"exp": float(NOW_S + 900)},
        {"iat": None},
        {"iat": "now"},
        {"jti": None},
        {"org": None},
        {"key": None},
    ],
    ids=str,
)
def test_a_claim_that_is_not_as_it_must_be(changes: dict[str, Any]) -> None:
    assert verify(encoded(PAYLOAD), KEY, now_s=NOW_S).user == "u"
    assert refused(_unchecked({**PAYLOAD, **changes})) == "invalid_user_token"
    without = {name: value for name, value in PAYLOAD.items() if name not in changes}
    assert refused(_unchecked(without)) == "invalid_user_token"


def _unchecked(payload: dict[str, Any]) -> str:
    """Signed whatever it says."""
    return jwt.PyJWS().encode(json.dumps(payload).encode(), KEY, algorithm="HS256", headers={"typ": TYPE})


@pytest.mark.parametrize("headers", [{"typ": "JWT"}, {"typ": None}, {"crit": ["exp"]}], ids=str)
def test_a_token_of_another_kind_is_none(headers: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticated):
        named_key(encoded(PAYLOAD, **headers))


@pytest.mark.parametrize("payload", [{**PAYLOAD, "org": 1}, {**PAYLOAD, "key": ["x"]}, {}, {"org": "x"}], ids=str)
def test_one_that_names_no_key_is_none(payload: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticated):
        named_key(_unchecked(payload))


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "lr_live_" + "0" * 48, "e30.e30.", "\x00", "é.é.é", "[" * 99999]
)
def test_what_is_no_token_at_all(text: str) -> None:
    with pytest.raises(NotAuthenticated):
        named_key(text)
    assert refused(text) == "invalid_user_token"


def test_a_payload_without_end_is_none() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 12_000).decode().rstrip("=")
    with pytest.raises(NotAuthenticated):
        named_key(f"{part({'alg': 'HS256', 'typ': TYPE})}.{deep}.x")

"""Signed user tokens: JSON Web Tokens (RFC 7519) by which a backend vouches for an end user.

HMAC-SHA-256 under a key that is derived from the server's own secret and from the secret of the key that mints: a
token is worthless in another database, and once that key is deleted or rotated. The algorithm and the type are fixed
here, and never read from a token (RFC 8725, sections 3.1 and 3.11).

To import this module is to import `cryptography`, which takes 50 ms: it is imported when there is a token.
"""

from dataclasses import dataclass

import jwt

from arouter.domain.errors import NotAuthenticated
from arouter.domain.key_derivation import derived_key

ALGORITHM = "HS256"
TYPE = "arouter-user+jwt"
ISSUER = "arouter"
AUDIENCE = "arouter-user"
INVALID = "invalid_user_token"
"""The code of the error for what is not signed with the key at all."""
LEEWAY_S = 5
"""How far the clocks of two machines may be apart before a token is one of the future."""

_CLAIMS = ("iss", "aud", "sub", "iat", "exp", "jti", "org", "key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token says. Times are seconds since the epoch."""

    id: str
    user: str
    organization_id: str
    key_hash: str
    """Of the key that minted it."""
    issued_at_s: int
    expires_at_s: int


def signing_key(server_secret: bytes, organization_id: str, key_hash: str, key_secret: str) -> bytes:
    """The key for the tokens of one of our keys, while its plaintext is the one whose SHA-256 is `key_secret`."""
    purpose = "\0".join(("arouter user token 1", organization_id, key_hash)).encode()
    return derived_key(server_secret, salt=key_secret.encode(), purpose=purpose)


def sign(claims: Claims, key: bytes) -> str:
    """The token."""
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": claims.user,
        "iat": claims.issued_at_s,
        "exp": claims.expires_at_s,
        "jti": claims.id,
        "org": claims.organization_id,
        "key": claims.key_hash,
    }
    return jwt.encode(payload, key, algorithm=ALGORITHM, headers={"typ": TYPE})


def named_key(token: str) -> tuple[str, str]:
    """The organization and the key that a token claims to be of. Nothing of it is believed yet. NotAuthenticated if it
    is none of ours by its form."""
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.PyJWTError as exc:
        raise invalid_token() from exc
    header, payload = parts["header"], parts["payload"]
    organization_id, key_hash = payload.get("org"), payload.get("key")
    if header.get("alg") != ALGORITHM or header.get("typ") != TYPE or "crit" in header:
        raise invalid_token()
    if not isinstance(organization_id, str) or not isinstance(key_hash, str):
        raise invalid_token()
    return organization_id, key_hash


def verify(token: str, key: bytes, *, now_s: int) -> Claims:
    """What a token says, if it is signed with `key` and valid now. NotAuthenticated otherwise."""
    try:
        payload = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=AUDIENCE,
            # Times are compared below, by the gateway's own clock.
            options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    except jwt.PyJWTError as exc:
        raise invalid_token() from exc
    issued_at_s, expires_at_s = payload["iat"], payload["exp"]
    if not _is_whole(issued_at_s) or not _is_whole(expires_at_s) or issued_at_s > now_s + LEEWAY_S:
        raise invalid_token()
    if expires_at_s <= now_s:
        raise NotAuthenticated(
            "this user token has expired. Ask the application for a new one.", code="expired_user_token"
        )
    return Claims(
        id=payload["jti"],
        user=payload["sub"],
        organization_id=payload["org"],
        key_hash=payload["key"],
        issued_at_s=issued_at_s,
        expires_at_s=expires_at_s,
    )


def invalid_token() -> NotAuthenticated:
    """What every token is told that is none of ours, whatever is wrong with it."""
    return NotAuthenticated(
        "invalid user token. It must be one that POST /v1/user_tokens made, by a key that is still valid.",
        code=INVALID,
    )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

"""A Google service account: its key, and how an access token is asked for with it.

A token is asked for with an assertion, a JSON Web Token (RFC 7523) that the account's RSA key signs with SHA-256.
Source: https://developers.google.com/identity/protocols/oauth2/service-account.

Importing this module imports `cryptography`, which takes 50 ms: it is imported where such an account is configured.
"""

import re
from base64 import urlsafe_b64encode
from urllib.parse import urlencode

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from arouter.domain.errors import UpstreamFailed

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
ASSERTION_S = 3600
"""How long an assertion holds; Google takes no longer one."""
LONGEST_TOKEN_S = 12 * 3600

_TOKEN = re.compile(r"[!-~]+")
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_MICROSECONDS = 1_000_000


class _Key(msgspec.Struct):
    type: str
    client_email: str
    private_key: str
    private_key_id: str | None = None
    project_id: str | None = None
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


class _Issued(msgspec.Struct):
    access_token: str
    expires_in: int


class _Refused(msgspec.Struct):
    error: str = ""
    error_description: str = ""


_KEY = msgspec.json.Decoder(_Key)
_ISSUED = msgspec.json.Decoder(_Issued, strict=False)
_REFUSED = msgspec.json.Decoder(_Refused)


class ServiceAccount:
    """Asks for tokens as the account."""

    __slots__ = ("_key", "_told")

    def __init__(self, text: str) -> None:
        """`text` is the JSON of the account's key file. ValueError, which tells nothing of it, if it is none."""
        try:
            told = _KEY.decode(text.encode())
        except (*_MALFORMED, UnicodeEncodeError) as exc:
            raise ValueError(
                "not the JSON of a service account's key: client_email and private_key are needed"
            ) from exc
        if told.type != "service_account":
            raise ValueError("only the key of a service account can be used, not another kind of credentials")
        try:
            key = load_pem_private_key(told.private_key.encode(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise ValueError("the private_key of the service account cannot be read") from exc
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("the private_key of the service account is not an RSA key")
        self._told = told
        self._key = key

    @property
    def project_id(self) -> str | None:
        return self._told.project_id

    @property
    def token_url(self) -> str:
        return self._told.token_uri

    def write_request(self, now_us: int) -> bytes:
        """The form to post to `token_url`."""
        return urlencode({"grant_type": GRANT_TYPE, "assertion": self._assertion(now_us // _MICROSECONDS)}).encode()

    def read_answer(self, status: int, body: bytes) -> tuple[str, int]:
        """The token and its lifetime in seconds. UpstreamFailed if it was refused, or is none."""
        if status != 200:
            raise UpstreamFailed(
                f"Google refused it with status {status}. Only the gateway's operator can mend that.",
                detail=_refusal(body),
            )
        try:
            issued = _ISSUED.decode(body)
        except _MALFORMED as exc:
            raise UpstreamFailed("Google's answer holds none.") from exc
        if not _TOKEN.fullmatch(issued.access_token) or not 0 < issued.expires_in <= LONGEST_TOKEN_S:
            raise UpstreamFailed("Google's answer holds none that can be used.")
        return issued.access_token, issued.expires_in

    def _assertion(self, now_s: int) -> str:
        header = {"alg": "RS256", "typ": "JWT", "kid": self._told.private_key_id}
        claims = {
            "iss": self._told.client_email,
            "scope": SCOPE,
            "aud": self._told.token_uri,
            "iat": now_s,
            "exp": now_s + ASSERTION_S,
        }
        signed = b".".join(_encoded(msgspec.json.encode(part)) for part in (header, claims))
        return b".".join((signed, _encoded(self._key.sign(signed, PKCS1v15(), SHA256())))).decode()


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _refusal(body: bytes) -> str:
    """Why, in Google's words, for the log."""
    try:
        refused = _REFUSED.decode(body)
    except _MALFORMED:
        return ""
    return f"{refused.error}: {refused.error_description}"

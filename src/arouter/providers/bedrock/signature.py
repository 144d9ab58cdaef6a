"""AWS Signature Version 4: a request's header fields that say who asks, as a pure function of the request.

The rules (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html):

1. The canonical request is the method, the path, the query, the signed header fields, their names, and the SHA-256
   of the body, each on its line.
2. The path is the one on the wire, with `.`, `..` and empty segments taken out, each segment percent-encoded once
   more: `/model/a%3A0` is signed as `/model/a%253A0`.
3. The query is sorted by name, then by value, both percent-encoded.
4. The values of header fields are trimmed, and runs of spaces in them are one; those of a repeated field are joined
   with commas in their order.
5. The key is derived from the secret, the day, the region and the service, each hashed into the one before.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote, unquote_to_bytes

from arouter.domain.value import value

ALGORITHM = "AWS4-HMAC-SHA256"

Headers = tuple[tuple[str, str], ...]

_SPACES = re.compile(r" +")
_MICROSECONDS = 1_000_000


@value(frozen=True, slots=True, kw_only=True)
class AwsKey:
    """Whose signature it is, and for what."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    """Of temporary credentials; it is sent along, and signed."""
    region: str
    service: str


def signature_headers(
    key: AwsKey, *, method: str, path: str, query: str = "", headers: Headers = (), body: bytes, now_us: int
) -> Headers:
    """The header fields to add to a request: the date, the session's token if there is one, and the signature.

    `path` and `query` are those of the request line, already percent-encoded; `headers` are the fields to sign, with
    `Host` among them; `now_us` is in microseconds since the epoch.
    """
    date = datetime.fromtimestamp(now_us // _MICROSECONDS, UTC).strftime("%Y%m%dT%H%M%SZ")
    added: Headers = (("X-Amz-Date", date),)
    if key.session_token is not None:
        added += (("X-Amz-Security-Token", key.session_token),)
    signed = _canonical_headers((*headers, *added))
    names = ";".join(name for name, _ in signed)
    request = "\n".join(
        (
            method,
            _canonical_path(path),
            _canonical_query(query),
            *(f"{name}:{text}" for name, text in signed),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{date[:8]}/{key.region}/{key.service}/aws4_request"
    to_sign = "\n".join((ALGORITHM, date, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = _hmac(_signing_key(key, date[:8]), to_sign).hex()
    authorization = f"{ALGORITHM} Credential={key.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return (*added, ("Authorization", authorization))


def _canonical_path(path: str) -> str:
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(quote(segment, safe="~"))
    if not segments:
        return "/"
    return "/" + "/".join(segments) + ("/" if path.endswith(("/", "/.", "/..")) else "")


def _canonical_query(query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    encoded = sorted((_encoded(name), _encoded(text)) for name, _, text in pairs)
    return "&".join(f"{name}={text}" for name, text in encoded)


def _encoded(text: str) -> str:
    """Of a name or a value in a query, percent-encoded in whatever way, the one way that is signed."""
    return quote(unquote_to_bytes(text), safe="~")


def _canonical_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    values: dict[str, list[str]] = {}
    for name, text in headers:
        values.setdefault(name.lower(), []).append(_SPACES.sub(" ", text.strip()))
    return sorted((name, ",".join(texts)) for name, texts in values.items())


def _signing_key(key: AwsKey, day: str) -> bytes:
    derived = f"AWS4{key.secret_access_key}".encode()
    for part in (day, key.region, key.service, "aws4_request"):
        derived = _hmac(derived, part)
    return derived


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")

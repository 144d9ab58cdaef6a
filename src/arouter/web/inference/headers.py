"""What inference requests say in their headers, whatever their dialect."""

import string
from collections.abc import Mapping
from urllib.parse import quote, unquote_to_bytes

from arouter.domain.errors import InvalidRequest

Headers = Mapping[bytes, bytes]
"""By lower-case name."""

MOST_TAGS = 16
MOST_TAG_BYTES = 128
MOST_TEXT_BYTES = 512

_REQUEST_ID_CHARACTERS = frozenset((string.ascii_letters + string.digits + "-_.:/+=").encode())
_MOST_REQUEST_ID_BYTES = 128


def request_id_of(headers: Headers) -> str | None:
    """`X-Request-Id` if it is one that can be echoed and logged safely."""
    value = headers.get(b"x-request-id", b"")
    if 0 < len(value) <= _MOST_REQUEST_ID_BYTES and _REQUEST_ID_CHARACTERS.issuperset(value):
        return value.decode("ascii")
    return None


def user_of(headers: Headers) -> str | None:
    """`X-ARouter-User`, percent-encoded UTF-8. InvalidRequest if it is not."""
    value = headers.get(b"x-arouter-user")
    if value is None:
        return None
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError as exc:
        raise InvalidRequest(
            "The header X-ARouter-User must be percent-encoded UTF-8.", code="invalid_value", param="X-ARouter-User"
        ) from exc


def user_header(user: str | None) -> tuple[bytes, bytes]:
    """The response header that tells which user the request was attributed to."""
    return b"x-arouter-user", quote(user if user is not None else "", safe="").encode("ascii")


def session_of(headers: Headers) -> str | None:
    return _text(headers, b"x-session-id")


def app_of(headers: Headers) -> tuple[str | None, str | None]:
    """The application's URL and title, as it names itself (`HTTP-Referer`, `X-Title`)."""
    url = _text(headers, b"http-referer")
    return (url if url is not None else _text(headers, b"referer")), _text(headers, b"x-title")


def tags_of(headers: Headers) -> tuple[str, ...]:
    """`X-ARouter-Tags: a, b`: without repetition, in order. InvalidRequest for too many or too long ones."""
    value = headers.get(b"x-arouter-tags")
    if value is None:
        return ()
    tags = tuple(dict.fromkeys(tag.strip() for tag in value.decode("utf-8", "replace").split(",") if tag.strip()))
    if len(tags) > MOST_TAGS or any(len(tag.encode()) > MOST_TAG_BYTES for tag in tags):
        raise InvalidRequest(
            f"X-ARouter-Tags takes at most {MOST_TAGS} tags of at most {MOST_TAG_BYTES} bytes each.",
            code="invalid_value",
            param="X-ARouter-Tags",
        )
    return tags


def wants_attempts(headers: Headers) -> bool:
    """`X-ARouter-Metadata: enabled`: the answer tells who was asked."""
    return headers.get(b"x-arouter-metadata", b"").lower() == b"enabled"


def _text(headers: Headers, name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value[:MOST_TEXT_BYTES].decode("utf-8", "replace")

"""Keys on HTTP: the same key in any of four places, looked up in memory.

`Authorization: Bearer …` (OpenAI SDK), `X-Api-Key` (Anthropic SDK), `x-goog-api-key` or `?key=` (Gemini SDK). The
query form is never logged: this server writes no access log, and nothing else here prints a query string.
"""

import hashlib
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from arouter.domain.errors import NotAuthenticated
from arouter.domain.keys import Key, has_key_shape
from arouter.store.base import Directory

MOST_REMEMBERED = 100_000

_HOW = "Send it as `Authorization: Bearer lr_live_…`."


def find_plaintext(headers: Mapping[bytes, bytes], query: bytes) -> str:
    """The key that a request carries. NotAuthenticated if there is none.

    `headers` by lower-case name; `query` is the raw query string.
    """
    authorization = headers.get(b"authorization")
    if authorization is not None:
        scheme, _, credentials = authorization.partition(b" ")
        if scheme.lower() == b"bearer" and credentials:
            return credentials.strip().decode("latin-1")
    for name in (b"x-api-key", b"x-goog-api-key"):
        if value := headers.get(name):
            return value.strip().decode("latin-1")
    if b"key=" in query and (values := parse_qs(query.decode("latin-1")).get("key")):
        return values[0]
    raise NotAuthenticated(f"missing or invalid Authorization header. {_HOW}", code="missing_api_key")


class Authenticator:
    """Knows the keys. Remembers what the directory said until the directory changes."""

    def __init__(self, directory: Directory, *, now_us: Callable[[], int]) -> None:
        self._directory = directory
        self._now_us = now_us
        self._remembered: dict[bytes, Key | None] = {}
        self._revision: int | None = None

    async def authenticate(self, headers: Mapping[bytes, bytes], query: bytes) -> Key:
        """The key of a request. NotAuthenticated if it has none that is valid now."""
        plaintext = find_plaintext(headers, query)
        digest = hashlib.sha256(plaintext.encode()).digest()
        try:
            key = self._remembered[digest]
        except KeyError:
            key = await self._look_up(plaintext, digest)
        if key is None:
            raise NotAuthenticated(f"invalid api key. {_HOW}")
        if key.disabled:
            raise NotAuthenticated("this api key is disabled. Enable it, or use another one.")
        if key.expires_at_us is not None and key.expires_at_us <= self._now_us():
            raise NotAuthenticated("this api key has expired. Make a new one.", code="expired_api_key")
        return key

    async def _look_up(self, plaintext: str, digest: bytes) -> Key | None:
        if not has_key_shape(plaintext):
            return None
        revision = self._revision
        key = await self._directory.find_key(digest.hex())
        if revision == self._revision:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[digest] = key
        return key

    async def refresh(self) -> None:
        """Forget everything if the directory has changed since the last call. To be called a few times a second."""
        revision = await self._directory.revision()
        if revision != self._revision:
            self._revision = revision
            self._remembered.clear()

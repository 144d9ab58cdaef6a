"""Keys on HTTP: the same key in any of four places, looked up in memory.

`Authorization: Bearer …` (OpenAI SDK), `X-Api-Key` (Anthropic SDK), `x-goog-api-key` or `?key=` (Gemini SDK). The
query form is never logged: this server writes no access log, and nothing else here prints a query string.
"""

import hashlib
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from arouter.domain.directory_changes import DirectoryChanges
from arouter.domain.errors import NotAuthenticated
from arouter.domain.keys import Key, KeyKind, has_key_shape
from arouter.domain.principals import Principal, acting, signed_in
from arouter.domain.sign_in import SEEN_AGAIN_US, SESSION_PREFIX
from arouter.domain.value import value
from arouter.engine.remembered import Remembered
from arouter.store.base import Directory

MOST_REMEMBERED = 100_000
MOST_UNKNOWN = 10_000

_HOW = "Send it as `Authorization: Bearer lr_live_…`."


@value(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A key as a request carries it."""

    plaintext: str
    digest: bytes
    """Its SHA-256."""


def find_credentials(headers: Mapping[bytes, bytes], query: bytes) -> Credentials:
    """The key that a request carries. NotAuthenticated if there is none.

    `headers` by lower-case name; `query` is the raw query string.
    """
    plaintext = _find_plaintext(headers, query)
    return Credentials(plaintext=plaintext, digest=hashlib.sha256(plaintext.encode()).digest())


def _find_plaintext(headers: Mapping[bytes, bytes], query: bytes) -> str:
    authorization = headers.get(b"authorization")
    if authorization is not None:
        scheme, _, credentials = authorization.partition(b" ")
        if scheme.lower() == b"bearer" and credentials:
            return credentials.strip().decode("latin-1")
    for name in (b"x-api-key", b"x-goog-api-key"):
        if told := headers.get(name):
            return told.strip().decode("latin-1")
    if b"key=" in query and (values := parse_qs(query.decode("latin-1")).get("key")):
        return values[0]
    raise no_credentials()


def no_credentials() -> NotAuthenticated:
    """What a request without a key is told."""
    return NotAuthenticated(f"missing or invalid Authorization header. {_HOW}", code="missing_api_key")


async def principal_of(directory: Directory, key: Key) -> Principal:
    """What a management key acts as, now."""
    member = None if key.creator is None else await directory.get_member(key.organization_id, key.creator)
    return acting(key, member)


class Authenticator:
    """Knows the keys. Remembers what the directory said of one until that may be otherwise: the same object, for those
    who remember more of it."""

    def __init__(self, directory: Directory, *, now_us: Callable[[], int]) -> None:
        self._directory = directory
        self._now_us = now_us
        self._remembered: Remembered[bytes, Key] = Remembered(MOST_REMEMBERED)
        self._known = self._remembered.things
        """By the SHA-256 of their plaintexts."""
        self._unknown: set[bytes] = set()
        """SHA-256 that belong to no key. Whoever tries any number of them makes no key forgotten."""
        self._revision: int | None = None
        self.on_change: list[Callable[[DirectoryChanges], None]] = []
        """Called with what changed."""

    @property
    def revision(self) -> int | None:
        """The directory's, as of the last `refresh`: what was read while it was the same may be kept until
        `on_change`."""
        return self._revision

    async def authenticate(self, headers: Mapping[bytes, bytes], query: bytes) -> Key:
        """The key of a request, or what a session acts as. NotAuthenticated if it has none that is valid now."""
        credentials = find_credentials(headers, query)
        if credentials.plaintext.startswith(SESSION_PREFIX):
            return await self._session(credentials)
        return await self.check(credentials)

    def recall(self, credentials: Credentials, now_us: int) -> Key | None:
        """The key, if it is remembered and valid at this time: then there is no need to `check`."""
        key = self._known.get(credentials.digest)
        if key is None or key.disabled or (key.expires_at_us is not None and key.expires_at_us <= now_us):
            return None
        return key

    async def check(self, credentials: Credentials) -> Key:
        """The key. NotAuthenticated if it is none that is valid now."""
        key = self._known.get(credentials.digest)
        if key is None and credentials.digest not in self._unknown:
            key = await self._look_up(credentials)
        if key is None:
            raise NotAuthenticated(f"invalid api key. {_HOW}")
        if key.disabled:
            raise NotAuthenticated("this api key is disabled, or who made it is. Enable it, or use another one.")
        if key.expires_at_us is not None and key.expires_at_us <= self._now_us():
            raise NotAuthenticated("this api key has expired. Make a new one.", code="expired_api_key")
        return key

    async def _look_up(self, credentials: Credentials) -> Key | None:
        if not has_key_shape(credentials.plaintext):
            return None
        revision = self._revision
        key = await self._directory.find_key(credentials.digest.hex())
        if key is not None and key.kind is KeyKind.MANAGEMENT:
            key = await principal_of(self._directory, key)
        if revision == self._revision:
            if key is not None:
                self._remembered.put(credentials.digest, key.hash, key)
            elif len(self._unknown) < MOST_UNKNOWN:
                self._unknown.add(credentials.digest)
        return key

    async def _session(self, credentials: Credentials) -> Principal:
        """Asked for anew each time: people ask seldom, and a session that was ended must be."""
        now_us = self._now_us()
        session = await self._directory.find_session(credentials.digest.hex())
        if session is not None and session.is_alive(now_us):
            member = await self._directory.get_member(session.organization_id, session.member_id)
            if member is not None and not member.disabled:
                if now_us - session.seen_at_us >= SEEN_AGAIN_US:
                    await self._directory.see_session(session.id, now_us)
                there = await self._directory.list_workspaces(session.organization_id, limit=1)
                home = [*member.workspace_ids, *(one.id for one in there), ""]
                return signed_in(member, session.id, home[0])
        raise NotAuthenticated("This session has ended. Sign in again.", code="session_expired")

    async def refresh(self) -> None:
        """Forget what has changed since the last call. To be called a few times a second."""
        changes = await self._directory.changes_after(self._revision or 0)
        if changes.revision == self._revision:
            return
        self._revision = changes.revision
        self._unknown.clear()
        self._remembered.forget(changes.keys(self._known.values()))
        for call in self.on_change:
            call(changes)

"""Access tokens that are fetched, kept, and fetched again before they end.

1. One fetch serves all who wait for it: the others wait at a lock, and take what the first one got, be it a token or a
   failure. Who leaves while fetching passes the fetch on to the next in line.
2. A token is fetched again from five minutes before its end on. One request does that, and waits for it; the others
   go on with the old token meanwhile.
3. If that fails, the old token is used, and nobody tries again for half a minute. Only when it has ended does a
   failure reach a client.
4. A token that ends within half a minute has ended: the request may be on its way for a while.
"""

import asyncio
from typing import Protocol

from arouter.domain.errors import UpstreamFailed
from arouter.engine.credentials import Headers, Unsigned
from arouter.engine.origin import Origin
from arouter.engine.timeouts import Timeouts
from arouter.engine.upstream import Client, request_head

AHEAD_US = 300_000_000
MARGIN_US = 30_000_000
REST_US = 30_000_000
"""After a fetch that failed while the old token still holds."""

TIMEOUTS = Timeouts(connect_s=10.0, first_byte_s=10.0, idle_s=10.0, total_s=15.0)

_MOST_ANSWER_BYTES = 64 * 1024
_FORM = (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))


class TokenIssuer(Protocol):
    """Whose tokens they are, and how they are asked for, without I/O."""

    @property
    def token_url(self) -> str:
        """Where to ask, without a query."""

    def write_request(self, now_us: int) -> bytes:
        """The form to post."""

    def read_answer(self, status: int, body: bytes) -> tuple[str, int]:
        """The token and its lifetime in seconds. UpstreamFailed if it was refused, or is none."""


class AccessTokens:
    """`Authorization: Bearer` with a token that holds. One for a deployment."""

    def __init__(self, issuer: TokenIssuer) -> None:
        """ValueError, safe to show, if the issuer's address is none."""
        self._issuer = issuer
        url, _, last = issuer.token_url.rpartition("/")
        self._origin = Origin.from_url(url)
        self._head = request_head(self._origin, "POST", f"/{last}", _FORM)
        self._lock = asyncio.Lock()
        self._token: str | None = None
        self._refresh_at_us = 0
        self._ends_at_us = 0
        self._rests_until_us = 0
        self._fetches = 0
        self._failure: UpstreamFailed | None = None

    async def headers(self, request: Unsigned, client: Client, now_us: int) -> Headers:
        return (("Authorization", f"Bearer {await self._current(client, now_us)}"),)

    async def _current(self, client: Client, now_us: int) -> str:
        token = self._held(now_us)
        if token is not None and (now_us < self._refresh_at_us or self._lock.locked() or now_us < self._rests_until_us):
            return token
        seen = self._fetches
        async with self._lock:
            if self._fetches == seen or (self._failure is None and self._held(now_us) is None):
                await self._fetch(client, now_us)
        token = self._held(now_us)
        if token is not None:
            return token
        assert self._failure is not None
        raise UpstreamFailed(self._failure.message, retryable=self._failure.retryable, detail=self._failure.detail)

    def _held(self, now_us: int) -> str | None:
        return self._token if now_us < self._ends_at_us else None

    async def _fetch(self, client: Client, now_us: int) -> None:
        """Another token, or a failure to tell of."""
        try:
            answer = await client.send(self._origin, self._head, self._issuer.write_request(now_us), timeouts=TIMEOUTS)
            body = await answer.read(_MOST_ANSWER_BYTES)
            text, lifetime_s = self._issuer.read_answer(answer.status, body)
        except UpstreamFailed as failure:
            self._failure = UpstreamFailed(
                f"The gateway got no access token for the provider: {failure.message}",
                retryable=failure.retryable,
                detail=failure.detail,
            )
            self._rests_until_us = now_us + REST_US
        else:
            lifetime_us = lifetime_s * 1_000_000
            self._token = text
            self._ends_at_us = now_us + lifetime_us - min(MARGIN_US, lifetime_us // 2)
            self._refresh_at_us = now_us + lifetime_us - min(AHEAD_US, lifetime_us // 2)
            self._failure = None
        self._fetches += 1

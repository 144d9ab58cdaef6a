"""An upstream's answer, as whoever sent the request sees it.

The connection fills it in while bytes arrive; the reader takes them out, all that came in the meantime at once. A
future exists only while the reader waits and nothing is there. When the answer is whole the connection leaves it at
once and serves the next request, even if the reader has not taken everything yet.

An answer ends in one of four ways: whole (`next` returns None), failed (`next` raises what happened, after the
pieces that came before it), closed by its reader, or let go of by `release`.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from arouter.domain.errors import UpstreamFailed
from arouter.engine.head import Headers, final_head

WAKE_AT_BYTES = 128 * 1024
"""A reader of the whole body is woken when this much waits, or more than it wants, and at the end."""
LINGER_S = 0.1
LINGER_BYTES = 64 * 1024
"""How long, and for how much, `release` waits for an end that is under way."""


Listener = Callable[[bytes], None]
"""Takes what came; it raises nothing."""


class Source(Protocol):
    """The connection behind an answer that is not whole yet."""

    loop: asyncio.AbstractEventLoop

    def consumed(self) -> None:
        """The reader took all pieces: more may come."""

    def abort(self) -> None:
        """Hang up."""


class Answer:
    """A status, header fields, and a body that is read piece by piece (`next`) or whole (`read`), by one reader.

    Whoever has an answer closes it, whatever happens: `close` is harmless after the end. A `next` that is cancelled
    loses nothing and may be called again; a `read` that is cancelled hangs up.
    """

    __slots__ = (
        "_failure",
        "host",
        "listener",
        "pieces",
        "quiet_since_s",
        "said",
        "source",
        "status",
        "then",
        "wake_at_bytes",
    )

    status: int
    """The HTTP status; 0 until the header fields are in, which nobody but the connection sees."""
    said: bytes
    """The head as it came, perhaps with what stood before and behind it. There as soon as there is a status."""
    source: Source | None
    """The connection: None as soon as no more bytes will come."""
    pieces: list[bytes]
    """The connection's own list until then."""
    wake_at_bytes: int
    """From so many unread bytes on, whoever waits goes on; for 0, from the header fields on."""
    then: Callable[[], None] | None
    """Called, once, at the end, or when so many bytes wait: by whoever would rather not wait in a task."""
    quiet_since_s: float
    """When the peer said something last, or was wanted to, by the loop's clock."""
    _failure: UpstreamFailed | None
    """There as soon as no more bytes will come."""

    def __init__(self, host: str, source: Source, pieces: list[bytes], asked_s: float) -> None:
        """`asked_s` is when the request is sent, by the loop's clock."""
        self.host = host
        self.status = 0
        self.source = source
        self.pieces = pieces
        self.wake_at_bytes = WAKE_AT_BYTES
        self.then = None
        self.listener: Listener | None = None
        self.quiet_since_s = asked_s

    @property
    def head(self) -> bytes:
        """The status line and the header fields as they came, without trailers."""
        return final_head(self.said)

    @property
    def headers(self) -> Headers:
        """The header fields, without trailers."""
        return Headers(self.head)

    @property
    def whole(self) -> bytes | None:
        """The body, which stays to be read; None while it is not whole, and if it will never be."""
        if self.source is not None or self._failure is not None:
            return None
        return b"".join(self.pieces)

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters; empty if the peer did not say."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def content_length(self) -> int | None:
        """The length of the body in bytes if the peer said so."""
        length = self.headers.get("content-length")
        return None if length is None else int(length)

    async def begun(self) -> "Answer":
        """Itself, as soon as its header fields are in. UpstreamFailed, UpstreamTimeout; cancelled, it is closed."""
        if self.source is not None and not self.status:
            try:
                await self.woken(0)
            except asyncio.CancelledError:
                self.close()
                raise
        if not self.status:
            self.raise_failure()
        return self

    async def next(self) -> bytes | None:
        """What arrived since the last call, or the next bytes to arrive; None at the end of the body.

        UpstreamFailed if the peer breaks off or speaks nonsense, UpstreamTimeout if it falls silent for too long.
        """
        while True:
            if self.pieces:
                return self.take()
            if self.source is None:
                self.raise_failure()
                return None
            await self.woken(1)

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body. UpstreamFailed as `next`, and if the body is longer than `limit_bytes`: it is not read on."""
        if self.source is not None:
            await self._read_on(limit_bytes)
        body = b"".join(self.pieces)
        self.pieces = []
        if len(body) > limit_bytes:
            raise self._too_long(limit_bytes)
        if self._failure is not None:
            raise self._failure
        return body

    async def _read_on(self, limit_bytes: int) -> None:
        """Returns at the end, with everything in `pieces`."""
        if (length := self.content_length) is not None and length > limit_bytes:
            raise self._too_long(limit_bytes)
        taken: list[bytes] = []
        left_bytes = limit_bytes
        try:
            while self.source is not None:
                if self.pieces:
                    taken.append(self.take())
                    left_bytes -= len(taken[-1])
                    if left_bytes < 0:
                        raise self._too_long(limit_bytes)
                await self.woken(min(WAKE_AT_BYTES, left_bytes + 1))
        finally:
            if self.source is not None:
                self.close()
        self.pieces = taken + self.pieces

    async def release(self) -> None:
        """The reader has all that it needs. An end that is under way is waited for, briefly, so that the connection
        can be used again; else the connection is hung up. Never raises a failure of the peer."""
        left_bytes = LINGER_BYTES
        try:
            if self.source is not None:
                with suppress(TimeoutError, UpstreamFailed):
                    async with asyncio.timeout(LINGER_S):
                        while left_bytes > 0 and (data := await self.next()) is not None:
                            left_bytes -= len(data)
        finally:
            self.close()

    def close(self) -> None:
        """Done: hang up, unless the answer is whole and its connection serves others by now."""
        if self.source is not None:
            self.source.abort()
        self.pieces = []

    # ---------------------------------------------------------------- for the connection and the client

    def woken(self, wake_at_bytes: int) -> asyncio.Future[None]:
        """Done when about so many bytes are there, or the end, which is still to come."""
        assert self.source is not None
        self.wake_at_bytes = wake_at_bytes
        waiter = self.source.loop.create_future()
        self.then = partial(_done, waiter)
        return waiter

    async def listen(self, listener: Listener) -> None:
        """Lets `listener` have what comes, as it comes, once nothing waits for the reader. Returns at the end, or when
        the listener has called `wake`: what comes from then on waits again."""
        assert not self.pieces
        self.listener = listener
        try:
            await self.woken(1)
        finally:
            self.listener = None

    def wake(self) -> None:
        """Whoever waits or listens goes on."""
        self.listener = None
        then = self.then
        if then is not None:
            self.then = None
            then()

    def end(self, failure: UpstreamFailed | None) -> None:
        """No more bytes will come. The pieces that are there stay with the reader."""
        self.source = None
        self._failure = failure
        shared = self.pieces
        self.pieces = shared.copy()
        shared.clear()
        then = self.then
        if then is not None:
            self.then = None
            then()

    def raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def take(self) -> bytes:
        """What is there; there is something."""
        data = b"".join(self.pieces)
        self.pieces.clear()
        if self.source is not None:
            self.source.consumed()
        return data

    def _too_long(self, limit_bytes: int) -> UpstreamFailed:
        self.close()
        return UpstreamFailed(
            f"{self.host}: the answer is longer than {limit_bytes} bytes", upstream_status=self.status, retryable=False
        )


def _done(waiter: asyncio.Future[None]) -> None:
    """Whoever waits goes on, unless it was cancelled meanwhile."""
    if not waiter.done():
        waiter.set_result(None)

"""An answer on a connection of the gateway's own protocol: bytes, written at once."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from arouter.engine.express import Work
from arouter.web.inference.reply import BODILESS, PLAIN, Header, HttpReply

JOIN_UP_TO_BYTES = 64 * 1024
"""A body up to this length is joined to its head, so that one packet carries both."""

_REASONS = {
    **{status.value: status.phrase.encode("ascii") for status in HTTPStatus},
    413: b"Content Too Large",
    422: b"Unprocessable Content",
}
"""With the words of RFC 9110, which the standard library has only since Python 3.13."""
_STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-accel-buffering: no\r\ntransfer-encoding: chunked\r\n%b\r\n"
)
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n"
_OTHER = b"HTTP/1.1 %d %b\r\n%b%b\r\n"
_LENGTH = b"content-length: %d\r\n"
_CHUNKED = b"transfer-encoding: chunked\r\n"
_IDS = b"x-generation-id: %b\r\nx-request-id: %b\r\n"
CLOSE = b"connection: close\r\n"


def reason_of(status: int) -> bytes:
    """What is written behind a status; nothing for one that nobody knows."""
    return _REASONS.get(status, b"")


class Line(Protocol):
    """The connection that an answer goes out on."""

    @property
    def write_paused(self) -> bool:
        """Whether the client reads slower than we write."""

    @property
    def stays(self) -> bool:
        """Whether another request may follow on it."""

    def write(self, data: bytes) -> None:
        """Send; nothing happens if the client has left."""

    def go_on(self, work: Work) -> None:
        """Let a task do what is left of the request that is under way."""

    def over(self) -> None:
        """The request that was under way, without a task, is over."""

    def until_drained(self) -> "asyncio.Future[None]":
        """Done when it is not paused any more, or the client has left."""


class LineReply(HttpReply):
    """One answer."""

    __slots__ = ("_bodiless", "_hand_over", "_line", "closes", "paused")

    paused: bool
    """As `Reply.paused`. The line sets it."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line
        self.paused = line.write_paused
        self._bodiless = False
        self._hand_over: Callable[[], None] | None = None
        self.closes = False
        """Whether the client was told that this is the last answer on its connection."""

    @property
    def gone(self) -> bool:
        return self._left

    # ---------------------------------------------------------------- where no task answers: `ExpressReply`

    def until_task(self, hand_over: Callable[[], None] | None) -> None:
        self._hand_over = hand_over
        if self._left:
            self.need_task()

    def need_task(self) -> None:
        """A task has to go on with the request, if none is at it."""
        hand_over, self._hand_over = self._hand_over, None
        if hand_over is not None:
            hand_over()

    def leave(self) -> None:
        super().leave()
        self.need_task()

    def go_on(self, work: Work) -> None:
        self._line.go_on(work)

    def over(self) -> None:
        self._line.over()

    # ---------------------------------------------------------------- how the bytes go

    async def drained(self) -> None:
        if self.paused:
            await self._line.until_drained()

    def send(self, data: bytes) -> bool:
        line = self._line
        if not self.started:
            self._start_stream()
        if data and not self._bodiless:  # An empty chunk would be the end.
            line.write(b"%x\r\n%b\r\n" % (len(data), data))
        return not line.write_paused

    def _start_stream(self) -> None:
        self.started = True
        head = self._head
        if head is None:
            self._line.write(_STREAM % self._fields(()))
            return
        self._bodiless = head.status in BODILESS
        framing = b"" if self._bodiless else _CHUNKED
        self._line.write(_OTHER % (head.status, reason_of(head.status), framing, self._fields(head.headers)))

    def _cut(self) -> None:
        """The connection closes an answer that has not ended."""

    def _write_last(self, data: bytes) -> None:
        if self._bodiless:
            return
        self._line.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n")

    def _whole(self, status: int, body: bytes, headers: tuple[Header, ...]) -> None:
        self.started = self.ended = True
        line = self._line
        if status == 200 and headers is PLAIN:
            head = _OK % (len(body), self._fields(()))
        else:
            length = b"" if status in BODILESS else _LENGTH % len(body)
            head = _OTHER % (status, reason_of(status), length, self._fields(headers))
        if len(body) <= JOIN_UP_TO_BYTES:
            line.write(head + body)
        else:
            line.write(head)
            line.write(body)

    def _fields(self, headers: tuple[Header, ...]) -> bytes:
        """The lines of a head behind those that are always the same."""
        fields = _IDS % (self._record_id.encode(), self._request_id.encode()) if self._record_id else b""
        if self._rates is not None:
            fields += self._rate_lines()
        if headers or self._headers:
            fields += b"".join([b"%b: %b\r\n" % header for header in (*headers, *self._headers)])
        if not self._line.stays:
            self.closes = True
            fields += CLOSE
        return fields

"""An answer on a connection of the gateway's own protocol: bytes, written at once."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from arouter.engine.express import Work
from arouter.web.inference.reply import BODILESS, Header, HttpReply, openai_error

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
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b"
_OTHER = b"HTTP/1.1 %d %b\r\n%b%b\r\n"
_LENGTH = b"content-length: %d\r\n"
_CHUNKED = b"transfer-encoding: chunked\r\n"
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
        """Whether another request may follow on it. An answer that has begun is not asked any more."""

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

    __slots__ = ("_bodiless", "_hand_over", "_ids", "_line", "closes", "paused")

    paused: bool
    """As `Reply.paused`. The line sets it."""
    closes: bool
    """Whether the connection ends with this answer. The client is told if that is known when it begins. The line sets
    it."""
    _bodiless: bool
    """Of a stream that has begun."""

    def __init__(self, line: Line) -> None:
        # What `HttpReply` has is set here once more, without a call: each request passes here.
        self._head = self._rates = self._on_gone = None
        self._headers = ()
        self._left = self.started = self.ended = self.wants_attempts = False
        self.write_error = openai_error
        self._line = line
        self._ids = b""
        self._hand_over: Callable[[], None] | None = None
        self.paused = line.write_paused
        self.closes = not line.stays

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

    # ---------------------------------------------------------------- the answer

    def identify(self, record_id: str, request_id: str) -> None:
        self._ids = f"x-generation-id: {record_id}\r\nx-request-id: {request_id}\r\n".encode()

    def whole(self, body: bytes) -> None:
        if self._head is not None:
            super().whole(body)
            return
        self.started = self.ended = True
        fields = self._fields() if self._rates is not None or self._headers or self.closes else self._ids
        size_bytes = len(body)
        if size_bytes <= JOIN_UP_TO_BYTES:
            self._line.write(_OK % (size_bytes, fields, body))
        else:
            self._line.write(_OK % (size_bytes, fields, b""))
            self._line.write(body)

    # ---------------------------------------------------------------- how the bytes go

    async def drained(self) -> None:
        if self.paused:
            await self._line.until_drained()

    def send(self, data: bytes) -> bool:
        if not self.started:
            self._start_stream()
        if data and not self._bodiless:  # An empty chunk would be the end.
            self._line.write(b"%x\r\n%b\r\n" % (len(data), data))
        return not self.paused

    def _start_stream(self) -> None:
        self.started = True
        head = self._head
        self._bodiless = head is not None and head.status in BODILESS
        if head is None:
            self._line.write(_STREAM % self._fields())
            return
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
        length = b"" if status in BODILESS else _LENGTH % len(body)
        head = _OTHER % (status, reason_of(status), length, self._fields(headers))
        if len(body) <= JOIN_UP_TO_BYTES:
            self._line.write(head + body)
        else:
            self._line.write(head)
            self._line.write(body)

    def _fields(self, headers: tuple[Header, ...] = ()) -> bytes:
        """The lines of a head behind those that are always the same."""
        fields = self._ids
        if self._rates is not None:
            fields += self._rate_lines()
        if headers or self._headers:
            fields += b"".join([b"%b: %b\r\n" % header for header in (*headers, *self._headers)])
        if self.closes:
            fields += CLOSE
        return fields

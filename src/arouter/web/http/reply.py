"""An answer on a connection of the gateway's own protocol: bytes, written at once."""

import asyncio
import re
from typing import Protocol

from arouter.web.inference.reply import Header, HttpReply

JOIN_UP_TO_BYTES = 64 * 1024
"""A body up to this length is joined to its head, so that one packet carries both."""

_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    422: b"Unprocessable Content",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}
_NOT_IN_A_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-accel-buffering: no\r\n%btransfer-encoding: chunked\r\n%b\r\n"
)
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b%b\r\n"
_OTHER = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b%b\r\n"
CLOSE = b"connection: close\r\n"


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

    def until_drained(self) -> "asyncio.Future[None]":
        """Done when it is not paused any more, or the client has left."""


class LineReply(HttpReply):
    """One answer."""

    __slots__ = ("_line",)

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    @property
    def gone(self) -> bool:
        return self._left

    @property
    def paused(self) -> bool:
        return self._line.write_paused

    async def drained(self) -> None:
        if self._line.write_paused:
            await self._line.until_drained()

    def send(self, data: bytes) -> None:
        if not self.started:
            self._start_stream()
        self._line.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _start_stream(self) -> None:
        self.started = True
        self._line.write(_STREAM % (self._fields(()), b"" if self._line.stays else CLOSE))

    def _write_last(self, data: bytes) -> None:
        self._line.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n")

    def _whole(self, status: int, body: bytes, headers: tuple[Header, ...]) -> None:
        self.started = self.ended = True
        line = self._line
        close = b"" if line.stays else CLOSE
        if status == 200:
            head = _OK % (len(body), self._fields(headers), close)
        else:
            head = _OTHER % (status, _REASONS.get(status, b"Status"), len(body), self._fields(headers), close)
        if len(body) <= JOIN_UP_TO_BYTES:
            line.write(head + body)
        else:
            line.write(head)
            line.write(body)

    def _fields(self, headers: tuple[Header, ...]) -> bytes:
        ids = b"x-generation-id: %b\r\nx-request-id: %b\r\n" % (self._record_id.encode(), self._request_id.encode())
        if not (headers or self._headers):
            return ids
        told = [b"%b: %b\r\n" % (name, _NOT_IN_A_VALUE.sub(b"", text)) for name, text in (*headers, *self._headers)]
        return b"".join((ids, *told))

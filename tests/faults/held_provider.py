"""A provider that says what a real one said, one recorded event after the other, and never more than the test allows.

A request tells by the content of its message which line is spoken to it (`line c895f2b945ab/7`), since that is what
every dialect passes on. The provider lives on the event loop of the test.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httptools

from tests.acceptance.recorded import events
from tests.recordings import Recording

NAMED = re.compile(rb"line ([\w/]+)")


def told_by(recording: Recording) -> tuple[bytes, ...]:
    """The events of a streamed answer, each with the empty line that ends it."""
    separator = "\r\n\r\n" if "\r\n\r\n" in recording.response_text else "\n\n"
    return tuple((event + separator).encode() for event in events(recording.response_text))


def pieces_of(recording: Recording) -> tuple[bytes, ...]:
    """A streamed answer as it goes over the network: its head, each event in a chunk of its own, the last chunk."""
    told = told_by(recording)
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {recording.content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
    return (head.encode(), *(b"%x\r\n%b\r\n" % (len(event), event) for event in told), b"0\r\n\r\n")


class Line:
    """What one request is told, and how far."""

    def __init__(self, pieces: tuple[bytes, ...], allowed: int) -> None:
        """Of `pieces` the first `allowed` go out as soon as the request is there."""
        self.pieces = pieces
        self.said = 0
        self.requests = 0
        self.asked = asyncio.Event()
        self.hung_up = asyncio.Event()
        """The gateway closed the connection before everything was said."""
        self._allowed = allowed
        self._transport: asyncio.Transport | None = None

    def allow(self, count: int) -> None:
        self._allowed = count
        self._say()

    def begin(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.requests += 1
        self.asked.set()
        self._say()

    def left(self) -> None:
        self._transport = None
        if self.said < len(self.pieces):
            self.hung_up.set()

    def _say(self) -> None:
        if self._transport is None:
            return
        self._transport.writelines(self.pieces[self.said : self._allowed])
        self.said = max(self.said, self._allowed)


class HeldProvider:
    """Add a line before its request is sent."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        """By name, which is made of letters, digits and slashes."""


@asynccontextmanager
async def listening(provider: HeldProvider, listener: socket.socket) -> AsyncIterator[None]:
    """The provider answers on `listener`, which the caller has opened, and which is closed at the end."""
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(provider), sock=listener)
    try:
        yield
    finally:
        server.close()


class _Connection(asyncio.Protocol):
    """One request after the other."""

    transport: asyncio.Transport

    def __init__(self, provider: HeldProvider) -> None:
        self._provider = provider
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._line: Line | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._line is not None:
            self._line.left()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        named = NAMED.search(self._body)
        assert named is not None
        self._line = self._provider.lines[named[1].decode()]
        self._line.begin(self.transport)

"""A provider that says what a real one said: it replays recorded answers byte for byte.

Before a request is sent, the test says which answer comes next and in pieces of how many bytes. A streamed answer goes
out chunked, each piece written to the network by itself; any other goes out whole, with its length. What was received
is kept for the test to look at.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httptools

from tests.recordings import Recording

TURNS = 4
"""Of the event loop, for each piece: most of them then reach a gateway that runs on another core one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it came."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    """Names in lower case."""
    body: bytes


class Replay:
    """The server's side of the test. `url` is where it listens."""

    def __init__(self) -> None:
        self.url = ""
        self.received: Received | None = None
        """The last request."""
        self.answer: bytes = b""
        """The head of the next answer, and all of it where it is not streamed."""
        self.pieces: tuple[bytes, ...] = ()
        """The chunks of the next answer."""

    def next(self, recording: Recording, piece_bytes: int) -> None:
        """Answer the next request like this."""
        body = recording.response_text.encode()
        head = f"HTTP/1.1 {recording.status} Replayed\r\ncontent-type: {recording.content_type}\r\n".encode()
        self.received = None
        if not recording.stream:
            self.answer = head + b"content-length: %d\r\n\r\n" % len(body) + body
            self.pieces = ()
            return
        self.answer = head + b"transfer-encoding: chunked\r\n\r\n"
        cut = (body[at : at + piece_bytes] for at in range(0, len(body), piece_bytes))
        self.pieces = (*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in cut), b"0\r\n\r\n")


@contextmanager
def running_replay() -> Iterator[Replay]:
    """A replay server in a thread of its own."""
    replay = Replay()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    connections: set[_Connection] = set()
    server = asyncio.run_coroutine_threadsafe(_listen(loop, replay, connections), loop).result(timeout=5)
    replay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield replay
    finally:
        asyncio.run_coroutine_threadsafe(_close(server, connections), loop).result(timeout=5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
        loop.close()


async def _listen(loop: asyncio.AbstractEventLoop, replay: Replay, connections: "set[_Connection]") -> asyncio.Server:
    return await loop.create_server(lambda: _Connection(replay, connections), "127.0.0.1", 0)


async def _close(server: asyncio.Server, connections: "set[_Connection]") -> None:
    server.close()
    for connection in list(connections):
        connection.transport.abort()
    await server.wait_closed()


class _Connection(asyncio.Protocol):
    """Reads a request, answers it, and waits for the next one."""

    transport: asyncio.Transport

    def __init__(self, replay: Replay, connections: "set[_Connection]") -> None:
        self._loop = asyncio.get_running_loop()
        self._replay = replay
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._replay.received = Received(
            method=self._parser.get_method().decode(),
            target=self._target.decode(),
            headers=tuple(self._headers),
            body=b"".join(self._body),
        )
        self.transport.write(self._replay.answer)
        self._send(iter(self._replay.pieces), TURNS)

    def _send(self, pieces: Iterator[bytes], turns: int) -> None:
        """The next piece when its turn has come, and the others in later turns of the event loop."""
        if turns > 1:
            self._loop.call_soon(self._send, pieces, turns - 1)
        elif (piece := next(pieces, None)) is not None:
            self.transport.write(piece)
            self._loop.call_soon(self._send, pieces, TURNS)

"""The sandbox on a port: HTTP/1.1 over a bare transport, because it must be able to send what no server would.

A connection reads requests with httptools, and answers them one after the other, in their order. There is no task
for a request: an answer without delays is written from the callback that brought the request, any other from timers.
"""

import asyncio
import socket
import struct
import time
from collections import deque
from random import Random
from typing import Final, cast

import httptools

from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.plan import Ending, Plan, Received, head
from arouter.sandbox.provider import Provider

KEPT_REQUESTS = 256
"""How many of the last requests `Sandbox.requests` holds."""

_MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024
_MOST_WAITING: Final = 64
"""Pipelined requests that wait on one connection before it is read no further."""
_MOMENTS_A_WRITE: Final = 64
"""Of a stream without delays."""
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Sandbox:
    """A running sandbox."""

    def __init__(self, provider: Provider, host: str) -> None:
        self.requests: deque[Received] = deque(maxlen=KEPT_REQUESTS)
        """What was received, the newest last."""
        self._provider = provider
        self._host = host
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    @property
    def port(self) -> int:
        """The port it listens on, also where 0 was asked for."""
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the sandbox is not running")
        return cast(int, self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Where a client on this machine finds it: `http://127.0.0.1:8090`."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)  # noqa: S104 - read, not bound
        return (
            f"http://[{host}]:{self.port}"
            if ":" in host.strip("[]") and "[" not in host
            else f"http://{host}:{self.port}"
        )

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def stop(self) -> None:
        """Close the port and every connection, whatever is under way on it."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await self._server.wait_closed()
        self._server = None

    async def _start(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(loop, self._provider, self.requests, self._connections), self._host, port
        )


async def start_sandbox(host: str, port: int, behaviour: Behaviour, *, random: Random | None) -> Sandbox:
    """A sandbox that listens on `host` and `port`; 0 is any free port. OSError if it cannot.

    `random` draws which requests fail where `failure_rate` is neither 0 nor 1; None is a fixed seed, so that the same
    requests in the same order have the same fate.
    """
    sandbox = Sandbox(Provider(behaviour, random if random is not None else Random(0)), host)  # noqa: S311 - no secret
    await sandbox._start(port)
    return sandbox


class _Connection(asyncio.Protocol):
    """One connection: idle, or with one plan under way and perhaps more requests waiting."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, provider: Provider, log: deque[Received], open_ones: "set[_Connection]"
    ) -> None:
        self._loop = loop
        self._provider = provider
        self._log = log
        self._open_ones = open_ones
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Received, str]] = deque()
        self._sending: _Sending | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._reading = True
        self._refused: Plan | None = None
        self.on_message_begin()

    # ------------------------------------------------------------ from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open_ones.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._open_ones.discard(self)
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._refused is not None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refused = Plan(status=501, length=0)
        except httptools.HttpParserError:
            self._refused = Plan(status=400, length=0)
        if self._size > _MAX_REQUEST_BYTES:
            self._refused = Plan(status=413, length=0)
        self._serve()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._sending is not None and self._timer is None:
            self._go_on()
            self._serve()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------ from the parser

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._sandbox_header = ""
        self._expects = False

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        self._size += len(name) + len(value)
        if len(name) == 9 and name.lower() == b"x-sandbox":
            self._sandbox_header = value.decode("latin-1")
        elif len(name) == 6 and name.lower() == b"expect":
            self._expects = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        idle = self._sending is None and not self._waiting
        if self._expects and idle and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= _MAX_REQUEST_BYTES:
            self._body.append(body)

    def on_message_complete(self) -> None:
        parser = self._parser
        received = Received(
            parser.get_method().decode("latin-1"),
            self._url.decode("latin-1"),
            tuple(self._headers),
            self._body[0] if len(self._body) == 1 else b"".join(self._body),
            parser.should_keep_alive(),
            parser.get_http_version() == "1.0",
        )
        self._log.append(received)
        self._waiting.append((received, self._sandbox_header))

    # ------------------------------------------------------------ answering

    def _serve(self) -> None:
        """Answer what waits, as far as it can be done now."""
        while self._sending is None and self._transport is not None and not self._transport.is_closing():
            if self._waiting:
                received, header = self._waiting.popleft()
                self._begin(self._provider.answer(received, header, int(time.time())), received)
            elif self._refused is not None:
                self._begin(self._refused, Received("", "", (), b"", keep_alive=False))
            else:
                break
        self._read_on(len(self._waiting) < _MOST_WAITING)

    def _read_on(self, reading: bool) -> None:
        if reading is self._reading or self._transport is None or self._transport.is_closing():
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _begin(self, plan: Plan, received: Received) -> None:
        self._sending = _Sending(plan, received)
        if plan.first_s > 0:
            self._timer = self._loop.call_later(plan.first_s, self._on_time)
            self._sending.due = self._loop.time() + plan.first_s
        else:
            self._sending.due = self._loop.time() if plan.gap_s else 0.0
            self._go_on()

    def _on_time(self) -> None:
        self._timer = None
        self._go_on()
        self._serve()

    def _go_on(self) -> None:
        """Send what is due: everything, or one moment where there is time between them."""
        sending = self._sending
        while sending is not None and self._transport is not None and not self._paused:
            data = sending.take()
            if data:
                self._transport.write(data)
            if sending.complete:
                self._end(sending)
                return
            if sending.plan.gap_s:
                sending.due += sending.plan.gap_s
                self._timer = self._loop.call_at(sending.due, self._on_time)
                return

    def _end(self, sending: "_Sending") -> None:
        if self._transport is None:
            return
        match sending.plan.ending:
            case Ending.STALL:
                return
            case Ending.RESET:
                self._transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
                )
                self._transport.abort()
            case Ending.CUT:
                self._transport.close()
            case Ending.KEEP if sending.close:
                self._transport.close()
            case Ending.KEEP:
                self._sending = None


class _Sending:
    """A plan on its way: what of it has been sent."""

    __slots__ = ("_at", "_chunked", "_head", "_with_body", "close", "due", "plan")

    def __init__(self, plan: Plan, received: Received) -> None:
        self.plan = plan
        self.due = 0.0
        """When the next moment is to be sent, by the clock of the loop."""
        self._chunked = plan.framed and plan.length is None and not received.http_1_0
        self.close = not received.keep_alive or (plan.length is None and received.http_1_0)
        self._head = head(plan, close=self.close, chunked=self._chunked) if plan.framed else b""
        self._with_body = received.method != "HEAD"
        self._at = 0

    @property
    def complete(self) -> bool:
        return self._at >= len(self.plan.moments) or not self._with_body

    def take(self) -> bytes:
        """The next bytes, and count them as sent."""
        data = [self._head]
        self._head = b""
        if self._with_body:
            upto = self._at + (1 if self.plan.gap_s else _MOMENTS_A_WRITE)
            for pieces in self.plan.moments[self._at : upto]:
                data.extend([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces] if self._chunked else pieces)
            self._at = upto
            if self._chunked and self.complete and self.plan.ending is Ending.KEEP:
                data.append(b"0\r\n\r\n")
        return b"".join(data)

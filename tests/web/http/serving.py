"""A real server in the test's own process: the gateway's protocol on a free port, with a scripted endpoint."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h11
import uvicorn
import uvloop

from arouter.domain.errors import ARouterError, NotAuthenticated
from arouter.engine.tasks import Tasks
from arouter.web.app import App, Handlers
from arouter.web.asgi import Receive, Scope, Send
from arouter.web.http.protocol import GatewayProtocol
from arouter.web.http.reply import LineReply
from arouter.web.inference.asgi_reply import AsgiReply
from arouter.web.inference.body import AsgiBody, Body, too_large
from arouter.web.inference.head import Head, read_head
from arouter.web.inference.reply import HttpReply
from arouter.wiring.server import GatewayServer

PATH = "/v1/chat/completions"
MOST_BODY_BYTES = 1000
LAST = b"Connection: close"
IDLE_S = 0.3

Short = Callable[["Endpoint", bytes, LineReply], None]
Play = Callable[["Endpoint", bytes, HttpReply], Awaitable[None]]


@dataclass(slots=True)
class Endpoint:
    """Echoes, unless the session's id names another play."""

    plays: dict[str, Play] = field(default_factory=dict)
    methods: frozenset[str] = frozenset({"POST"})
    shorts: dict[str, Short] = field(default_factory=dict)
    """Answers without a task, by the session's id."""
    bodies: list[bytes] = field(default_factory=list)
    """What was asked, in order."""
    failures: list[str] = field(default_factory=list)
    """Why a body could not be read."""
    left: int = 0
    """How many clients were seen to leave."""
    go: asyncio.Event = field(default_factory=asyncio.Event)
    """What a play may wait for."""
    tasks: Tasks = field(default_factory=lambda: Tasks(lambda name, failure: None))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        reply = AsgiReply(receive, send, self.tasks)
        await self.answer(read_head(headers, scope["query_string"]), AsgiBody(headers, receive), reply)

    def begin(self, head: Head, body: bytes, reply: LineReply) -> bool:
        short = self.shorts.get(head.session_id or "")
        if short is None:
            return False
        reply.identify("gen-1", "gen-1")
        self.bodies.append(body)
        short(self, body, reply)
        return True

    async def answer(self, head: Head, body: bytes | Body, reply: HttpReply) -> None:
        reply.identify("gen-1", "gen-1" if head.request_id is None else head.request_id)
        if head.session_id == "unknown":
            reply.fail(NotAuthenticated("Who are you?"))
            await reply.drained()
            return
        try:
            data = await read(body)
        except ARouterError as error:
            self.failures.append(error.code)
            reply.fail(error)
            await reply.drained()
            return
        self.bodies.append(data)
        play = self.plays.get(head.session_id or "")
        if play is None:
            reply.whole(data)
        else:
            reply.watch(self._see_leave)
            await play(self, data, reply)
        await reply.drained()

    def _see_leave(self) -> None:
        self.left += 1


async def read(body: bytes | Body) -> bytes:
    """As an endpoint does."""
    if not isinstance(body, bytes):
        return await body.read(MOST_BODY_BYTES)
    if len(body) > MOST_BODY_BYTES:
        raise too_large(MOST_BODY_BYTES)
    return body


class Noise(logging.Handler):
    """What was logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass(slots=True)
class Site:
    """A server that runs."""

    endpoint: Endpoint
    port: int
    server: GatewayServer
    app: App
    noise: list[str]

    async def connect(self) -> "Wire":
        return Wire(*await asyncio.open_connection("127.0.0.1", self.port))

    async def ask(self, data: bytes) -> bytes:
        """Everything that comes back, when the client says all at once and waits for the end."""
        wire = await self.connect()
        wire.say(data)
        return await wire.rest()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            # The server keeps plain sets: there is nothing to wait on.
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)


@dataclass(slots=True)
class Wire:
    """A client's connection, with an independent reader of answers."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    early: bytes = b""
    """What was read of the next answer."""

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def say_slowly(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await asyncio.sleep(0.001)

    async def rest(self) -> bytes:
        """Until the server hangs up."""
        async with asyncio.timeout(5):
            data = await self.reader.read()
        await self.close()
        return self.early + data

    async def answer(self) -> "Answer":
        """One answer."""
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method="POST", target="/", headers=[("host", "x"), ("content-length", "0")]))
        parser.send(h11.EndOfMessage())
        made = Answer()
        if self.early:
            parser.receive_data(self.early)
        async with asyncio.timeout(5):
            while True:
                event = parser.next_event()
                if event is h11.NEED_DATA:
                    data = await self.reader.read(65536)
                    parser.receive_data(data)
                elif isinstance(event, h11.Response):
                    made.status = event.status_code
                    made.reason = bytes(event.reason)
                    made.headers = dict(event.headers)
                elif isinstance(event, h11.Data):
                    made.body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    self.early = parser.trailing_data[0]
                    return made

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return

    def reset(self) -> None:
        """Leave with a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.writer.transport.abort()


@dataclass(slots=True)
class Answer:
    """What a client read."""

    status: int = 0
    reason: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


def read_answers(data: bytes) -> list[tuple[int, bytes]]:
    """All answers in these bytes, status and body, as an independent reader sees them; none may be cut off."""
    found = []
    while data:
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method="POST", target="/", headers=[("host", "x"), ("content-length", "0")]))
        parser.send(h11.EndOfMessage())
        parser.receive_data(data)
        status, body = 0, b""
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            assert event is not h11.NEED_DATA, data
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
        found.append((status, body))
        data = parser.trailing_data[0]
    return found


async def _api(scope: Scope, receive: Receive, send: Send) -> None:
    """Says which path was asked for, and what came with it."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    told = scope["method"].encode() + b" " + scope["path"].encode() + b" " + body
    headers = [(b"content-length", b"%d" % len(told))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told})


async def _nothing() -> None:
    """Nothing is to be stopped."""


@asynccontextmanager
async def site(plays: dict[str, Play] | None = None, *, idle_s: float = 30.0) -> AsyncIterator[Site]:
    """A server for as long as a test needs it. It must leave no task, no failure and no connection behind."""
    endpoint = Endpoint(plays=plays if plays is not None else {})
    before = asyncio.all_tasks()
    failures: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context))
    noise = Noise()
    logging.getLogger().addHandler(noise)

    async def start() -> Handlers:
        return Handlers(inference={PATH: endpoint}, api=_api)

    app = App(start=start, stop=_nothing, idle_timeout_s=idle_s)
    config = uvicorn.Config(
        app,
        http=GatewayProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=30,
    )
    config.load()
    server = GatewayServer(config, 5.0)
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await server.startup([listener])
        made = Site(endpoint, listener.getsockname()[1], server, app, noise.lines)
        try:
            yield made
            await made.until(lambda: made.connections == 0)
        finally:
            server.stop(timeout_s=0.0)
            await server.shutdown([listener])
            logging.getLogger().removeHandler(noise)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert failures == []
    assert asyncio.all_tasks() - before == set()


def run(scene: Callable[[], Awaitable[None]]) -> None:
    """On the loop that the gateway runs on."""

    async def play() -> None:
        await scene()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())


def post(body: bytes = b"", *fields: bytes, path: str = PATH, length: int | None = None) -> bytes:
    """A request in the plainest form."""
    size = len(body) if length is None else length
    lines = [b"POST %b HTTP/1.1" % path.encode(), b"Host: x", *fields, b"Content-Length: %d" % size]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*pieces: bytes, fields: tuple[bytes, ...] = (), trailers: bytes = b"") -> bytes:
    """The same request, in a form that the general server answers."""
    head = [b"POST %b HTTP/1.1" % PATH.encode(), b"Host: x", *fields, b"Transfer-Encoding: chunked"]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"\r\n".join(head) + b"\r\n\r\n" + body + b"0\r\n" + trailers + b"\r\n"


def get(path: str = "/healthz", *fields: bytes) -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % path.encode(), b"Host: x", *fields]) + b"\r\n\r\n"


# ---------------------------------------------------------------- plays


def session(name: str) -> bytes:
    return b"X-Session-Id: " + name.encode()


async def stream(endpoint: Endpoint, body: bytes, reply: HttpReply) -> None:
    """A piece, a wait, and the end."""
    reply.send(b"first ")
    await endpoint.go.wait()
    if not reply.gone:
        reply.end(b"last")


async def wait(endpoint: Endpoint, body: bytes, reply: HttpReply) -> None:
    await endpoint.go.wait()
    reply.whole(body)

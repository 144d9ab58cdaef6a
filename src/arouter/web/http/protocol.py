"""The server's protocol: inference requests are answered here, everything else by the general server beneath.

A connection is in one of these states:

    between      nothing is under way: the next bytes decide whose request it is
    ours         a request in the plainest form (`arouter.web.http.heads`) for an inference path is answered here
    theirs       any other request is answered by uvicorn's protocol, over ASGI; it sees all bytes from its first one
    lingering    an answer went out before its request was whole: the rest is read and forgotten for a moment, so that
                 the client can read the answer, and then the connection is closed

From `ours` and from `theirs` it goes back to `between` when the request is read and the answer is written. What comes
of the next request before that is kept, and the client is not read from when it is too much.

What is under way is answered by one task for each connection, which lives as long as the connection does.
"""

import asyncio
from typing import Any, Protocol, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from arouter.domain.errors import HeadTooLarge, InternalError
from arouter.web.errors import type_of
from arouter.web.http.body import LineBody
from arouter.web.http.heads import MOST_HEAD_BYTES, Heads
from arouter.web.http.reply import LineReply
from arouter.web.inference.body import Body
from arouter.web.inference.head import Head
from arouter.web.inference.reply import HttpReply
from arouter.wire.errors import error_body

LINGER_S = 2.0
MOST_EARLY_BYTES = 256 * 1024
"""From this much of the next request on, the client is not read from until the answer is out."""

_METHOD = b"POST "
_END_OF_HEAD = b"\r\n\r\n"
_HEAD_REFUSED = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b"
)


class Endpoint(Protocol):
    """Whoever answers the requests to one inference path."""

    async def answer(self, head: Head, body: Body, reply: HttpReply) -> None:
        """Answer one request. Raises nothing but CancelledError."""


Asked = tuple[Endpoint, Head]


class Service(Protocol):
    """The application, as the protocol needs it: an ASGI application that has heads for the inference paths."""

    heads: Heads[Asked]
    idle_timeout_s: float


class GatewayProtocol(HttpToolsProtocol):
    """One connection of a client. Also the `Line` of its answers."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        service = cast(Service, config.app)
        self._heads = service.heads
        self._idle_timeout_s = service.idle_timeout_s
        self._buffer = b""
        """What came and belongs to nobody yet."""
        self._theirs = False
        self._their_head_bytes: int | None = None
        """Of the head that uvicorn's parser is at; None when it is not in one."""
        self._their_request_is_whole = False
        self._reply: LineReply | None = None
        self._body = LineBody(0)
        self._asked: Asked | None = None
        self._worker: asyncio.Task[None] | None = None
        self._next: asyncio.Future[None] | None = None
        self._closing = False
        self._lingering = False
        self._timer: asyncio.TimerHandle | None = None
        self._heard_s = 0.0
        self._reading_paused = False
        self._drain: asyncio.Future[None] | None = None
        self._stays = True
        self.write_paused = False

    # ---------------------------------------------------------------- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._heard_s = self.loop.time()
        self._timer = self.loop.call_later(self._idle_timeout_s, self._check_idle)

    def data_received(self, data: bytes) -> None:
        self._heard_s = self.loop.time()
        if self._reply is not None:
            self._take(data)
        elif self._theirs:
            self._pass_on(data)
        elif not self._lingering:
            self._begin(self._buffer + data if self._buffer else data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self.resume_writing()
        self._body.leave()
        if self._reply is not None:
            self._reply.leave()
        self._wake_worker()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self.write_paused = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        super().resume_writing()

    def shutdown(self) -> None:
        """Called by the server when it stops: no request after the one that is under way."""
        self._stays = False
        if self._reply is None:
            if self._theirs:
                super().shutdown()
            else:
                self.transport.close()

    # ---------------------------------------------------------------- whose request it is

    def _begin(self, data: bytes) -> None:
        end = data.find(_END_OF_HEAD)
        if end < 0:
            if len(data) > MOST_HEAD_BYTES:
                self._refuse_head()
            elif data.startswith(_METHOD) or _METHOD.startswith(data):
                self._buffer = data
            else:
                self._hand_over(data)
            return
        end += len(_END_OF_HEAD)
        read = self._heads.read(data[:end]) if end <= MOST_HEAD_BYTES else None
        if read is None:
            self._hand_over(data)
            return
        self._buffer = b""
        asked, stays, length = read
        self._asked = asked
        self._stays = self._stays and stays
        self._reply = LineReply(self)
        if len(data) == end + length:
            self._body = LineBody(length, data[end:])
        else:
            self._body = body = LineBody(length)
            self._hold(body.take(data[end:]))
        if self._worker is None:
            self._worker = self.loop.create_task(self._work())
        self.tasks.add(self._worker)
        self._wake_worker()

    def _take(self, data: bytes) -> None:
        """More of the request that is under way, or the next one."""
        if self._body.missing:
            data = self._body.take(data)
        self._hold(data)

    def _hold(self, data: bytes) -> None:
        if data:
            self._buffer += data
            if len(self._buffer) > MOST_EARLY_BYTES and not self._reading_paused:
                self._reading_paused = True
                self.transport.pause_reading()

    # ---------------------------------------------------------------- theirs

    def _hand_over(self, data: bytes) -> None:
        self._buffer = b""
        self._theirs = True
        self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        """Give bytes to uvicorn, unless it is between two requests: then they are looked at afresh."""
        cycle = self.cycle
        if self._their_request_is_whole and cycle.response_complete and not self.pipeline:
            self._theirs = False
            self._their_request_is_whole = False
            self._unset_keepalive_if_required()
            self._begin(data)
            return
        super().data_received(data)
        if self._their_head_bytes is not None:
            self._their_head_bytes += len(data)
            if self._their_head_bytes > MOST_HEAD_BYTES:
                self._refuse_head()

    def on_message_begin(self) -> None:
        self._their_head_bytes = 0
        self._their_request_is_whole = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._their_head_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._their_request_is_whole = True
        super().on_message_complete()

    # ---------------------------------------------------------------- ours

    async def _work(self) -> None:
        """Answer what comes, one request after the other."""
        while not self._closing:
            reply, asked = self._reply, self._asked
            if reply is None or asked is None:
                self._next = self.loop.create_future()
                await self._next
                continue
            endpoint, head = asked
            try:
                await endpoint.answer(head, self._body, reply)
            except asyncio.CancelledError:
                self._stays = False
                raise
            except Exception as defect:
                self.logger.error("a request failed", exc_info=defect)
                if not reply.started:
                    reply.fail(InternalError("The gateway failed to process this request. It is not your fault."))
            finally:
                self._finish(reply)

    def _wake_worker(self) -> None:
        if self._next is not None and not self._next.done():
            self._next.set_result(None)

    def _finish(self, reply: LineReply) -> None:
        """The answer is out, or nobody is there for it."""
        if self._worker is not None:
            self.tasks.discard(self._worker)
        self.server_state.total_requests += 1
        self._heard_s = self.loop.time()
        stays = self.stays
        self._reply = None
        if self._closing:
            return
        if not reply.ended:
            self.transport.close()
        elif self._body.missing:
            self._linger()
        elif not stays:
            self.transport.close()
        else:
            if self._reading_paused:
                self._reading_paused = False
                self.transport.resume_reading()
            if self._buffer:
                data, self._buffer = self._buffer, b""
                self._begin(data)

    def _linger(self) -> None:
        self._lingering = True
        self._buffer = b""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _check_idle(self) -> None:
        """Hang up on a client that has said nothing for long and is owed nothing."""
        if self._closing:
            return
        answering = self._reply is not None and not self._body.missing
        theirs = self._theirs and self._their_head_bytes is None
        due_s = self._heard_s + self._idle_timeout_s
        now_s = self.loop.time()
        if answering or theirs:
            due_s = now_s + self._idle_timeout_s
        elif now_s >= due_s:
            self.transport.abort()
            return
        self._timer = self.loop.call_at(due_s, self._check_idle)

    def _refuse_head(self) -> None:
        error = HeadTooLarge(f"The request line and header fields are over {MOST_HEAD_BYTES} bytes.")
        body = error_body(error, type_of(error))
        self.transport.write(_HEAD_REFUSED % (len(body), body))
        self.transport.close()

    # ---------------------------------------------------------------- the line of an answer

    @property
    def stays(self) -> bool:
        # The server says `connection: close` with every answer when its end is near.
        return self._stays and not self._body.missing and not self.server_state.default_headers

    def write(self, data: bytes) -> None:
        if not self._closing:
            self.transport.write(data)

    def until_drained(self) -> asyncio.Future[None]:
        if self._drain is None or self._drain.done():
            self._drain = self.loop.create_future()
            if not self.write_paused:
                self._drain.set_result(None)
        return self._drain

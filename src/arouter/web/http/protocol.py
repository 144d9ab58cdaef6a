"""The server's protocol: inference requests are answered here, everything else by the general server beneath.

A connection is in one of these states:

    between      nothing is under way: the next bytes decide whose request it is
    ours         a request in the plainest form (`arouter.web.http.heads`) for an inference path is answered here
    theirs       any other request is answered by uvicorn's protocol, over ASGI; it sees all bytes from its first one
    deaf         the last answer is out, or on its way: the rest is read and forgotten until the connection is closed

From `ours` and from `theirs` it goes back to `between` when the request is read and the answer is written. What comes
of the next request before that is kept, and the client is not read from when it is too much.

What is under way is answered by one task for each connection, which lives as long as the connection does.
"""

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from arouter.domain.errors import InternalError
from arouter.engine.express import Work
from arouter.web.http.body import LineBody
from arouter.web.http.general import GeneralProtocol, head_too_large
from arouter.web.http.heads import END_OF_HEAD, MOST_HEAD_BYTES, Heads, KnownHead
from arouter.web.http.reply import LineReply
from arouter.web.inference.body import Body
from arouter.web.inference.head import Head
from arouter.web.inference.reply import HttpReply

MOST_EARLY_BYTES = 256 * 1024
"""From this much of the next request on, the client is not read from until the answer is out."""

_METHOD = b"POST "
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n").search
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*(?=\r\n)", re.IGNORECASE)
_CLOSING = (b"connection", b"close")
"""What the server adds to every answer of the general server when it stops."""


class Endpoint(Protocol):
    """Whoever answers the requests to one inference path."""

    def begin(self, head: Head, body: bytes, reply: LineReply) -> bool:
        """Answer a request without a task, if it is of a kind that needs none. Whether it is under way; else nothing
        was done, and it is to be answered by `answer`."""

    async def answer(self, head: Head, body: bytes | Body, reply: HttpReply) -> None:
        """Answer one request, whose body is there or comes. Raises nothing but CancelledError."""


Asked = tuple[Endpoint, Head]


class Service(Protocol):
    """The application, as the protocol needs it: an ASGI application that has heads for the inference paths."""

    heads: Heads[Asked]
    idle_timeout_s: float


class GatewayProtocol(GeneralProtocol):
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
        self._reply: LineReply | None = None
        self._body: LineBody | None = None
        """The body that has not come whole yet."""
        self._known: KnownHead[Asked] | None = None
        """The head of the last request here, if it is remembered and may come again."""
        self._work_left: Work | None = None
        """What the worker is to do next."""
        self._worker: asyncio.Task[None] | None = None
        self._next: asyncio.Future[None] | None = None
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._heard_s = 0.0
        self._stuck_bytes: int | None = None
        """Of what was written and not taken when the client was last looked after."""
        self._reading_paused = False
        self._drain: asyncio.Future[None] | None = None
        self.stays = True
        """Whether another request may follow the next one."""
        self.write_paused = False
        self.write: Callable[[bytes], None] = _forget
        """Send; nothing happens if the client has left."""

    # ---------------------------------------------------------------- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.write = self.transport.write
        self.stays = _CLOSING not in self.server_state.default_headers
        self._heard_s = self.loop.time()
        self._timer = self.loop.call_later(self._idle_timeout_s, self._check_idle)

    def data_received(self, data: bytes) -> None:
        if self._reply is not None:
            self._heard_s = self.loop.time()
            self._take(data)
        elif self._theirs:
            self._pass_on(data)
        elif not self.deaf:
            if self._buffer:
                data = self._buffer + data
            head, end, body = data.partition(END_OF_HEAD)
            known = self._known
            if known is not None and end and head == known.with_length % len(body):
                self._answer(known.made, body)  # Mostly it is the last head once more, and a whole body.
            elif end:
                self._begin(head + end, body)
            else:
                self._begin_head(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self.write = _forget
        if self._timer is not None:
            self._timer.cancel()
        self.resume_writing()
        if self._body is not None:
            self._body.leave()
        if self._reply is not None:
            self._reply.closes = True
            self._reply.leave()
        self._wake_worker()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self.write_paused = True
        if self._reply is not None:
            self._reply.paused = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._reply is not None:
            self._reply.paused = False
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        super().resume_writing()

    def take_one_more(self) -> None:
        """Called by the server before it stops: the connection ends with the next answer that begins."""
        self.stays = False
        if self._reply is not None and not self._reply.started:
            self._reply.closes = True

    def shutdown(self) -> None:
        """Called by the server when it stops: no request after the one that is under way."""
        self.stays = False
        if self._reply is not None:
            self._reply.closes = True
            self._reply.need_task()
        elif self._theirs:
            super().shutdown()
        else:
            self.transport.close()

    # ---------------------------------------------------------------- whose request it is

    def _begin(self, head: bytes, body: bytes) -> None:
        """A whole head, and what came behind it."""
        if len(head) > MOST_HEAD_BYTES:
            self._refuse_head()
            return
        read = self._heads.read(head)
        if read is None:
            # The parser beneath would take the body for another request.
            self._hand_over(_UPGRADE.sub(b"", head) + body)
            return
        asked, stays, length = read
        if stays:
            self._known = self._heads.recall(head)
        else:
            self.stays = False
        if len(body) == length:
            self._answer(asked, body)
        else:
            self._answer_in_pieces(asked, length, body)

    def _answer(self, asked: Asked, body: bytes) -> None:
        """Answer a request that is whole."""
        self._buffer = b""
        endpoint, head = asked
        self._reply = reply = LineReply(self)
        try:
            if endpoint.begin(head, body, reply):
                return
        except Exception as defect:
            self.logger.error("a request failed, and is answered anew", exc_info=defect)
        self.go_on(partial(endpoint.answer, head, body, reply))

    def _answer_in_pieces(self, asked: Asked, length: int, data: bytes) -> None:
        """Answer a request whose body is not whole, or is not the last thing that came."""
        self._buffer = b""
        endpoint, head = asked
        self._reply = reply = LineReply(self)
        self._heard_s = self.loop.time()
        self._body = body = LineBody(length)
        reply.closes = True  # As long as it is the answer to a request that is not whole.
        self._take(data)
        self.go_on(partial(endpoint.answer, head, body, reply))

    def go_on(self, work: Work) -> None:
        self._work_left = work
        if self._worker is None:
            self._worker = self.loop.create_task(self._work())
            self.tasks.add(self._worker)
            self._worker.add_done_callback(self.tasks.discard)
        else:
            self._wake_worker()

    def _begin_head(self, data: bytes) -> None:
        """A head that is not whole yet is kept, as long as it may be one for us."""
        if len(data) > MOST_HEAD_BYTES:
            self._refuse_head()
        elif (data.startswith(_METHOD) and not _BARE_LINE_FEED(data)) or _METHOD.startswith(data):
            if not self._buffer:
                # Once: a head is whole within the time that a client may be silent, or that is the end.
                self._heard_s = self.loop.time()
            self._buffer = data
        else:
            self._hand_over(data)

    def _refuse_head(self) -> None:
        self._buffer = b""
        self.refuse(head_too_large())

    def _take(self, data: bytes) -> None:
        """More of the request that is under way, or the next one."""
        body, reply = self._body, self._reply
        if body is not None:
            data = body.take(data)
            if not body.missing:
                self._body = None
                if reply is not None and not reply.started:
                    reply.closes = not self.stays
        self._hold(data)

    def _hold(self, data: bytes) -> None:
        if data:
            self._buffer += data
            if len(self._buffer) > MOST_EARLY_BYTES and not self._reading_paused:
                self._reading_paused = True
                self.transport.pause_reading()

    def _go_on(self) -> None:
        """Both the request and its answer are through, and something of the next one is there."""
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()
        data, self._buffer = self._buffer, b""
        self.data_received(data)

    # ---------------------------------------------------------------- theirs

    def _hand_over(self, data: bytes) -> None:
        self._buffer = b""
        self._theirs = True
        self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        """Give bytes to uvicorn, but none of the next request before it has answered this one."""
        if self.deaf:
            return
        if self.head_bytes is None:
            self._heard_s = self.loop.time()
        if self.request_is_whole and self.answering:
            self._hold(data)
            return
        self.feed(data)
        self._end_theirs()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._end_theirs()

    def _end_theirs(self) -> None:
        if not self.request_is_whole or self.answering or self.deaf or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self._theirs = False
        self._heard_s = self.loop.time()
        if self._buffer:
            self._go_on()

    # ---------------------------------------------------------------- ours

    async def _work(self) -> None:
        """Answer what comes, one request after the other."""
        while True:
            work, self._work_left = self._work_left, None
            if work is None:
                if self._closing:
                    return
                self._next = self.loop.create_future()
                await self._next
                continue
            reply = self._reply
            assert reply is not None
            try:
                await work()
            except asyncio.CancelledError:
                reply.closes = True
                raise
            except Exception as defect:
                self.logger.error("a request failed", exc_info=defect)
                if not reply.started:
                    reply.fail(InternalError("The gateway failed to process this request. It is not your fault."))
            finally:
                del work  # It holds the body, and a connection may last long.
                self.over()

    def _wake_worker(self) -> None:
        if self._next is not None and not self._next.done():
            self._next.set_result(None)

    def over(self) -> None:
        """The answer is out, or nobody is there for it."""
        reply, self._reply = self._reply, None
        assert reply is not None
        self._heard_s = self.loop.time()
        if reply.closes or not reply.ended:
            self._end(reply)
        elif self._buffer:
            self._go_on()

    def _end(self, reply: LineReply) -> None:
        """No request follows this answer."""
        body, self._body = self._body, None
        if self._closing:
            return
        if reply.ended and body is not None:
            self.linger()
        else:
            self.transport.close()

    # ---------------------------------------------------------------- clients that do nothing

    def _check_idle(self) -> None:
        """Hang up on a client that has said nothing for long and is owed nothing, or does not take what it is owed."""
        if self._closing:
            return
        due_s = self._heard_s + self._idle_timeout_s
        now_s = self.loop.time()
        ours = self._reply is not None and self._body is None
        stuck_bytes = self.transport.get_write_buffer_size() if self.write_paused else None
        if ours or (self._theirs and self.request_is_whole and self.answering):
            due_s = now_s + self._idle_timeout_s
            if stuck_bytes is not None and stuck_bytes == self._stuck_bytes:
                due_s = now_s
        self._stuck_bytes = stuck_bytes
        if now_s >= due_s:
            self.transport.abort()
        else:
            self._timer = self.loop.call_at(due_s, self._check_idle)

    # ---------------------------------------------------------------- the line of an answer

    def until_drained(self) -> asyncio.Future[None]:
        if self._drain is None or self._drain.done():
            self._drain = self.loop.create_future()
            if not self.write_paused:
                self._drain.set_result(None)
        return self._drain


def _forget(data: bytes) -> None:
    """What is written to a client that has left."""

"""The client's end of an inference request, on ASGI."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from arouter.domain.errors import ARouterError
from arouter.engine.tasks import Tasks
from arouter.web.asgi import Receive, Send
from arouter.web.errors import retry_after_s, status_and_type
from arouter.wire.errors import error_body

JSON = (b"content-type", b"application/json")
_EVENT_STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_WATCH_AFTER_S = 1.0
"""A short answer needs no watcher: whether the client has left is asked once, at its end."""


class HttpReply:
    """Implements `arouter.engine.call.Reply` in OpenAI's dialect."""

    __slots__ = ("_gone", "_headers", "_on_gone", "_receive", "_send", "_tasks", "_timer", "ended", "started")

    def __init__(self, receive: Receive, send: Send, record_id: str, request_id: str, tasks: Tasks) -> None:
        """The two ids go into the headers of the answer, whatever it is."""
        self._receive = receive
        self._send = send
        self._headers = [(b"x-generation-id", record_id.encode()), (b"x-request-id", request_id.encode())]
        self._tasks = tasks
        self._gone = False
        self._on_gone: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.started = False
        self.ended = False

    # ---------------------------------------------------------------- whether the client is there

    @property
    def gone(self) -> bool:
        if not self._gone and not self.ended and self._poll():
            self._leave()
        return self._gone

    def watch(self, on_gone: Callable[[], None]) -> None:
        self._on_gone = on_gone
        self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_S, self._watch)

    def _watch(self) -> None:
        self._timer = None
        if not self.ended and not self._gone:
            self._tasks.start("watch client", self._wait_until_gone())

    async def _wait_until_gone(self) -> None:
        """A server says `http.disconnect` when the client has left, and also when the answer is complete."""
        while not self.ended and (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.ended:
            self._leave()

    def _poll(self) -> bool:
        """Ask the server without waiting: a `receive` that would have to wait is dropped at its first step."""
        asking = cast("Coroutine[Any, Any, Any]", self._receive())
        try:
            asking.send(None)
        except StopIteration as told:
            return bool(told.value["type"] == "http.disconnect")
        finally:
            asking.close()
        return False

    def _leave(self) -> None:
        self._gone = True
        if self._on_gone is not None:
            on_gone, self._on_gone = self._on_gone, None
            on_gone()

    # ---------------------------------------------------------------- the answer

    def tell_dropped(self, names: tuple[str, ...]) -> None:
        self.add_header((b"x-arouter-dropped", ", ".join(names).encode("ascii", "replace")))

    def add_header(self, header: tuple[bytes, bytes]) -> None:
        """To be sent with the answer; before its first byte."""
        self._headers.append(header)

    async def send(self, data: bytes) -> None:
        if not self.started:
            await self._start(200, *_EVENT_STREAM)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        if not self.started:
            await self._start(200, *_EVENT_STREAM)
        await self._close(data)

    async def whole(self, body: bytes) -> None:
        await self._start(200, JSON, (b"content-length", b"%d" % len(body)))
        await self._close(body)

    async def fail(self, error: ARouterError) -> None:
        status, type_ = status_and_type(error)
        body = error_body(error, type_)
        wait_s = retry_after_s(error)
        extra = () if wait_s is None else ((b"retry-after", b"%d" % wait_s),)
        await self._start(status, JSON, (b"content-length", b"%d" % len(body)), *extra)
        await self._close(body)

    async def _start(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *self._headers]})

    async def _close(self, data: bytes) -> None:
        self.ended = True
        if self._timer is not None:
            self._timer.cancel()
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

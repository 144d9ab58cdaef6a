"""An answer over ASGI: what the gateway's own protocol does not serve, such as a request in chunks, comes this way."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from arouter.engine.tasks import Tasks
from arouter.web.asgi import Message, Receive, Send
from arouter.web.inference.rate_headers import rate_headers
from arouter.web.inference.reply import BODILESS, EVENT_STREAM, Header, HttpReply

_WATCH_AFTER_S = 1.0
"""A short answer needs no watcher: whether the client has left is asked once, at its end."""


class AsgiReply(HttpReply):
    """What is said waits in an outbox for `drained`, since a server is asked to send with an await."""

    __slots__ = ("_ids", "_outbox", "_receive", "_send", "_tasks", "_timer")

    def __init__(self, receive: Receive, send: Send, tasks: Tasks) -> None:
        super().__init__()
        self._receive = receive
        self._send = send
        self._tasks = tasks
        self._outbox: list[Message] = []
        self._timer: asyncio.TimerHandle | None = None
        self._ids: tuple[Header, ...] = ()

    def identify(self, record_id: str, request_id: str) -> None:
        self._ids = ((b"x-generation-id", record_id.encode()), (b"x-request-id", request_id.encode()))

    # ---------------------------------------------------------------- whether the client is there

    @property
    def gone(self) -> bool:
        if not self._left and not self.ended and self._poll():
            self.leave()
        return self._left

    def watch(self, on_gone: Callable[[], None]) -> None:
        super().watch(on_gone)
        self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_S, self._watch)

    def _watch(self) -> None:
        self._timer = None
        if not self.ended and not self._left:
            self._tasks.start("watch client", self._wait_until_gone())

    async def _wait_until_gone(self) -> None:
        """A server says `http.disconnect` when the client has left, and also when the answer is complete."""
        while not self.ended and (await self._receive())["type"] != "http.disconnect":
            pass
        self.leave()

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

    # ---------------------------------------------------------------- the answer

    @property
    def paused(self) -> bool:
        return bool(self._outbox)

    async def drained(self) -> None:
        while self._outbox:
            await self._send(self._outbox.pop(0))

    def _start_stream(self) -> None:
        if self._head is None:
            self._start(200, EVENT_STREAM)
        else:
            self._start(self._head.status, self._head.headers)

    def _start(self, status: int, headers: tuple[Header, ...]) -> None:
        self.started = True
        told = [*headers, *self._ids, *self._headers, *rate_headers(self._rate_lines())]
        self._outbox.append({"type": "http.response.start", "status": status, "headers": told})

    def send(self, data: bytes) -> bool:
        if not self.started:
            self._start_stream()
        self._outbox.append({"type": "http.response.body", "body": data, "more_body": True})
        return False

    def _cut(self) -> None:
        """The server closes the connection of an answer that its application left without an end."""
        if self._timer is not None:
            self._timer.cancel()

    def _write_last(self, data: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._outbox.append({"type": "http.response.body", "body": data, "more_body": False})

    def _whole(self, status: int, body: bytes, headers: tuple[Header, ...]) -> None:
        self.ended = True
        length = () if status in BODILESS else ((b"content-length", b"%d" % len(body)),)
        self._start(status, (*headers, *length))
        self._write_last(body)

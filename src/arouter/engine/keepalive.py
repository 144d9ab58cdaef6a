"""A comment now and then while a stream is silent, so that nobody in between takes it for dead."""

import asyncio

from arouter.engine.answer import Answer
from arouter.engine.call import Reply
from arouter.wire import sse

COMMENT = sse.comment(b"keep-alive")


class KeepAlive:
    """Watches one stream. One timer, re-armed when it fires and not for every chunk."""

    __slots__ = ("_answer", "_handle", "_loop", "_period_s", "_reply", "_since_s")

    def __init__(self, answer: Answer, reply: Reply, period_s: float) -> None:
        """`period_s` is the silence, in seconds, after which a comment is sent; 0 sends none."""
        self._answer = answer
        self._reply = reply
        self._period_s = period_s
        self._loop = asyncio.get_running_loop()
        self._since_s = self._loop.time()
        self._handle: asyncio.TimerHandle | None = None
        if period_s > 0:
            self._handle = self._loop.call_later(period_s, self._check)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _check(self) -> None:
        due_s = max(self._since_s, self._answer.quiet_since_s) + self._period_s
        now_s = self._loop.time()
        if now_s >= due_s:
            if not (self._reply.gone or self._reply.paused) and not self._reply.send(COMMENT):
                self._answer.wake()  # Whoever waits for the provider has to wait for the client.
            self._since_s = now_s
            due_s = now_s + self._period_s
        self._handle = self._loop.call_at(due_s, self._check)

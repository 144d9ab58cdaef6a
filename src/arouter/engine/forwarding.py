"""A stream on its way from the provider to the client.

Each piece goes on in the turn of the loop in which it came: the connection calls, and nobody is woken. The task that
answers the request sleeps meanwhile; it wakes for the end, for a failure, and for a client that reads slower than the
provider writes, for which it waits. What the provider sends in that time stays with the connection, which stops
reading when it has enough of it.
"""

import asyncio

from arouter.domain.errors import UpstreamFailed
from arouter.engine.account import Account
from arouter.engine.answer import Answer
from arouter.engine.call import Reply
from arouter.engine.clock import Clock
from arouter.engine.departure import Departure
from arouter.engine.exchange import Exchange
from arouter.engine.keepalive import KeepAlive
from arouter.engine.tasks import Tasks


class Forwarding:
    """One stream. `run` may be called once."""

    __slots__ = (
        "_account",
        "_answer",
        "_clock",
        "_departure",
        "_ended",
        "_exchange",
        "_failure",
        "_given_up",
        "_reply",
        "_woken",
    )

    def __init__(
        self, answer: Answer, exchange: Exchange, account: Account, reply: Reply, departure: Departure, clock: Clock
    ) -> None:
        self._answer = answer
        self._exchange = exchange
        self._account = account
        self._reply = reply
        self._departure = departure
        self._clock = clock
        self._failure: Exception | None = None
        self._ended = False
        self._given_up = False
        self._woken: asyncio.Future[None] | None = None

    async def run(self, tasks: Tasks, keep_alive_s: float) -> None:
        """Forward until the provider's end, or until a drain is given up.

        UpstreamFailed if the stream breaks off, reports an error, or is closed before its end. Whatever happens, the
        connection is let go of.
        """
        answer = self._answer
        whole = False
        keep_alive = KeepAlive(answer, self._reply, keep_alive_s)
        try:
            await self._forward()
            if self._given_up:
                return
            self._exchange.end()
            if not self._exchange.told.complete:
                raise UpstreamFailed(
                    "The provider closed the stream before its end.",
                    metadata=self._account.provider_metadata,
                    retryable=False,
                )
            whole = True
        finally:
            keep_alive.stop()
            answer.listener = None
            if not whole:
                answer.close()
            elif answer.source is not None:
                tasks.start("release", answer.release())

    async def _forward(self) -> None:
        answer, reply = self._answer, self._reply
        loop = asyncio.get_running_loop()
        while not (self._ended or self._move()):
            if reply.paused and not self._departure.gone:
                await reply.drained()
                continue
            self._woken = loop.create_future()
            answer.listen(self._on_more)
            try:
                await self._woken
            finally:
                self._woken = None
                answer.listener = None
            if self._failure is not None:
                raise self._failure

    def _on_more(self) -> None:
        """Called by the connection, whose business what goes wrong here is not: the task raises it."""
        woken = self._woken
        if woken is None or woken.done():
            return
        try:
            self._ended = self._move()
            if self._ended or (self._reply.paused and not self._departure.gone):
                woken.set_result(None)
        except Exception as failure:  # noqa: BLE001 – handed to the task, at the edge of the connection
            self._failure = failure
            self._answer.close()
            woken.set_result(None)

    def _move(self) -> bool:
        """Forward what is there, at the client's pace; whether that was the end."""
        answer, departure, reply = self._answer, self._departure, self._reply
        exchange = self._exchange
        told = exchange.told
        while answer.pieces:
            if departure.gone:
                data = answer.take()
                exchange.feed(data)
                if departure.drained(len(data)):
                    self._given_up = True
                    return True
            elif reply.paused:
                return False
            elif data := exchange.feed(answer.take()):
                if self._account.first_us is None:
                    self._account.first_us = self._clock.monotonic_us()
                reply.send(data)
            if told.failure is not None:
                raise _reported_failure(told.failure, told.failure_code, self._account)
            if told.complete:
                return True
        if answer.source is None:
            answer.raise_failure()
            return True
        return False


def _reported_failure(message: str, code: str | None, account: Account) -> UpstreamFailed:
    return UpstreamFailed(message, retryable=False, metadata={**account.provider_metadata, "upstream_code": code})

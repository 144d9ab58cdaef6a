"""A stream on its way from the provider to the client.

Each piece goes on in the turn of the loop in which it came: the connection calls, and nobody is woken. The task that
answers the request sleeps meanwhile; it wakes for the end, for a failure, and for a client that reads slower than the
provider writes, for which it waits. What the provider sends in that time stays with the connection, which stops
reading when it has enough of it.
"""

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
        "_feed",
        "_given_up",
        "_reply",
        "_told",
    )

    def __init__(
        self, answer: Answer, exchange: Exchange, account: Account, reply: Reply, departure: Departure, clock: Clock
    ) -> None:
        self._answer = answer
        self._exchange = exchange
        self._feed = exchange.feed
        self._told = exchange.told
        self._account = account
        self._reply = reply
        self._departure = departure
        self._clock = clock
        self._failure: Exception | None = None
        self._ended = False
        self._given_up = False

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
            if not self._told.complete:
                raise UpstreamFailed(
                    "The provider closed the stream before its end.",
                    metadata=self._account.provider_metadata,
                    retryable=False,
                )
            whole = True
        finally:
            keep_alive.stop()
            if not whole:
                answer.close()
            elif answer.source is not None:
                tasks.start("release", answer.release())

    async def _forward(self) -> None:
        """Until nothing more can come, or need."""
        answer, reply = self._answer, self._reply
        while not self._ended:
            if answer.source is None and not answer.pieces:
                answer.raise_failure()
                return
            if reply.paused and not self._departure.gone:
                await reply.drained()
            elif answer.pieces:
                self._pass_on(answer.take())
            else:
                await answer.listen(self._pass_on)
        if self._failure is not None:
            raise self._failure

    def _pass_on(self, data: bytes) -> None:
        """Forward a piece. Mostly called by the connection, whose business what goes wrong here is not: the task raises
        it."""
        try:
            said = self._feed(data)
            if self._departure.gone:
                if self._departure.drained(len(data)):
                    self._given_up = True
                    self._end()
                    return
            elif said:
                if self._account.first_us is None:
                    self._account.first_us = self._clock.monotonic_us()
                if not self._reply.send(said):
                    self._answer.wake()
            told = self._told
            if told.failure is not None:
                raise _reported_failure(told.failure, told.failure_code, self._account)
            if told.complete:
                self._end()
        except Exception as failure:  # noqa: BLE001 – handed to the task, at the edge of the connection
            self._failure = failure
            self._answer.close()
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._answer.wake()


def _reported_failure(message: str, code: str | None, account: Account) -> UpstreamFailed:
    return UpstreamFailed(message, retryable=False, metadata={**account.provider_metadata, "upstream_code": code})

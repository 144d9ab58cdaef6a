"""A chunk of a stream, from the callback of the provider's connection to the write to the client's."""

import asyncio
from collections.abc import Coroutine

from arouter.domain.record import Opening
from arouter.engine.account import Account
from arouter.engine.clock import SystemClock
from arouter.engine.connection import Connection
from arouter.engine.departure import Departure, DrainLimits, Drains
from arouter.engine.exchange import Exchange
from arouter.engine.forwarding import Forwarding
from arouter.engine.tasks import Tasks
from arouter.engine.timeouts import Timeouts
from arouter.web.http.reply import LineReply
from bench.answers import stream_pieces
from bench.client_line import ClientLine
from bench.provider_socket import ProviderSocket

_WARM = 2
"""The second chunk is like the first one, and those after it, too."""


class _Owner:
    def returned(self, connection: Connection) -> None:
        pass

    def lost(self, connection: Connection) -> None:
        pass


class PassedOn:
    """A stream of OpenAI's dialect in its middle. Each chunk of it comes by itself."""

    def __init__(self, exchange: Exchange, opening: Opening) -> None:
        head, *chunks, _ = stream_pieces("openai", _WARM + 1)
        *before, self._chunk = chunks
        self._connection, self._forwarding = asyncio.run(_listening(head, exchange, opening))
        for chunk in before:
            self._connection.data_received(chunk)

    def again(self) -> None:
        """A chunk like the one before."""
        self._connection.data_received(self._chunk)


async def _listening(
    head: bytes, exchange: Exchange, opening: Opening
) -> tuple[Connection, Coroutine[object, object, None]]:
    """A connection whose answer has begun, and whoever forwards it, waiting for more."""
    connection = Connection("provider", _Owner(), asyncio.get_running_loop())
    connection.connection_made(ProviderSocket())
    answer = connection.start(b"", b"", Timeouts())
    account, departure = Account(opening, started_us=0), Departure(Drains(DrainLimits()))
    connection.data_received(head)
    forwarding = Forwarding(answer, exchange, account, LineReply(ClientLine()), departure, SystemClock())
    running = forwarding.run(Tasks(_failed), 0.0)
    running.send(None)
    assert answer.listener is not None
    return connection, running


def _failed(name: str, failure: BaseException) -> None:
    raise failure

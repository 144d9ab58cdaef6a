"""A request on a connection that is kept, and its whole answer, from the pool and back to it."""

import asyncio

from arouter.engine.connection import Connection
from arouter.engine.pool import Pool, PoolLimits
from arouter.engine.timeouts import Timeouts
from bench.answers import whole_answer
from bench.provider_socket import ProviderSocket

_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: provider\r\n"
_BODY = b"{}"
_SAID = whole_answer("openai")
_TIMEOUTS = Timeouts()
_MOST_BYTES = 1_000_000


class Exchanged:
    """One exchange after the other, each answered in one piece."""

    def __init__(self) -> None:
        self._pool = asyncio.run(_kept())

    def again(self) -> bytes:
        """The body of the next answer."""
        connection = self._pool.take_idle()
        assert connection is not None
        return _exchange(connection)


async def _kept() -> Pool:
    """A pool with a connection that has been used."""
    pool = Pool("provider", PoolLimits(), asyncio.get_running_loop())
    connection = await pool.acquire()
    connection.connection_made(ProviderSocket())
    _exchange(connection)
    return pool


def _exchange(connection: Connection) -> bytes:
    answer = connection.start(_HEAD, _BODY, _TIMEOUTS)
    connection.data_received(_SAID)
    assert answer.whole is not None
    reading = answer.read(_MOST_BYTES)
    try:
        reading.send(None)
    except StopIteration as whole:
        body: bytes = whole.value
        return body
    raise AssertionError("an answer that is whole is waited for")

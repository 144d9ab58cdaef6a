"""A peer on a real socket whose every byte a test decides, and the two event loops that dialogues run on."""

import asyncio
import ssl
import struct
from collections.abc import Awaitable, Callable, Coroutine
from socket import SO_LINGER, SOL_SOCKET
from types import TracebackType
from typing import Any

import pytest
import uvloop

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def on_each_loop(dialogue: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[str], None]:
    """Makes a test of an async function. It also fails if the loop had anything to complain about."""

    @pytest.mark.parametrize("loop", LOOPS)
    def test(loop: str) -> None:
        run_on(loop, dialogue)

    test.__name__ = dialogue.__name__
    test.__doc__ = dialogue.__doc__
    return test


def run_on(loop: str, dialogue: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a dialogue on one of the loops. Fails, too, if the loop had anything to complain about."""
    complaints: list[object] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        await dialogue()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(watched())
    assert complaints == []


class Visit:
    """One accepted connection, as the peer sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        """The next request's line and header fields, with the empty line."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def body(self, head: bytes) -> bytes:
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        return await self.reader.readexactly(int(length.partition(b":")[2]))

    async def request(self) -> bytes:
        """The next request, head and body."""
        head = await self.head()
        return head + await self.body(head)

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hung_up(self) -> None:
        """Returns when the client closed the connection; whatever it says until then is thrown away."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        connected_socket = self.writer.get_extra_info("socket")
        connected_socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Visit], Awaitable[None]]


class Peer:
    """Listens on a port, a free one unless told otherwise, and plays one script for each connection, the last one
    again for any further ones.

    A script that returns closes its connection; one that fails makes the test fail.
    """

    def __init__(
        self, *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._scripts = scripts
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self.visits = 0
        """How many connections were accepted."""
        self.host = host
        self.port = port

    @property
    def connected(self) -> int:
        """How many scripts are still played, each to a client that has not left."""
        return len(self._tasks)

    def die(self) -> None:
        """Resets every connection."""
        for task in self._tasks:
            task.cancel()

    async def __aenter__(self) -> "Peer":
        self._server = await asyncio.start_server(self._accept, self.host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failures and kind is None:
            raise self._failures[0]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.visits, len(self._scripts) - 1)]
        self.visits += 1
        task = asyncio.create_task(self._play(script, Visit(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failures.append(failure)

    async def _play(self, script: Script, visit: Visit) -> None:
        try:
            await script(visit)
        except asyncio.CancelledError:
            visit.writer.transport.abort()
            raise
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client hung up: what the test looks for is on its side
        finally:
            visit.writer.close()

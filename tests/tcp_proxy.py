"""A network between two programs that can be cut, fall silent, and heal."""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress

PIECE = 65_536


class TcpProxy:
    """Passes connections to its own port on to another one of this machine. Its methods are for any thread."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def start(self) -> None:
        self._thread.start()
        self._wait(self._listen())

    def stop(self) -> None:
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Every connection is reset, and every new one at once, until it heals."""
        self._wait(self._cut())

    def fall_silent(self) -> None:
        """Nothing passes any more, and nobody is told: neither side learns even that the other has gone."""
        self._wait(self._set(flows=False))

    def heal(self) -> None:
        """What has waited passes, and so does all that comes."""
        self._wait(self._set(flows=True))

    def _wait(self, coroutine: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._listener)

    async def _end(self) -> None:
        self._server.close()
        await self._cut()
        await asyncio.gather(*self._handlers)
        await self._server.wait_closed()

    async def _cut(self) -> None:
        self._is_cut = True
        self._flows.set()
        for writer in self._writers:
            writer.transport.abort()

    async def _set(self, *, flows: bool) -> None:
        self._is_cut = False
        if flows:
            self._flows.set()
        else:
            self._flows.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        writers = [writer]
        self._writers.add(writer)
        try:
            await self._flows.wait()
            if self._is_cut:
                return
            there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
            writers.append(back)
            self._writers.add(back)
            pumps = [asyncio.ensure_future(self._pump(reader, back)), asyncio.ensure_future(self._pump(there, writer))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # The one is told by losing its connection that the other is not there.
        finally:
            for one in writers:
                self._writers.discard(one)
                with suppress(OSError):
                    one.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(PIECE):
            await self._flows.wait()
            sink.write(piece)
            await sink.drain()
        await self._flows.wait()


@contextmanager
def proxy_to(port: int) -> Iterator[TcpProxy]:
    """A running one. It is gone afterwards, and its connections with it."""
    proxy = TcpProxy(port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()

"""What the upstream client costs: CPU time per request and per streamed chunk, against a bare peer in another process.

Run as `python -m bench.upstream_client [--loop asyncio|uvloop]`. The figures are user and system time of this process
alone, the best of several rounds. The peer answers each request with 1 kB of JSON, or with a stream of 100-byte events.
"""

import argparse
import asyncio
import multiprocessing
import resource
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import uvloop

from arouter.engine.upstream import Origin, Upstream, request_head

REQUESTS = 5000
CONCURRENT = 32
CHUNKS = 2000
STREAMS = 10
ROUNDS = 3
FIELDS = b"".join(b"X-Field-%d: value-%d\r\n" % (number, number) for number in range(12))
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: 1000\r\n\r\n" % FIELDS + b"x" * 1000
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%sTransfer-Encoding: chunked\r\n\r\n" % FIELDS
EVENT = b"64\r\n" + b"data: " + b"y" * 92 + b"\n\n" + b"\r\n"


class _Peer(asyncio.Protocol):
    """Answers every packet that begins with a request line: JSON to `/json`, a slow stream to anything else."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"POST /json"):
            self._transport.write(JSON)
        elif data.startswith(b"POST /stream"):
            self._transport.write(STREAM_HEAD)
            self._say(CHUNKS)

    def _say(self, left: int) -> None:
        if left:
            self._transport.write(EVENT)
            asyncio.get_running_loop().call_later(0.0001, self._say, left - 1)
        else:
            self._transport.write(b"0\r\n\r\n")


async def _serve(ready: Connection) -> None:
    server = await asyncio.get_running_loop().create_server(_Peer, "127.0.0.1", 0)
    ready.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _peer(ready: Connection) -> None:
    asyncio.run(_serve(ready))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _json(upstream: Upstream, origin: Origin) -> int:
    head = request_head(origin, "POST", "/json", [("Authorization", "Bearer k"), ("Content-Type", "application/json")])

    async def worker() -> None:
        for _ in range(REQUESTS // CONCURRENT):
            answer = await upstream.send(origin, head, b"z" * 500)
            await answer.read(100_000)

    await asyncio.gather(*(worker() for _ in range(CONCURRENT)))
    return REQUESTS // CONCURRENT * CONCURRENT


async def _stream(upstream: Upstream, origin: Origin) -> int:
    head = request_head(origin, "POST", "/stream", [("Authorization", "Bearer k")])

    async def worker() -> int:
        answer = await upstream.send(origin, head, b"z" * 500)
        pieces = 0
        while await answer.next() is not None:
            pieces += 1
        return pieces

    return sum(await asyncio.gather(*(worker() for _ in range(STREAMS))))


async def _measure(name: str, origin: Origin, work: Callable[[Upstream, Origin], Awaitable[int]]) -> None:
    best_s, best_wall_s = float("inf"), float("inf")
    for _ in range(ROUNDS):
        upstream = Upstream()
        await work(upstream, origin)
        cpu_s, wall_s = _cpu_s(), time.perf_counter()
        done = await work(upstream, origin)
        best_s = min(best_s, (_cpu_s() - cpu_s) / done)
        best_wall_s = min(best_wall_s, (time.perf_counter() - wall_s) / done)
        await upstream.aclose()
    print(f"{name:24} {best_s * 1e6:6.1f} µs CPU, {best_wall_s * 1e6:6.1f} µs wall")


async def _main(port: int) -> None:
    origin = Origin(scheme="http", host="127.0.0.1", port=port)
    await _measure("JSON request", origin, _json)
    await _measure("piece of a stream", origin, _stream)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    loop_factory = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[options.parse_args().loop]
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_peer, args=(theirs,), daemon=True)
    process.start()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_main(ours.recv()))
    process.terminate()

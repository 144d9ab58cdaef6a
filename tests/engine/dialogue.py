"""What the dialogues of the upstream client with a scripted peer have in common."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from arouter.engine.upstream import Answer, Origin, PoolCounts, PoolLimits, Timeouts, Upstream, request_head
from tests.engine.scripted_peer import Peer, Script, Visit

BODY = b'{"model":"m"}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NOTHING_LEFT = PoolCounts(open=0, idle=0, waiting=0)
ONE_IDLE = PoolCounts(open=1, idle=1, waiting=0)


def at(peer: Peer, scheme: str = "http") -> Origin:
    return Origin(scheme=scheme, host="127.0.0.1", port=peer.port, path="/v1")


async def post(upstream: Upstream, origin: Origin, body: bytes = BODY, timeouts: Timeouts | None = None) -> Answer:
    head = request_head(origin, "POST", "/chat", [("Authorization", "Bearer secret")])
    return await upstream.send(origin, head, body, timeouts=timeouts)


def counts(upstream: Upstream) -> PoolCounts:
    """Of all endpoints of a test, which are at most one."""
    return next(iter(upstream.counts().values()), NOTHING_LEFT)


@asynccontextmanager
async def client(
    limits: PoolLimits | None = None,
    timeouts: Timeouts | None = None,
    proxies: dict[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[Upstream]:
    """An upstream client that must have nothing open in the end."""
    upstream = Upstream(limits=limits, timeouts=timeouts, proxies=proxies, ssl_context=ssl_context)
    try:
        yield upstream
    finally:
        await upstream.aclose()
    assert set(upstream.counts().values()) <= {NOTHING_LEFT}


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2500):
        if condition():
            return
        await asyncio.sleep(0.002)
    pytest.fail("waited in vain")


def saying(*pieces: bytes, then: Callable[[Visit], Awaitable[None]] | None = None) -> Script:
    """Reads one request, says the pieces one by one, and hangs up unless `then` does otherwise."""

    async def script(visit: Visit) -> None:
        await visit.request()
        for piece in pieces:
            await visit.say(piece)
            await asyncio.sleep(0.01)
        if then is not None:
            await then(visit)

    return script


def keeps_answering(answer: bytes = OK) -> Script:
    async def script(visit: Visit) -> None:
        while True:
            await visit.request()
            await visit.say(answer)

    return script


async def silence(visit: Visit) -> None:
    await visit.hung_up()


async def reset(visit: Visit) -> None:
    visit.reset()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"


async def whole(upstream: Upstream, origin: Origin) -> bytes:
    """The body of an answer that comes within some seconds."""
    async with asyncio.timeout(5):
        return await (await post(upstream, origin)).read(1_000_000)


async def pieces_of(answer: Answer) -> list[bytes]:
    taken: list[bytes] = []
    await take(answer, taken)
    return taken


async def take(answer: Answer, taken: list[bytes]) -> None:
    while (data := await answer.next()) is not None:
        taken.append(data)


async def cancelled_after(work: Awaitable[object], delay_s: float) -> None:
    task = asyncio.ensure_future(work)
    await asyncio.sleep(delay_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def tunnelling(port: int, heard: list[bytes]) -> Script:
    """A proxy that connects every tunnel to the same port."""

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        with suppress(OSError):  # it may have left meanwhile
            target.write_eof()

    async def script(visit: Visit) -> None:
        heard.append(await visit.head())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await visit.say(b"HTTP/1.1 200 Connection established\r\nProxy: p\r\n\r\n")
        try:
            await asyncio.gather(copy(visit.reader, writer), copy(reader, visit.writer))
        finally:
            writer.close()
            await writer.wait_closed()

    return script

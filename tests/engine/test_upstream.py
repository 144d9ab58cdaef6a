"""The upstream client: what it sends, and how it reaches a peer over TLS and through proxies."""

import asyncio

from arouter.engine.upstream import Origin
from tests.engine.dialogue import (
    OK,
    at,
    client,
    keeps_answering,
    post,
)
from tests.engine.scripted_peer import Peer, Visit, on_each_loop

# ---------------------------------------------------------------- what is sent


@on_each_loop
async def test_sends_one_well_formed_request() -> None:
    heard = asyncio.get_running_loop().create_future()

    async def script(visit: Visit) -> None:
        heard.set_result(await visit.request())
        await visit.say(OK)

    async with Peer(script) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        assert await answer.read(100) == b"ok"
        assert await heard == (
            b"POST /v1/chat HTTP/1.1\r\n"
            b"Host: 127.0.0.1:%d\r\n"
            b"Authorization: Bearer secret\r\n"
            b"Content-Length: 13\r\n\r\n"
            b'{"model":"m"}' % peer.port
        )


@on_each_loop
async def test_sends_a_large_body_whole() -> None:
    body = bytes(range(256)) * 40_000
    heard = asyncio.get_running_loop().create_future()

    async def script(visit: Visit) -> None:
        heard.set_result(await visit.body(await visit.head()))
        await visit.say(OK)

    async with Peer(script) as peer, client() as upstream:
        answer = await post(upstream, at(peer), body)
        assert await answer.read(100) == b"ok"
        assert await heard == body


# ---------------------------------------------------------------- whose connections a request may take at once


@on_each_loop
async def test_a_provider_has_its_connections_from_the_first_request_on() -> None:
    async with Peer(keeps_answering()) as peer, client() as upstream:
        assert upstream.pool_of(at(peer)) is None
        assert await (await post(upstream, at(peer))).read(100) == b"ok"
        pool = upstream.pool_of(at(peer))
        assert pool is not None
        connection = pool.take_idle()
        assert connection is not None
        assert pool.take_idle() is None
        connection.give_back()
        assert await (await post(upstream, at(peer))).read(100) == b"ok"
        assert upstream.pool_of(at(peer)) is pool
        assert pool.take_idle() is connection


@on_each_loop
async def test_nobody_takes_a_proxys_connections_at_once() -> None:
    origin = Origin.from_url("http://api.example.com/v1")
    async with (
        Peer(keeps_answering()) as proxy,
        client(proxies={"http": f"http://127.0.0.1:{proxy.port}"}) as upstream,
    ):
        assert await (await post(upstream, origin)).read(100) == b"ok"
        assert upstream.pool_of(origin) is None

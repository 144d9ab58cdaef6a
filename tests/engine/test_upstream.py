"""The upstream client: what it sends, and how it reaches a peer over TLS and through proxies."""

import asyncio

from tests.engine.dialogue import (
    OK,
    at,
    client,
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

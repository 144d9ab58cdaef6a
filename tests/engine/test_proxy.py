"""Through proxies: asked for whole addresses and for tunnels, refusing, silent, dead, and dying at any moment."""

import asyncio
import socket
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from arouter.domain.errors import UpstreamFailed, UpstreamTimeout
from arouter.engine.upstream import Origin, Timeouts, Upstream
from tests.engine.certificates import serving, trusting
from tests.engine.dialogue import (
    CHUNKED,
    NOTHING_LEFT,
    OK,
    ONE_IDLE,
    at,
    cancelled_after,
    chunk,
    client,
    counts,
    keeps_answering,
    post,
    saying,
    silence,
    tunnelling,
    whole,
)
from tests.engine.scripted_peer import LOOPS, Peer, Visit, on_each_loop, run_on


def through(proxy: Peer) -> AbstractAsyncContextManager[Upstream]:
    return client(proxies={"https": f"http://user:pw@127.0.0.1:{proxy.port}"})


@on_each_loop
async def test_a_plain_upstream_is_asked_for_through_the_proxy() -> None:
    heard = asyncio.get_running_loop().create_future()

    async def proxy_script(visit: Visit) -> None:
        heard.set_result(await visit.request())
        await visit.say(OK)

    async with Peer(proxy_script) as proxy:
        async with client(proxies={"http": f"http://user:p%40ss@127.0.0.1:{proxy.port}"}) as upstream:
            answer = await post(upstream, Origin.from_url("http://api.example.com/v1"))
            assert await answer.read(100) == b"ok"
        assert await heard == (
            b"POST http://api.example.com/v1/chat HTTP/1.1\r\n"
            b"Host: api.example.com\r\n"
            b"Authorization: Bearer secret\r\n"
            b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n"
            b"Content-Length: 13\r\n\r\n"
            b'{"model":"m"}'
        )


@pytest.mark.parametrize("loop", LOOPS)
def test_a_tls_upstream_is_reached_through_a_tunnel(loop: str, certificate: Path) -> None:
    async def dialogue() -> None:
        heard: list[bytes] = []
        names: list[str | None] = []
        async with (
            Peer(keeps_answering(), tls=serving(certificate, names)) as peer,
            Peer(tunnelling(peer.port, heard)) as proxy,
        ):
            proxies = {"https": f"http://user:pw@127.0.0.1:{proxy.port}"}
            async with client(proxies=proxies, ssl_context=trusting(certificate)) as upstream:
                origin = Origin.from_url("https://localhost:8443/v1")
                for _ in range(2):
                    assert await (await post(upstream, origin)).read(100) == b"ok"
                assert counts(upstream) == ONE_IDLE
            assert names == ["localhost"]
            assert heard == [
                b"CONNECT localhost:8443 HTTP/1.1\r\nHost: localhost:8443\r\n"
                b"Proxy-Authorization: Basic dXNlcjpwdw==\r\n\r\n"
            ]

    run_on(loop, dialogue)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy asks for other credentials"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "the proxy refused to connect"),
        (b"HTTP/1.1 200 OK\r\n\r\nsurplus", "the proxy's answer is not valid HTTP"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\nno such host", "the proxy's answer is not valid HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the proxy's answer is not valid HTTP"),
        (b"x" * 20_000, "the proxy's answer is not valid HTTP"),
        (b"HTTP/1.1 200 Connection est", "the proxy closed the connection"),
        (b"", "the proxy closed the connection"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_a_proxy_that_does_not_connect(reply: bytes, text: str) -> None:
    async def script(visit: Visit) -> None:
        await visit.head()
        await visit.say(reply)

    async def dialogue() -> None:
        async with Peer(script) as proxy, through(proxy) as upstream:
            with pytest.raises(UpstreamFailed, match=f"^api.example.com: {text}$") as caught:
                await post(upstream, Origin.from_url("https://api.example.com"))
            assert "pw" not in f"{caught.value.message}{caught.value.detail}"
            assert counts(upstream) == NOTHING_LEFT

    asyncio.run(dialogue())


@on_each_loop
async def test_a_proxy_that_is_silent() -> None:
    async with Peer(silence) as proxy, through(proxy) as upstream:
        origin = Origin.from_url("https://api.example.com")
        with pytest.raises(UpstreamTimeout, match=r"no connection within 0\.05 s"):
            await post(upstream, origin, timeouts=Timeouts(connect_s=0.05))
        await cancelled_after(post(upstream, origin), 0.05)
        assert counts(upstream) == NOTHING_LEFT


SECURE = Origin.from_url("https://api.example.com")


@on_each_loop
async def test_a_proxy_that_resets_the_connection() -> None:
    async def script(visit: Visit) -> None:
        await visit.head()
        visit.reset()

    async with Peer(script) as proxy, through(proxy) as upstream:
        with pytest.raises(UpstreamFailed, match="the proxy closed the connection"):
            await post(upstream, SECURE)
        assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_a_proxy_that_dies_when_the_tunnel_is_open() -> None:
    """It answered, and TLS with the provider has not begun, or not ended."""
    opened = b"HTTP/1.1 200 OK\r\n\r\n"

    async def at_once(visit: Visit) -> None:
        await visit.head()
        await visit.say(opened)

    async def in_the_handshake(visit: Visit) -> None:
        await visit.head()
        await visit.say(opened)
        await visit.reader.read(10)
        visit.reset()

    async with Peer(at_once, in_the_handshake) as proxy, through(proxy) as upstream:
        for _ in range(2):
            with pytest.raises(UpstreamFailed) as caught:
                await whole(upstream, SECURE)
            assert caught.value.retryable
            assert counts(upstream) == NOTHING_LEFT


@pytest.mark.parametrize("loop", LOOPS)
def test_a_proxy_that_dies_in_the_middle_of_an_answer(loop: str, certificate: Path) -> None:
    async def dialogue() -> None:
        async with (
            Peer(saying(CHUNKED + chunk(b"part"), then=silence), tls=serving(certificate)) as peer,
            Peer(tunnelling(peer.port, [])) as proxy,
            client(proxies={"https": f"http://127.0.0.1:{proxy.port}"}, ssl_context=trusting(certificate)) as upstream,
        ):
            answer = await post(upstream, Origin.from_url("https://localhost:8443"))
            assert await answer.next() == b"part"
            proxy.die()
            with pytest.raises(UpstreamFailed, match="in the middle of its answer"):
                await answer.next()
            assert counts(upstream) == NOTHING_LEFT

    run_on(loop, dialogue)


@pytest.mark.parametrize("url", ["http://api.example.com", "https://api.example.com"])
def test_a_proxy_that_is_not_there(url: str) -> None:
    async def dialogue() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        for host, text in (("127.0.0.1", "the connection was refused"), ("nowhere.invalid", "the name is not known")):
            proxy = f"http://user:pw@{host}:{port}"
            async with client(proxies={"http": proxy, "https": proxy}) as upstream:
                with pytest.raises(UpstreamFailed, match=f"^api.example.com: {text}$") as caught:
                    await post(upstream, Origin.from_url(url))
                assert "pw" not in f"{caught.value.message}{caught.value.detail}"
                assert counts(upstream) == NOTHING_LEFT

    asyncio.run(dialogue())


@on_each_loop
async def test_a_reply_may_come_in_pieces() -> None:
    """The last byte of the reply is followed by TLS, which here is none."""
    reply = b"HTTP/1.0 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n"

    async def script(visit: Visit) -> None:
        await visit.head()
        for at_byte in range(len(reply)):
            await visit.say(reply[at_byte : at_byte + 1])
            await asyncio.sleep(0)
        assert (await visit.reader.readexactly(1)) == b"\x16"  # a handshake begins
        await visit.say(b"nonsense")

    async with Peer(script) as proxy, through(proxy) as upstream:
        with pytest.raises(UpstreamFailed, match="the TLS handshake failed"):
            await whole(upstream, SECURE)


@on_each_loop
async def test_what_a_proxy_says_in_the_place_of_a_plain_upstream_is_its_answer() -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with (
        Peer(keeps_answering(refusal)) as proxy,
        client(proxies={"http": f"http://127.0.0.1:{proxy.port}"}) as upstream,
    ):
        answer = await post(upstream, Origin.from_url("http://api.example.com"))
        assert (answer.status, await answer.read(100)) == (407, b"")


@on_each_loop
async def test_an_upstream_that_needs_no_proxy_is_reached_without() -> None:
    async with (
        Peer(silence) as proxy,
        Peer(keeps_answering()) as peer,
        client(proxies={"http": f"http://127.0.0.1:{proxy.port}", "no": "127.0.0.1"}) as upstream,
    ):
        assert await whole(upstream, at(peer)) == b"ok"
        assert (proxy.visits, peer.visits) == (0, 1)

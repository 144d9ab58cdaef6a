"""The upstream client: what it sends, and how it reaches a peer over TLS and through proxies."""

import asyncio
import ssl
import subprocess
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from arouter.domain.errors import UpstreamFailed, UpstreamTimeout
from arouter.engine.upstream import Origin, Timeouts, Upstream
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
    silence,
)
from tests.engine.scripted_peer import LOOPS, Peer, Script, Visit, on_each_loop

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


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    try:
        made = subprocess.run(
            [*command.split(), "-addext", "subjectAltName=DNS:localhost", "-keyout", path, "-out", f"{path}.crt"],
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert made.returncode == 0, made.stderr
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def serving(certificate: Path, names: list[str | None]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: names.append(name)
    return context


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


@pytest.mark.parametrize("loop", LOOPS)
def test_tls_with_a_trusted_certificate(loop: str, certificate: Path) -> None:
    async def dialogue() -> None:
        names: list[str | None] = []
        tls = serving(certificate, names)
        async with Peer(keeps_answering(), tls=tls) as peer, client(ssl_context=trusting(certificate)) as upstream:
            origin = Origin(scheme="https", host="localhost", port=peer.port)
            for _ in range(3):
                assert await (await post(upstream, origin)).read(100) == b"ok"
            assert (peer.visits, names) == (1, ["localhost"])
            assert counts(upstream) == ONE_IDLE

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(dialogue())


@pytest.mark.parametrize("loop", LOOPS)
def test_tls_bodies_large_both_ways_and_cut(loop: str, certificate: Path) -> None:
    body = bytes(range(256)) * 20_000

    async def script(visit: Visit) -> None:
        echo = await visit.body(await visit.head())
        await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(echo) + echo)
        await visit.request()
        await visit.say(CHUNKED + chunk(b"part"))

    async def dialogue() -> None:
        async with (
            Peer(script, tls=serving(certificate, [])) as peer,
            client(ssl_context=trusting(certificate)) as upstream,
        ):
            origin = Origin(scheme="https", host="localhost", port=peer.port)
            assert await (await post(upstream, origin, body)).read(len(body)) == body
            answer = await post(upstream, origin)
            assert await answer.next() == b"part"
            with pytest.raises(UpstreamFailed, match="in the middle of its answer"):
                await answer.next()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(dialogue())


@pytest.mark.parametrize("loop", LOOPS)
def test_tls_without_trust_or_with_another_name_is_refused(loop: str, certificate: Path) -> None:
    async def dialogue() -> None:
        async with Peer(silence, tls=serving(certificate, [])) as peer:
            for host, context in (("localhost", None), ("127.0.0.1", trusting(certificate))):
                async with client(ssl_context=context) as upstream:
                    with pytest.raises(UpstreamFailed, match="its TLS certificate is not trusted"):
                        await post(upstream, Origin(scheme="https", host=host, port=peer.port))
                    assert counts(upstream) == NOTHING_LEFT

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(dialogue())


@on_each_loop
async def test_tls_with_a_peer_that_does_not_speak_it() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await visit.hung_up()

    async with Peer(script) as peer, client() as upstream:
        with pytest.raises(UpstreamFailed, match="the TLS handshake failed"):
            await post(upstream, at(peer, "https"))
        assert counts(upstream) == NOTHING_LEFT


# ---------------------------------------------------------------- proxies


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


def tunnelling(port: int, heard: list[bytes]) -> Script:
    """A proxy that connects every tunnel to the same port."""

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
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

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(dialogue())


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy asks for other credentials"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "the proxy refused to connect"),
        (b"HTTP/1.1 200 OK\r\n\r\nsurplus", "the proxy's answer is not valid HTTP"),
        (b"x" * 20_000, "the proxy's answer is not valid HTTP"),
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

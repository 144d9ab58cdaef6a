"""TLS to a peer: trusted or not, cut at any place, and tunnelled through proxies."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from arouter.domain.errors import UpstreamFailed
from arouter.engine.upstream import Origin, Upstream
from tests.engine.certificates import expired, serving, trusting
from tests.engine.dialogue import (
    CHUNKED,
    NOTHING_LEFT,
    OK,
    ONE_IDLE,
    UNTIL_CLOSE,
    at,
    chunk,
    client,
    counts,
    keeps_answering,
    post,
    reset,
    saying,
    silence,
    tunnelling,
    until,
    whole,
)
from tests.engine.scripted_peer import LOOPS, Peer, Visit, on_each_loop, run_on

# ---------------------------------------------------------------- trust


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

    run_on(loop, dialogue)


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

    run_on(loop, dialogue)


@pytest.mark.parametrize("loop", LOOPS)
def test_tls_without_trust_or_with_another_name_is_refused(loop: str, certificate: Path) -> None:
    async def dialogue() -> None:
        async with Peer(silence, tls=serving(certificate, [])) as peer:
            for host, context in (("localhost", None), ("127.0.0.1", trusting(certificate))):
                async with client(ssl_context=context) as upstream:
                    with pytest.raises(UpstreamFailed, match="its TLS certificate is not trusted"):
                        await post(upstream, Origin(scheme="https", host=host, port=peer.port))
                    assert counts(upstream) == NOTHING_LEFT

    run_on(loop, dialogue)


@on_each_loop
async def test_tls_with_a_peer_that_does_not_speak_it() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await visit.hung_up()

    async with Peer(script) as peer, client() as upstream:
        with pytest.raises(UpstreamFailed, match="the TLS handshake failed"):
            await post(upstream, at(peer, "https"))
        assert counts(upstream) == NOTHING_LEFT


@pytest.mark.parametrize("loop", LOOPS)
def test_tls_with_a_certificate_that_is_over_is_refused(loop: str, tmp_path: Path) -> None:
    over = expired(tmp_path)

    async def dialogue() -> None:
        async with Peer(silence, tls=serving(over)) as peer, client(ssl_context=trusting(over)) as upstream:
            with pytest.raises(UpstreamFailed, match=r"not trusted \(.*expired"):
                await post(upstream, local(peer))
            assert counts(upstream) == NOTHING_LEFT

    run_on(loop, dialogue)


# ---------------------------------------------------------------- handshakes that are cut


SERVER_HELLO_BEGUN = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + bytes(20)
FATAL_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"


async def nothing(visit: Visit) -> None:
    await visit.reader.read(10)


async def hello_begun(visit: Visit) -> None:
    await visit.reader.read(10)
    await visit.say(SERVER_HELLO_BEGUN)


async def alert(visit: Visit) -> None:
    await visit.reader.read(10)
    await visit.say(FATAL_ALERT)
    await visit.hung_up()


async def gone(visit: Visit) -> None:
    await visit.reader.read(10)
    await reset(visit)


@pytest.mark.parametrize("script", [nothing, hello_begun, alert, gone])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_handshake_that_is_cut_is_a_failure_before_anything_was_sent(
    loop: str, script: Callable[[Visit], Awaitable[None]]
) -> None:
    async def dialogue() -> None:
        async with Peer(script) as peer, client() as upstream:
            with pytest.raises(UpstreamFailed) as caught:
                await whole(upstream, at(peer, "https"))
            assert caught.value.message in {
                "127.0.0.1: the TLS handshake failed",
                "127.0.0.1: the connection was closed while it was made",
            }
            assert caught.value.retryable
            assert counts(upstream) == NOTHING_LEFT

    run_on(loop, dialogue)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_peer_that_leaves_after_the_handshake(loop: str, certificate: Path) -> None:
    async def leaves(visit: Visit) -> None:
        pass

    async def dialogue() -> None:
        async with (
            Peer(leaves, tls=serving(certificate)) as peer,
            client(ssl_context=trusting(certificate)) as upstream,
        ):
            with pytest.raises(UpstreamFailed, match="the connection before"):
                await whole(upstream, local(peer))
            await until(lambda: counts(upstream) == NOTHING_LEFT)

    run_on(loop, dialogue)


# ---------------------------------------------------------------- connections that are kept, and cut


@pytest.mark.parametrize("loop", LOOPS)
def test_a_kept_connection_that_the_peer_closes_is_not_used_again(loop: str, certificate: Path) -> None:
    async def dialogue() -> None:
        async with (
            Peer(saying(OK), tls=serving(certificate)) as peer,
            client(ssl_context=trusting(certificate)) as upstream,
        ):
            for visits in range(1, 4):
                assert await whole(upstream, local(peer)) == b"ok"
                await until(lambda: counts(upstream) == NOTHING_LEFT)
                assert peer.visits == visits

    run_on(loop, dialogue)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_body_without_a_length_needs_the_end_of_tls_too(loop: str, certificate: Path) -> None:
    """A close that TLS did not announce may be anybody's: an answer cut short by it is not whole."""
    whole_body = saying(UNTIL_CLOSE + b"all")
    reset_within = saying(UNTIL_CLOSE + b"part", then=reset)

    async def unannounced(visit: Visit) -> None:
        visit.writer.transport.abort()

    async def dialogue() -> None:
        async with (
            Peer(
                whole_body, reset_within, saying(UNTIL_CLOSE + b"part", then=unannounced), tls=serving(certificate)
            ) as peer,
            client(ssl_context=trusting(certificate)) as upstream,
        ):
            assert await whole(upstream, local(peer)) == b"all"
            for _ in range(2):
                with pytest.raises(UpstreamFailed, match="in the middle of its answer"):
                    await whole(upstream, local(peer))
                await until(lambda: counts(upstream) == NOTHING_LEFT)

    run_on(loop, dialogue)


# ---------------------------------------------------------------- cancelled at any moment


async def cancelled_at_any_moment(upstream: Upstream, origin: Origin, *peers: Peer) -> None:
    """From the look-up of the name to the last byte of the answer; nobody stays connected."""
    for step in range(60):
        task = asyncio.ensure_future(whole(upstream, origin))
        await asyncio.sleep(step * 0.0003)
        task.cancel()
        await asyncio.wait((task,))
        assert counts(upstream) == NOTHING_LEFT
    await until(lambda: not any(peer.connected for peer in peers))
    gc.collect()  # so that the loop complains about failures that nobody took
    assert await whole(upstream, origin) == b"ok"


CLOSING = OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")


@pytest.mark.parametrize("loop", LOOPS)
def test_cancelling_a_request_over_tls_at_any_moment_leaves_nothing_open(loop: str, certificate: Path) -> None:
    async def dialogue() -> None:
        async with (
            Peer(saying(CLOSING), tls=serving(certificate)) as peer,
            client(ssl_context=trusting(certificate)) as upstream,
        ):
            await cancelled_at_any_moment(upstream, local(peer), peer)

    run_on(loop, dialogue)


@pytest.mark.parametrize("loop", LOOPS)
def test_cancelling_a_request_through_a_tunnel_at_any_moment_leaves_nothing_open(loop: str, certificate: Path) -> None:
    async def dialogue() -> None:
        async with (
            Peer(saying(CLOSING), tls=serving(certificate)) as peer,
            Peer(tunnelling(peer.port, [])) as proxy,
            client(ssl_context=trusting(certificate), proxies={"https": f"http://127.0.0.1:{proxy.port}"}) as upstream,
        ):
            await cancelled_at_any_moment(upstream, local(peer), peer, proxy)

    run_on(loop, dialogue)


def local(peer: Peer) -> Origin:
    """By the name that its certificate has."""
    return Origin(scheme="https", host="localhost", port=peer.port, path="/v1")

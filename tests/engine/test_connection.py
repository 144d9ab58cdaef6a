"""Deadlines, failures and letting go, with a peer that says every byte."""

import asyncio
import socket

import pytest

from arouter.domain.errors import UpstreamFailed, UpstreamTimeout
from arouter.engine.connection import HEAD_LIMIT_BYTES
from arouter.engine.upstream import Answer, Origin, PoolLimits, Timeouts, Upstream
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
    reset,
    saying,
    silence,
    take,
    until,
    whole,
)
from tests.engine.scripted_peer import Peer, Visit, on_each_loop

# ---------------------------------------------------------------- letting go


@on_each_loop
async def test_close_hangs_up_an_answer_that_is_not_whole() -> None:
    gone = asyncio.Event()

    async def then(visit: Visit) -> None:
        await visit.hung_up()
        gone.set()

    async with Peer(saying(CHUNKED + chunk(b"one"), then=then)) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        assert await answer.next() == b"one"
        answer.close()
        answer.close()
        assert counts(upstream) == NOTHING_LEFT
        async with asyncio.timeout(5):
            await gone.wait()
        with pytest.raises(UpstreamFailed, match="given up"):
            await answer.next()


@on_each_loop
async def test_close_after_the_end_leaves_the_connection_to_others() -> None:
    async with Peer(keeps_answering()) as peer, client() as upstream:
        first = await post(upstream, at(peer))
        second = asyncio.create_task(post(upstream, at(peer)))
        await asyncio.sleep(0)
        first.close()
        assert await (await second).read(100) == b"ok"
        assert peer.visits == 1


@on_each_loop
async def test_release_waits_briefly_for_an_end_that_is_under_way() -> None:
    async with (
        Peer(
            saying(CHUNKED + chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n", then=silence),
            saying(CHUNKED + chunk(b"data: [DONE]\n\n"), then=silence),
        ) as peer,
        client(PoolLimits(max_idle=0)) as closing,
        client() as upstream,
    ):
        answer = await post(upstream, at(peer))
        assert await answer.next() == b"data: [DONE]\n\n"
        await answer.release()
        assert counts(upstream) == ONE_IDLE
        answer = await post(closing, at(peer))
        assert await answer.next() == b"data: [DONE]\n\n"
        await answer.release()
        assert counts(closing) == NOTHING_LEFT


@on_each_loop
async def test_cancelling_leaves_nothing_open() -> None:
    stalled = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"
    async with Peer(silence, saying(stalled, then=silence)) as peer, client() as upstream:
        await cancelled_after(post(upstream, at(peer)), 0.05)  # before the header fields
        assert counts(upstream) == NOTHING_LEFT
        answer = await post(upstream, at(peer))
        await cancelled_after(answer.read(1000), 0.05)
        assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_cancelling_at_every_turn_of_the_loop_leaves_nothing_open() -> None:
    closing = OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")

    async with Peer(saying(closing)) as peer, client(PoolLimits(max_connections=1)) as upstream:
        for turns in range(30):
            tasks = [asyncio.create_task(whole(upstream, at(peer))) for _ in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_a_cancelled_next_loses_nothing() -> None:
    async with Peer(saying(CHUNKED, b"", b"", b"", chunk(b"late") + b"0\r\n\r\n")) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        await cancelled_after(answer.next(), 0.005)
        assert await answer.next() == b"late"
        assert await answer.next() is None


@on_each_loop
async def test_a_connection_handed_to_a_cancelled_request_goes_to_the_next() -> None:
    """The second request is cancelled after it was given the connection and before it could run."""
    everybody_waits = asyncio.Event()

    async def script(visit: Visit) -> None:
        while True:
            await visit.request()
            await everybody_waits.wait()
            await visit.say(OK)

    async with Peer(script) as peer, client(PoolLimits(max_connections=1)) as upstream:

        async def first() -> Answer:
            answer = await post(upstream, at(peer))
            assert counts(upstream).waiting == 2
            tasks[1].cancel()
            return answer

        tasks = [asyncio.create_task(first()), *(asyncio.create_task(post(upstream, at(peer))) for _ in range(3))]
        await until(lambda: counts(upstream).waiting == 3)
        everybody_waits.set()
        await asyncio.wait(tasks)
        assert tasks[1].cancelled()
        assert [await tasks[at].result().read(100) for at in (0, 2, 3)] == [b"ok"] * 3
        assert (peer.visits, counts(upstream)) == (1, ONE_IDLE)


@on_each_loop
async def test_closing_the_client_fails_what_is_under_way() -> None:
    async with Peer(saying(CHUNKED, then=silence), silence) as peer:
        upstream = Upstream(limits=PoolLimits(max_connections=2))
        answer = await post(upstream, at(peer))
        tasks = [asyncio.create_task(post(upstream, at(peer))) for _ in range(2)]
        await until(lambda: peer.visits == 2 and counts(upstream).waiting == 1)
        await upstream.aclose()
        with pytest.raises(UpstreamFailed):
            await answer.next()
        for task in tasks:
            with pytest.raises(UpstreamFailed):
                await task
        with pytest.raises(UpstreamFailed, match="shutting down"):
            await post(upstream, at(peer))
        assert counts(upstream) == NOTHING_LEFT


# ---------------------------------------------------------------- deadlines


async def times_out(upstream: Upstream, origin: Origin, text: str) -> None:
    with pytest.raises(UpstreamTimeout, match=text):
        await whole(upstream, origin)
    assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_no_first_byte_in_time() -> None:
    async with Peer(silence) as peer, client(timeouts=Timeouts(first_byte_s=0.05)) as upstream:
        await times_out(upstream, at(peer), r"^127\.0\.0\.1: no answer within 0\.05 s$")


@on_each_loop
async def test_header_fields_that_dribble_are_not_an_answer_in_time() -> None:
    dribble = [b"HTTP/1.1 200 OK\r\n", *([b"A: b\r\n"] * 50)]
    async with Peer(saying(*dribble)) as peer, client(timeouts=Timeouts(first_byte_s=0.1)) as upstream:
        await times_out(upstream, at(peer), "no answer within")


@on_each_loop
async def test_a_body_that_falls_silent() -> None:
    slow = [CHUNKED, *([chunk(b"x")] * 12)]
    async with Peer(saying(*slow, then=silence)) as peer, client(timeouts=Timeouts(idle_s=0.08)) as upstream:
        answer = await post(upstream, at(peer))
        taken: list[bytes] = []
        with pytest.raises(UpstreamTimeout, match=r"broke off for 0\.08 s") as caught:
            await take(answer, taken)
        assert b"".join(taken) == b"x" * 12  # about 0.12 s, with no silence too long
        assert caught.value.upstream_status == 200


@on_each_loop
async def test_a_body_that_never_ends() -> None:
    endless = [CHUNKED, *([chunk(b"x")] * 100)]
    async with Peer(saying(*endless)) as peer, client(timeouts=Timeouts(total_s=0.1)) as upstream:
        await times_out(upstream, at(peer), r"not complete after 0\.1 s")


@on_each_loop
async def test_a_request_may_have_shorter_timeouts_than_the_one_before() -> None:
    async with Peer(saying(OK, then=silence)) as peer, client() as upstream:
        await (await post(upstream, at(peer))).read(100)
        async with asyncio.timeout(5):
            with pytest.raises(UpstreamTimeout):
                await post(upstream, at(peer), timeouts=Timeouts(first_byte_s=0.05))
        assert peer.visits == 1


@on_each_loop
async def test_deadlines_of_an_answer_do_not_reach_the_next_one() -> None:
    async def script(visit: Visit) -> None:
        while True:
            await visit.request()
            await asyncio.sleep(0.25)
            await visit.say(OK)

    async with Peer(script) as peer, client(timeouts=Timeouts(first_byte_s=0.6, total_s=0.6)) as upstream:
        for _ in range(3):
            assert await (await post(upstream, at(peer))).read(100) == b"ok"
        assert peer.visits == 1


@on_each_loop
async def test_no_connection_in_time() -> None:
    """A TLS handshake that the peer never answers."""
    async with Peer(silence) as peer, client() as upstream:
        origin = at(peer, "https")
        with pytest.raises(UpstreamTimeout, match=r"no connection within 0\.1 s"):
            await post(upstream, origin, timeouts=Timeouts(connect_s=0.1))
        assert counts(upstream) == NOTHING_LEFT


# ---------------------------------------------------------------- failures


@on_each_loop
async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    async with client() as upstream:
        with pytest.raises(UpstreamFailed, match=r"^127\.0\.0\.1: the connection was refused$") as caught:
            await post(upstream, Origin(scheme="http", host="127.0.0.1", port=port))
        assert caught.value.detail
        assert caught.value.upstream_status is None
        assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_a_name_that_does_not_exist() -> None:
    async with client() as upstream:
        with pytest.raises(UpstreamFailed, match=r"^nowhere\.invalid: the name is not known$"):
            await post(upstream, Origin.from_url("http://nowhere.invalid"))
        assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_a_reset_before_the_answer() -> None:
    async with Peer(saying(then=reset)) as peer, client() as upstream:
        with pytest.raises(UpstreamFailed, match="reset the connection before it answered"):
            await post(upstream, at(peer))
        assert counts(upstream) == NOTHING_LEFT


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        CHUNKED + b"zz\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * (HEAD_LIMIT_BYTES + 1) + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (HEAD_LIMIT_BYTES // 6) + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 4000,
    ],
    ids=lambda nonsense: repr(nonsense[:60]),
)
def test_an_answer_that_is_not_valid_http_is_refused(nonsense: bytes) -> None:
    async def dialogue() -> None:
        async with Peer(saying(nonsense, then=silence)) as peer, client() as upstream:
            with pytest.raises(UpstreamFailed, match=r"^127\.0\.0\.1: the answer is not valid HTTP$") as caught:
                await whole(upstream, at(peer))
            assert caught.value.detail
            assert counts(upstream) == NOTHING_LEFT

    asyncio.run(dialogue())


@on_each_loop
async def test_nonsense_in_the_middle_of_a_body_comes_after_what_was_good() -> None:
    async with Peer(saying(CHUNKED, chunk(b"good") + b"nonsense")) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        assert await answer.next() == b"good"
        with pytest.raises(UpstreamFailed, match="not valid HTTP"):
            await answer.next()


@on_each_loop
async def test_large_but_allowed_header_fields_pass() -> None:
    large = b"HTTP/1.1 200 OK\r\nA: " + b"x" * (HEAD_LIMIT_BYTES - 200) + b"\r\nContent-Length: 300000\r\n\r\n"
    async with Peer(saying(large + b"y" * 300_000)) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        assert len(answer.headers["a"]) == HEAD_LIMIT_BYTES - 200
        assert len(await answer.read(300_000)) == 300_000

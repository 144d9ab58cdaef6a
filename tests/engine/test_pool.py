"""Connections, shared, waited for, expired and dropped, with a peer that says every byte."""

import asyncio
import socket

import pytest

from arouter.domain.errors import UpstreamBusy, UpstreamFailed
from arouter.engine.pool import RETRY_AFTER_S
from arouter.engine.upstream import Origin, PoolCounts, PoolLimits
from tests.engine.dialogue import (
    NOTHING_LEFT,
    OK,
    ONE_IDLE,
    at,
    client,
    counts,
    keeps_answering,
    post,
    saying,
    silence,
    until,
)
from tests.engine.scripted_peer import Peer, Script, Visit, on_each_loop

# ---------------------------------------------------------------- the pool


@on_each_loop
async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with Peer(keeps_answering()) as peer, client() as upstream:
        for _ in range(5):
            answer = await post(upstream, at(peer))
            assert await answer.read(100) == b"ok"
            answer.close()
            assert counts(upstream) == ONE_IDLE
        assert peer.visits == 1


@on_each_loop
async def test_origins_that_differ_in_path_share_connections() -> None:
    async with Peer(keeps_answering()) as peer, client() as upstream:
        for path in ("", "/v1", "/v2"):
            origin = Origin.from_url(f"http://127.0.0.1:{peer.port}{path}")
            await (await post(upstream, origin)).read(100)
        assert peer.visits == 1
        assert list(upstream.counts()) == [f"http://127.0.0.1:{peer.port}"]


@on_each_loop
async def test_a_whole_answer_frees_its_connection_before_it_is_read() -> None:
    async with Peer(keeps_answering()) as peer, client() as upstream:
        first = await post(upstream, at(peer))
        second = await post(upstream, at(peer))
        assert await second.read(100) == b"ok"
        assert await first.read(100) == b"ok"
        assert peer.visits == 1


@on_each_loop
async def test_the_connection_used_last_is_used_first() -> None:
    served: list[int] = []

    def numbered(number: int) -> Script:
        async def script(visit: Visit) -> None:
            while True:
                await visit.request()
                served.append(number)
                await asyncio.sleep(0.02 * number)
                await visit.say(OK)

        return script

    async with Peer(numbered(1), numbered(2)) as peer, client() as upstream:
        await asyncio.gather(post(upstream, at(peer)), post(upstream, at(peer)))
        assert counts(upstream) == PoolCounts(open=2, idle=2, waiting=0)
        for _ in range(3):
            await post(upstream, at(peer))
        assert served[2:] == [2, 2, 2]


@on_each_loop
async def test_requests_wait_in_order_for_a_connection() -> None:
    order: list[int] = []

    async with Peer(keeps_answering()) as peer, client(PoolLimits(max_connections=1)) as upstream:

        async def one(number: int) -> None:
            answer = await post(upstream, at(peer))
            order.append(number)
            await answer.read(100)

        await asyncio.gather(*(one(number) for number in range(20)))
        assert order == list(range(20))
        assert peer.visits == 1
        assert counts(upstream) == ONE_IDLE


@on_each_loop
async def test_who_waits_may_connect_when_a_connection_is_lost() -> None:
    closing = OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")
    async with Peer(saying(closing)) as peer, client(PoolLimits(max_connections=2)) as upstream:
        answers = await asyncio.gather(*(post(upstream, at(peer)) for _ in range(6)))
        assert [await answer.read(100) for answer in answers] == [b"ok"] * 6
        assert peer.visits == 6
        assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_too_many_waiting_and_too_long_waiting_are_refused() -> None:
    limits = PoolLimits(max_connections=1, max_waiting=1, acquire_s=0.05)
    async with Peer(silence) as peer, client(limits) as upstream:
        busy = asyncio.create_task(post(upstream, at(peer)))
        await until(lambda: peer.visits == 1)
        waiting = asyncio.create_task(post(upstream, at(peer)))
        await until(lambda: counts(upstream).waiting == 1)
        with pytest.raises(UpstreamBusy, match="too many requests wait") as refused:
            await post(upstream, at(peer))
        with pytest.raises(UpstreamBusy, match=r"no connection became free within 0\.05 s") as waited:
            await waiting
        assert (refused.value.retry_after_s, waited.value.retry_after_s) == (RETRY_AFTER_S, RETRY_AFTER_S)
        assert counts(upstream) == PoolCounts(open=1, idle=0, waiting=0)
        busy.cancel()
        await asyncio.wait([busy])
        assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_idle_connections_expire_and_surplus_ones_are_not_kept() -> None:
    async with (
        Peer(saying(OK, then=silence)) as peer,
        client(PoolLimits(max_idle=2, idle_expiry_s=0.1)) as upstream,
    ):
        await asyncio.gather(*(post(upstream, at(peer)) for _ in range(4)))
        assert counts(upstream) == PoolCounts(open=2, idle=2, waiting=0)
        await asyncio.sleep(0.15)
        assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_a_connection_that_the_peer_closes_while_idle_is_dropped_at_once() -> None:
    async with Peer(saying(OK)) as peer, client() as upstream:
        await (await post(upstream, at(peer))).read(100)
        await until(lambda: counts(upstream) == NOTHING_LEFT)
        await (await post(upstream, at(peer))).read(100)
        assert peer.visits == 2


@on_each_loop
async def test_a_hang_up_that_the_loop_has_not_seen_is_seen_before_anything_is_sent() -> None:
    """The loop is blocked while the peer, a plain socket, answers and closes: only the kernel knows."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        origin = Origin(scheme="http", host="127.0.0.1", port=server.getsockname()[1])
        async with client() as upstream:
            sending = asyncio.create_task(post(upstream, origin))
            await until(lambda: counts(upstream).open == 1)
            await asyncio.sleep(0.02)
            visit, _ = server.accept()
            visit.recv(65536)
            visit.sendall(OK)
            await (await sending).read(100)
            assert counts(upstream) == ONE_IDLE
            visit.close()
            again = asyncio.create_task(post(upstream, origin))
            await asyncio.sleep(0.02)
            visit, _ = server.accept()
            assert visit.recv(65536).startswith(b"POST")
            visit.sendall(OK)
            assert await (await again).read(100) == b"ok"
            visit.close()


@on_each_loop
async def test_a_request_that_was_written_is_never_sent_again() -> None:
    """The peer reads the second request of a kept connection and hangs up: it may be at work on it."""
    heard = 0

    async def script(visit: Visit) -> None:
        nonlocal heard
        await visit.request()
        heard += 1
        await visit.say(OK)
        await visit.request()
        heard += 1

    async with Peer(script) as peer, client() as upstream:
        await (await post(upstream, at(peer))).read(100)
        with pytest.raises(UpstreamFailed, match="closed the connection before it answered") as caught:
            await post(upstream, at(peer))
        assert caught.value.retryable
        assert (heard, peer.visits) == (2, 1)


@on_each_loop
async def test_what_the_peer_says_without_being_asked_costs_it_the_connection() -> None:
    async def talks(visit: Visit) -> None:
        await visit.request()
        await visit.say(OK)
        await asyncio.sleep(0.02)
        await visit.say(OK)
        await visit.hung_up()

    async with Peer(talks) as peer, client() as upstream:
        await (await post(upstream, at(peer))).read(100)
        assert counts(upstream) == ONE_IDLE
        await until(lambda: counts(upstream) == NOTHING_LEFT)


@pytest.mark.parametrize("surplus", [OK, b"junk", b"H", b"HTTP/1.1 200 OK\r\n"])
def test_a_second_answer_is_never_taken_for_the_next_request(surplus: bytes) -> None:
    async def dialogue() -> None:
        async with Peer(saying(OK + surplus, then=silence)) as peer, client() as upstream:
            for _ in range(2):
                answer = await post(upstream, at(peer))
                assert await answer.read(100) == b"ok"
                assert counts(upstream) == NOTHING_LEFT
            assert peer.visits == 2

    asyncio.run(dialogue())


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", True),
    ],
)
def test_the_peer_says_whether_its_connection_is_kept(answer: bytes, kept: bool) -> None:
    async def dialogue() -> None:
        async with Peer(saying(answer, then=silence)) as peer, client() as upstream:
            assert await (await post(upstream, at(peer))).read(100) == b"ok"
            assert counts(upstream) == (ONE_IDLE if kept else NOTHING_LEFT)

    asyncio.run(dialogue())


@on_each_loop
async def test_an_old_peer_ends_its_answer_by_closing() -> None:
    async with Peer(saying(b"HTTP/1.0 200 OK\r\n\r\n", b"whole")) as peer, client() as upstream:
        assert await (await post(upstream, at(peer))).read(100) == b"whole"


@on_each_loop
async def test_a_peer_that_answers_before_it_read_the_request() -> None:
    """A 413 while megabytes are still to be written: the answer counts, and the connection is not used again."""
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"

    async def script(visit: Visit) -> None:
        await visit.head()
        await visit.say(refusal)
        await asyncio.sleep(0.1)
        await visit.hung_up()

    async with Peer(script) as peer, client() as upstream:
        answer = await post(upstream, at(peer), b"x" * 30_000_000)
        assert (answer.status, await answer.read(100)) == (413, b"no")
        assert counts(upstream) == NOTHING_LEFT

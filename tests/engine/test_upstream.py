"""The upstream client, in dialogues with a peer that says every byte."""

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from arouter.domain.errors import UpstreamFailed, UpstreamTimeout
from arouter.engine.connection import HEAD_LIMIT_BYTES, PAUSE_AT_BYTES
from arouter.engine.upstream import Answer, Origin, PoolCounts, PoolLimits, Timeouts, Upstream, request_head
from tests.engine.scripted_peer import LOOPS, Peer, Script, Visit, on_each_loop

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


# ---------------------------------------------------------------- bodies


@on_each_loop
async def test_returns_when_the_header_fields_are_in() -> None:
    said_on = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 201 Made\r\nX-Request-Id: r1\r\nContent-Type: Application/JSON; charset=utf-8\r\n")
        await visit.say(b"Set-Cookie: a\r\nset-cookie: b\r\nContent-Length: 4\r\n\r\n")
        await said_on.wait()
        await visit.say(b"abcd")

    async with Peer(script) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        assert answer.status == 201
        assert answer.content_type == "application/json"
        assert answer.content_length == 4
        assert answer.headers["x-request-id"] == "r1"
        assert answer.headers.get("retry-after") is None
        assert answer.headers["set-cookie"] == "b"
        assert answer.headers.get_all("set-cookie") == ["a", "b"]
        assert set(answer.headers) == {"x-request-id", "content-type", "set-cookie", "content-length"}
        said_on.set()
        assert await answer.next() == b"abcd"
        assert await answer.next() is None
        assert await answer.next() is None


@on_each_loop
async def test_a_chunked_body_comes_as_it_arrives() -> None:
    async with (
        Peer(saying(CHUNKED, chunk(b"one"), b"3\r\ntw", b"o\r\n", b"0\r\n\r\n", then=silence)) as peer,
        client() as upstream,
    ):
        answer = await post(upstream, at(peer))
        assert await pieces_of(answer) == [b"one", b"tw", b"o"]
        assert counts(upstream) == ONE_IDLE


@on_each_loop
async def test_pieces_that_arrived_together_come_together() -> None:
    several = CHUNKED + chunk(b"one") + chunk(b"two") + chunk(b"three")
    async with Peer(saying(several, b"0\r\n\r\n")) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        assert await pieces_of(answer) == [b"onetwothree"]


@on_each_loop
async def test_any_cut_gives_the_same_answer() -> None:
    whole = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        + CHUNKED.replace(b"\r\n\r\n", b"\r\nX-A: b\r\n\r\n")
        + chunk(b"one")
        + chunk(b"three")
        + b"0\r\nTrailer: t\r\n\r\n"
    )

    async def script(visit: Visit) -> None:
        for cut in range(1, len(whole)):
            await visit.request()
            await visit.say(whole[:cut])
            await asyncio.sleep(0.0005)
            await visit.say(whole[cut:])

    async with Peer(script) as peer, client() as upstream:
        for _ in range(1, len(whole)):
            answer = await post(upstream, at(peer))
            assert (answer.status, dict(answer.headers)) == (200, {"transfer-encoding": "chunked", "x-a": "b"})
            assert await answer.read(100) == b"onethree"
        assert peer.visits == 1


@on_each_loop
async def test_the_end_of_the_stream_ends_a_body_without_a_length() -> None:
    async with Peer(saying(UNTIL_CLOSE + b"data: 1\n\n", b"data: 2\n\n")) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        assert answer.content_type == "text/event-stream"
        assert b"".join(await pieces_of(answer)) == b"data: 1\n\ndata: 2\n\n"
        assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_a_reset_does_not_end_a_body_without_a_length() -> None:
    async with Peer(saying(UNTIL_CLOSE + b"data: 1\n\n", then=reset)) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        assert await answer.next() == b"data: 1\n\n"
        with pytest.raises(UpstreamFailed, match=r"^127\.0\.0\.1: reset the connection in the middle of its answer$"):
            await answer.next()


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst",
        CHUNKED + chunk(b"first"),
        CHUNKED + chunk(b"first") + b"0\r\n",
        CHUNKED + b"50\r\nfirst",
    ],
)
def test_a_body_cut_short_is_a_failure_after_what_came(cut: bytes) -> None:
    async def dialogue() -> None:
        async with Peer(saying(cut)) as peer, client() as upstream:
            answer = await post(upstream, at(peer))
            assert await answer.next() == b"first"
            with pytest.raises(UpstreamFailed, match="in the middle of its answer") as caught:
                await answer.next()
            assert caught.value.upstream_status == 200
            with pytest.raises(UpstreamFailed, match="in the middle of its answer"):
                await answer.read(100)
            assert counts(upstream) == NOTHING_LEFT

    asyncio.run(dialogue())


@on_each_loop
async def test_read_refuses_a_body_over_the_limit() -> None:
    async with (
        Peer(
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", then=silence),
            saying(CHUNKED, chunk(b"12345678901"), then=silence),
        ) as peer,
        client() as upstream,
    ):
        for _ in range(2):
            answer = await post(upstream, at(peer))
            with pytest.raises(UpstreamFailed, match="longer than 10 bytes") as caught:
                await answer.read(10)
            assert not caught.value.retryable
            assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_read_wakes_its_caller_once() -> None:
    answer_in_pieces = [b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n", *([b"abc"] * 10)]
    async with Peer(saying(*answer_in_pieces)) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        reading = answer.read(100)
        waits = 0
        body = None
        while body is None:
            try:
                waiting = reading.send(None)
            except StopIteration as end:
                body = end.value
            else:
                waits += 1
                await asyncio.wait([waiting], timeout=5)
        assert body == b"abc" * 10
        assert waits == 1


@on_each_loop
async def test_answers_without_a_body() -> None:
    statuses = (b"204 No Content", b"304 Not Modified\r\nContent-Length: 5")

    async def script(visit: Visit) -> None:
        for status in statuses:
            await visit.request()
            await visit.say(b"HTTP/1.1 %s\r\n\r\n" % status)

    async with Peer(script) as peer, client() as upstream:
        for status in (204, 304):
            answer = await post(upstream, at(peer))
            assert (answer.status, await answer.next()) == (status, None)
        assert peer.visits == 1


@on_each_loop
async def test_interim_answers_are_skipped() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    async with Peer(saying(interim, interim + OK)) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        assert (answer.status, dict(answer.headers)) == (200, {"content-length": "2"})
        assert await answer.read(10) == b"ok"


@on_each_loop
async def test_redirects_are_returned_as_they_are() -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"
    async with Peer(keeps_answering(moved)) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        assert (answer.status, answer.headers["location"]) == (307, "http://elsewhere.example/")
        assert await answer.read(10) == b""
        assert peer.visits == 1


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
async def test_too_many_waiting_fail_at_once_and_too_long_waiting_is_a_timeout() -> None:
    limits = PoolLimits(max_connections=1, max_waiting=1, acquire_s=0.05)
    async with Peer(silence) as peer, client(limits) as upstream:
        busy = asyncio.create_task(post(upstream, at(peer)))
        await until(lambda: peer.visits == 1)
        waiting = asyncio.create_task(post(upstream, at(peer)))
        await until(lambda: counts(upstream).waiting == 1)
        with pytest.raises(UpstreamFailed, match="too many requests wait"):
            await post(upstream, at(peer))
        with pytest.raises(UpstreamTimeout, match=r"no connection became free within 0\.05 s"):
            await waiting
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


async def cancelled_after(work: Awaitable[object], delay_s: float) -> None:
    task = asyncio.ensure_future(work)
    await asyncio.sleep(delay_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


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


# ---------------------------------------------------------------- back-pressure


@on_each_loop
async def test_a_slow_reader_holds_the_peer_back() -> None:
    size_bytes = 64_000_000
    said_bytes = 0

    async def script(visit: Visit) -> None:
        nonlocal said_bytes
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size_bytes)
        while said_bytes < size_bytes:
            await visit.say(b"x" * 64_000)
            said_bytes += 64_000
        await visit.hung_up()

    async with Peer(script) as peer, client(timeouts=Timeouts(idle_s=0.1)) as upstream:
        answer = await post(upstream, at(peer))
        await asyncio.sleep(0.3)  # longer than the idle timeout, which runs only while bytes are wanted
        held_at_bytes = said_bytes
        await asyncio.sleep(0.1)
        assert said_bytes == held_at_bytes < size_bytes / 2
        waiting = await answer.next()
        assert waiting is not None
        assert len(waiting) < 3 * PAUSE_AT_BYTES
        taken_bytes = len(waiting)
        while (data := await answer.next()) is not None:
            taken_bytes += len(data)
        assert taken_bytes == size_bytes
        assert counts(upstream) == ONE_IDLE


@on_each_loop
async def test_framing_without_a_body_does_not_block_the_body_behind_it() -> None:
    extension = b"2;" + b"x" * (3 * PAUSE_AT_BYTES)
    async with Peer(saying(CHUNKED, extension, b"\r\nok\r\n0\r\n\r\n")) as peer, client() as upstream:
        assert await whole(upstream, at(peer)) == b"ok"


@on_each_loop
async def test_read_takes_a_large_body_through_the_same_gate() -> None:
    body = bytes(range(256)) * 20_000
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with Peer(saying(whole, whole[:0], then=silence)) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        await asyncio.sleep(0.05)
        assert await answer.read(len(body)) == body
        assert counts(upstream) == ONE_IDLE


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
            await asyncio.sleep(0.06)
            await visit.say(OK)

    async with Peer(script) as peer, client(timeouts=Timeouts(first_byte_s=0.1, total_s=0.1)) as upstream:
        for _ in range(4):
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

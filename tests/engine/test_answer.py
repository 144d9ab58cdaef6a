"""Answers, read piece by piece and whole, from a peer that says every byte."""

import asyncio

import pytest

from arouter.domain.errors import UpstreamFailed
from arouter.engine.connection import PAUSE_AT_BYTES
from arouter.engine.upstream import Timeouts
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
    pieces_of,
    post,
    reset,
    saying,
    silence,
    until,
    whole,
)
from tests.engine.scripted_peer import Peer, Visit, on_each_loop

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


@on_each_loop
async def test_empty_lines_between_answers_and_fields_of_interim_ones_are_no_fields() -> None:
    interim = b"\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nTransfer-Encoding: gzip\r\n\r\n"
    async with Peer(saying(interim, b"\r\n\r\n" + OK)) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        assert (answer.status, dict(answer.headers)) == (200, {"content-length": "2"})
        assert await answer.read(10) == b"ok"
        assert counts(upstream) == ONE_IDLE


# ---------------------------------------------------------------- listening


@on_each_loop
async def test_a_listener_gets_what_comes_until_the_end() -> None:
    async with Peer(saying(CHUNKED, chunk(b"one"), chunk(b"two"), b"0\r\n\r\n", then=silence)) as peer, client() as up:
        answer = await post(up, at(peer))
        heard: list[bytes] = []
        await answer.listen(heard.append)
        assert heard == [b"one", b"two"]
        assert await answer.next() is None
        assert counts(up) == ONE_IDLE


@on_each_loop
async def test_what_comes_with_the_end_waits_for_the_reader() -> None:
    async with Peer(saying(CHUNKED, chunk(b"one"), chunk(b"two") + b"0\r\n\r\n")) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        heard: list[bytes] = []
        await answer.listen(heard.append)
        assert (heard, await answer.next(), await answer.next()) == ([b"one"], b"two", None)


@on_each_loop
async def test_what_comes_with_a_failure_waits_for_the_reader() -> None:
    async with Peer(saying(CHUNKED, chunk(b"one"), chunk(b"two") + b"x")) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        heard: list[bytes] = []
        await answer.listen(heard.append)
        assert (heard, await answer.next()) == ([b"one"], b"two")
        with pytest.raises(UpstreamFailed, match="not valid HTTP"):
            await answer.next()


@on_each_loop
async def test_a_listener_that_has_enough_leaves_the_rest_to_the_reader() -> None:
    """Which holds the peer back, if it is much."""
    size_bytes = 16_000_000
    listening = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size_bytes)
        await listening.wait()
        for _ in range(size_bytes // 64_000):
            await visit.say(b"x" * 64_000)
        await visit.hung_up()

    async with Peer(script) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        heard_bytes = 0

        def listener(data: bytes) -> None:
            nonlocal heard_bytes
            heard_bytes += len(data)
            if heard_bytes > 100_000:
                answer.wake()

        listening.set()
        await answer.listen(listener)
        enough_bytes = heard_bytes
        await until(lambda: sum(map(len, answer.pieces)) > PAUSE_AT_BYTES)
        assert heard_bytes == enough_bytes
        assert sum(map(len, answer.pieces)) < 3 * PAUSE_AT_BYTES
        while (data := await answer.next()) is not None:
            heard_bytes += len(data)
        assert heard_bytes == size_bytes
        assert counts(upstream) == ONE_IDLE


@on_each_loop
async def test_a_listener_that_closes_the_answer_hears_no_more() -> None:
    async with Peer(saying(CHUNKED, chunk(b"one"), chunk(b"two"), then=silence)) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        heard: list[bytes] = []

        def listener(data: bytes) -> None:
            heard.append(data)
            answer.close()

        await answer.listen(listener)
        assert heard == [b"one"]
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

"""Odd framing: what is tolerated because it has one meaning only, and what is refused because it has none or two."""

import asyncio

import pytest

from arouter.domain.errors import UpstreamFailed
from arouter.engine.connection import FRAMING_LIMIT_BYTES
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
    pieces_of,
    post,
    reset,
    saying,
    silence,
    until,
    whole,
)
from tests.engine.scripted_peer import Peer, Visit, on_each_loop

HEAD = b"HTTP/1.1 200 OK\r\n"
BODY = b"Content-Length: 2\r\n\r\nok"
CHUNKS = b"2\r\nok\r\n0\r\n\r\n"

# ---------------------------------------------------------------- one meaning only


@pytest.mark.parametrize(
    "odd",
    [
        b"\r\n\r\n" + HEAD + BODY,
        b"HTTP/1.1 200\r\n" + BODY,
        HEAD + b"A: \xff\xfe\r\nB:\r\n" + BODY,
        HEAD + b"Content-Length:\t2 \r\n\r\nok",
        HEAD + b"Upgrade: h2c\r\nConnection: upgrade\r\n" + BODY,
        HEAD + b"Transfer-Encoding: Chunked\r\n\r\n" + CHUNKS,
        CHUNKED + b"2;a=b;c\r\nok\r\n0;d\r\n\r\n",
        CHUNKED + b"000000000000000000002\r\nok\r\n000\r\n\r\n",
        CHUNKED + b"2\r\nok\r\n0\r\nA: b\r\nServer-Timing: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + OK,
        b"HTTP/1.1 102 Processing\r\nTransfer-Encoding: chunked\r\n\r\n" + OK,
    ],
    ids=lambda odd: repr(odd[:70]),
)
def test_the_answer_is_taken_and_its_connection_kept(odd: bytes) -> None:
    async def script(visit: Visit) -> None:
        for _ in range(2):
            await visit.request()
            await visit.say(odd)
        await visit.hung_up()

    async def dialogue() -> None:
        async with Peer(script) as peer, client() as upstream:
            for _ in range(2):
                assert await whole(upstream, at(peer)) == b"ok"
                assert counts(upstream) == ONE_IDLE
            assert peer.visits == 1

    asyncio.run(dialogue())


@pytest.mark.parametrize(
    "odd",
    [
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        HEAD + b"Connection: keep-alive, close\r\n" + BODY,
        b"HTTP/1.1 204 No Content\r\n" + BODY,
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    ],
    ids=lambda odd: repr(odd[:70]),
)
def test_the_answer_is_taken_and_its_connection_is_not_trusted_again(odd: bytes) -> None:
    async def dialogue() -> None:
        async with Peer(saying(odd, then=silence)) as peer, client() as upstream:
            answer = await post(upstream, at(peer))
            assert await answer.read(100) == (b"ok" if answer.status == 200 else b"")
            assert counts(upstream) == NOTHING_LEFT

    asyncio.run(dialogue())


# ---------------------------------------------------------------- none, or two


@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.1  200 OK\r\n" + BODY,
        b"http/1.1 200 OK\r\n" + BODY,
        b"HTTP/1.2 200 OK\r\n" + BODY,
        b"HTTP/1.1 000 Zero\r\n" + BODY,
        b"HTTP/1.1 099 Low\r\n" + OK,
        b"HTTP/1.1 1000 High\r\n" + BODY,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        HEAD + b"A\r\n" + BODY,
        HEAD + b": b\r\n" + BODY,
        HEAD + b"A b: c\r\n" + BODY,
        HEAD + b"\xc3\xa9: c\r\n" + BODY,
        HEAD + b" A: b\r\n" + BODY,
        HEAD + b"A: b\x00c\r\n" + BODY,
        HEAD + b"A: b\rc\r\n" + BODY,
        HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        HEAD + b"Content-Length: 2, 2\r\n\r\nok",
        HEAD + b"Content-Length: +2\r\n\r\nok",
        HEAD + b"Content-Length: 0x2\r\n\r\nok",
        HEAD + b"Content-Length: 1_0\r\n\r\n0123456789",
        HEAD + b"Content-Length:\r\n\r\n",
        HEAD + b"Content-Length: 99999999999999999999\r\n\r\nok",
        HEAD + b"Transfer-Encoding: identity\r\n" + BODY,
        HEAD + b"Transfer-Encoding:\r\n\r\nok",
        HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
        HEAD + b"Transfer-Encoding: chunked \t\r\n\r\n" + CHUNKS,
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS + b"}",
        HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS,
        HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        CHUNKED + b"\r\nok\r\n0\r\n\r\n",
        CHUNKED + b" 2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"2 \r\nok\r\n0\r\n\r\n",
        CHUNKED + b"+2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"-2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"ffffffffffffffffff\r\nok",
        CHUNKED + b"2\nok\n0\n\n",
        CHUNKED + b"2\rok\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nok\n0\r\n\r\n",
        CHUNKED + b"2\r\nok0\r\n\r\n",
        CHUNKED + b"2\r\nokay\r\n0\r\n\r\n",
        CHUNKED + b'2;a="b\r\n"\r\nok\r\n0\r\n\r\n',
        CHUNKED + b"2\r\nok\r\n0\r\nno trailer\r\n\r\n",
        CHUNKED + b"2\r\nok\r\n0\r\nContent-Length: 5\r\n\r\n",
        CHUNKED + b"2\r\nok\r\n0\r\n\n",
    ],
    ids=lambda nonsense: repr(nonsense[:100]),
)
def test_an_answer_without_one_meaning_is_refused(nonsense: bytes) -> None:
    async def dialogue() -> None:
        async with Peer(saying(nonsense, then=silence)) as peer, client() as upstream:
            with pytest.raises(UpstreamFailed, match=r"^127\.0\.0\.1: the answer is not valid HTTP$") as caught:
                await whole(upstream, at(peer))
            assert caught.value.detail
            assert counts(upstream) == NOTHING_LEFT

    asyncio.run(dialogue())


@on_each_loop
async def test_an_interim_answer_does_not_count_as_one() -> None:
    async with Peer(saying(b"HTTP/1.1 103 Early Hints\r\n\r\n")) as peer, client() as upstream:
        with pytest.raises(UpstreamFailed, match="closed the connection before it answered") as caught:
            await post(upstream, at(peer))
        assert caught.value.upstream_status is None


@on_each_loop
async def test_a_chunk_may_be_larger_than_any_memory_and_is_passed_on_as_it_comes() -> None:
    huge = CHUNKED + b"ffffffffffffffff\r\nfirst"
    async with Peer(saying(huge, b"second")) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        assert await answer.next() == b"first"
        assert await answer.next() == b"second"
        with pytest.raises(UpstreamFailed, match="in the middle of its answer"):
            await answer.next()


@pytest.mark.parametrize(
    "endless",
    [CHUNKED + b"2\r\nok\r\n0\r\nA: ", CHUNKED + b"2\r\nok\r\n0\r\n", CHUNKED + b"2;a="],
    ids=["one trailer", "many trailers", "an extension"],
)
def test_framing_that_does_not_end_is_refused(endless: bytes) -> None:
    """The parser keeps a trailer until its line ends: without a limit the peer would decide how much that is."""
    said_bytes = 0
    piece = b"B: c\r\n" * 10_000 if endless.endswith(b"0\r\n") else b"x" * 60_000

    async def script(visit: Visit) -> None:
        nonlocal said_bytes
        await visit.request()
        await visit.say(endless)
        while said_bytes < 50 * FRAMING_LIMIT_BYTES:
            await visit.say(piece)
            said_bytes += len(piece)

    async def dialogue() -> None:
        async with Peer(script) as peer, client() as upstream:
            answer = await post(upstream, at(peer))
            with pytest.raises(UpstreamFailed, match="the answer is not valid HTTP") as caught:
                await pieces_of(answer)
            assert caught.value.detail == "more than 4 MB around the body"
            assert counts(upstream) == NOTHING_LEFT

    asyncio.run(dialogue())
    assert said_bytes < 10 * FRAMING_LIMIT_BYTES


@on_each_loop
async def test_nothing_of_a_refused_answer_reaches_the_reader() -> None:
    coded = HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS
    async with Peer(saying(coded, then=silence)) as peer, client() as upstream:
        answer = await post(upstream, at(peer))
        with pytest.raises(UpstreamFailed, match="not valid HTTP"):
            await answer.next()


@on_each_loop
async def test_the_limit_of_framing_is_one_of_each_answer() -> None:
    extension = b"2;" + b"x" * (FRAMING_LIMIT_BYTES // 2)

    async def script(visit: Visit) -> None:
        for _ in range(3):
            await visit.request()
            await visit.say(CHUNKED + extension)
            await visit.say(b"\r\nok\r\n0\r\n\r\n")
        await visit.hung_up()

    async with Peer(script) as peer, client() as upstream:
        for _ in range(3):
            assert await whole(upstream, at(peer)) == b"ok"
        assert peer.visits == 1


# ---------------------------------------------------------------- peers that close one half


@on_each_loop
async def test_a_peer_that_closes_its_half_has_said_all_that_it_says() -> None:
    """It goes on reading, which nobody can know: no request is sent to it any more."""
    left = asyncio.Event()

    async def then(visit: Visit) -> None:
        visit.writer.write_eof()
        await visit.hung_up()
        left.set()

    async with Peer(saying(OK, then=then), saying(UNTIL_CLOSE + b"all", then=then)) as peer, client() as upstream:
        assert await whole(upstream, at(peer)) == b"ok"
        async with asyncio.timeout(5):
            await left.wait()
        assert counts(upstream) == NOTHING_LEFT
        assert await whole(upstream, at(peer)) == b"all"
        assert counts(upstream) == NOTHING_LEFT
        assert peer.visits == 2


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"", "before it answered"),
        (b"HTTP/1.1 200 OK\r\n", "before it answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", "in the middle of its answer"),
        (CHUNKED + chunk(b"ok"), "in the middle of its answer"),
    ],
)
def test_a_peer_that_closes_its_half_too_early_is_not_waited_for(said: bytes, text: str) -> None:
    async def then(visit: Visit) -> None:
        visit.writer.write_eof()
        await visit.hung_up()

    async def dialogue() -> None:
        async with Peer(saying(said, then=then)) as peer, client() as upstream:
            with pytest.raises(UpstreamFailed, match=f"closed the connection {text}"):
                await whole(upstream, at(peer))
            assert counts(upstream) == NOTHING_LEFT

    asyncio.run(dialogue())


# ---------------------------------------------------------------- answers before the request was heard


LARGE = b"x" * 30_000_000


@on_each_loop
async def test_an_early_answer_counts_though_the_peer_resets_what_is_still_sent() -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"

    async def script(visit: Visit) -> None:
        await visit.head()
        await visit.say(refusal)
        await asyncio.sleep(0.05)
        visit.reset()

    async with Peer(script) as peer, client() as upstream:
        answer = await post(upstream, at(peer), LARGE)
        assert (answer.status, await answer.read(100)) == (413, b"no")
        assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_an_early_answer_may_go_on_while_the_request_is_still_sent() -> None:
    heard_bytes = 0

    async def script(visit: Visit) -> None:
        nonlocal heard_bytes
        head = await visit.head()
        await visit.say(CHUNKED + chunk(b"early"))
        heard_bytes = len(await visit.body(head))
        await visit.say(chunk(b"late") + b"0\r\n\r\n")
        await visit.hung_up()

    async with Peer(script) as peer, client() as upstream:
        answer = await post(upstream, at(peer), LARGE)
        assert await answer.next() == b"early"
        assert await answer.next() == b"late"
        assert await answer.next() is None
        assert heard_bytes == len(LARGE)
        assert counts(upstream) == ONE_IDLE


@on_each_loop
async def test_a_peer_that_reads_nothing_of_a_request_is_given_up_in_time() -> None:
    async def script(visit: Visit) -> None:
        visit.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.3)
        visit.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await visit.hung_up()

    async with Peer(script) as peer, client(timeouts=Timeouts(first_byte_s=0.1)) as upstream:
        with pytest.raises(UpstreamFailed, match=r"no answer within 0\.1 s"):
            await post(upstream, at(peer), LARGE)
        assert counts(upstream) == NOTHING_LEFT


@on_each_loop
async def test_a_reset_while_the_request_is_sent_is_a_failure_that_may_be_tried_again() -> None:
    async def script(visit: Visit) -> None:
        await visit.head()
        await reset(visit)

    async with Peer(script) as peer, client() as upstream:
        with pytest.raises(UpstreamFailed, match="the connection before it answered") as caught:
            await post(upstream, at(peer), LARGE)
        assert caught.value.retryable
        await until(lambda: counts(upstream) == NOTHING_LEFT)

"""Clients that do little or leave, servers that stop, endpoints that fail."""

import asyncio

import pytest

from arouter.domain.errors import NoProvider
from arouter.web.inference.reply import HttpReply
from tests.web.http.serving import (
    IDLE_S,
    LAST,
    MOST_BODY_BYTES,
    Endpoint,
    Play,
    chunked,
    get,
    post,
    read_answers,
    run,
    session,
    site,
    stream,
    wait,
)

# ---------------------------------------------------------------- clients that do little

SILENT = {
    "nothing": b"",
    "an empty line": b"\r\n",
    "a method": b"POS",
    "a head": post(b"hello")[:40],
    "a head of theirs": get()[:10],
    "a body": post(b"hello")[:-2],
    "a body of theirs": chunked(b"hello")[:-6],
    "after an answer": post(b"hello"),
    "after an answer of theirs": get(),
}


@pytest.mark.parametrize("said", SILENT.values(), ids=SILENT)
def test_a_client_that_says_no_more_is_hung_up_on_after_a_while(said: bytes) -> None:
    async def scene() -> None:
        async with site(idle_s=IDLE_S) as here:
            wire = await here.connect()
            began_s = asyncio.get_running_loop().time()
            wire.say(said)
            try:
                await wire.rest()
            except ConnectionResetError:
                await wire.close()
            took_s = asyncio.get_running_loop().time() - began_s
            assert 0.9 * IDLE_S < took_s < 4 * IDLE_S

    run(scene)


@pytest.mark.parametrize("begin", [b"POST /v1/chat/completions HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\nX: "])
def test_a_head_that_trickles_in_is_not_waited_for(begin: bytes) -> None:
    async def scene() -> None:
        async with site(idle_s=IDLE_S) as here:
            wire = await here.connect()
            wire.say(begin)
            for _ in range(round(4 * IDLE_S / 0.05)):
                await asyncio.sleep(0.05)
                if not here.connections:
                    break
                wire.say(b"x")
            assert here.connections == 0
            await wire.close()

    run(scene)


def test_a_body_that_trickles_in_and_a_slow_answer_are_waited_for() -> None:
    async def scene() -> None:
        async with site({"wait": wait}, idle_s=IDLE_S) as here:

            async def play(said: bytes) -> None:
                wire = await here.connect()
                cut = said.index(b"hello")
                wire.say(said[:cut])
                for at in range(cut, cut + 4):
                    await asyncio.sleep(IDLE_S / 2)
                    wire.say(said[at : at + 1])
                wire.say(said[cut + 4 :])
                await asyncio.sleep(3 * IDLE_S)
                here.endpoint.go.set()
                assert (await wire.answer()).body == b"hello"
                await wire.close()

            slow = session("wait")
            await asyncio.gather(play(post(b"hello", slow)), play(chunked(b"hello", fields=(slow,))))

    run(scene)


async def flood(endpoint: Endpoint, body: bytes, reply: HttpReply) -> None:
    """Says 8 MB, as far as the client takes them."""
    for _ in range(128):
        reply.send(b"x" * 65536)
        while reply.paused and not reply.gone:
            await reply.drained()
        if reply.gone:
            return
    reply.end(b"")


def test_a_slow_reader_is_waited_for_and_gets_everything() -> None:
    async def scene() -> None:
        async with site({"flood": flood}) as here:
            wire = await here.connect()
            wire.say(post(b"a", session("flood"), LAST))
            await here.until(lambda: here.endpoint.bodies == [b"a"])
            (connection,) = here.server.server_state.connections
            await asyncio.sleep(0.05)
            assert connection.transport.get_write_buffer_size() < 1024 * 1024
            assert read_answers(await wire.rest()) == [(200, b"x" * 128 * 65536)]

    run(scene)


@pytest.mark.parametrize("said", [post(b"a", session("flood")), chunked(b"a", fields=(session("flood"),))])
def test_a_client_that_takes_nothing_of_its_answer_is_hung_up_on(said: bytes) -> None:
    async def scene() -> None:
        async with site({"flood": flood}, idle_s=IDLE_S) as here:
            wire = await here.connect()
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
            wire.say(said)
            await here.until(lambda: here.endpoint.bodies == [b"a"])
            await here.until(lambda: here.connections == 0)
            await here.until(lambda: here.endpoint.left == 1)
            wire.writer.transport.abort()

    run(scene)


# ---------------------------------------------------------------- clients that leave


@pytest.mark.parametrize("how", ["half", "close", "reset"])
@pytest.mark.parametrize("when", ["in the head", "in the body", "before the answer", "in the answer", "after it"])
def test_a_client_that_leaves_is_known_to_have_left(when: str, how: str) -> None:
    async def scene() -> None:
        async with site({"stream": stream, "wait": wait}) as here:
            wire = await here.connect()
            whole = post(b"hello", session("stream" if when == "in the answer" else "wait"))
            if when == "in the head":
                wire.say(whole[:20])
            elif when == "in the body":
                wire.say(whole[:-2])
            else:
                wire.say(whole)
                await here.until(lambda: here.endpoint.bodies == [b"hello"])
                if when == "in the answer":
                    await wire.reader.readuntil(b"first")
                elif when == "after it":
                    here.endpoint.go.set()
                    await wire.answer()
            await asyncio.sleep(0.01)
            if how == "half":
                wire.writer.write_eof()
            elif how == "reset":
                wire.reset()
            else:
                await wire.close()
            await here.until(lambda: here.connections == 0)
            here.endpoint.go.set()
            assert here.endpoint.left == (1 if when in ("before the answer", "in the answer") else 0)
            await here.until(lambda: here.endpoint.failures == (["client_disconnect"] if when == "in the body" else []))
            await wire.close()
            assert here.noise == []

    run(scene)


# ---------------------------------------------------------------- a server that stops


@pytest.mark.parametrize("when", ["between", "head", "body", "answer", "lingering"])
def test_a_server_that_stops_lets_what_runs_end_and_takes_no_more(when: str) -> None:
    async def scene() -> None:
        async with site({"stream": stream}) as here:
            wire = await here.connect()
            said = post(b"hello", session("stream"))
            if when == "between":
                wire.say(post(b"hello"))
                await wire.answer()
            elif when == "head":
                wire.say(said[:30])
            elif when == "body":
                wire.say(said[:-2])
            elif when == "answer":
                wire.say(said)
                await here.until(lambda: here.endpoint.bodies == [b"hello"])
            else:
                wire.say(post(length=MOST_BODY_BYTES + 1))
                await wire.answer()
            await asyncio.sleep(0.02)
            here.server.stop(timeout_s=2.0)
            stopping = asyncio.ensure_future(here.server.shutdown())
            await asyncio.sleep(0.02)
            if when == "body":
                wire.say(said[-2:] + get())
            here.endpoint.go.set()
            answers = read_answers(await wire.rest())
            assert answers == ([(200, b"first last")] if when in ("body", "answer") else [])
            await stopping

    run(scene)


def test_a_body_that_never_comes_does_not_keep_a_server_from_stopping() -> None:
    async def scene() -> None:
        async with site() as here:
            wire = await here.connect()
            wire.say(post(b"hello")[:-2])
            await asyncio.sleep(0.02)
            here.server.stop(timeout_s=0.1)
            await here.server.shutdown()
            assert await wire.rest() == b""

    run(scene)


def test_who_asks_while_the_server_lingers_is_told_that_it_was_the_last_time() -> None:
    async def scene() -> None:
        async with site() as here:
            wires = [await here.connect() for _ in range(2)]
            for wire in wires:
                wire.say(post(b"first"))
                assert b"connection" not in (await wire.answer()).headers
            here.server.stop(timeout_s=2.0, linger_s=1.0)
            stopping = asyncio.ensure_future(here.server.shutdown())
            await asyncio.sleep(0.02)
            wires[0].say(post(b"second"))
            wires[1].say(chunked(b"second"))
            for wire in wires:
                answer = await wire.answer()
                assert (answer.body, answer.headers[b"connection"]) == (b"second", b"close")
                assert await wire.rest() == b""
            await stopping

    run(scene)


@pytest.mark.parametrize("play", [wait, stream], ids=["that begins later", "that has begun"])
def test_an_answer_that_is_under_way_when_the_server_lingers(play: Play) -> None:
    """The next one that begins says that it is the last one."""

    async def scene() -> None:
        async with site({"play": play}) as here:
            wire = await here.connect()
            wire.say(post(b"hello", session("play")))
            await here.until(lambda: here.endpoint.bodies == [b"hello"])
            await asyncio.sleep(0.01)
            here.server.stop(timeout_s=2.0, linger_s=1.0)
            stopping = asyncio.ensure_future(here.server.shutdown())
            await asyncio.sleep(0.02)
            here.endpoint.go.set()
            answer = await wire.answer()
            if play is stream:
                assert b"connection" not in answer.headers
                wire.say(post(b"once more"))
                answer = await wire.answer()
                assert answer.body == b"once more"
            assert answer.headers[b"connection"] == b"close"
            assert await wire.rest() == b""
            await stopping

    run(scene)


# ---------------------------------------------------------------- defects


async def fail_at_once(endpoint: Endpoint, body: bytes, reply: HttpReply) -> None:
    raise ValueError("a defect")


async def fail_in_the_stream(endpoint: Endpoint, body: bytes, reply: HttpReply) -> None:
    reply.send(b"first")
    raise ValueError("a defect")


async def forget(endpoint: Endpoint, body: bytes, reply: HttpReply) -> None:
    """No answer at all."""


def test_a_defect_is_a_500_in_the_shape_of_the_contract_and_the_connection_stays() -> None:
    async def scene() -> None:
        async with site({"defect": fail_at_once}) as here:
            wire = await here.connect()
            wire.say(post(b"a", session("defect")) + post(b"b"))
            answer = await wire.answer()
            assert (answer.status, b'"internal_error"' in answer.body) == (500, True)
            assert (await wire.answer()).body == b"b"
            await wire.close()
            assert here.noise == ["a request failed"]

    run(scene)


@pytest.mark.parametrize("play", [fail_in_the_stream, forget])
def test_an_answer_without_an_end_ends_the_connection(play: Play) -> None:
    async def scene() -> None:
        async with site({"defect": play}) as here:
            told = await here.ask(post(b"a", session("defect")) + post(b"b"))
            assert told.endswith(b"\r\n5\r\nfirst\r\n") if play is fail_in_the_stream else told == b""
            assert here.endpoint.bodies == [b"a"]

    run(scene)


def test_a_failure_says_that_the_connection_stays() -> None:
    async def refuse(endpoint: Endpoint, body: bytes, reply: HttpReply) -> None:
        reply.fail(NoProvider("Nobody is here."))

    async def scene() -> None:
        async with site({"refuse": refuse}) as here:
            told = await here.ask(post(b"a", session("refuse")) + post(b"b", LAST))
            assert [status for status, _ in read_answers(told)] == [503, 200]

    run(scene)

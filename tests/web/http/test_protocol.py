"""Connections: whatever comes on them, and in whatever pieces, each request is answered once and in its order."""

import asyncio
import itertools
from collections.abc import Callable

import pytest

from arouter.domain.errors import NoProvider
from arouter.web.http.heads import MOST_HEAD_BYTES
from arouter.web.http.protocol import MOST_EARLY_BYTES
from arouter.web.inference.reply import HttpReply
from tests.web.http.serving import (
    IDLE_S,
    MOST_BODY_BYTES,
    PATH,
    Endpoint,
    Play,
    chunked,
    get,
    post,
    read_answers,
    run,
    site,
)

LAST = b"Connection: close"
HEALTHY = b"GET /healthz "


def session(name: str) -> bytes:
    return b"X-Session-Id: " + name.encode()


async def stream(endpoint: Endpoint, body: bytes, reply: HttpReply) -> None:
    """A piece, a wait, and the end."""
    reply.send(b"first ")
    await endpoint.go.wait()
    if not reply.gone:
        reply.end(b"last")


async def wait(endpoint: Endpoint, body: bytes, reply: HttpReply) -> None:
    await endpoint.go.wait()
    reply.whole(body)


# ---------------------------------------------------------------- one request


@pytest.mark.parametrize("request_", [post(b"hello"), chunked(b"he", b"llo"), get()], ids=["ours", "theirs", "get"])
def test_a_request_cut_at_every_byte_is_answered_once(request_: bytes) -> None:
    async def scene() -> None:
        async with site() as here:
            wire = await here.connect()
            for at in range(1, len(request_)):
                await wire.say_slowly(request_[:at], request_[at:])
                answer = await wire.answer()
                assert (answer.status, answer.body) == (200, HEALTHY if request_ == get() else b"hello"), at
            await wire.close()
            assert len(here.endpoint.bodies) == (0 if request_ == get() else len(request_) - 1)

    run(scene)


@pytest.mark.parametrize("request_", [post(b"hello", LAST), chunked(b"hello", fields=(LAST,))])
def test_a_request_byte_by_byte_is_answered_and_the_connection_closed_if_it_asks_for_that(request_: bytes) -> None:
    async def scene() -> None:
        async with site() as here:
            wire = await here.connect()
            await wire.say_slowly(*(request_[at : at + 1] for at in range(len(request_))))
            assert read_answers(await wire.rest()) == [(200, b"hello")]

    run(scene)


@pytest.mark.parametrize(
    "request_",
    [
        post(b"hello", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP"),
        chunked(b"hello", fields=(b"Connection: upgrade", b"UPGRADE: websocket")),
    ],
)
def test_an_upgrade_is_ignored_and_its_body_is_a_body(request_: bytes) -> None:
    async def scene() -> None:
        async with site() as here:
            for at in (len(request_), request_.index(b"\r\n\r\n") + 4, request_.index(b"\r\n\r\n") + 6):
                wire = await here.connect()
                await wire.say_slowly(request_[:at], request_[at:] + get("/v1/b", LAST))
                assert read_answers(await wire.rest()) == [(200, b"hello"), (200, b"GET /v1/b ")]
            assert here.noise == []

    run(scene)


# ---------------------------------------------------------------- several requests

KINDS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "ours": (post, lambda name: name),
    "theirs": (chunked, lambda name: name),
    "get": (lambda name: get("/v1/" + name.decode()), lambda name: b"GET /v1/%b " % name),
}


@pytest.mark.parametrize("together", [True, False], ids=["in one packet", "in two halves"])
def test_pipelined_requests_of_all_kinds_are_answered_in_order_and_once(together: bool) -> None:
    orders = [order for count in (2, 3) for order in itertools.product(KINDS, repeat=count)]
    orders += [("ours", "get", "theirs", "ours", "get"), ("theirs", "ours", "ours", "get", "theirs")]

    async def scene() -> None:
        async with site() as here:

            async def play(at: int, order: tuple[str, ...]) -> None:
                names = [b"%d-%d" % (at, i) for i in range(len(order))]
                said = b"".join(KINDS[kind][0](name) for kind, name in zip(order, names, strict=True))
                expected = [(200, KINDS[kind][1](name)) for kind, name in zip(order, names, strict=True)]
                wire = await here.connect()
                cut = len(said) if together else len(said) // 2
                await wire.say_slowly(said[:cut], said[cut:] + post(b"end", LAST))
                assert read_answers(await wire.rest()) == [*expected, (200, b"end")]

            await asyncio.gather(*(play(at, order) for at, order in enumerate(orders)))
            assert len(here.endpoint.bodies) == len(set(here.endpoint.bodies)) + len(orders) - 1

    run(scene)


def test_a_connection_goes_to_and_fro_between_the_two_servers() -> None:
    async def scene() -> None:
        async with site() as here:
            wire = await here.connect()
            for kind, (say, expected) in itertools.islice(itertools.cycle(KINDS.items()), 12):
                name = kind.encode()
                await wire.say_slowly(say(name)[:30], say(name)[30:])
                assert (await wire.answer()).body == expected(name)
            await wire.close()

    run(scene)


def test_nothing_is_answered_after_a_request_that_closes() -> None:
    async def scene() -> None:
        async with site() as here:
            for last in (post(b"a", LAST), chunked(b"a", fields=(LAST,))):
                for after in (post(b"b"), chunked(b"b"), get()):
                    assert read_answers(await here.ask(last + after)) == [(200, b"a")]
            assert set(here.endpoint.bodies) == {b"a"}

    run(scene)


@pytest.mark.parametrize("begin", [post, chunked])
def test_what_comes_of_the_next_request_while_an_answer_streams_is_held_within_a_bound(
    begin: Callable[..., bytes],
) -> None:
    async def scene() -> None:
        async with site({"stream": stream}) as here:
            wire = await here.connect()
            first = post(b"a", session("stream")) if begin is post else chunked(b"a", fields=(session("stream"),))
            wire.say(first)
            await here.until(lambda: len(here.endpoint.bodies) == 1)
            (connection,) = here.server.server_state.connections
            wire.say(get("/healthz", b"X-Long: " + b"x" * 8192) * (4 * MOST_EARLY_BYTES // 8192))
            await here.until(lambda: not connection.transport.is_reading())
            # One read of the loop may come on top.
            assert MOST_EARLY_BYTES < len(connection._buffer) <= 2 * MOST_EARLY_BYTES  # type: ignore[union-attr]
            here.endpoint.go.set()
            assert (await wire.answer()).body == b"first last"
            for _ in range(10):
                assert (await wire.answer()).body == HEALTHY
            await wire.close()

    run(scene)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("fields", "status"), [((), 413), ((session("unknown"),), 401)], ids=["too large", "not authenticated"]
)
def test_an_answer_before_the_body_is_read_by_a_client_that_goes_on_sending(
    fields: tuple[bytes, ...], status: int
) -> None:
    async def scene() -> None:
        async with site() as here:
            wire = await here.connect()
            size = 8 * 1024 * 1024
            wire.say(post(b"", *fields, length=size))
            answer = await wire.answer()
            assert (answer.status, answer.headers[b"connection"]) == (status, b"close")
            for _ in range(20):
                await wire.say_slowly(b"x" * 65536)
            assert await wire.reader.read() == b""
            wire.say(get())  # It is read, forgotten, and never taken for a request.
            await wire.close()
            assert here.endpoint.bodies == []

    run(scene)


def test_an_early_answer_of_the_general_server_is_read_by_a_client_that_goes_on_sending() -> None:
    async def scene() -> None:
        async with site() as here:
            wire = await here.connect()
            wire.say(chunked(b"x" * 2000, fields=(LAST,))[:-5])
            answer = await wire.answer()
            assert (answer.status, answer.headers[b"connection"]) == (413, b"close")
            for _ in range(20):
                await wire.say_slowly(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            assert await wire.rest() == b""

    run(scene)


def test_a_client_that_never_stops_sending_is_hung_up_on() -> None:
    async def scene() -> None:
        async with site() as here:
            wire = await here.connect()
            wire.say(post(length=MOST_BODY_BYTES + 1))
            assert (await wire.answer()).status == 413
            await here.until(lambda: here.connections == 0)
            await wire.close()

    run(scene)


HUGE = b"X-Huge: " + b"x" * MOST_HEAD_BYTES


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize(
    "said",
    [
        post(b"hello", HUGE),
        post(b"hello", HUGE)[:-20],
        chunked(b"hello", fields=(HUGE,)),
        get("/healthz", HUGE),
        get("/healthz", HUGE)[:-4] + b"y" * MOST_HEAD_BYTES,
        get("/" + "x" * MOST_HEAD_BYTES),
        get("/healthz", *(b"X: y" for _ in range(MOST_HEAD_BYTES // 6))),
    ],
    ids=["ours", "endless", "theirs", "get", "endless get", "target", "many"],
)
def test_a_head_that_is_too_long_is_refused_on_both_ways(said: bytes, pieces: int) -> None:
    async def scene() -> None:
        async with site(idle_s=1.0) as here:
            wire = await here.connect()
            size = -(-len(said) // pieces)
            await wire.say_slowly(*(said[at : at + size] for at in range(0, len(said), size)))
            ((status, body),) = read_answers(await wire.rest())
            assert (status, b'"header_fields_too_large"' in body) == (431, True)
            assert here.endpoint.bodies == []
            assert here.noise == []

    run(scene)


def test_a_long_head_behind_a_request_that_is_answered_does_not_get_in_its_way() -> None:
    async def scene() -> None:
        async with site({"wait": wait}) as here:
            slow = chunked(b"slow", fields=(session("wait"),))
            for next_ in (get("/healthz", HUGE), b"nonsense\r\n\r\n"):
                here.endpoint.go.clear()
                wire = await here.connect()
                wire.say(slow + next_)
                await asyncio.sleep(0.02)
                here.endpoint.go.set()
                assert read_answers(await wire.rest()) == [(200, b"slow")]
            assert here.noise == []

    run(scene)


def test_a_long_body_before_a_head_is_not_counted_as_a_head() -> None:
    async def scene() -> None:
        async with site() as here:
            wire = await here.connect()
            long = chunked(b"x" * 3 * MOST_HEAD_BYTES).replace(PATH.encode(), b"/v1/other")
            await wire.say_slowly(long + get()[:10], get()[10:])
            assert len((await wire.answer()).body) == 3 * MOST_HEAD_BYTES + len(b"POST /v1/other ")
            assert (await wire.answer()).body == HEALTHY
            await wire.close()

    run(scene)


@pytest.mark.parametrize(
    "endless", [b"X-Trailer: " + b"x" * 5 * MOST_HEAD_BYTES, b"X: y\r\n" * MOST_HEAD_BYTES], ids=["one", "many"]
)
def test_trailers_are_bounded(endless: bytes) -> None:
    async def scene() -> None:
        async with site() as here:
            wire = await here.connect()
            said = chunked(b"a")[:-2] + endless
            await wire.say_slowly(*(said[at : at + 16384] for at in range(0, len(said), 16384)))
            ((status, _),) = read_answers(await wire.rest())
            assert status == 431
            assert here.endpoint.bodies == []

    run(scene)


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

"""Connections: whatever comes on them, and in whatever pieces, each request is answered once and in its order."""

import asyncio
import itertools
from collections.abc import Callable

import pytest

from arouter.web.http.heads import MOST_HEAD_BYTES
from arouter.web.http.protocol import MOST_EARLY_BYTES
from tests.web.http.serving import (
    LAST,
    MOST_BODY_BYTES,
    PATH,
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

HEALTHY = b"GET /healthz "


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

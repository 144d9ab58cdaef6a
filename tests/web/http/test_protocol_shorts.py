"""Requests that are answered without a task: whatever else happens on their connection."""

import asyncio
from collections.abc import Callable

import pytest

from arouter.engine.express import Work
from arouter.web.http.reply import LineReply
from tests.web.http.serving import Endpoint, Site, chunked, get, post, read_answers, run, session, site

SHORT = session("short")


def echo(endpoint: Endpoint, body: bytes, reply: LineReply) -> None:
    """At once."""
    reply.whole(body)
    reply.over()


class Held:
    """Answers when the test says so, or lets a task do it."""

    def __init__(self) -> None:
        self.replies: list[tuple[bytes, LineReply]] = []
        self.handed_over = 0
        self.goes_on = asyncio.Event()

    def __call__(self, endpoint: Endpoint, body: bytes, reply: LineReply) -> None:
        self.replies.append((body, reply))
        reply.until_task(lambda: self._hand_over(reply, self._rest(body, reply)))

    def answer(self) -> None:
        body, reply = self.replies[-1]
        reply.until_task(None)
        reply.whole(body)
        reply.over()

    def _hand_over(self, reply: LineReply, work: Work) -> None:
        self.handed_over += 1
        reply.go_on(work)

    def _rest(self, body: bytes, reply: LineReply) -> Work:
        async def rest() -> None:
            await self.goes_on.wait()
            if not reply.gone:
                reply.whole(body + b" by a task")

        return rest


def playing(short: Callable[[], Callable[[Endpoint, bytes, LineReply], None]], scene: Callable[..., object]) -> None:
    async def play() -> None:
        made = short()
        async with site() as here:
            here.endpoint.shorts["short"] = made
            await scene(here, made)  # type: ignore[misc]

    run(play)


def test_requests_follow_each_other_on_one_connection_in_any_mixture() -> None:
    async def scene(here: Site, _: object) -> None:
        wire = await here.connect()
        asked = [post(b"1", SHORT), post(b"2"), chunked(b"3"), post(b"4", SHORT), get(), post(b"6", SHORT)]
        for request_ in asked:
            wire.say(request_)
        said = [(await wire.answer()).body for _ in asked]
        assert said == [b"1", b"2", b"3", b"4", b"GET /healthz ", b"6"]
        for request_ in asked:
            wire.say(request_)
            assert (await wire.answer()).status == 200
        await wire.close()

    playing(lambda: echo, scene)


def test_a_request_cut_at_every_byte_is_answered_once() -> None:
    async def scene(here: Site, _: object) -> None:
        request_ = post(b"hello", SHORT)
        wire = await here.connect()
        for at in range(1, len(request_)):
            await wire.say_slowly(request_[:at], request_[at:])
            assert (await wire.answer()).body == b"hello"
        await wire.close()
        assert len(here.endpoint.bodies) == len(request_) - 1

    playing(lambda: echo, scene)


def test_the_last_request_of_a_connection_closes_it() -> None:
    async def scene(here: Site, _: object) -> None:
        answered = read_answers(await here.ask(post(b"hello", SHORT, b"Connection: close") + post(b"more")))
        assert answered == [(200, b"hello")]

    playing(lambda: echo, scene)


def test_the_next_request_waits_for_the_answer() -> None:
    async def scene(here: Site, held: Held) -> None:
        wire = await here.connect()
        wire.say(post(b"1", SHORT))
        await here.until(lambda: len(held.replies) == 1)
        wire.say(post(b"2"))
        await asyncio.sleep(0.01)
        assert here.endpoint.bodies == [b"1"]
        held.answer()
        assert [(await wire.answer()).body, (await wire.answer()).body] == [b"1", b"2"]
        await wire.close()

    playing(Held, scene)


def test_an_answer_for_a_client_that_left_goes_nowhere() -> None:
    async def scene(here: Site, held: Held) -> None:
        wire = await here.connect()
        wire.say(post(b"1", SHORT))
        await here.until(lambda: len(held.replies) == 1)
        held.replies[0][1].until_task(None)
        wire.reset()
        await here.until(lambda: here.connections == 0)
        held.answer()

    playing(Held, scene)


def test_a_client_that_leaves_has_its_request_ended_by_a_task() -> None:
    async def scene(here: Site, held: Held) -> None:
        wire = await here.connect()
        wire.say(post(b"1", SHORT))
        await here.until(lambda: len(held.replies) == 1)
        wire.reset()
        await here.until(lambda: held.handed_over == 1)
        held.goes_on.set()
        await here.until(lambda: here.connections == 0)

    playing(Held, scene)


@pytest.mark.parametrize("before", [0, 1])
def test_a_request_that_is_handed_over_is_answered_by_a_task_and_the_connection_goes_on(before: int) -> None:
    async def scene(here: Site, held: Held) -> None:
        wire = await here.connect()
        for _ in range(before):  # Then there is a task for this connection.
            wire.say(post(b"0"))
            await wire.answer()
        wire.say(post(b"1", SHORT))
        await here.until(lambda: len(held.replies) == 1)
        held.replies[0][1].need_task()
        held.goes_on.set()
        assert (await wire.answer()).body == b"1 by a task"
        wire.say(post(b"2"))
        assert (await wire.answer()).body == b"2"
        await wire.close()

    playing(Held, scene)


def test_a_server_that_stops_lets_a_task_end_what_runs() -> None:
    async def scene(here: Site, held: Held) -> None:
        wire = await here.connect()
        wire.say(post(b"1", SHORT))
        await here.until(lambda: len(held.replies) == 1)
        here.server.stop(timeout_s=2.0)
        stopping = asyncio.ensure_future(here.server.shutdown())
        await here.until(lambda: held.handed_over == 1)
        held.goes_on.set()
        answered = read_answers(await wire.rest())
        assert answered == [(200, b"1 by a task")]
        await stopping

    playing(Held, scene)


def test_a_server_that_stops_at_once_interrupts_what_runs() -> None:
    async def scene(here: Site, held: Held) -> None:
        wire = await here.connect()
        wire.say(post(b"1", SHORT))
        await here.until(lambda: len(held.replies) == 1)
        here.server.stop(timeout_s=0.05)
        await here.server.shutdown()
        assert held.handed_over == 1
        assert read_answers(await wire.rest()) == []

    playing(Held, scene)


def test_a_defect_before_anything_was_done_is_answered_by_a_task() -> None:
    def broken(endpoint: Endpoint, body: bytes, reply: LineReply) -> None:
        endpoint.bodies.clear()
        raise RuntimeError("a defect")

    async def scene(here: Site, _: object) -> None:
        assert read_answers(await here.ask(post(b"hello", SHORT, b"Connection: close"))) == [(200, b"hello")]
        assert here.noise == ["a request failed, and is answered anew"]

    playing(lambda: broken, scene)

"""An answer's bytes, read by an independent client at every boundary."""

import asyncio
from http import HTTPStatus

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import ARouterError, InternalError, InvalidRequest, RateLimited
from arouter.engine.call import AnswerHead
from arouter.engine.express import Work
from arouter.web.errors import status_of
from arouter.web.http.reply import JOIN_UP_TO_BYTES, LineReply, reason_of
from arouter.web.inference.headers import user_header
from arouter.web.inference.reply import HttpReply

IDS = {b"x-generation-id": b"gen-1", b"x-request-id": b"mine"}


class Paper:
    """A line that keeps what is written on it."""

    def __init__(self, *, stays: bool = True) -> None:
        self.written: list[bytes] = []
        self.stays = stays
        self.write_paused = False
        self.drain: asyncio.Future[None] | None = None
        self.work: list[Work] = []
        self.overs = 0

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def go_on(self, work: Work) -> None:
        self.work.append(work)

    def over(self) -> None:
        self.overs += 1

    def until_drained(self) -> asyncio.Future[None]:
        self.drain = asyncio.get_running_loop().create_future()
        return self.drain


class Client:
    """Reads one answer."""

    def __init__(self, *pieces: bytes) -> None:
        self._parser = h11.Connection(h11.CLIENT)
        self._parser.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
        self._parser.send(h11.EndOfMessage())
        self.status = 0
        self.reason = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.whole = False
        for piece in pieces:
            self.hear(piece)

    def hear(self, data: bytes) -> None:
        self._parser.receive_data(data)
        while (event := self._parser.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Response):
                self.status, self.reason, self.fields = event.status_code, bytes(event.reason), list(event.headers)
            elif isinstance(event, h11.Data):
                self.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.whole = True
                assert self._parser.trailing_data[0] == b""
                return


def reply_on(paper: Paper) -> LineReply:
    reply = LineReply(paper)
    reply.identify("gen-1", "mine")
    return reply


def test_an_answer_begins_as_each_on_http_does() -> None:
    """Its fields are set in one go."""
    made = LineReply(Paper())
    plain = object.__new__(LineReply)
    HttpReply.__init__(plain)
    for name in HttpReply.__slots__:
        assert getattr(made, name) == getattr(plain, name), name


# ---------------------------------------------------------------- streams


@given(st.lists(st.binary(max_size=40), max_size=5), st.binary(max_size=40), st.booleans())
def test_a_stream_is_read_at_every_boundary(pieces: list[bytes], last: bytes, stays: bool) -> None:
    paper = Paper(stays=stays)
    reply = reply_on(paper)
    client = Client()
    heard = 0
    said = b""
    for piece in pieces:
        reply.send(piece)
        said += piece
        for data in paper.written[heard:]:
            client.hear(data)
        heard = len(paper.written)
        assert (client.body, client.whole) == (said, False)
    reply.end(last)
    for data in paper.written[heard:]:
        client.hear(data)
    assert (client.body, client.whole, client.status) == (said + last, True, 200)
    expected = {
        b"content-type": b"text/event-stream; charset=utf-8",
        b"cache-control": b"no-cache",
        b"x-accel-buffering": b"no",
        b"transfer-encoding": b"chunked",
        **IDS,
        **({} if stays else {b"connection": b"close"}),
    }
    assert (dict(client.fields), len(client.fields)) == (expected, len(expected))
    whole = b"".join(paper.written)
    assert Client(*(whole[at : at + 1] for at in range(len(whole)))).body == said + last
    assert reply.closes == (not stays)


# ---------------------------------------------------------------- whole answers


@pytest.mark.parametrize("size_bytes", [0, 1, JOIN_UP_TO_BYTES, JOIN_UP_TO_BYTES + 1])
def test_a_whole_answer(size_bytes: int) -> None:
    paper = Paper()
    reply_on(paper).whole(b"x" * size_bytes)
    client = Client(*paper.written)
    assert (client.status, client.reason, client.body, client.whole) == (200, b"OK", b"x" * size_bytes, True)
    assert dict(client.fields) == {
        b"content-type": b"application/json",
        b"content-length": b"%d" % size_bytes,
        **IDS,
    }
    assert len(paper.written) == (1 if size_bytes <= JOIN_UP_TO_BYTES else 2)


def errors(kind: type[ARouterError] = ARouterError) -> list[type[ARouterError]]:
    return [kind, *(found for each in kind.__subclasses__() for found in errors(each))]


@pytest.mark.parametrize("kind", errors())
def test_every_error_has_a_status_with_a_reason(kind: type[ARouterError]) -> None:
    paper = Paper(stays=False)
    reply_on(paper).fail(kind("No."))
    client = Client(*paper.written)
    assert (client.status, client.whole) == (status_of(kind("No.")), True)
    assert client.reason == reason_of(client.status) != b""
    assert dict(client.fields)[b"connection"] == b"close"


def test_every_status_that_a_provider_may_give_has_its_reason() -> None:
    assert all(reason_of(status.value) for status in HTTPStatus)
    assert reason_of(413) == b"Content Too Large"
    assert reason_of(422) == b"Unprocessable Content"
    assert reason_of(499) == b""


def test_a_wait_is_told() -> None:
    paper = Paper()
    error = RateLimited("Later.")
    error.retry_after_s = 6.5
    reply_on(paper).fail(error)
    assert (b"retry-after", b"7") in Client(*paper.written).fields


def test_an_answer_before_anybody_knows_its_ids_has_none() -> None:
    paper = Paper()
    LineReply(paper).fail(InternalError("A defect."))
    assert not IDS.keys() & dict(Client(*paper.written).fields).keys()


# ---------------------------------------------------------------- header values

TEXT = st.text(st.sampled_from("a:, é漢\r\n\t\0\x7f") | st.characters())


@given(st.lists(TEXT, min_size=1, max_size=3), TEXT, st.booleans())
def test_no_value_splits_a_header(names: list[str], user: str, streams: bool) -> None:
    paper = Paper()
    reply = reply_on(paper)
    reply.tell_dropped(tuple(names))
    reply.add_header(user_header(user.encode("utf-8", "replace").decode()))
    if streams:
        reply.end(b"body")
    else:
        reply.whole(b"body")
    client = Client(*paper.written)
    assert (client.body, client.whole) == (b"body", True)
    framing = [b"cache-control", b"x-accel-buffering", b"transfer-encoding"] if streams else [b"content-length"]
    told = [b"content-type", *framing, *IDS, b"x-arouter-dropped", b"x-arouter-user"]
    assert sorted(name for name, _ in client.fields) == sorted(told)


@given(st.binary())
def test_nor_does_any_other(value: bytes) -> None:
    paper = Paper()
    reply = reply_on(paper)
    reply.add_header((b"x-any", value))
    reply.whole(b"")
    head = b"".join(paper.written)
    assert head.count(b"\r") == head.count(b"\n") == head.count(b"\r\n") == 7
    assert b"\0" not in head


# ---------------------------------------------------------------- the client's pace, and its leaving


def test_who_writes_waits_for_a_slow_client_only() -> None:
    async def play() -> None:
        paper = Paper()
        reply = reply_on(paper)
        await reply.drained()
        reply.paused = True
        waiting = asyncio.ensure_future(reply.drained())
        await asyncio.sleep(0)
        assert not waiting.done()
        assert paper.drain is not None
        paper.drain.set_result(None)
        await waiting

    asyncio.run(play())


def test_an_answer_on_a_line_that_still_waits_waits_too() -> None:
    paper = Paper()
    paper.write_paused = True
    assert reply_on(paper).paused


def test_a_client_that_leaves_is_told_of_once() -> None:
    told: list[bool] = []
    reply = reply_on(Paper())
    reply.watch(lambda: told.append(True))
    reply.leave()
    reply.leave()
    assert (told, reply.gone) == ([True], True)


def test_a_client_that_leaves_after_the_end_has_not_left() -> None:
    reply = reply_on(Paper())
    reply.end(b"")
    reply.leave()
    assert not reply.gone


# ---------------------------------------------------------------- answers that begin in another way

SOUND = (b"content-type", b"audio/mpeg")


def beginning(paper: Paper, status: int = 200, *, tells_failures: bool = False) -> LineReply:
    reply = reply_on(paper)
    reply.begin_with(AnswerHead(status=status, headers=(SOUND,), tells_failures=tells_failures))
    return reply


@pytest.mark.parametrize("status", [200, 206, 404, 599])
def test_a_stream_begins_as_it_is_told_to(status: int) -> None:
    paper = Paper()
    reply = beginning(paper, status)
    reply.send(b"\0\1")
    reply.end(b"\2")
    client = Client(*paper.written)
    assert (client.status, client.body, client.whole) == (status, b"\0\1\2", True)
    assert [field for field in client.fields if field[0] == b"content-type"] == [SOUND]
    assert (b"x-generation-id", b"gen-1") in client.fields


def test_a_whole_answer_begins_as_it_is_told_to() -> None:
    paper = Paper()
    beginning(paper, 202).whole(b"text")
    client = Client(*paper.written)
    assert (client.status, client.body, client.whole) == (202, b"text", True)
    assert [field for field in client.fields if field[0] == b"content-type"] == [SOUND]
    assert (b"content-length", b"4") in client.fields


def test_an_error_is_json_however_the_answer_was_to_begin() -> None:
    paper = Paper()
    beginning(paper).fail(InvalidRequest("No."))
    client = Client(*paper.written)
    assert (client.status, (b"content-type", b"application/json") in client.fields) == (400, True)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_tells_no_length_of_one(status: int) -> None:
    for work in (
        lambda reply: reply.end(b""),
        lambda reply: (reply.send(b"x"), reply.end(b"y")),
        lambda r: r.whole(b""),
    ):
        paper = Paper()
        work(beginning(paper, status))
        client = Client(*paper.written)
        assert (client.status, client.body, client.whole) == (status, b"", True)
        assert not {b"content-length", b"transfer-encoding"} & {name for name, _ in client.fields}


@pytest.mark.parametrize("tells_failures", [False, True])
def test_what_breaks_off_says_so_or_is_left_without_an_end(tells_failures: bool) -> None:
    paper = Paper()
    reply = beginning(paper, tells_failures=tells_failures)
    reply.send(b"half")
    reply.break_off(b"failure")
    client = Client(*paper.written)
    assert (client.body, client.whole) == ((b"halffailure", True) if tells_failures else (b"half", False))
    assert reply.ended is tells_failures


def test_a_task_is_asked_for_once_when_the_client_leaves_or_the_server_stops() -> None:
    called: list[str] = []
    reply = LineReply(Paper())
    reply.until_task(lambda: called.append("task"))
    reply.need_task()
    reply.need_task()
    reply.leave()
    assert called == ["task"]
    LineReply(Paper()).need_task()


def test_a_client_that_has_left_already_needs_a_task_at_once() -> None:
    called: list[str] = []
    reply = LineReply(Paper())
    reply.leave()
    reply.until_task(lambda: called.append("task"))
    assert called == ["task"]


def test_no_task_is_asked_for_where_nobody_wants_to_know() -> None:
    called: list[str] = []
    reply = LineReply(Paper())
    reply.until_task(lambda: called.append("task"))
    reply.until_task(None)
    reply.leave()
    assert called == []

"""The sandbox as a bare socket sees it: what is sent, in which pieces, and how a connection ends."""

import json
import time

import pytest

from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.server import KEPT_REQUESTS, Sandbox
from tests.sandbox.conftest import running
from tests.sandbox.raw_client import ask, chat, connected, post

CHAT = "/v1/chat/completions"


def events(body: bytes) -> list[bytes]:
    return body.split(b"\n\n")[:-1]


def test_a_connection_serves_one_request_after_another(either_loop: Sandbox) -> None:
    with connected(either_loop) as client:
        for content in ("one", "two", "three"):
            client.send(post(CHAT, chat("sandbox-echo", content=content)))
            answer = client.answer()
            assert answer.status == 200
            assert json.loads(answer.body)["choices"][0]["message"]["content"] == content


def test_pipelined_requests_are_answered_in_their_order(either_loop: Sandbox) -> None:
    requests = [post(CHAT, chat("sandbox-echo?ttft_ms=20", content="slow first", stream=True))]
    requests += [post(CHAT, chat("sandbox-echo", content=f"number {n}")) for n in range(200)]
    with connected(either_loop) as client:
        client.send(b"".join(requests))
        assert b"slow" in client.answer().body
        said = [json.loads(client.answer().body)["choices"][0]["message"]["content"] for _ in range(200)]
    assert said == [f"number {n}" for n in range(200)]


def test_a_request_may_arrive_byte_by_byte(either_loop: Sandbox) -> None:
    with connected(either_loop) as client:
        for byte in post(CHAT, chat("sandbox-echo", content="slowly")):
            client.send(bytes([byte]))
        assert b"slowly" in client.answer().body


def test_a_body_may_be_chunked(either_loop: Sandbox) -> None:
    data = json.dumps(chat("sandbox-echo", content="in pieces")).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(data[at : at + 9]), data[at : at + 9]) for at in range(0, len(data), 9))
    answer = ask(either_loop, head + chunks + b"0\r\n\r\n")
    assert b"in pieces" in answer.body


def test_a_client_that_waits_for_100_continue_gets_it(either_loop: Sandbox) -> None:
    request = post(CHAT, chat("sandbox-echo", content="after all"), Expect="100-continue")
    head, _, body = request.partition(b"\r\n\r\n")
    with connected(either_loop) as client:
        client.send(head + b"\r\n\r\n")
        assert client._file.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert client._file.readline() == b"\r\n"
        client.send(body)
        assert b"after all" in client.answer().body


def test_a_client_that_asks_for_it_is_closed(either_loop: Sandbox) -> None:
    with connected(either_loop) as client:
        client.send(post(CHAT, chat(stream=True), Connection="close"))
        answer = client.answer()
        assert answer.headers["connection"] == "close"
        assert answer.complete
        assert client.rest() == b""


def test_http_1_0_gets_a_stream_without_chunks(either_loop: Sandbox) -> None:
    with connected(either_loop) as client:
        client.send(post(CHAT, chat(stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0"))
        head, _, body = client.rest().partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert events(body)[-1] == b"data: [DONE]"


def test_nonsense_is_a_400_and_closes_the_connection(either_loop: Sandbox) -> None:
    with connected(either_loop) as client:
        client.send(b"\x16\x03\x01nonsense\r\n\r\n")
        assert client.answer().status == 400
        assert client.rest() == b""


def test_health_may_be_asked_with_head(either_loop: Sandbox) -> None:
    assert json.loads(ask(either_loop, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").body) == {"status": "ok"}
    with connected(either_loop) as client:
        client.send(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.rest().endswith(b"\r\n\r\n")


def test_a_large_stream_arrives_whole_however_slowly_it_is_read(either_loop: Sandbox) -> None:
    with connected(either_loop) as client:
        client.send(post(CHAT, chat("sandbox?tokens=30000", stream=True)))
        client.send(post(CHAT, chat("sandbox-echo", content="next")))
        time.sleep(0.2)
        answer = client.answer()
        assert answer.complete
        assert len(events(answer.body)) == 1 + 30000 + 1 + 1
        assert b"next" in client.answer().body


# ---------------------------------------------------------------- cut, stalled, silent


@pytest.mark.parametrize("count", [0, 1, 3, 16])
def test_a_stream_is_cut_after_so_many_events(either_loop: Sandbox, count: int) -> None:
    with connected(either_loop) as client:
        client.send(post(CHAT, chat(f"sandbox?cut_after={count}", stream=True)))
        answer = client.answer()
        assert (answer.status, len(events(answer.body)), answer.complete) == (200, count, False)
        assert client.rest() == b""


def test_an_answer_is_cut_after_so_many_bytes(either_loop: Sandbox) -> None:
    answer = ask(either_loop, post(CHAT, chat("sandbox?cut_after=7")))
    assert (answer.status, len(answer.body), answer.complete) == (200, 7, False)


def test_what_ends_before_the_cut_is_whole(either_loop: Sandbox) -> None:
    assert ask(either_loop, post(CHAT, chat("sandbox?cut_after=19", stream=True))).complete
    assert ask(either_loop, post(CHAT, chat("sandbox?cut_after=99999"))).complete


def test_a_cut_may_be_a_reset(either_loop: Sandbox) -> None:
    with connected(either_loop) as client:
        client.send(post(CHAT, chat("sandbox?cut_after=1&reset=true&ttft_ms=5", stream=True)))
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_a_connection_is_dropped_without_a_byte(either_loop: Sandbox) -> None:
    with connected(either_loop) as client:
        client.send(post(CHAT, chat("sandbox-drop")))
        assert client.rest() == b""


def test_a_stream_stalls_and_the_connection_stays_open(either_loop: Sandbox) -> None:
    with connected(either_loop) as client:
        client.send(post(CHAT, chat("sandbox?stall_after=2", stream=True)))
        client._file.readline()
        while client._file.readline() != b"\r\n":
            pass
        for _ in range(2):
            client._file.read(int(client._file.readline(), 16) + 2)
        assert client.silent_for(0.2)


def test_a_request_is_never_answered(either_loop: Sandbox) -> None:
    with connected(either_loop) as client:
        client.send(post(CHAT, chat("sandbox-hang")))
        client.send(post(CHAT, chat()))
        assert client.silent_for(0.2)


def test_a_client_that_leaves_is_forgotten(either_loop: Sandbox) -> None:
    with connected(either_loop) as client:
        client.send(post(CHAT, chat("sandbox?token_ms=20", stream=True)))
        client._file.readline()
        assert either_loop.connections == 1
    deadline = time.monotonic() + 5
    while either_loop.connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert either_loop.connections == 0


# ---------------------------------------------------------------- time


def test_tokens_come_one_by_one(either_loop: Sandbox) -> None:
    with connected(either_loop) as client:
        started = time.monotonic()
        client.send(post(CHAT, chat("sandbox?ttft_ms=100&token_ms=20&tokens=6", stream=True)))
        client._file.readline()
        first = time.monotonic() - started
        while client._file.readline() != b"0\r\n":
            pass
        whole = time.monotonic() - started
    assert 0.095 <= first < 0.6
    assert 0.195 <= whole < 1.5
    assert whole - first >= 0.09


def test_a_whole_answer_takes_as_long_as_its_stream(either_loop: Sandbox) -> None:
    started = time.monotonic()
    ask(either_loop, post(CHAT, chat("sandbox?ttft_ms=100&token_ms=20&tokens=6")))
    assert 0.195 <= time.monotonic() - started < 1.5


# ---------------------------------------------------------------- wrong output


@pytest.mark.parametrize("stream", [False, True])
def test_output_that_is_not_json(sandbox: Sandbox, stream: bool) -> None:
    answer = ask(sandbox, post(CHAT, chat("sandbox-garbage", stream=stream)))
    assert (answer.status, answer.complete) == (200, True)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body.removeprefix(b"data: "))


@pytest.mark.parametrize("stream", [False, True])
def test_output_that_is_empty(sandbox: Sandbox, stream: bool) -> None:
    answer = ask(sandbox, post(CHAT, chat("sandbox?wrong_output=empty", stream=stream)))
    assert (answer.status, answer.body, answer.complete) == (200, b"", True)


@pytest.mark.parametrize("stream", [False, True])
def test_output_that_is_html(sandbox: Sandbox, stream: bool) -> None:
    answer = ask(sandbox, post(CHAT, chat("sandbox?wrong_output=html", stream=stream)))
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html")
    assert answer.body.startswith(b"<!doctype html>")


def test_json_that_is_truncated(sandbox: Sandbox) -> None:
    answer = ask(sandbox, post(CHAT, chat("sandbox?wrong_output=truncated_json")))
    assert answer.complete
    assert answer.body.startswith(b'{"id":')
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body)


def test_a_stream_whose_last_event_is_truncated(sandbox: Sandbox) -> None:
    answer = ask(sandbox, post(CHAT, chat("sandbox?wrong_output=truncated_json", stream=True)))
    *right, broken = events(answer.body)
    assert answer.complete
    for event in right:
        assert json.loads(event.removeprefix(b"data: "))["object"] == "chat.completion.chunk"
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken.removeprefix(b"data: "))


def test_a_stream_without_field_names(sandbox: Sandbox) -> None:
    answer = ask(sandbox, post(CHAT, chat("sandbox?wrong_output=bad_sse", stream=True)))
    assert b"data:" not in answer.body
    assert b"chat.completion.chunk" in answer.body


def test_a_wrong_content_type(sandbox: Sandbox) -> None:
    for stream in (False, True):
        answer = ask(sandbox, post(CHAT, chat("sandbox?wrong_output=wrong_content_type", stream=stream)))
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert b"Hello" in answer.body


def test_output_that_is_no_http(sandbox: Sandbox) -> None:
    with connected(sandbox) as client:
        client.send(post(CHAT, chat("sandbox?wrong_output=not_http")))
        assert not client.rest().startswith(b"HTTP")


# ---------------------------------------------------------------- what was received, and its settings


def test_the_requests_are_kept_for_a_look(sandbox: Sandbox) -> None:
    ask(sandbox, post(CHAT + "?a=b", chat(user="user_12345"), Authorization="Bearer x"))
    last = sandbox.requests[-1]
    assert (last.method, last.path, last.target) == ("POST", CHAT, CHAT + "?a=b")
    assert last.headers["authorization"] == "Bearer x"
    assert json.loads(last.body)["user"] == "user_12345"


def test_only_so_many_requests_are_kept(sandbox: Sandbox) -> None:
    with connected(sandbox) as client:
        client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * (KEPT_REQUESTS + 1))
        for _ in range(KEPT_REQUESTS + 1):
            client.answer()
    assert len(sandbox.requests) == KEPT_REQUESTS


def test_a_header_wins_over_the_name_of_the_model(sandbox: Sandbox) -> None:
    answer = ask(sandbox, post(CHAT, chat("sandbox?tokens=9"), X_Sandbox="tokens=2, prompt_tokens=40"))
    usage = json.loads(answer.body)["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (40, 2)


def test_a_share_of_the_requests_fails_and_the_same_ones_each_time() -> None:
    fates = []
    for _ in range(2):
        with running(Behaviour(failure_rate=0.5, failure_status=503, retry_after_s=7)) as sandbox:
            answers = [ask(sandbox, post(CHAT, chat())) for _ in range(40)]
        assert {answer.headers.get("retry-after") for answer in answers if answer.status == 503} == {"7"}
        fates.append([answer.status for answer in answers])
    assert fates[0] == fates[1]
    assert set(fates[0]) == {200, 503}


def test_a_stopped_sandbox_lets_nobody_hang() -> None:
    with running(Behaviour(never_answer=True)) as sandbox, connected(sandbox) as client:
        client.send(post(CHAT, chat()))
        assert client.silent_for(0.05)
        url = sandbox.url
    assert url.startswith("http://127.0.0.1:")
    with pytest.raises(RuntimeError):
        _ = sandbox.port


def test_two_answers_have_two_ids(sandbox: Sandbox) -> None:
    one, other = (ask(sandbox, post(CHAT, chat())) for _ in range(2))
    assert json.loads(one.body)["id"] != json.loads(other.body)["id"]
    assert one.headers["x-request-id"] != other.headers["x-request-id"]

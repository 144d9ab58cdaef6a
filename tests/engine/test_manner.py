"""Requests that are no plain POST of JSON, and answers that go on as they come, through the pipeline."""

from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.errors import UpstreamFailed
from arouter.domain.record import Record, Status, UsageSource
from arouter.domain.usage import Usage
from arouter.engine.call import AnswerHead, Call, Sent
from arouter.engine.dialects.openai_endpoints import SPEECH
from arouter.engine.dialects.passing import Passing
from arouter.engine.routing import ModelRoute, Routing
from arouter.wire.sse import comment
from tests.engine.pipeline import STREAM, Pipeline, completion, playing
from tests.engine.samples import call, deployment
from tests.engine.scripted_client import Says
from tests.engine.scripted_reply import ScriptedReply

JSON = ((b"content-type", b"application/json"),)
EVENTS = ((b"Content-Type", b"text/event-stream; charset=utf-8"), (b"set-cookie", b"a=b"), (b"etag", b"x"))
SOUND = ((b"content-type", b"audio/mpeg"),)
BROKEN = UpstreamFailed("The connection broke.", retryable=False)


def passed(model: str | None = "gpt-5.4", **sent: Any) -> Call:
    """A request to one of OpenAI's own paths."""
    told = {"content_type": "application/json", "body": b"{ }", "path": "/v1/chat/completions"}
    requested = None if model is None else f"openai/{model}"
    made = call(
        f"openai/{model or '*'}", stream=True, requested_model=requested, endpoint="/openai/v1/chat/completions"
    )
    return replace(made, ingress=Passing(), fields={}, sent=Sent(**{**told, **sent}))


def spoken() -> Call:
    return replace(call("openai/tts-1", stream=True, input="Hello", messages=None), ingress=SPEECH)


async def run(pipeline: Pipeline, asked: Call, reply: ScriptedReply | None = None) -> tuple[ScriptedReply, Record]:
    answered = ScriptedReply() if reply is None else reply
    await pipeline.completions.run(asked, answered)
    return answered, await pipeline.only_record()


def head_of(reply: ScriptedReply) -> AnswerHead:
    assert reply.head is not None
    return reply.head


@playing
async def test_a_stream_is_passed_on_as_it_comes() -> None:
    pipeline = Pipeline(Says(headers=EVENTS, steps=STREAM), keep_alive_s=0.001)
    reply, record = await run(pipeline, passed())
    assert reply.stream == b"".join(STREAM)
    assert head_of(reply) == AnswerHead(
        status=200,
        headers=(
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"etag", b"x"),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
        ),
        tells_failures=False,
    )
    [asked] = pipeline.client.asked
    assert asked.head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert asked.body == b"{ }"
    assert (record.status, record.http_status, record.usage) == (
        Status.SUCCESS,
        200,
        Usage(input_tokens=100, output_tokens=20),
    )
    assert (record.cost, record.usage_source, record.model) == (400_000_000, UsageSource.PROVIDER, "openai/gpt-5.4")


@playing
async def test_a_path_goes_to_its_own_provider_and_to_no_other() -> None:
    listed = Routing(
        [deployment("groq"), deployment("openai")],
        models={"openai/gpt-5.4": ModelRoute(names=("groq/llama", "openai/gpt"))},
    )
    pipeline = Pipeline(Says(headers=JSON, steps=[completion()]), routes=listed)
    _, record = await run(pipeline, passed())
    assert (record.provider, len(pipeline.client.asked)) == ("openai", 1)
    alone = Routing([deployment("groq")], models={"openai/gpt-5.4": ModelRoute(names=("groq/llama",))})
    reply, record = await run(Pipeline(routes=alone), passed())
    assert reply.error is not None
    assert (reply.error.code, record.status) == ("endpoint_not_supported", Status.REJECTED)


@playing
async def test_a_json_answer_is_read_at_its_end() -> None:
    body = completion()
    reply, record = await run(Pipeline(Says(headers=JSON, steps=[body[:10], body[10:]])), passed())
    assert (reply.stream, reply.ends) == (body, ["end"])
    assert (record.usage_source, record.upstream_id) == (UsageSource.PROVIDER, "chatcmpl-1")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@playing
async def test_a_request_without_a_body(method: str) -> None:
    pipeline = Pipeline(Says(headers=JSON, steps=[b"{}"]))
    asked = passed(None, method=method, content_type=None, body=b"", path="/v1/files/1", query="a=1")
    reply, record = await run(pipeline, asked)
    [sent] = pipeline.client.asked
    assert sent.head.startswith(f"{method} /v1/files/1?a=1 HTTP/1.1\r\n".encode())
    assert b"content-type" not in sent.head.lower()
    assert (reply.stream, record.status) == (b"{}", Status.SUCCESS)
    assert (record.model, record.provider, record.cost, record.usage_source) == (None, "openai", None, UsageSource.NONE)


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500])
@playing
async def test_an_answer_of_any_status_goes_on(status: int) -> None:
    reply, record = await run(Pipeline(Says(status=status, headers=JSON, steps=[b'{"error":"No."}'])), passed())
    assert (head_of(reply).status, reply.stream, reply.ends) == (status, b'{"error":"No."}', ["end"])
    failed = status >= 400
    assert record.status is (Status.UPSTREAM_ERROR if failed else Status.SUCCESS)
    assert (record.http_status, record.error_code) == (status, "upstream_error" if failed else None)
    if failed:
        assert (record.cost, record.usage_source) == (None, UsageSource.NONE)


@playing
async def test_what_a_provider_says_of_our_credentials_does_not() -> None:
    reply, record = await run(Pipeline(Says(status=401, headers=JSON, steps=[b'{"error":"key-of-openai"}'])), passed())
    assert (reply.ends, reply.head, record.http_status) == (["fail"], None, 502)
    assert reply.error is not None
    assert "key-of" not in reply.error.message


@pytest.mark.parametrize("headers", [EVENTS, SOUND])
@playing
async def test_what_breaks_off_is_cut(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    reply, record = await run(Pipeline(Says(headers=headers, steps=[STREAM[0], BROKEN])), passed())
    assert (b"".join(reply.pieces), reply.ends, reply.last) == (STREAM[0], ["cut"], b"")
    assert (record.status, record.http_status, record.error_code) == (Status.UPSTREAM_ERROR, 200, "upstream_error")


@playing
async def test_sound_gets_no_comments_while_it_is_silent() -> None:
    pipeline = Pipeline(Says(headers=SOUND, steps=[b"\0", 0.05, b"\1"]), keep_alive_s=0.005)
    reply, record = await run(pipeline, spoken())
    assert (reply.stream, head_of(reply).headers) == (b"\0\1", ((b"content-type", b"audio/mpeg"),))
    assert (record.raw_usage, record.usage_source) == (b'{"type":"characters","characters":5}', UsageSource.ESTIMATED)
    assert (record.usage.total_tokens, record.cost) == (None, None)


@playing
async def test_events_of_speech_do() -> None:
    asked = replace(
        call("openai/tts-1", stream=True, input="Hello", stream_format="sse", messages=None), ingress=SPEECH
    )
    done = b'data: {"type":"speech.audio.done"}\n\n'
    pipeline = Pipeline(Says(headers=EVENTS, steps=[0.03, done]), keep_alive_s=0.005)
    reply, _ = await run(pipeline, asked)
    assert comment(b"keep-alive") in reply.stream
    assert reply.stream.endswith(done)


@playing
async def test_a_client_that_leaves_is_billed_for_what_was_read() -> None:
    reply = ScriptedReply(leaves_after=1)
    _, record = await run(Pipeline(Says(headers=EVENTS, steps=STREAM)), passed(), reply)
    assert (record.status, record.usage) == (Status.CLIENT_DISCONNECT, Usage(input_tokens=100, output_tokens=20))


@playing
async def test_an_answer_without_a_content_type_is_bytes() -> None:
    reply, _ = await run(Pipeline(Says(steps=[b"x"])), passed(None, path="/v1/files/1/content"))
    assert head_of(reply).headers == ((b"content-type", b"application/octet-stream"),)

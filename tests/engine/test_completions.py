"""The pipeline: admit, ask, forward, settle, end. Whatever the way out, there is one record."""

import asyncio
import hashlib
import hmac
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import pytest

from arouter.domain.errors import InternalError, ShuttingDown, StorageUnavailable, UpstreamFailed, UpstreamTimeout
from arouter.domain.keys import KeyKind
from arouter.domain.price import RateCard
from arouter.domain.record import Record, Status, UsageSource
from arouter.engine.attempts import in_contract
from arouter.engine.keepalive import COMMENT
from arouter.engine.routing import Routing
from arouter.engine.timeouts import Timeouts
from tests.engine.pipeline import (
    CARDS,
    COST_JSON,
    DONE,
    STREAM,
    USAGE,
    Pipeline,
    ask,
    chunk,
    completion,
    events,
    playing,
    text,
    turns,
    until,
)
from tests.engine.samples import SECRET, Cards, call, deployment, key, opening
from tests.engine.scripted_client import Says
from tests.engine.scripted_reply import ScriptedReply

MICRODOLLAR = 10**6
"""In picodollars."""

# ---------------------------------------------------------------- success


@playing
async def test_a_whole_answer_is_forwarded_with_its_cost() -> None:
    pipeline = Pipeline(Says(steps=[completion()]))
    reply = await ask(pipeline)
    assert reply.ends == ["whole"]
    assert COST_JSON in reply.last
    told = msgspec.json.decode(reply.last)
    assert told["choices"][0]["message"]["content"] == "Hello"
    assert {name: told["usage"][name] for name in USAGE} == USAGE
    record = await pipeline.only_record()
    assert record == Record(
        opening=opening(),
        completed_at_us=record.completed_at_us,
        status=Status.SUCCESS,
        http_status=200,
        model="openai/gpt-5.4",
        provider="openai",
        upstream_model="gpt-5.4",
        upstream_id="chatcmpl-1",
        finish_reason="stop",
        usage=record.usage,
        raw_usage=msgspec.json.encode(USAGE),
        usage_source=UsageSource.PROVIDER,
        cost=record.rated_cost,
        rated_cost=record.rated_cost,
        price_source="genai-prices",
        price_version="2026-11",
        latency_us=record.latency_us,
        attempts=1,
    )
    assert (record.usage.input_tokens, record.usage.output_tokens) == (100, 20)
    assert record.cost == 400 * MICRODOLLAR
    assert pipeline.told[0][1] is None
    assert pipeline.ledger.opened == [call().opening]


@playing
async def test_a_stream_is_forwarded_event_by_event_with_usage_once_at_its_end() -> None:
    pipeline = Pipeline(Says(steps=STREAM))
    reply = await ask(pipeline, stream=True)
    assert reply.pieces == list(STREAM[:3])
    assert reply.ends == ["end"]
    assert reply.last.endswith(DONE)
    assert COST_JSON in reply.last
    assert [event["usage"]["total_tokens"] for event in events(reply.stream)[:-1] if "usage" in event] == [120]
    record = await pipeline.only_record()
    assert (record.status, record.http_status, record.finish_reason) == (Status.SUCCESS, 200, "stop")
    assert record.cost == 400 * MICRODOLLAR
    assert record.usage_source is UsageSource.PROVIDER


@playing
async def test_a_client_that_wants_no_usage_gets_none_and_the_ledger_has_it() -> None:
    pipeline = Pipeline(Says(steps=STREAM))
    reply = await ask(pipeline, stream=True, include_usage=False)
    assert b'"usage"' not in reply.stream
    assert reply.last == DONE
    assert (await pipeline.only_record()).cost == 400 * MICRODOLLAR


@playing
async def test_usage_that_never_comes_is_estimated_and_says_so() -> None:
    pipeline = Pipeline(Says(steps=[text("12345678", "stop"), DONE]))
    reply = await ask(pipeline, stream=True)
    record = await pipeline.only_record()
    assert record.usage_source is UsageSource.ESTIMATED
    assert record.usage.output_tokens == 2
    assert record.raw_usage is None
    assert events(reply.stream)[-2]["usage"]["completion_tokens"] == 2


@playing
async def test_times_are_told_from_the_monotonic_clock() -> None:
    pipeline = Pipeline(Says(steps=STREAM))
    await ask(pipeline, stream=True)
    record = await pipeline.only_record()
    assert record.latency_us is not None
    assert record.time_to_first_token_us is not None
    assert 0 < record.time_to_first_token_us < record.latency_us


ANTHROPIC_STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"claude-sonnet-4-5","content":[],"usage":{"input_tokens":100,"output_tokens":1}}}\n\n',
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
    b'"text":"Hello"}}\n\n',
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":20}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)


@playing
async def test_another_dialect_is_translated_and_what_it_cannot_carry_is_told() -> None:
    pipeline = Pipeline(Says(steps=ANTHROPIC_STREAM))
    reply = await ask(pipeline, "anthropic/claude-sonnet-4-5", stream=True, seed=7, max_tokens=50)
    told = events(reply.stream)
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in told[:-2]) == "Hello"
    assert told[-2]["choices"] == []
    assert told[-2]["usage"]["cost"] == 0.0006
    assert told[-1] == "[DONE]"
    assert {event["id"] for event in told[:-1]} == {"gen-1"}
    assert "seed" in reply.dropped
    record = await pipeline.only_record()
    assert (record.upstream_id, record.upstream_model) == ("msg_1", "claude-sonnet-4-5")
    assert record.cost == (100 * 3 + 20 * 15) * MICRODOLLAR


@playing
async def test_headers_that_one_request_asks_for_are_not_sent_with_another() -> None:
    """The head of a request is kept for the next one: only if the next one has the same fields."""
    failure = UpstreamFailed("down", retryable=False)
    pipeline = Pipeline(failure, failure, failure)
    for betas in (None, ["context-1m-2025-08-07"], None):
        await ask(pipeline, "anthropic/claude-sonnet-4-5", betas=betas)
    plain, beta, plain_again = (asked.head for asked in pipeline.client.asked)
    assert b"anthropic-beta: context-1m-2025-08-07\r\n" in beta
    assert b"anthropic-beta" not in plain
    assert plain_again == plain


@playing
async def test_a_deployment_has_its_own_timeouts_and_credentials() -> None:
    timeouts = Timeouts(idle_s=1.0)
    routes = Routing([deployment("openai", timeouts=timeouts)])
    pipeline = Pipeline(Says(steps=[completion()]), routes=routes)
    await ask(pipeline)
    (asked,) = pipeline.client.asked
    assert asked.timeouts == timeouts
    assert asked.origin.host == "openai.example"
    assert asked.head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nHost: openai.example\r\n")
    assert b"Authorization: Bearer key-of-openai\r\n" in asked.head


# ---------------------------------------------------------------- failures of the provider

FAILURES: list[tuple[int, int, str]] = [
    (400, 400, "bad"),
    (401, 502, "upstream_error"),
    (402, 502, "upstream_error"),
    (403, 502, "upstream_error"),
    (404, 404, "bad"),
    (408, 502, "upstream_error"),
    (409, 409, "bad"),
    (413, 413, "bad"),
    (422, 422, "bad"),
    (429, 429, "rate_limit_exceeded"),
    (500, 502, "upstream_error"),
    (503, 502, "upstream_error"),
    (529, 502, "upstream_error"),
    (301, 502, "upstream_error"),
]


@pytest.mark.parametrize(("status", "told", "code"), FAILURES)
@pytest.mark.parametrize("stream", [False, True])
@playing
async def test_an_error_answer_becomes_an_error_of_the_contract(
    status: int, told: int, code: str, stream: bool
) -> None:
    body = msgspec.json.encode({"error": {"message": "No, because.", "type": "t", "code": "bad", "param": "top_p"}})
    pipeline = Pipeline(Says(status=status, headers=((b"Retry-After", b"7"),), steps=[body]))
    reply = await ask(pipeline, stream=stream)
    assert reply.ends == ["fail"]
    error = reply.error
    assert isinstance(error, UpstreamFailed)
    assert error.code == code
    assert error.retry_after_s == 7
    assert error.metadata["provider"] == "openai"
    assert error.metadata["upstream_status"] == status
    assert error.metadata["upstream_code"] == "bad"
    assert (error.message == "No, because.") == (status != 401)
    record = await pipeline.only_record()
    assert (record.status, record.http_status, record.error_code) == (Status.UPSTREAM_ERROR, told, code)
    assert (record.usage_source, record.cost, record.attempts) == (UsageSource.NONE, None, 1)


@playing
async def test_what_a_provider_says_of_our_credentials_stays_here() -> None:
    body = b'{"error":{"message":"Incorrect API key provided: key-of-openai.","code":"invalid_api_key"}}'
    pipeline = Pipeline(Says(status=401, steps=[body]))
    reply = await ask(pipeline)
    assert reply.error is not None
    assert "key-of-openai" not in f"{reply.error.message} {reply.error.metadata} {reply.error.code}"
    await pipeline.only_record()


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        (b"0", 0),
        (b"12", 12),
        (b"1.5", None),
        (b"Wed, 21 Oct 2026 07:28:00 GMT", None),
        (b"-1", None),
        (b"9" * 400, None),
    ],
)
@playing
async def test_retry_after_is_seconds_or_nothing(said: bytes, wait_s: float | None) -> None:
    pipeline = Pipeline(Says(status=429, headers=((b"retry-after", said),), steps=[b"{}"]))
    reply = await ask(pipeline)
    assert isinstance(reply.error, UpstreamFailed)
    assert reply.error.retry_after_s == wait_s


@pytest.mark.parametrize("failure", [UpstreamFailed("refused"), UpstreamTimeout("no answer within 1 s")])
@playing
async def test_a_provider_that_cannot_be_reached(failure: UpstreamFailed) -> None:
    pipeline = Pipeline(failure)
    reply = await ask(pipeline)
    assert reply.error is failure
    assert failure.metadata == {"provider": "openai"}
    record = await pipeline.only_record()
    assert record.status is Status.UPSTREAM_ERROR
    assert record.http_status == (504 if isinstance(failure, UpstreamTimeout) else 502)
    assert (record.cost, record.attempts) == (None, 1)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'"text"', b"{}", b'{"choices":null}', b"\xff", b'{"\xff":1}', b'{"a":' + b"[" * 100_000],
)
@playing
async def test_an_answer_that_is_none_is_an_upstream_error(body: bytes) -> None:
    pipeline = Pipeline(Says(steps=[body] if body else []))
    reply = await ask(pipeline)
    assert reply.ends == ["fail"]
    assert isinstance(reply.error, UpstreamFailed)
    record = await pipeline.only_record()
    assert (record.status, record.http_status) == (Status.UPSTREAM_ERROR, 502)


@playing
async def test_a_stream_that_breaks_off_ends_with_an_error_chunk() -> None:
    pipeline = Pipeline(Says(steps=[*STREAM[:2], UpstreamFailed("cut")]))
    reply = await ask(pipeline, stream=True)
    assert reply.ends == ["end"]
    told = events(reply.last)
    assert told[0]["error"]["message"] == "cut"
    assert told[0]["error"]["code"] == "upstream_error"
    assert told[0]["error"]["type"] == "server_error"
    assert told[0]["choices"][0]["finish_reason"] == "error"
    assert told[1] == "[DONE]"
    record = await pipeline.only_record()
    assert (record.status, record.http_status, record.error_code) == (Status.UPSTREAM_ERROR, 200, "upstream_error")
    assert record.usage_source is UsageSource.ESTIMATED
    assert record.usage.output_tokens == 2


@playing
async def test_a_stream_that_ends_before_its_end_is_no_success() -> None:
    pipeline = Pipeline(Says(steps=STREAM[:2]))
    reply = await ask(pipeline, stream=True)
    assert "before its end" in events(reply.last)[0]["error"]["message"]
    assert (await pipeline.only_record()).status is Status.UPSTREAM_ERROR


@playing
async def test_a_stream_without_an_end_mark_that_said_why_it_finished_is_whole() -> None:
    pipeline = Pipeline(Says(steps=STREAM[:4]))
    reply = await ask(pipeline, stream=True)
    assert reply.last.endswith(DONE)
    assert (await pipeline.only_record()).status is Status.SUCCESS


@playing
async def test_a_stream_that_fails_before_its_first_byte_has_a_status() -> None:
    pipeline = Pipeline(Says(steps=[UpstreamFailed("cut")]))
    reply = await ask(pipeline, stream=True)
    assert reply.ends == ["fail"]
    assert (await pipeline.only_record()).http_status == 502


@playing
async def test_an_error_event_in_a_stream_is_told_once() -> None:
    event = b'data: {"error":{"message":"overloaded","type":"overloaded_error"}}\n\n'
    pipeline = Pipeline(Says(steps=[STREAM[0], event + text("never seen")]))
    reply = await ask(pipeline, stream=True)
    assert reply.pieces == [STREAM[0]]
    error = events(reply.last)[0]["error"]
    assert error["message"] == "overloaded"
    assert error["metadata"] == {"provider": "openai", "upstream_code": "overloaded_error"}
    assert pipeline.client.hung_up == [True]
    assert (await pipeline.only_record()).status is Status.UPSTREAM_ERROR


# ---------------------------------------------------------------- falling back

RETRYABLE = [408, 429, 500, 502, 503, 504, 529]


@pytest.mark.parametrize("status", RETRYABLE)
@playing
async def test_the_next_model_is_asked_when_a_provider_fails(status: int) -> None:
    pipeline = Pipeline(Says(status=status, steps=[b"busy"]), Says(steps=[completion(model="llama")]))
    reply = await ask(pipeline, "openai/gpt-5.4", "groq/llama")
    assert reply.ends == ["whole"]
    assert [asked.origin.host for asked in pipeline.client.asked] == ["openai.example", "groq.example"]
    assert msgspec.json.decode(pipeline.client.asked[1].body)["model"] == "llama"
    record = await pipeline.only_record()
    assert (record.status, record.model, record.attempts) == (Status.SUCCESS, "groq/llama", 2)
    assert record.opening.requested_model == "openai/gpt-5.4"
    assert record.cost == 120 * MICRODOLLAR
    assert record.error_code is None


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@playing
async def test_what_the_client_is_to_blame_for_is_not_tried_elsewhere(status: int) -> None:
    pipeline = Pipeline(Says(status=status, steps=[b"{}"]), Says(steps=[completion()]))
    reply = await ask(pipeline, "openai/gpt-5.4", "groq/llama")
    assert reply.ends == ["fail"]
    assert len(pipeline.client.asked) == 1
    assert (await pipeline.only_record()).attempts == 1


@playing
async def test_the_last_failure_is_told_when_all_fail() -> None:
    pipeline = Pipeline(UpstreamFailed("first"), Says(status=503, steps=[]), UpstreamTimeout("third"))
    reply = await ask(pipeline, "openai/gpt-5.4", "groq/llama", "mistral/large")
    assert reply.error is not None
    assert reply.error.message == "third"
    record = await pipeline.only_record()
    assert (record.attempts, record.model, record.http_status) == (3, "mistral/large", 504)


@playing
async def test_after_the_first_byte_there_is_no_other_provider() -> None:
    pipeline = Pipeline(Says(steps=[STREAM[0], UpstreamFailed("cut")]), Says(steps=STREAM))
    reply = await ask(pipeline, "openai/gpt-5.4", "groq/llama", stream=True)
    assert reply.ends == ["end"]
    assert len(pipeline.client.asked) == 1
    assert (await pipeline.only_record()).attempts == 1


@playing
async def test_nobody_else_is_asked_for_a_client_that_has_left() -> None:
    pipeline = Pipeline(Says(status=503, steps=[]), Says(steps=[completion()]))
    await ask(pipeline, "openai/gpt-5.4", "groq/llama", reply=ScriptedReply(leaves_after=0))
    assert len(pipeline.client.asked) == 1
    assert (await pipeline.only_record()).status is Status.CLIENT_DISCONNECT


# ---------------------------------------------------------------- admission


@playing
async def test_a_refused_request_asks_nobody_and_is_a_record() -> None:
    pipeline = Pipeline()
    reply = await ask(pipeline, key=key(kind=KeyKind.MANAGEMENT))
    assert reply.ends == ["fail"]
    assert pipeline.ledger.opened == []
    record = await pipeline.only_record()
    assert (record.status, record.http_status, record.error_code) == (Status.REJECTED, 403, "wrong_key_type")
    assert (record.attempts, record.usage_source, record.cost) == (0, UsageSource.NONE, None)


@playing
async def test_an_allowed_model_does_not_open_the_door_to_its_fall_backs() -> None:
    pipeline = Pipeline(Says(status=503, steps=[]), Says(steps=[completion()]))
    reply = await ask(pipeline, "openai/gpt-5.4", "groq/llama", key=key(allowed_models=("openai/gpt-5.4",)))
    assert reply.error is not None
    assert reply.error.code == "model_not_allowed"
    assert pipeline.client.asked == []
    assert (await pipeline.only_record()).status is Status.REJECTED


@playing
async def test_an_unknown_model_is_a_record_without_a_route() -> None:
    pipeline = Pipeline()
    await ask(pipeline, "nobody/knows")
    record = await pipeline.only_record()
    assert (record.status, record.http_status, record.error_code) == (Status.REJECTED, 404, "model_not_found")
    assert (record.model, record.provider) == (None, None)


@playing
async def test_what_cannot_be_translated_is_refused_before_anybody_is_asked() -> None:
    pipeline = Pipeline()
    reply = await ask(pipeline, "anthropic/claude-sonnet-4-5", messages=[{"role": "nobody", "content": "x"}])
    assert reply.ends == ["fail"]
    assert pipeline.client.asked == []
    record = await pipeline.only_record()
    assert (record.status, record.http_status) == (Status.REJECTED, 400)


@playing
async def test_a_request_that_cannot_become_a_call_is_a_record_too() -> None:
    pipeline = Pipeline()
    reply = ScriptedReply()
    error = StorageUnavailable("as good as any")
    await pipeline.completions.reject(opening(user=None, requested_model=None), error, reply)
    assert reply.error is error
    record = await pipeline.only_record()
    assert (record.status, record.http_status, record.error_code) == (Status.REJECTED, 503, "storage_unavailable")


# ---------------------------------------------------------------- the ledger first


@pytest.mark.parametrize("stream", [False, True])
@playing
async def test_the_record_is_durable_before_the_last_bytes_go(stream: bool) -> None:
    pipeline = Pipeline(Says(steps=STREAM if stream else [completion()]))
    pipeline.ledger.late = asyncio.Event()
    reply = ScriptedReply()
    running = asyncio.ensure_future(pipeline.completions.run(call(stream=stream), reply))
    await until(lambda: bool(pipeline.ledger.closed))
    await turns()
    assert reply.ends == []
    assert await pipeline.ledger.records() == []
    pipeline.ledger.late.set()
    await running
    assert reply.ends == ["end" if stream else "whole"]
    await pipeline.only_record()


@playing
async def test_a_refusal_too_is_durable_before_it_is_told() -> None:
    pipeline = Pipeline()
    pipeline.ledger.late = asyncio.Event()
    reply = ScriptedReply()
    running = asyncio.ensure_future(pipeline.completions.run(call("nobody/knows"), reply))
    await turns()
    assert reply.ends == []
    pipeline.ledger.late.set()
    await running
    assert reply.ends == ["fail"]


@playing
async def test_relaxed_the_answer_does_not_wait() -> None:
    pipeline = Pipeline(Says(steps=[completion()]), durability="relaxed")
    pipeline.ledger.late = asyncio.Event()
    reply = await ask(pipeline)
    assert reply.ends == ["whole"]
    assert await pipeline.ledger.records() == []
    pipeline.ledger.late.set()
    await pipeline.only_record()


@playing
async def test_nothing_is_asked_when_the_ledger_takes_nothing() -> None:
    pipeline = Pipeline(Says(steps=[completion()]))
    pipeline.ledger.open_fails = True
    pipeline.ledger.close_fails = StorageUnavailable("The disk is full.")
    reply = await ask(pipeline)
    assert isinstance(reply.error, StorageUnavailable)
    assert pipeline.client.asked == []
    ((lost, _),) = pipeline.lost
    assert (lost.status, lost.http_status) == (Status.REJECTED, 503)


@playing
async def test_nothing_is_asked_when_the_spending_of_a_limited_key_is_not_known() -> None:
    pipeline = Pipeline(Says(steps=[completion()]))
    pipeline.counters.fails = True
    reply = await ask(pipeline, key=key(limit=10**12))
    assert isinstance(reply.error, StorageUnavailable)
    assert pipeline.client.asked == []
    assert (await pipeline.only_record()).http_status == 503


@pytest.mark.parametrize("failure", [StorageUnavailable("The disk is full."), ValueError("a count of -1")])
@playing
async def test_an_answer_that_could_not_be_recorded_is_not_given(failure: Exception) -> None:
    pipeline = Pipeline(Says(steps=[completion()]))
    pipeline.ledger.close_fails = failure
    reply = await ask(pipeline)
    assert reply.ends == ["fail"]
    assert isinstance(reply.error, StorageUnavailable)
    ((lost, _),) = pipeline.lost
    assert lost.cost == 400 * MICRODOLLAR


@playing
async def test_a_stream_that_could_not_be_recorded_ends_with_an_error_chunk() -> None:
    pipeline = Pipeline(Says(steps=STREAM))
    pipeline.ledger.close_fails = StorageUnavailable("The disk is full.")
    reply = await ask(pipeline, stream=True)
    assert reply.ends == ["end"]
    assert events(reply.last)[0]["error"]["code"] == "storage_unavailable"
    assert b'"usage"' not in reply.last
    assert len(pipeline.lost) == 1


@playing
async def test_a_refusal_that_could_not_be_recorded_says_so() -> None:
    pipeline = Pipeline()
    pipeline.ledger.close_fails = StorageUnavailable("The disk is full.")
    reply = ScriptedReply()
    await pipeline.completions.reject(opening(), UpstreamFailed("x"), reply)
    assert isinstance(reply.error, StorageUnavailable)


# ---------------------------------------------------------------- shutdown


@pytest.mark.parametrize("stream", [False, True])
@playing
async def test_a_shutdown_leaves_one_interrupted_record_and_tells_the_client(stream: bool) -> None:
    pipeline = Pipeline(Says(steps=[STREAM[0], asyncio.Event()]))
    reply = ScriptedReply()
    running = asyncio.ensure_future(pipeline.completions.run(call(stream=stream), reply))
    await turns()
    running.cancel()
    await running
    assert reply.ends == ["end" if stream else "fail"]
    if stream:
        assert events(reply.last)[0]["error"]["code"] == "shutting_down"
    else:
        assert isinstance(reply.error, ShuttingDown)
    record = await pipeline.only_record()
    assert (record.status, record.error_code) == (Status.INTERRUPTED, "shutting_down")
    assert record.http_status == (200 if stream else 503)
    assert record.usage_source is UsageSource.ESTIMATED
    assert pipeline.client.hung_up == [True]


@playing
async def test_a_shutdown_while_the_client_takes_the_last_piece_lets_the_connection_go() -> None:
    pipeline = Pipeline(Says(steps=[b"".join(STREAM), asyncio.Event()]))
    reply = ScriptedReply(blocks_at=0)
    running = asyncio.ensure_future(pipeline.completions.run(call(stream=True), reply))
    await reply.blocked.wait()
    running.cancel()
    await running
    assert (await pipeline.only_record()).status is Status.INTERRUPTED


@playing
async def test_a_shutdown_before_the_provider_answers() -> None:
    pipeline = Pipeline(Says(before=[asyncio.Event()]))
    running = asyncio.ensure_future(pipeline.completions.run(call(), ScriptedReply()))
    await turns()
    running.cancel()
    await running
    record = await pipeline.only_record()
    assert (record.status, record.http_status, record.cost) == (Status.INTERRUPTED, 503, None)


@playing
async def test_a_shutdown_while_the_record_is_written_loses_nothing() -> None:
    pipeline = Pipeline(Says(steps=[completion()]))
    pipeline.ledger.late = asyncio.Event()
    running = asyncio.ensure_future(pipeline.completions.run(call(), ScriptedReply()))
    await until(lambda: bool(pipeline.ledger.closed))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    pipeline.ledger.late.set()
    await asyncio.sleep(0.01)
    assert (await pipeline.only_record()).status is Status.SUCCESS


# ---------------------------------------------------------------- defects


class BreaksOnce(Cards):
    """Prices that cannot be looked up the first time."""

    def __call__(self, provider: str, model: str, at: datetime, *rest: Any, **named: Any) -> RateCard | None:
        card = super().__call__(provider, model, at, *rest, **named)
        if len(self.asked) == 1:
            raise ValueError("a defect")
        return card


@pytest.mark.parametrize("stream", [False, True])
@playing
async def test_a_defect_is_a_500_and_one_record(stream: bool) -> None:
    defect = ValueError("a secret detail")
    pipeline = Pipeline(defect)
    reply = await ask(pipeline, stream=stream)
    assert reply.ends == ["fail"]
    assert isinstance(reply.error, InternalError)
    assert "secret" not in reply.error.message
    assert reply.error.__cause__ is defect
    record = await pipeline.only_record()
    assert (record.http_status, record.error_code) == (500, "internal_error")


@pytest.mark.parametrize("stream", [False, True])
@playing
async def test_a_defect_in_the_last_step_is_a_record_that_says_so(stream: bool) -> None:
    pipeline = Pipeline(Says(steps=STREAM if stream else [completion()]), cards=BreaksOnce(CARDS))
    reply = await ask(pipeline, stream=stream)
    assert reply.ends == ["end" if stream else "fail"]
    record = await pipeline.only_record()
    assert (record.error_code, record.http_status) == ("internal_error", 200 if stream else 500)
    assert record.cost == 400 * MICRODOLLAR


# ---------------------------------------------------------------- who the provider learns of


def _pseudonym(organization_id: str, user: str) -> str:
    return hmac.new(SECRET, f"{organization_id}\0{user}".encode(), hashlib.sha256).hexdigest()


async def _sent(user: str | None, *, model: str = "openai/gpt-5.4", org: str = "org_1", **changes: Any) -> Any:
    name = model.partition("/")[0]
    pipeline = Pipeline(UpstreamFailed("down"), routes=Routing([deployment(name, **changes)]))
    asked = call(model, user=user, organization_id=org)
    fields = {**asked.fields, "user": msgspec.Raw(msgspec.json.encode("raw user"))}
    await pipeline.completions.run(replace(asked, fields=fields), ScriptedReply())
    body = pipeline.client.asked[0].body
    assert b"raw user" not in body
    return msgspec.json.decode(body)


@pytest.mark.parametrize("user", ["user_12345", "", " ", "ü", "jane@example.com", "a\0b", "😀" * 256])
@playing
async def test_a_provider_learns_a_pseudonym(user: str) -> None:
    sent = await _sent(user)
    assert sent["safety_identifier"] == _pseudonym("org_1", user)
    assert "user" not in sent
    assert (await _sent(user))["safety_identifier"] == sent["safety_identifier"]
    assert (await _sent(user, org="org_2"))["safety_identifier"] == _pseudonym("org_2", user)
    assert (await _sent(user, model="anthropic/claude-sonnet-4-5"))["metadata"] == {
        "user_id": _pseudonym("org_1", user)
    }


@playing
async def test_no_user_is_no_pseudonym() -> None:
    sent = await _sent(None)
    assert "safety_identifier" not in sent
    assert "user" not in sent


@playing
async def test_the_operator_may_send_nothing_or_the_raw_value() -> None:
    assert "safety_identifier" not in await _sent("jane", identity="none")
    assert (await _sent("jane", identity="raw"))["safety_identifier"] == "jane"


@playing
async def test_a_vendor_without_a_field_for_it_learns_nothing() -> None:
    assert set(await _sent("jane", model="groq/llama")) == {"model", "messages", "stream"}


# ---------------------------------------------------------------- silence


@playing
async def test_a_silent_stream_is_kept_alive() -> None:
    pipeline = Pipeline(Says(steps=[0.05, *STREAM]), keep_alive_s=0.02)
    reply = await ask(pipeline, stream=True)
    assert COMMENT in reply.pieces
    assert [piece for piece in reply.pieces if piece != COMMENT] == list(STREAM[:3])
    await pipeline.only_record()


class Outbox(ScriptedReply):
    """A client that is sent to in `drained` only, as over ASGI."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[bytes] = []

    @property
    def paused(self) -> bool:
        return bool(self.waiting)

    def send(self, data: bytes) -> bool:
        self._begin()
        self.waiting.append(data)
        return False

    async def drained(self) -> None:
        self.pieces += self.waiting
        self.waiting.clear()


@playing
async def test_a_comment_does_not_wait_for_the_provider() -> None:
    may_speak = asyncio.Event()
    pipeline = Pipeline(Says(steps=[may_speak, *STREAM]), keep_alive_s=0.001)
    reply = Outbox()
    running = asyncio.ensure_future(pipeline.completions.run(call(stream=True), reply))
    await until(lambda: COMMENT in reply.pieces)
    may_speak.set()
    await running
    assert [piece for piece in reply.pieces if piece != COMMENT] == list(STREAM[:3])


@playing
async def test_the_time_to_the_first_token_is_not_that_of_a_comment() -> None:
    pipeline = Pipeline(Says(steps=[0.05, UpstreamFailed("cut")]), keep_alive_s=0.02)
    reply = await ask(pipeline, stream=True)
    assert reply.ends == ["end"]
    record = await pipeline.only_record()
    assert record.time_to_first_token_us is None
    assert record.http_status == 200


# ---------------------------------------------------------------- in the contract


def test_a_code_of_the_providers_is_ours_only_where_the_client_is_to_blame() -> None:
    blamed = in_contract(UpstreamFailed("x", code="context_length_exceeded", client_fault=True), 400)
    assert (blamed.code, dict(blamed.metadata)) == ("context_length_exceeded", {"upstream_status": 400})
    ours = in_contract(UpstreamFailed("x", code="insufficient_quota"), 429)
    assert ours.code == "rate_limit_exceeded"
    assert ours.metadata == {"upstream_status": 429, "upstream_code": "insufficient_quota"}
    plain = in_contract(UpstreamFailed("x"), 500)
    assert (plain.code, dict(plain.metadata)) == ("upstream_error", {"upstream_status": 500})


def test_the_tests_know_what_a_chunk_is() -> None:
    assert events(chunk(choices=[]) + COMMENT + DONE)[-1] == "[DONE]"

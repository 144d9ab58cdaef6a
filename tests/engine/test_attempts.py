"""Asking until somebody answers: fall-backs, repetitions, deadlines; one charge, and all of it on the record."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from arouter.domain.attempt import Attempt
from arouter.domain.errors import InvalidRequest, UpstreamFailed, UpstreamTimeout
from arouter.domain.record import Record, Status
from arouter.domain.usage import UsageSource
from arouter.engine.breaker import BreakerRules
from arouter.engine.retrying import RetryBudget, RetryRules
from arouter.engine.routing import ModelRoute, Routing
from arouter.engine.upstream import Timeouts
from tests.engine.pipeline import DONE, STREAM, USAGE, Pipeline, ask, completion, playing, text, until
from tests.engine.samples import Cards, card, deployment, key
from tests.engine.scripted_client import Says
from tests.engine.scripted_reply import ScriptedReply

RETRIES = RetryRules(retries=2, first_wait_s=1.0, longest_wait_s=8.0, total_s=60.0)
GOOD = Says(steps=[completion()])
REFUSED = UpstreamFailed("openai.example: the connection was refused")


def busy(after_s: int | None = None) -> Says:
    headers = () if after_s is None else ((b"retry-after", b"%d" % after_s),)
    return Says(status=429, headers=headers, steps=[b'{"error":{"message":"slow down"}}'])


def broken(status: int = 500) -> Says:
    return Says(status=status, steps=[b'{"error":{"message":"oops"}}'])


def told(attempts: Sequence[Attempt]) -> list[tuple[str, int | None, str | None]]:
    return [
        (
            one.provider if one.deployment is None else f"{one.provider}/{one.deployment}",
            one.http_status,
            one.error_code,
        )
        for one in attempts
    ]


def hosts(pipeline: Pipeline) -> list[str]:
    """Whom it asked."""
    return [asked.origin.host.removesuffix(".example") for asked in pipeline.client.asked]


def several(*names: str, **changes: Any) -> Routing:
    """Deployments of `openai`, each at a host of its name, and `groq`."""
    return Routing(
        [
            *(
                deployment("openai", name=name, origin=deployment(name, vendor=deployment().vendor).origin, **changes)
                for name in names
            ),
            deployment("groq"),
            deployment("openrouter"),
            deployment("anthropic"),
        ],
        models={
            "m": ModelRoute(names=("groq/llama", "openrouter/meta/llama")),
            "deep": ModelRoute(names=("anthropic/claude-sonnet-4-5", "groq/llama")),
        },
    )


def charged_once(record: Record) -> None:
    """The whole is what the last attempt cost; nothing is known of the others, and nothing is made up."""
    assert record.usage_source is UsageSource.PROVIDER
    assert record.usage.completion_tokens == USAGE["completion_tokens"]
    assert record.cost == 400_000_000
    assert all((one.usage, one.cost) == (None, None) for one in record.tried)


# ---------------------------------------------------------------- repetitions


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (busy(), 429, "rate_limit_exceeded"),
        (broken(500), 500, "upstream_error"),
        (broken(503), 503, "upstream_error"),
        (broken(408), 408, "upstream_error"),
        (REFUSED, None, "upstream_error"),
        (UpstreamTimeout("no first byte"), None, "upstream_timeout"),
    ],
)
@playing
async def test_what_may_pass_is_tried_again_and_charged_once(
    stream: bool, failure: Says | UpstreamFailed, status: int | None, code: str
) -> None:
    pipeline = Pipeline(failure, Says(steps=STREAM) if stream else GOOD, retries=RETRIES)
    reply = await ask(pipeline, stream=stream)
    assert reply.error is None
    record = await pipeline.only_record()
    assert record.status is Status.SUCCESS
    assert told(record.tried) == [("openai", status, code), ("openai", 200, None)]
    assert record.attempts == 2
    charged_once(record)
    assert len(pipeline.slept) == 1
    assert 0.5 <= pipeline.slept[0] <= 1.0


@playing
async def test_the_pause_that_the_provider_asks_for_is_kept() -> None:
    pipeline = Pipeline(busy(5), GOOD, retries=RETRIES)
    await ask(pipeline)
    assert 5.0 <= pipeline.slept[0] <= 6.0
    charged_once(await pipeline.only_record())


@playing
async def test_a_pause_that_is_too_long_is_the_clients_to_keep() -> None:
    pipeline = Pipeline(busy(9), retries=RETRIES)
    reply = await ask(pipeline)
    assert isinstance(reply.error, UpstreamFailed)
    assert (reply.error.retry_after_s, reply.error.code) == (9.0, "rate_limit_exceeded")
    assert pipeline.slept == []
    assert (await pipeline.only_record()).http_status == 429


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
@playing
async def test_what_would_be_the_same_again_is_not_repeated(status: int) -> None:
    pipeline = Pipeline(broken(status), retries=RETRIES)
    assert (await ask(pipeline)).error is not None
    record = await pipeline.only_record()
    assert (record.attempts, record.tried, pipeline.slept) == (1, (), [])


@playing
async def test_after_so_many_repetitions_the_last_failure_is_the_answer() -> None:
    pipeline = Pipeline(broken(500), busy(), broken(502), retries=RETRIES)
    reply = await ask(pipeline)
    assert reply.error is not None
    record = await pipeline.only_record()
    assert told(record.tried) == [
        ("openai", 500, "upstream_error"),
        ("openai", 429, "rate_limit_exceeded"),
        ("openai", 502, "upstream_error"),
    ]
    assert (record.status, record.http_status, record.cost) == (Status.UPSTREAM_ERROR, 502, None)
    assert pipeline.slept[1] > pipeline.slept[0]


@playing
async def test_nothing_is_repeated_once_a_byte_went_out() -> None:
    pipeline = Pipeline(Says(steps=[STREAM[0], UpstreamFailed("cut")]), retries=RETRIES)
    reply = await ask(pipeline, stream=True)
    assert reply.ends == ["end"]
    record = await pipeline.only_record()
    assert (record.attempts, record.tried) == (1, ())
    assert record.usage_source is UsageSource.ESTIMATED
    assert len(pipeline.client.asked) == 1


@playing
async def test_without_the_setting_nothing_is_repeated() -> None:
    pipeline = Pipeline(broken())
    await ask(pipeline)
    assert (await pipeline.only_record()).attempts == 1


@playing
async def test_repetitions_end_when_most_requests_need_one() -> None:
    most = RetryBudget.MOST // RetryBudget.PRICE
    pipeline = Pipeline(*[broken()] * (2 * most + 200), retries=RetryRules(retries=1))
    requests = 200
    for number in range(requests):
        await ask(pipeline, id=f"gen-{number}")
    repeated = len(pipeline.client.asked) - requests
    assert most < repeated <= most + requests // RetryBudget.PRICE


# ---------------------------------------------------------------- deadlines


@playing
async def test_a_repetition_does_not_wait_for_longer_than_is_left() -> None:
    pipeline = Pipeline(broken(), GOOD, retries=RetryRules(retries=1, first_wait_s=8, total_s=60.0))
    await ask(pipeline)
    first, second = (asked.timeouts for asked in pipeline.client.asked)
    assert first is None, "the gateway's own"
    assert second is not None
    assert 50 < second.first_byte_s < 57
    assert second.idle_s == Timeouts().idle_s


@playing
async def test_no_provider_is_asked_after_the_deadline() -> None:
    pipeline = Pipeline(broken(), GOOD, retries=RetryRules(total_s=0.001))
    reply = await ask(pipeline, "openai/gpt-5.4", "groq/llama")
    assert reply.error is not None
    assert (await pipeline.only_record()).attempts == 1


# ---------------------------------------------------------------- other deployments


@playing
async def test_another_key_of_the_provider_is_asked_at_once() -> None:
    pipeline = Pipeline(broken(401), busy(3), GOOD, routes=several("a", "b", "c"), retries=RETRIES)
    await ask(pipeline)
    record = await pipeline.only_record()
    assert [one.deployment for one in record.tried if one.deployment] == [*hosts(pipeline)]
    assert sorted(hosts(pipeline)) == ["a", "b", "c"]
    assert [one.http_status for one in record.tried] == [401, 429, 200]
    assert pipeline.slept == []
    charged_once(record)


@playing
async def test_each_deployment_has_its_own_credentials() -> None:
    keys = [deployment("openai", name=name, headers=(("Authorization", f"Bearer key-{name}"),)) for name in ("a", "b")]
    pipeline = Pipeline(broken(), GOOD, routes=Routing(keys))
    await ask(pipeline)
    sent = {line for asked in pipeline.client.asked for line in asked.head.split(b"\r\n") if b"Bearer" in line}
    assert sent == {b"Authorization: Bearer key-a", b"Authorization: Bearer key-b"}


@playing
async def test_a_deployment_that_fails_again_and_again_is_asked_last_until_it_is_well() -> None:
    routes = Routing(
        [deployment("groq"), deployment("mistral")], models={"m": ModelRoute(names=("groq/l", "mistral/l"))}
    )
    failing = [broken(), GOOD] * 2
    pipeline = Pipeline(*failing, GOOD, GOOD, GOOD, routes=routes, breaker=BreakerRules(failures=2, rest_s=30.0))
    for number in range(3):
        await ask(pipeline, "m", id=f"gen-{number}")
    assert hosts(pipeline) == ["groq", "mistral", "groq", "mistral", "mistral"]
    pipeline.clock.advance(31_000_000)
    for number in range(3, 5):
        await ask(pipeline, "m", id=f"gen-{number}")
    assert hosts(pipeline)[5:] == ["groq", "groq"], "one found out that it is well, and the next goes there again"


@playing
async def test_one_request_at_a_time_finds_out_whether_a_deployment_is_well_again() -> None:
    routes = Routing(
        [deployment("groq"), deployment("mistral")], models={"m": ModelRoute(names=("groq/l", "mistral/l"))}
    )
    late = asyncio.Event()
    pipeline = Pipeline(
        *(broken(), GOOD, Says(before=[late], steps=[completion()]), GOOD, GOOD),
        routes=routes,
        breaker=BreakerRules(failures=1, rest_s=30.0),
    )
    await ask(pipeline, "m", id="gen-1")
    pipeline.clock.advance(31_000_000)
    finding_out = asyncio.ensure_future(ask(pipeline, "m", id="gen-2"))
    await until(lambda: len(pipeline.client.asked) == 3)
    await ask(pipeline, "m", id="gen-3")
    late.set()
    await finding_out
    await ask(pipeline, "m", id="gen-4")
    assert hosts(pipeline)[2:] == ["groq", "mistral", "groq"]


@playing
async def test_the_one_that_rests_is_asked_if_nobody_else_can_answer() -> None:
    pipeline = Pipeline(*[broken()] * 3, GOOD, breaker=BreakerRules(failures=1))
    for number in range(3):
        await ask(pipeline, id=f"gen-{number}")
    assert (await ask(pipeline, id="gen-4")).error is None


# ---------------------------------------------------------------- who cannot be asked


@playing
async def test_a_request_that_nobody_may_answer_is_on_record_with_what_it_asked_for() -> None:
    pipeline = Pipeline()
    await ask(pipeline, key=key(allowed_providers=("groq",)))
    record = await pipeline.only_record()
    assert (record.status, record.model, record.provider) == (Status.REJECTED, "openai/gpt-5.4", "openai")


@playing
async def test_whoever_has_no_counterpart_for_a_parameter_is_passed_over_if_it_must() -> None:
    wishes = {"require_parameters": True}
    pipeline = Pipeline(GOOD, GOOD, routes=several("a"))
    await ask(pipeline, "deep", provider=wishes, seed=7)
    record = await pipeline.only_record()
    assert (hosts(pipeline), record.attempts, record.provider) == (["groq"], 1, "groq")


@playing
async def test_if_nobody_has_a_counterpart_the_parameters_are_named() -> None:
    pipeline = Pipeline()
    reply = await ask(
        pipeline, "anthropic/claude-sonnet-4-5", provider={"require_parameters": True}, seed=7, logprobs=True
    )
    assert isinstance(reply.error, InvalidRequest)
    assert (reply.error.code, reply.error.metadata) == (
        "unsupported_parameter",
        {"parameters": [*{"seed": 0, "logprobs": 0}]},
    )
    assert reply.error.param in ("seed", "logprobs")
    record = await pipeline.only_record()
    assert (record.status, record.http_status, record.attempts) == (Status.REJECTED, 400, 0)


@playing
async def test_what_cannot_be_said_to_one_provider_is_said_to_the_next() -> None:
    sound = [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]
    pipeline = Pipeline(GOOD, routes=several("a"))
    await ask(pipeline, "deep", messages=[{"role": "user", "content": sound}], provider={"require_parameters": True})
    assert hosts(pipeline) == ["groq"]


@playing
async def test_a_failure_counts_for_more_than_a_provider_that_could_not_be_asked() -> None:
    pipeline = Pipeline(broken(), routes=several("a"))
    reply = await ask(
        pipeline, "groq/llama", "anthropic/claude-sonnet-4-5", provider={"require_parameters": True}, seed=7
    )
    assert isinstance(reply.error, UpstreamFailed)
    record = await pipeline.only_record()
    assert (record.attempts, record.tried, record.provider) == (1, (), "groq")


# ---------------------------------------------------------------- a gateway behind us


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ({"only": ["openrouter"], "sort": "price"}, None),
        ({"ignore": ["groq"], "data_collection": "allow", "zdr": False}, {"data_collection": "allow", "zdr": False}),
    ],
)
@playing
async def test_a_gateway_that_we_chose_gets_the_conditions_and_none_of_our_names(
    said: dict[str, Any], sent: dict[str, Any] | None
) -> None:
    pipeline = Pipeline(GOOD, routes=several("a"))
    await ask(pipeline, "m", provider=said)
    assert hosts(pipeline) == ["openrouter"]
    assert msgspec.json.decode(pipeline.client.asked[0].body).get("provider") == sent


@playing
async def test_a_gateway_that_was_asked_for_by_name_gets_what_the_client_wrote() -> None:
    said = {"only": ["deepinfra/turbo"], "sort": "exacto"}
    pipeline = Pipeline(GOOD, routes=several("a"))
    await ask(pipeline, "openrouter/meta/llama:free", provider=said)
    body = msgspec.json.decode(pipeline.client.asked[0].body)
    assert (body["provider"], body["model"]) == (said, "meta/llama:free")


# ---------------------------------------------------------------- telling, leaving, stopping


@pytest.mark.parametrize("stream", [False, True])
@playing
async def test_the_answer_tells_who_was_asked_if_the_client_wants_to_know(stream: bool) -> None:
    pipeline = Pipeline(broken(), Says(steps=STREAM) if stream else GOOD)
    reply = ScriptedReply()
    reply.wants_attempts = True
    await ask(pipeline, "openai/gpt-5.4", "groq/llama", reply=reply, stream=stream)
    assert told(reply.attempts) == [("openai", 500, "upstream_error"), ("groq", 200, None)]
    assert reply.attempts[0] == (await pipeline.only_record()).tried[0]


@playing
async def test_an_error_tells_it_too_and_nobody_else_is_told() -> None:
    pipeline = Pipeline(broken(), broken(503), broken())
    reply = ScriptedReply()
    reply.wants_attempts = True
    await ask(pipeline, "openai/gpt-5.4", "groq/llama", reply=reply)
    assert told(reply.attempts) == [("openai", 500, "upstream_error"), ("groq", 503, "upstream_error")]
    assert (await ask(pipeline, id="gen-2")).attempts == ()


@playing
async def test_nobody_is_asked_and_nothing_waited_for_after_the_client_left() -> None:
    for models in (("openai/gpt-5.4",), ("openai/gpt-5.4", "groq/llama")):
        pipeline = Pipeline(broken(), GOOD, retries=RETRIES)
        await ask(pipeline, *models, reply=ScriptedReply(leaves_after=0))
        assert ((await pipeline.only_record()).attempts, pipeline.slept) == (1, [])


@playing
async def test_nobody_is_asked_for_a_client_that_left_during_the_pause() -> None:
    pipeline = Pipeline(broken(), GOOD, retries=RETRIES)
    reply = ScriptedReply()
    pipeline.on_sleep = reply.leave
    await ask(pipeline, reply=reply)
    record = await pipeline.only_record()
    assert (record.status, record.attempts, record.tried) == (Status.CLIENT_DISCONNECT, 1, ())
    assert len(pipeline.client.asked) == 1


@playing
async def test_a_stop_during_a_pause_leaves_one_record_of_what_was_asked() -> None:
    pipeline = Pipeline(broken(), broken(503), GOOD, retries=RETRIES)
    pipeline.pause_over.clear()
    asking = asyncio.ensure_future(ask(pipeline, "openai/gpt-5.4", "groq/llama"))
    await pipeline.pausing.wait()
    asking.cancel()
    reply = await asking
    assert reply.error is not None
    record = await pipeline.only_record()
    assert record.status is Status.INTERRUPTED
    assert told(record.tried) == [("openai", 500, "upstream_error"), ("groq", 503, "upstream_error")]
    assert record.attempts == 2


@playing
async def test_a_slow_first_byte_is_waited_for() -> None:
    slow = asyncio.Event()
    pipeline = Pipeline(Says(before=[slow], steps=[text("Hi"), text("", "stop"), DONE]), retries=RETRIES)
    asking = asyncio.ensure_future(ask(pipeline, stream=True))
    await until(lambda: len(pipeline.client.asked) == 1)
    slow.set()
    assert (await asking).error is None
    assert (await pipeline.only_record()).attempts == 1


@playing
async def test_the_price_is_that_of_the_provider_that_answered() -> None:
    cards = Cards({"openai/gpt-5.4": card(), "groq/llama": card(input=1, output=1)})
    pipeline = Pipeline(broken(), Says(steps=[completion(model="llama")]), cards=cards)
    await ask(pipeline, "openai/gpt-5.4", "groq/llama")
    assert (await pipeline.only_record()).cost == 120_000_000

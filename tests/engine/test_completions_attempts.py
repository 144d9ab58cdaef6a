"""Each time that a provider was asked is on the record, once there was more than one."""

from arouter.domain.attempt import Attempt
from arouter.domain.errors import UpstreamFailed, UpstreamTimeout
from tests.engine.pipeline import STREAM, Pipeline, ask, completion, playing
from tests.engine.samples import call
from tests.engine.scripted_client import Says


def told(attempt: Attempt) -> tuple[str, str, int | None, str | None]:
    return attempt.provider, attempt.model, attempt.http_status, attempt.error_code


@playing
async def test_one_attempt_needs_no_list() -> None:
    pipeline = Pipeline(Says(steps=[completion()]))
    await ask(pipeline)
    record = await pipeline.only_record()
    assert (record.attempts, record.tried) == (1, ())


@playing
async def test_attempts_are_told_in_their_order_with_what_came_of_each() -> None:
    pipeline = Pipeline(UpstreamTimeout("late"), Says(status=503, steps=[]), Says(steps=[completion()]))
    await ask(pipeline, "openai/gpt-5.4", "groq/llama", "mistral/large")
    record = await pipeline.only_record()
    assert [told(attempt) for attempt in record.tried] == [
        ("openai", "gpt-5.4", None, "upstream_timeout"),
        ("groq", "llama", 503, "upstream_error"),
        ("mistral", "large", 200, None),
    ]
    assert record.attempts == 3
    assert all(attempt.latency_us > 0 for attempt in record.tried)
    assert record.latency_us is not None
    assert sum(attempt.latency_us for attempt in record.tried) <= record.latency_us
    assert [attempt.usage for attempt in record.tried] == [None] * 3, "the last one's is the record's own"


@playing
async def test_the_last_attempt_may_fail_too() -> None:
    pipeline = Pipeline(Says(status=500, steps=[]), UpstreamFailed("gone"))
    await ask(pipeline, "openai/gpt-5.4", "groq/llama")
    record = await pipeline.only_record()
    assert [told(attempt) for attempt in record.tried] == [
        ("openai", "gpt-5.4", 500, "upstream_error"),
        ("groq", "llama", None, "upstream_error"),
    ]


@playing
async def test_a_stream_that_breaks_off_is_the_last_attempt_with_the_status_that_it_began_with() -> None:
    pipeline = Pipeline(Says(status=429, steps=[]), Says(steps=[STREAM[0], UpstreamFailed("cut")]))
    await ask(pipeline, "openai/gpt-5.4", "groq/llama", stream=True)
    record = await pipeline.only_record()
    assert [told(attempt) for attempt in record.tried] == [
        ("openai", "gpt-5.4", 429, "rate_limit_exceeded"),
        ("groq", "llama", 200, "upstream_error"),
    ]


@playing
async def test_the_name_that_a_request_is_routed_by_is_known_before_it_runs() -> None:
    completions = Pipeline().completions
    assert completions.routed_name(call().models[0]) == "openai/gpt-5.4"
    assert completions.routed_name("llama") == "openai/llama"
    for unknown in ("nobody/knows", "openai/", "\n"):
        assert completions.routed_name(unknown) is None

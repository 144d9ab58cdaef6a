"""A client that leaves after any event of a stream: one record, with what the provider says that it used."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.client import Heard, ask
from tests.faults.ledgers import contents
from tests.faults.processes import Gateway, place, sandbox_at, wait_until
from tests.faults.sandboxes import RunningSandbox, running_sandbox

PROVIDERS = ("openai", "anthropic", "google")
MODELS = (
    "sandbox?tokens=12&token_ms=100",
    "sandbox-reason?tokens=4&reasoning_tokens=6&token_ms=100&cached_tokens=2",
)
TOKENS = {MODELS[0]: 12, MODELS[1]: 10}
MOST_EVENTS = 14
"""More than any of these streams has before its end mark, so that some clients hear it all."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


async def leave_everywhere(gateway: Gateway) -> dict[str, Heard]:
    """By user: one client for each provider, stream and event, all at once, and one that leaves before the head."""
    async with asyncio.TaskGroup() as group:
        asking = {
            f"{provider} {model} {after}": group.create_task(
                ask(
                    gateway.url,
                    gateway.live,
                    f"{provider}/{model}",
                    stream=True,
                    user=f"{provider} {model} {after}",
                    leave_after=after,
                )
            )
            for provider in PROVIDERS
            for model in MODELS
            for after in range(MOST_EVENTS)
        }
    return {user: task.result() for user, task in asking.items()}


def possible(answer: Heard) -> set[str]:
    if answer.whole:
        return {"success"}
    finished = any(choice["finish_reason"] for event in answer.events for choice in event["choices"])
    return {"success", "client_disconnect"} if finished else {"client_disconnect"}


def test_the_usage_of_an_answer_that_nobody_waited_for_is_the_providers(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    with place(tmp_path, sandbox_at(sandbox.url)) as home:
        gateway = home.start()
        answers = asyncio.run(leave_everywhere(gateway))
        gateway.terminate()
        assert gateway.exit_code() == 0
    found = contents(gateway.database)
    records = found.by_user()
    assert records.keys() == answers.keys()
    for user, record in records.items():
        assert user is not None
        model = user.split(" ")[1]
        # Who leaves at the very end may find everything sent already.
        assert record.status in possible(answers[user])
        assert (record.usage_source, record.usage.completion_tokens) == ("provider", TOKENS[model])
        assert record.usage.prompt_tokens == 6
        assert record.attempts == 1
    assert sum(record.status == "client_disconnect" for record in found.records) > len(records) / 2
    assert found.report.problems == ()


def test_a_cancelled_answer_is_an_estimate_and_the_provider_is_hung_up(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """Of a stream that would go on for long: the provider sees its connection close, and the record says `estimated`,
    or `partial` where the provider had told some of its usage."""
    endless = "sandbox?tokens=2000&token_ms=100"
    cuts = (0, 1, 2, 3, 5, 8)

    async def leave(gateway: Gateway) -> None:
        await asyncio.gather(
            *(
                ask(
                    gateway.url,
                    gateway.live,
                    f"{provider}/{endless}",
                    stream=True,
                    user=f"{provider} {after}",
                    leave_after=after,
                )
                for provider in PROVIDERS
                for after in cuts
            )
        )

    sections = sandbox_at(sandbox.url, upstream={"on_disconnect": "cancel"})
    with place(tmp_path, sections) as home:
        gateway = home.start()
        before = sandbox.connections
        asyncio.run(leave(gateway))
        wait_until(lambda: len(gateway.records()) == len(PROVIDERS) * len(cuts))
        wait_until(lambda: sandbox.connections == before)
        gateway.terminate()
        assert gateway.exit_code() == 0
    found = contents(gateway.database)
    records = found.by_user()
    assert len(records) == len(PROVIDERS) * len(cuts)
    for user, record in records.items():
        assert user is not None
        provider = user.split(" ")[0]
        assert record.status == "client_disconnect"
        # Anthropic tells its input tokens at the start of a stream, Gemini what it used so far in each event.
        assert record.usage_source == ("estimated" if provider == "openai" else "partial")
        assert 0 < (record.usage.completion_tokens or 0) < 200
        assert (record.usage.prompt_tokens or 0) > 0
    assert found.report.problems == ()


def test_a_client_that_leaves_before_a_whole_answer_is_recorded_the_same_way(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    async def leave(gateway: Gateway, provider: str) -> None:
        asking = asyncio.ensure_future(
            ask(gateway.url, gateway.live, f"{provider}/sandbox?tokens=16&token_ms=100", stream=False, user=provider)
        )
        await asyncio.sleep(0.6)
        asking.cancel()
        await asyncio.wait((asking,))

    async def everywhere(gateway: Gateway) -> None:
        await asyncio.gather(*(leave(gateway, provider) for provider in PROVIDERS))

    with place(tmp_path, sandbox_at(sandbox.url)) as home:
        gateway = home.start()
        asyncio.run(everywhere(gateway))
        gateway.terminate()
        assert gateway.exit_code() == 0
    records = contents(gateway.database).by_user()
    assert set(records) == set(PROVIDERS)
    assert {(each.status, each.usage_source, each.usage.completion_tokens) for each in records.values()} == {
        ("client_disconnect", "provider", 16)
    }

"""A gateway that is told to stop: nothing new comes in, what runs ends or is settled, nothing is lost."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.client import Heard, ask
from tests.faults.ledgers import contents
from tests.faults.processes import Gateway, place, sandbox_at, sandbox_process, wait_until

STREAMS = 20
SLOW = "openai/sandbox?tokens=60&token_ms=50"
"""A stream of three seconds."""
ENDLESS = "openai/sandbox?tokens=10000&token_ms=50"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with sandbox_process() as url:
        yield url


async def all_at_once(gateway: Gateway, model: str, *, signals: int, stream: bool = True) -> list[Heard]:
    """Twenty answers that run while the signals come, and one request more after the first signal."""
    heard = [Heard(stream=stream) for _ in range(STREAMS)]
    async with asyncio.TaskGroup() as group:
        for number, into in enumerate(heard):
            group.create_task(ask(gateway.url, gateway.live, model, stream=stream, user=str(number), into=into))
        await asyncio.to_thread(wait_until, lambda: gateway.metric("arouter_upstream_open") == STREAMS)
        if stream:
            await asyncio.to_thread(wait_until, lambda: all(answer.body for answer in heard))
        await asyncio.sleep(0.5)
        for _ in range(signals):
            gateway.terminate()
            await asyncio.sleep(0.3)
        late = await ask(gateway.url, gateway.live, model, stream=stream, user="late")
    assert late.refused
    return heard


def errors_logged(gateway: Gateway) -> list[str]:
    return [entry["event"] for entry in gateway.log() if entry["level"] == "error"]


def test_running_answers_end_and_new_requests_are_not_taken(sandbox: str, tmp_path: Path) -> None:
    with place(tmp_path, sandbox_at(sandbox)) as home:
        gateway = home.start()
        answers = asyncio.run(all_at_once(gateway, SLOW, signals=1))
        assert gateway.exit_code() == 0
    found = contents(gateway.database)
    records = found.by_id()
    assert len(records) == STREAMS
    for answer in answers:
        assert answer.success
        assert answer.id is not None
        assert answer.usage is not None
        assert records[answer.id].status == "success"
        assert records[answer.id].usage.completion_tokens == answer.usage["completion_tokens"] == 60
    assert (found.report.open_records, found.report.problems) == (0, ())
    assert errors_logged(gateway) == []


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("hastened", [False, True], ids=["deadline", "second signal"])
def test_what_does_not_end_in_time_is_settled_as_interrupted(
    sandbox: str, tmp_path: Path, hastened: bool, stream: bool
) -> None:
    sections = sandbox_at(sandbox, server={"shutdown_timeout_s": 60.0 if hastened else 0.5})
    with place(tmp_path, sections) as home:
        gateway = home.start()
        answers = asyncio.run(all_at_once(gateway, ENDLESS, signals=2 if hastened else 1, stream=stream))
        assert gateway.exit_code() == 0
    found = contents(gateway.database)
    records = found.by_user()
    assert len(records) == STREAMS
    for number, answer in enumerate(answers):
        assert answer.whole
        assert [error["code"] for error in answer.errors] == ["shutting_down"]
        record = records[str(number)]
        assert (record.status, record.error_code) == ("interrupted", "shutting_down")
        assert answer.status == record.http_status == (200 if stream else 503)
        if stream:
            assert record.usage_source == "estimated"
            assert 0 < (record.usage.completion_tokens or 0) < 10_000
            assert (record.usage.prompt_tokens or 0) > 0
        else:
            assert (record.usage_source, record.usage.prompt_tokens) == ("none", None)
    assert (found.report.open_records, found.report.problems) == (0, ())
    assert errors_logged(gateway) == []


def test_a_drain_in_progress_counts_as_running(sandbox: str, tmp_path: Path) -> None:
    async def leave(gateway: Gateway) -> None:
        await asyncio.gather(
            *(ask(gateway.url, gateway.live, SLOW, stream=True, leave_after=3) for _ in range(STREAMS))
        )

    with place(tmp_path, sandbox_at(sandbox)) as home:
        gateway = home.start()
        asyncio.run(leave(gateway))
        gateway.terminate()
        assert gateway.exit_code() == 0
    found = contents(gateway.database)
    assert [(each.status, each.usage_source, each.usage.completion_tokens) for each in found.records] == [
        ("client_disconnect", "provider", 60)
    ] * STREAMS
    assert found.report.problems == ()


def test_a_request_whose_body_never_ends_is_recorded_too(sandbox: str, tmp_path: Path) -> None:
    async def half(gateway: Gateway) -> bytes:
        host, port = gateway.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.live}\r\n"
        writer.write(head.encode() + b'Content-Length: 1000\r\n\r\n{"model"')
        await asyncio.sleep(0.5)
        gateway.terminate()
        answer = await reader.read()
        writer.close()
        return answer

    with place(tmp_path, sandbox_at(sandbox, server={"shutdown_timeout_s": 0.2})) as home:
        gateway = home.start()
        head, _, body = asyncio.run(half(gateway)).partition(b"\r\n\r\n")
        assert gateway.exit_code() == 0
    assert head.startswith(b"HTTP/1.1 503 ")
    assert json.loads(body)["error"]["code"] == "shutting_down"
    [record] = contents(gateway.database).records
    assert (record.status, record.error_code, record.http_status) == ("rejected", "shutting_down", 503)
    assert errors_logged(gateway) == []

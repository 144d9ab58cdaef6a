"""Providers that fail beside ones that do not: every request is answered, charged once, and says who was asked."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.client import Heard, ask
from tests.faults.ledgers import Contents, contents
from tests.faults.processes import place, sandbox_at, sandbox_process

REQUESTS = 40
FAILURES = 3
"""In a row, until a deployment rests."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with sandbox_process() as url:
        yield url


def run(folder: Path, sections: dict[str, Any], model: str, *, stream: bool) -> tuple[list[Heard], Contents, float]:
    """One request after the other; what came back, what is on record, and how many deployments rest."""
    with place(folder, sections) as home:
        gateway = home.start()

        async def everything() -> list[Heard]:
            return [
                await ask(gateway.url, gateway.live, model, stream=stream, user=str(number))
                for number in range(REQUESTS)
            ]

        answers = asyncio.run(everything())
        resting = gateway.metric("arouter_deployments_resting")
        gateway.terminate()
        assert gateway.exit_code() == 0
    return answers, contents(folder / "arouter.db"), resting


@pytest.mark.parametrize("stream", [True, False])
def test_a_deployment_that_nobody_listens_at_is_found_out_and_left_alone(
    sandbox: str, tmp_path: Path, stream: bool
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        sections = sandbox_at(sandbox, routing={"breaker_failures": FAILURES})
        sections["providers.openai.deployments.dead"] = {"base_url": f"http://127.0.0.1:{closed.getsockname()[1]}/v1"}
        sections["providers.openai.deployments.live"] = {"weight": 1}
        answers, found, resting = run(tmp_path, sections, "openai/sandbox", stream=stream)
    assert all(answer.success for answer in answers)
    records = found.by_user()
    assert len(records) == REQUESTS
    assert found.report.problems == ()
    failed_over = [record for record in records.values() if record.tried]
    assert [[one.deployment for one in record.tried] for record in failed_over] == [["dead", "live"]] * FAILURES
    assert resting == 1


def test_a_table_of_models_is_answered_by_whoever_can_in_any_dialect(sandbox: str, tmp_path: Path) -> None:
    sections = sandbox_at(sandbox, routing={"breaker_failures": FAILURES})
    sections["models.any"] = {"providers": ["anthropic/sandbox-error-529", "google/sandbox", "openai/sandbox"]}
    answers, found, _ = run(tmp_path, sections, "any", stream=True)
    assert all(answer.success for answer in answers)
    records = found.by_user().values()
    assert {record.model for record in records} == {"google/sandbox"}
    assert {record.opening.requested_model for record in records} == {"any"}
    told = [[(one.provider, one.http_status) for one in record.tried] for record in records if record.tried]
    assert told == [[("anthropic", 529), ("google", 200)]] * FAILURES


def test_the_fastest_is_asked_first_once_all_are_measured(sandbox: str, tmp_path: Path) -> None:
    sections = sandbox_at(sandbox)
    names = ["openai/sandbox?ttft_ms=150", "google/sandbox"]
    sections["models.any"] = {"providers": names, "sort": "latency"}
    answers, found, _ = run(tmp_path, sections, "any", stream=True)
    assert all(answer.success for answer in answers)
    assert [record.model for record in found.records] == [*names, *names[1:] * (REQUESTS - 2)]


def test_a_provider_that_asks_for_a_pause_is_given_it(sandbox: str, tmp_path: Path) -> None:
    sections = sandbox_at(sandbox, routing={"retries": 1, "longest_wait_s": 2.0})
    busy = "openai/sandbox?failure_rate=1&failure_status=429&retry_after_s=1"
    with place(tmp_path, sections) as home:
        gateway = home.start()

        async def one() -> Heard:
            return await ask(gateway.url, gateway.live, busy, stream=False)

        answer = asyncio.run(one())
        gateway.terminate()
        assert gateway.exit_code() == 0
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    (record,) = contents(tmp_path / "arouter.db").records
    assert [one.http_status for one in record.tried] == [429, 429]
    assert record.latency_us is not None
    assert record.latency_us >= 1_000_000

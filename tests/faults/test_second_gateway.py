"""Two gateways on one file: each answers, writes and recovers without touching what the other one is at."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from arouter.jobs.recovery import EVERY_S
from tests.faults.client import Heard, ask
from tests.faults.ledgers import contents
from tests.faults.processes import Gateway, place, sandbox_at, sandbox_process, wait_until

ENDLESS = "openai/sandbox?tokens=10000&token_ms=50"
FAST = "openai/sandbox?tokens=3"
STREAMS = 10


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with sandbox_process() as url:
        yield url


async def streams(gateway: Gateway, model: str, name: str) -> list[Heard]:
    return await asyncio.gather(
        *(ask(gateway.url, gateway.live, model, stream=True, user=f"{name} {n}") for n in range(STREAMS))
    )


def running(gateway: Gateway) -> bool:
    return gateway.metric("arouter_upstream_open") == STREAMS


def test_only_what_a_dead_process_left_is_recovered(sandbox: str, tmp_path: Path) -> None:
    """Three processes: one is killed with open streams, one lives on with open streams, one starts and recovers."""
    with place(tmp_path, sandbox_at(sandbox, server={"shutdown_timeout_s": 0.2})) as home:
        victim = home.start()
        living = home.start()

        async def play() -> None:
            async with asyncio.TaskGroup() as group:
                dying = group.create_task(streams(victim, ENDLESS, "dying"))
                await asyncio.to_thread(wait_until, lambda: running(victim))
                going_on = group.create_task(streams(living, ENDLESS, "living"))
                await asyncio.to_thread(wait_until, lambda: running(living))
                await asyncio.sleep(0.5)
                victim.kill()
                third = await asyncio.to_thread(home.start)
                # Whoever comes first, once: the third at its start, or the living one, which looks every few seconds.
                assert third.interrupted in {0, STREAMS}
                fourth = await asyncio.to_thread(home.start)
                assert fourth.interrupted == 0
                assert {record["user"] for record in third.records()} == {f"dying {n}" for n in range(STREAMS)}
                assert not going_on.done()
                for gateway in home.running[1:]:
                    gateway.terminate()
            assert not any(answer.whole for answer in dying.result())
            assert all(answer.whole for answer in going_on.result())

        asyncio.run(play())
        for gateway in home.running[1:]:
            assert gateway.exit_code() == 0
    found = contents(tmp_path / "arouter.db")
    ends = {user: (record.status, record.error_code, record.usage_source) for user, record in found.by_user().items()}
    # Of the dead one's streams the size of the request is known; the living one settled its own, with what it knew.
    assert ends == {f"dying {n}": ("interrupted", None, "estimated") for n in range(STREAMS)} | {
        f"living {n}": ("interrupted", "shutting_down", "estimated") for n in range(STREAMS)
    }
    assert (found.report.problems, found.report.open_records) == ((), 0)
    assert not list(tmp_path.glob("arouter.db-owner-*"))


def test_a_running_gateway_recovers_what_another_one_leaves(sandbox: str, tmp_path: Path) -> None:
    """One of three is killed while the others run on, idle and busy: what it left is recovered once, by one of them."""
    with place(tmp_path, sandbox_at(sandbox, server={"shutdown_timeout_s": 0.2})) as home:
        victim, idle, busy = home.start(), home.start(), home.start()

        def recovered() -> float:
            return sum(gateway.metric("arouter_records_recovered_total") for gateway in (idle, busy))

        async def play() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(streams(victim, ENDLESS, "dying"))
                going_on = group.create_task(streams(busy, ENDLESS, "living"))
                await asyncio.to_thread(wait_until, lambda: running(victim) and running(busy))
                await asyncio.sleep(0.5)
                assert recovered() == 0
                victim.kill()
                await asyncio.to_thread(wait_until, lambda: recovered() == STREAMS, 2 * EVERY_S)
                assert {record["status"] for record in idle.records()} == {"interrupted"}
                assert {record["user"] for record in idle.records()} == {f"dying {n}" for n in range(STREAMS)}
                assert not going_on.done()
                await asyncio.sleep(EVERY_S)
                assert recovered() == STREAMS
                for gateway in (idle, busy):
                    gateway.terminate()

        asyncio.run(play())
        assert [gateway.exit_code() for gateway in (idle, busy)] == [0, 0]
        told = [line["requests"] for line in idle.log() if "left requests open" in line["event"]]
        assert sum(told) == STREAMS
    found = contents(tmp_path / "arouter.db")
    assert len(found.records) == 2 * STREAMS
    assert (found.report.problems, found.report.open_records) == ((), 0)
    assert not list(tmp_path.glob("arouter.db-owner-*"))


def test_keys_count_in_both_within_a_second(sandbox: str, tmp_path: Path) -> None:
    with place(tmp_path, sandbox_at(sandbox)) as home:
        one, other = home.start(), home.start()
        with one.client(one.management) as manager:
            made = manager.post("/v1/keys", {"name": "shared"}).json
        deadline_s = time.monotonic() + 1.0
        with other.client(made["key"]) as client:
            while client.chat(FAST).status != 200:
                assert time.monotonic() < deadline_s
        with one.client(one.management) as manager:
            assert manager.ask("DELETE", f"/v1/keys/{made['data']['hash']}").status in (200, 204)
        deadline_s = time.monotonic() + 1.0
        with other.client(made["key"]) as client:
            while client.chat(FAST).status != 401:
                assert time.monotonic() < deadline_s


def test_both_write_and_the_sums_agree(sandbox: str, tmp_path: Path) -> None:
    async def at_once(gateways: tuple[Gateway, ...]) -> list[Heard]:
        async def client(gateway: Gateway, number: int) -> list[Heard]:
            return [
                await ask(gateway.url, gateway.live, FAST, stream=turn % 2 == 0, user=f"user {number}")
                for turn in range(10)
            ]

        asked = await asyncio.gather(*(client(gateway, n) for gateway in gateways for n in range(8)))
        return [answer for answers in asked for answer in answers]

    with place(tmp_path, sandbox_at(sandbox)) as home:
        gateways = home.start(), home.start()
        answers = asyncio.run(at_once(gateways))
        totals = []
        for gateway in gateways:
            with gateway.client() as client:
                summary = client.ask("GET", "/v1/activity/summary?group_by=user").json
            totals.append(summary)
            assert len(gateway.records()) == len(answers)
        assert totals[0]["data"] == totals[1]["data"]
        for gateway in gateways:
            gateway.terminate()
            assert gateway.exit_code() == 0
    assert all(answer.success for answer in answers)
    found = contents(tmp_path / "arouter.db")
    assert found.by_id().keys() == {answer.id for answer in answers}
    assert found.report.problems == ()
    told = Counter({row["user"]: row["completion_tokens"] for row in totals[0]["data"]})
    counted: Counter[str] = Counter()
    for record in found.records:
        assert record.opening.user is not None
        counted[record.opening.user] += record.usage.completion_tokens or 0
    assert told == counted
    assert sum(counted.values()) == 3 * len(answers)

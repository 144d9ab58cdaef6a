"""Two workers behind one address: restarted, killed, stopped and asked while clients are at it."""

import asyncio
import json
import os
import random
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.acceptance.client import Client
from tests.faults.client import Heard, ask
from tests.faults.ledgers import contents
from tests.faults.processes import Gateway, place, sandbox_at, sandbox_process
from tests.faults.processes import wait_until as wait
from tests.faults.workers import sockets, worker_pids

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")

FAST = "openai/sandbox?tokens=3"
SLOW = "openai/sandbox?tokens=60&token_ms=50"
"""A stream of three seconds."""
ENDLESS = "openai/sandbox?tokens=10000&token_ms=50"
STREAMS = 20
CLIENTS = 48
START_TIMEOUT_S = 40.0
PAUSE_S = 0.005
"""Between two requests of one client, so that a worker that starts gets some of the processor."""
SEEN_S = 1.0
"""A request whose answer went on for so long must have left a trace: its intent was on disk by then."""


def wait_until(holds: Callable[[], bool]) -> None:
    """A worker that starts needs a second of a processor that may be busy."""
    wait(holds, timeout_s=START_TIMEOUT_S)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with sandbox_process() as url:
        yield url


def two_workers(sandbox: str, **server: object) -> dict[str, Any]:
    return sandbox_at(sandbox, server={"workers": 2, **server})


def logged(gateway: Gateway, event: str) -> list[dict[str, Any]]:
    return [entry for entry in gateway.log() if entry["event"] == event]


def wait_for_event(gateway: Gateway, event: str, times: int) -> None:
    """Until the log has told it so often."""
    wait_until(lambda: len(logged(gateway, event)) >= times)


def restart(gateway: Gateway) -> None:
    """Returns when both workers are new."""
    before = len(logged(gateway, "the workers are new"))
    gateway.process.send_signal(signal.SIGHUP)
    wait_for_event(gateway, "the workers are new", before + 1)


async def keep_asking(gateway: Gateway, over: asyncio.Event) -> int:
    """One client that keeps its connection for as long as it may; how many answers it had. Any other end fails."""
    address = urlsplit(gateway.url)
    body = json.dumps({"model": FAST, "messages": [{"role": "user", "content": "Hello"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.live}\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    answers = 0
    while not over.is_set():
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        kept = True
        while kept and not over.is_set():
            writer.write(request)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert answer.startswith(b"http/1.1 200"), answer
            length = next(line for line in answer.split(b"\r\n") if line.startswith(b"content-length: "))
            await reader.readexactly(int(length.removeprefix(b"content-length: ")))
            answers += 1
            kept = b"connection: close" not in answer
            await asyncio.sleep(PAUSE_S)
        writer.transport.abort()
    return answers


async def ask_anew(gateway: Gateway, over: asyncio.Event) -> list[Heard]:
    """One client that connects for each request."""
    heard: list[Heard] = []
    while not over.is_set():
        heard.append(await ask(gateway.url, gateway.live, FAST, stream=len(heard) % 2 == 0))
        await asyncio.sleep(PAUSE_S)
    return heard


# ---------------------------------------------------------------- restart


@pytest.mark.slow
def test_workers_are_restarted_under_load_without_a_failed_request(sandbox: str, tmp_path: Path) -> None:
    async def play(gateway: Gateway) -> tuple[int, list[Heard], list[Heard]]:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            keeping = [group.create_task(keep_asking(gateway, over)) for _ in range(8)]
            anew = [group.create_task(ask_anew(gateway, over)) for _ in range(8)]
            streams = [
                group.create_task(ask(gateway.url, gateway.live, SLOW, stream=True, user=f"stream {n}"))
                for n in range(STREAMS)
            ]
            await asyncio.sleep(1.0)
            for _ in range(2):
                before = worker_pids(gateway)
                await asyncio.to_thread(restart, gateway)
                assert not set(before) & set(worker_pids(gateway)[-2:])
            await asyncio.sleep(0.5)
            over.set()
        return (
            sum(task.result() for task in keeping),
            [answer for task in anew for answer in task.result()],
            [task.result() for task in streams],
        )

    with place(tmp_path, two_workers(sandbox)) as home:
        gateway = home.start()
        kept, anew, streams = asyncio.run(play(gateway))
        wait_until(lambda: gateway.metric("arouter_requests_total") == kept + len(anew) + STREAMS)
        gateway.terminate()
        assert gateway.exit_code() == 0
    assert all(answer.success for answer in anew)
    assert all(answer.success for answer in streams)
    assert kept > 100
    assert len(anew) > 100
    found = contents(gateway.database)
    assert (len(found.by_id()), found.report.problems) == (kept + len(anew) + STREAMS, ())
    assert {record.status for record in found.records} == {"success"}


def test_a_restart_reads_the_configuration_anew_and_a_wrong_one_changes_nothing(sandbox: str, tmp_path: Path) -> None:
    with place(tmp_path, two_workers(sandbox)) as home:
        gateway = home.start()
        more = {**home.sections, 'providers."local"': {"dialect": "openai", "base_url": f"{sandbox}/v1"}}
        with gateway.client() as client:
            assert client.chat("local/sandbox?tokens=3").status == 404
        home.write_settings(more)
        restart(gateway)
        for _ in range(8):
            with gateway.client() as client:
                assert client.chat("local/sandbox?tokens=3").status == 200
        wait_until(lambda: len(worker_pids(gateway)) == 2)
        before = worker_pids(gateway)
        for wrong in ({"server": {"prot": 1}}, {**more, "storage": {"url": "mysql://nowhere"}}):
            seen = len(gateway.log())
            home.write_settings(wrong)
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda seen=seen: any(entry["level"] == "error" for entry in gateway.log()[seen:]))  # type: ignore[misc]
            wait_until(lambda: worker_pids(gateway) == before)
        reasons = [entry["reason"] for entry in gateway.log() if entry["level"] == "error"]
        assert "there is no setting server.prot" in reasons[0]
        assert "mysql is not supported" in reasons[1]
        with gateway.client() as client:
            assert client.chat("local/sandbox?tokens=3").status == 200
        gateway.terminate()
        assert gateway.exit_code() == 0


# ---------------------------------------------------------------- death


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_what_it_left_is_recovered_while_the_other_serves(
    sandbox: str, tmp_path: Path
) -> None:
    chance = random.Random(7)
    heard: list[Heard] = []

    async def client(gateway: Gateway, over: asyncio.Event) -> None:
        while not over.is_set():
            tokens, token_ms = chance.choice(((3, 0), (12, 2), (60, 30)))
            model = f"openai/sandbox?tokens={tokens}&token_ms={token_ms}"
            heard.append(await ask(gateway.url, gateway.live, model, stream=chance.random() < 0.6))

    async def play(gateway: Gateway) -> None:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(client(gateway, over))
            for turn in range(2):
                await asyncio.sleep(2.0)
                os.kill(worker_pids(gateway)[0], signal.SIGKILL)
                await asyncio.to_thread(wait_for_event, gateway, "a worker was replaced", turn + 1)
            await asyncio.sleep(0.5)
            over.set()

    with place(tmp_path, two_workers(sandbox)) as home:
        gateway = home.start()
        asyncio.run(play(gateway))
        interrupted = [record for record in gateway.records() if record["status"] == "interrupted"]
        assert interrupted
        gateway.terminate()
        assert gateway.exit_code() == 0
    assert not any(answer.refused for answer in heard)
    broken = [answer for answer in heard if not answer.whole]
    found = contents(gateway.database)
    records = found.by_id()
    assert (found.report.problems, found.report.open_records) == ((), 0)
    assert {answer.id for answer in heard if answer.whole} <= records.keys()
    assert all(answer.status == 200 for answer in heard if answer.whole)
    # Those that went on for long before their worker was killed; what was younger may have left no trace. Not counted
    # from the kill: a client that is behind reads after it what the worker had sent before.
    seen = 0
    for answer in broken:
        assert answer.ended_at_s is not None
        if answer.head_at_s is not None and answer.head_at_s < answer.ended_at_s - SEEN_S:
            seen += 1
            # A success was on disk when the kill came, before its last bytes left: never the other way round.
            assert records[answer.id or ""].status in {"interrupted", "success"}
    assert seen
    statuses = Counter(str(record.status) for record in found.records)
    assert statuses.keys() == {"success", "interrupted"}
    assert statuses["interrupted"] == len(interrupted) <= len(broken)
    assert len(records) <= len(heard)
    sys.stdout.write(f"{len(heard)} requests, {len(broken)} broken off by two kills, {dict(statuses)}\n")


def test_workers_end_when_their_supervisor_is_killed(sandbox: str, tmp_path: Path) -> None:
    with place(tmp_path, two_workers(sandbox)) as home:
        gateway = home.start()
        pids = worker_pids(gateway)
        gateway.kill()
        wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids))
        assert not list(tmp_path.glob("arouter.db-owner-*"))


# ---------------------------------------------------------------- stop


@pytest.mark.parametrize("signals", [1, 2], ids=["in time", "hastened"])
def test_a_stop_lets_the_streams_of_all_workers_end_and_a_second_signal_hastens_it(
    sandbox: str, tmp_path: Path, signals: int
) -> None:
    async def play(gateway: Gateway) -> list[Heard]:
        model = SLOW if signals == 1 else ENDLESS
        async with asyncio.TaskGroup() as group:
            asking = [
                group.create_task(ask(gateway.url, gateway.live, model, stream=True, user=str(number)))
                for number in range(STREAMS)
            ]
            await asyncio.to_thread(wait_until, lambda: gateway.metric("arouter_upstream_open") == STREAMS)
            for _ in range(signals):
                gateway.terminate()
                await asyncio.sleep(0.3)
        return [task.result() for task in asking]

    with place(tmp_path, two_workers(sandbox)) as home:
        gateway = home.start()
        answers = asyncio.run(play(gateway))
        assert gateway.exit_code() == 0
        assert (asyncio.run(ask(gateway.url, gateway.live, FAST, stream=False))).refused
        assert [entry for entry in gateway.log() if entry["level"] == "error"] == []
    assert all(answer.whole for answer in answers)
    found = contents(gateway.database)
    assert (found.report.open_records, found.report.problems) == (0, ())
    status = "success" if signals == 1 else "interrupted"
    assert Counter(str(record.status) for record in found.by_user().values()) == {status: STREAMS}


# ---------------------------------------------------------------- one gateway to its clients


def test_connections_are_spread_evenly_also_while_the_workers_are_busy(sandbox: str, tmp_path: Path) -> None:
    async def load(gateway: Gateway, over: asyncio.Event) -> None:
        while not over.is_set():
            await ask(gateway.url, gateway.live, FAST, stream=False)

    async def play(gateway: Gateway) -> list[int]:
        over = asyncio.Event()
        host, port = gateway.url.removeprefix("http://").split(":")
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(load(gateway, over))
            before = [sockets(pid) for pid in worker_pids(gateway)]
            opened = [await asyncio.open_connection(host, int(port)) for _ in range(200)]
            await asyncio.sleep(0.3)
            over.set()
        after = [sockets(pid) for pid in worker_pids(gateway)]
        for _, writer in opened:
            writer.transport.abort()
        return [now - then for now, then in zip(after, before, strict=True)]

    with place(tmp_path, two_workers(sandbox)) as home:
        gateway = home.start()
        more = asyncio.run(play(gateway))
    # The kernel draws: 60 of 200 for one of them is more than five standard deviations away.
    assert min(more) > 60
    assert sum(more) > 190


def test_keys_count_in_every_worker_within_a_second(sandbox: str, tmp_path: Path) -> None:
    def soon(gateway: Gateway, key: str, status: int) -> None:
        time.sleep(1.0)
        with ExitStack() as stack:
            clients = [stack.enter_context(Client(gateway.url, key)) for _ in range(16)]
            assert [client.chat(FAST).status for client in clients] == [status] * 16

    with place(tmp_path, two_workers(sandbox)) as home:
        gateway = home.start()
        with gateway.client(gateway.management) as manager:
            made = manager.post("/v1/keys", {"name": "shared"}).json
        path = f"/v1/keys/{made['data']['hash']}"
        soon(gateway, made["key"], 200)
        with gateway.client(gateway.management) as manager:
            assert manager.ask("PATCH", path, b'{"disabled": true}', {"Content-Type": "application/json"}).status == 200
        soon(gateway, made["key"], 401)
        with gateway.client(gateway.management) as manager:
            manager.ask("PATCH", path, b'{"disabled": false}', {"Content-Type": "application/json"})
            rotated = manager.post(f"{path}/rotate", {}).json
        soon(gateway, rotated["key"], 200)
        soon(gateway, made["key"], 401)
        with gateway.client(gateway.management) as manager:
            twice = manager.post(f"{path}/rotate", {"overlap_seconds": 5}).json
        soon(gateway, rotated["key"], 200)
        soon(gateway, twice["key"], 200)
        # The end of an old plaintext is no change of the directory: each worker tells it by its own clock.
        ends = datetime.fromisoformat(twice["data"]["previous_key_expires_at"]).timestamp()
        time.sleep(max(0.0, ends - time.time()))
        soon(gateway, rotated["key"], 401)
        soon(gateway, twice["key"], 200)
        with gateway.client(gateway.management) as manager:
            assert manager.ask("DELETE", f"/v1/keys/{twice['data']['hash']}").status in (200, 204)
        soon(gateway, twice["key"], 401)


def test_every_worker_tells_the_metrics_of_all_and_no_count_ever_falls(sandbox: str, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def counted(gateway: Gateway) -> list[float]:
        return [gateway.metric("arouter_requests_total") for _ in range(12)]

    with place(tmp_path, two_workers(sandbox)) as home:
        gateway = home.start()
        for _ in range(12):
            with gateway.client() as client:
                assert client.chat(FAST).status == 200
        assert counted(gateway) == [12.0] * 12
        assert gateway.metric("arouter_storage_up") == 1
        assert gateway.metric("arouter_workers") == 2
        restart(gateway)
        wait_until(lambda: len(worker_pids(gateway)) == 2)
        assert counted(gateway) == [12.0] * 12
        os.kill(worker_pids(gateway)[0], signal.SIGKILL)
        wait_until(lambda: gateway.metric("arouter_workers_died_total") == 1)
        wait_until(lambda: gateway.metric("arouter_workers") == 2)
        assert counted(gateway) == [12.0] * 12
        with gateway.client() as client:
            assert client.chat(FAST).status == 200
        assert counted(gateway) == [13.0] * 12
        gateway.terminate()
        assert gateway.exit_code() == 0
        home.sections = two_workers(sandbox, metrics_port=port)
        other = home.start()
        with other.client() as client:
            assert client.chat(FAST).status == 200
            assert client.ask("GET", "/metrics").status == 404
        with urlopen(f"http://127.0.0.1:{port}/metrics") as told:
            lines = told.read().decode().splitlines()
        assert 'arouter_requests_total{provider="openai",status="success"} 1.0' in lines
        assert "arouter_workers 2.0" in lines
        assert all(entry["worker"] in (1, 2) for entry in logged(other, "request failed"))


def test_a_worker_that_is_told_to_stop_by_somebody_else_is_replaced_at_once(sandbox: str, tmp_path: Path) -> None:
    async def play(gateway: Gateway) -> Heard:
        stream = asyncio.ensure_future(ask(gateway.url, gateway.live, SLOW, stream=True))
        await asyncio.sleep(0.5)
        for pid in worker_pids(gateway):
            os.kill(pid, signal.SIGTERM)
        await asyncio.to_thread(wait_for_event, gateway, "a worker was replaced", 2)
        return await stream

    with place(tmp_path, two_workers(sandbox)) as home:
        gateway = home.start()
        assert asyncio.run(play(gateway)).success
        with gateway.client() as client:
            assert client.chat(FAST).status == 200
        gateway.terminate()
        assert gateway.exit_code() == 0
        with suppress(StopIteration):
            pytest.fail(str(next(entry for entry in gateway.log() if entry["level"] == "error")))

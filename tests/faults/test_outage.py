"""PostgreSQL that is killed under load and started again, and gateways that are killed meanwhile: every whole answer
has its record once, and the sums are those of the records."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arouter.domain.activity import ActivityQuery, Dimension, Scope, SummaryQuery
from arouter.domain.record import Record
from arouter.store.postgres.database import PostgresStore
from tests.faults.client import Heard, ask
from tests.faults.cluster import open_records_of
from tests.faults.ledgers import NOBODY
from tests.faults.processes import Gateway, Place, place, sandbox_at, sandbox_process, wait_until
from tests.postgres_server import PostgresServer, running_server

CLIENTS = 50
AWAY_S = 3.0
LIMIT_S = 30.0
MODELS = ("openai/sandbox?tokens=3", "anthropic/sandbox?tokens=12&token_ms=2", "google/sandbox?tokens=40&token_ms=10")
PRICES = {f'prices."{model}"': {"input": "100", "output": "100"} for model in MODELS}
QUICK = MODELS[0]
ENDLESS = "openai/sandbox?tokens=10000&token_ms=50"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with sandbox_process() as url:
        yield url


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_server() as running:
        yield running


@contextmanager
def on_postgres(
    folder: Path, sandbox: str, server: PostgresServer, *, workers: int = 1, outage_limit_s: float = LIMIT_S
) -> Iterator[Place]:
    storage = {"url": server.new_database(), "outage_limit_s": outage_limit_s}
    sections = sandbox_at(sandbox, storage=storage, server={"workers": workers})
    with place(folder, {**sections, **PRICES}) as made:
        yield made
    if server.process is None:
        server.start()


class Load:
    """Fifty clients that ask one thing after the other until they are told to end."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.heard: list[Heard] = []
        self._going = True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._ask(number))
            yield
            self._going = False

    async def _ask(self, number: int) -> None:
        turn = 0
        while self._going:
            model = MODELS[(number + turn) % len(MODELS)]
            turn += 1
            user = f"user {number}"
            answer = await ask(self.gateway.url, self.gateway.live, model, stream=turn % 2 == 0, user=user)
            if answer.refused:
                return
            self.heard.append(answer)

    async def more(self, count: int) -> None:
        """Returns when so many more were answered."""
        wanted = len(self.heard) + count
        async with asyncio.timeout(60):
            while len(self.heard) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def _everything(url: str) -> dict[str, Record]:
    """All records by id, when the database says of itself that it is sound and its sums agree with them."""
    store = PostgresStore.open(url, clock=lambda: 0)
    await store.start()
    try:
        organization_id = (await store.directory.home(NOBODY, now_us=0)).organization_id
        scope = Scope(organization_id=organization_id)
        query = ActivityQuery(scope=scope, descending=False, limit=100_000)
        rows = (await store.ledger.page(query)).rows
        found = {row.record.opening.id: row.record for row in rows}
        assert len(found) == len(rows)
        assert (await store.ledger.check()).problems == ()
        sums = await store.ledger.summary(SummaryQuery(scope=scope, group_by=(Dimension.USER,)))
        for row in sums.rows:
            of_user = [one for one in found.values() if one.opening.user == row.group[0]]
            assert row.totals.requests == len(of_user)
            assert row.totals.cost == sum(one.cost for one in of_user if one.cost is not None)
        assert sums.totals.requests == len(found)
        return found
    finally:
        await store.close()


def records_of(home: Place) -> dict[str, Record]:
    return asyncio.run(_everything(str(home.sections["storage"]["url"])))


def check_answers(heard: list[Heard], records: dict[str, Record]) -> int:
    """Each whole answer has its record, with the usage that the client was told; how many there are."""
    whole = {answer.id: answer for answer in heard if answer.success}
    assert not whole.keys() - records.keys()
    for record_id, answer in whole.items():
        assert record_id is not None
        record, usage = records[record_id], answer.usage
        assert usage is not None
        assert record.status == "success"
        assert record.usage.completion_tokens == usage["completion_tokens"]
        assert record.usage.prompt_tokens == usage["prompt_tokens"]
    return len(whole)


def readiness(gateway: Gateway) -> tuple[int, dict[str, Any]]:
    with gateway.client() as client:
        answer = client.ask("GET", "/readyz")
    return answer.status, {check["name"]: check for check in answer.json["checks"]}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_no_record_is_lost_or_doubled_when_postgresql_is_killed_under_load(
    sandbox: str, server: PostgresServer, tmp_path: Path, workers: int
) -> None:
    with on_postgres(tmp_path, sandbox, server, workers=workers) as home:
        gateway = home.start()
        load = Load(gateway)

        async def go_through_it() -> None:
            async with load.running():
                await load.more(100)
                await asyncio.to_thread(server.kill)
                await load.more(100)
                await asyncio.to_thread(wait_until, lambda: gateway.metric("arouter_outage") == 1)
                await asyncio.sleep(AWAY_S)
                status, checks = await asyncio.to_thread(readiness, gateway)
                assert status == 200
                assert "records go to the journal" in checks["journal"]["text"]
                assert await asyncio.to_thread(gateway.metric, "arouter_journal_records") > 0
                await asyncio.to_thread(server.start)
                await asyncio.to_thread(wait_until, lambda: gateway.metric("arouter_outage") == 0)
                await load.more(100)

        asyncio.run(go_through_it())
        wait_until(lambda: gateway.metric("arouter_journal_records") == 0)
        delivered = int(gateway.metric("arouter_journal_delivered_total"))
        gateway.terminate()
        assert gateway.exit_code() == 0
        records = records_of(home)
        whole = check_answers(load.heard, records)
        assert whole == len(load.heard) == len(records)
        events = [line["event"] for line in gateway.log() if "storage is" in line["event"]]
    assert delivered > 100
    assert events[0] == "the storage is away; records go to the journal"
    assert events[-1] == "the storage is back; the journal is delivered"
    assert not list((tmp_path / "arouter-journal").glob("*.db"))
    figures = {
        "answers": whole,
        "delivered by the journal": delivered,
        "records": len(records),
        "lost": 0,
        "doubled": 0,
    }
    sys.stdout.write("".join(f"{name:>26}  {figure}\n" for name, figure in figures.items()))


@pytest.mark.slow
def test_a_gateway_that_is_killed_while_postgresql_is_away_loses_no_answer(
    sandbox: str, server: PostgresServer, tmp_path: Path
) -> None:
    with on_postgres(tmp_path, sandbox, server) as home:
        gateway = home.start()
        load = Load(gateway)

        def endless(user: str) -> Coroutine[Any, Any, Heard]:
            return ask(gateway.url, gateway.live, ENDLESS, stream=True, user=user)

        async def until_killed() -> None:
            async with load.running(), asyncio.TaskGroup() as beside:
                beside.create_task(endless("begun before"))
                await load.more(60)
                await asyncio.to_thread(server.kill)
                beside.create_task(endless("begun meanwhile"))
                await load.more(150)
                gateway.kill()

        asyncio.run(until_killed())
        server.start()
        after = home.start()
        after.terminate()
        assert after.exit_code() == 0
        records = records_of(home)
        assert check_answers(load.heard, records) > 100
        interrupted = [one for one in records.values() if one.status == "interrupted"]
        assert 0 < after.interrupted <= len(interrupted)
        assert {"begun before", "begun meanwhile"} <= {one.opening.user for one in interrupted}
    assert not list((tmp_path / "arouter-journal").glob("*.db"))


def test_what_a_killed_gateway_left_open_is_closed_by_the_next_one_in_its_folder_without_waiting(
    sandbox: str, server: PostgresServer, tmp_path: Path
) -> None:
    with on_postgres(tmp_path, sandbox, server) as home:
        gateway = home.start()
        url = str(home.sections["storage"]["url"])

        async def ask_and_kill() -> Heard:
            asking = asyncio.ensure_future(ask(gateway.url, gateway.live, ENDLESS, stream=True, user="dying"))
            await asyncio.to_thread(wait_until, lambda: open_records_of(url) == 1)
            gateway.kill()
            return await asking

        assert not asyncio.run(ask_and_kill()).whole
        after = home.start()
        assert after.interrupted == 1
        assert open_records_of(url) == 0
        assert [one["status"] for one in after.records()] == ["interrupted"]
        after.terminate()
        assert after.exit_code() == 0


@pytest.mark.slow
def test_past_the_bound_requests_are_refused_before_anybody_is_paid_and_limits_are_never_passed(
    sandbox: str, server: PostgresServer, tmp_path: Path
) -> None:
    limit = 0.01
    with on_postgres(tmp_path, sandbox, server, outage_limit_s=2.0) as home:
        gateway = home.start()
        with gateway.client(gateway.management) as client:
            body = json.dumps({"target": "organization", "limit": limit, "name": "a cent"}).encode()
            assert client.ask("POST", "/v1/guardrails", body).status == 201
            # Another key, with no requests yet: nothing is known of it while the storage is away.
            made = client.ask("POST", "/v1/keys", json.dumps({"name": "unseen"}).encode())
            unseen = made.json["key"]

        def one(key: str = gateway.live) -> Heard:
            return asyncio.run(ask(gateway.url, key, QUICK, stream=False, user="u", max_tokens=10))

        wait_until(lambda: one().success)
        time.sleep(1)  # It is kept for whoever asks once a second.
        server.kill()
        heard = [one()]
        while (answer := one()).success:
            heard.append(answer)
        assert heard[0].success, "the lease in hand admits"
        assert (answer.status, answer.errors[0]["code"]) == (503, "storage_unavailable")
        assert "more of a limit of this organization" in answer.errors[0]["message"]
        assert one(unseen).status == 503
        wait_until(lambda: readiness(gateway)[0] == 503)
        assert "away for more than 2 seconds" in readiness(gateway)[1]["ledger"]["text"]
        server.start()
        wait_until(lambda: readiness(gateway)[0] == 200)
        while (answer := one()).success:
            heard.append(answer)
        assert answer.status in (402, 503)
        wait_until(lambda: one().status == 402)
        gateway.terminate()
        assert gateway.exit_code() == 0
        records = records_of(home)
        assert check_answers(heard, records) == len(heard)
        spent = sum((Decimal(one.cost or 0) for one in records.values()), Decimal(0)) / 10**12
        assert spent <= Decimal(str(limit))

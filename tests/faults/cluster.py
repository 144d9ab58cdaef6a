"""Two gateways with two workers each on one PostgreSQL server, each behind a network of its own; 200 clients of two
organizations, of which one has budgets; and what the database holds of them."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from arouter.cli import app
from arouter.domain.activity import ActivityQuery, Dimension, Scope, SummaryQuery
from arouter.domain.record import Record
from arouter.store.postgres.database import PostgresStore
from tests.faults.budgets import ALLOWED_TOKENS, CONTENT, HELD, MODELS, PRICES
from tests.faults.client import Heard, ask
from tests.faults.ledgers import NOBODY
from tests.faults.processes import Gateway, Place, place, sandbox_at, wait_until
from tests.faults.workers import worker_pids
from tests.postgres_server import PostgresServer
from tests.tcp_proxy import TcpProxy, proxy_to

GATEWAYS = 2
WORKERS = 2
CLIENTS = 200
USER = "u"
RESTS_S = 0.2
"""A client that was refused asks again after so long."""
PICO = 10**12
PAGE = 1000
PATIENCE_S = 60


@dataclass(kw_only=True)
class Side:
    """One gateway, as often as it is started, and its network."""

    home: Place
    proxy: TcpProxy
    gateway: Gateway

    def kill(self) -> None:
        """SIGKILL to all that it is, as a machine that stops."""
        pids = worker_pids(self.gateway)
        self.gateway.kill()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start_again(self) -> None:
        self.gateway = self.home.start()

    def kill_a_worker(self) -> None:
        os.kill(worker_pids(self.gateway)[0], signal.SIGKILL)

    def is_whole(self) -> bool:
        """Every worker is there, and none has anything left to deliver."""
        if len(worker_pids(self.gateway)) != WORKERS or self.gateway.ready() != 200:
            return False
        return not any(self.gateway.metric(name) for name in ("arouter_outage", "arouter_journal_records"))


@dataclass(kw_only=True)
class Organization:
    """One organization's keys."""

    live: str
    management: str


@dataclass(kw_only=True)
class Cluster:
    """Both, and what all clients of them ever heard."""

    server: PostgresServer
    url: str
    sides: list[Side]
    limited: Organization
    free: Organization
    heard: list[Heard] = field(default_factory=list)

    def manage(self, organization: Organization, method: str, path: str, body: Any = None) -> Any:
        """The `data` of an answer of whichever gateway answers."""
        gateway = self.sides[-1].gateway
        with gateway.client(organization.management) as client:
            answer = client.ask(method, path, None if body is None else json.dumps(body).encode())
        assert answer.status in (200, 201), answer.body
        return json.loads(answer.body, parse_float=Decimal, parse_int=Decimal)["data"]

    async def ask(self, number: int) -> Heard:
        """One request to one of the gateways, of the organization with budgets."""
        return await _ask(self.sides[number], self.limited, 0)

    def contents(self) -> "Contents":
        return contents_of(self.url)

    def open_records(self) -> int:
        return open_records_of(self.url)


@contextmanager
def cluster(folder: Path, sandbox: str, server: PostgresServer, storage: dict[str, object]) -> Iterator[Cluster]:
    """A running one on a new database. Whatever runs at the end is killed."""
    url = server.new_database()
    sides: list[Side] = []
    with ExitStack() as open_ones:
        for number in range(GATEWAYS):
            proxy = open_ones.enter_context(proxy_to(server.port))
            through = {"url": url.replace(f":{server.port}/", f":{proxy.port}/"), **storage}
            (own := folder / f"gateway-{number}").mkdir()
            sections = {**sandbox_at(sandbox, storage=through, server={"workers": WORKERS}), **PRICES}
            home = open_ones.enter_context(place(own, sections))
            home.keys = sides[0].home.keys if sides else None
            sides.append(Side(home=home, proxy=proxy, gateway=home.start()))
            open_ones.callback(sides[-1].kill)
        first = sides[0].gateway
        told = CliRunner(env={"AROUTER_STORAGE__URL": url}).invoke(
            app, ["organizations", "create", "--name", "free", "--json"]
        )
        assert told.exit_code == 0, told.output
        free = Organization(live="", management=json.loads(told.output)["key"])
        limited = Organization(live=first.live, management=first.management)
        made = Cluster(server=server, url=url, sides=sides, limited=limited, free=free)
        wait_until(lambda: _knows(sides[-1].gateway, free.management))
        with sides[-1].gateway.client(free.management) as client:
            free.live = client.ask("POST", "/v1/keys", b'{"name": "free"}').json["key"]
        wait_until(lambda: all(_knows(side.gateway, free.live) for side in sides))
        yield made


def _knows(gateway: Gateway, key: str) -> bool:
    """Whether its workers have heard of the key; some connections are likely to ask them all."""
    for _ in range(8):
        with gateway.client(key) as client:
            if client.ask("GET", "/v1/activity?limit=1").status == 401:
                return False
    return True


class Load:
    """The clients, three of four at each gateway of the organization with budgets. Each asks one thing after the other
    until it is told to end; one whose gateway is not there asks again in a moment."""

    def __init__(self, made: Cluster) -> None:
        self._cluster = made
        self.heard: list[Heard] = []
        self.without_money = 0
        """Refusals by a budget."""
        self._going = True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                side = self._cluster.sides[number % GATEWAYS]
                is_limited = number // GATEWAYS % 4 != 0
                group.create_task(self._ask(number, side, self._cluster.limited if is_limited else self._cluster.free))
            try:
                yield
            finally:
                self._going = False

    async def _ask(self, number: int, side: Side, organization: Organization) -> None:
        turn = number
        while self._going:
            turn += 1
            answer = await _ask(side, organization, turn)
            if not answer.refused:
                self.heard.append(answer)
                self.without_money += answer.status == 402
            if not answer.success:
                await asyncio.sleep(RESTS_S)

    async def answers(self, count: int) -> None:
        """Returns when so many more whole answers came."""
        wanted = self._count() + count
        await _until(lambda: self._count() >= wanted)

    async def no_money(self, count: int) -> None:
        """Returns when so many more were refused by a budget."""
        wanted = self.without_money + count
        await _until(lambda: self.without_money >= wanted)

    def _count(self) -> int:
        return sum(one.status == 200 and one.whole for one in self.heard)


async def _ask(side: Side, organization: Organization, turn: int) -> Heard:
    return await ask(
        side.gateway.url,
        organization.live,
        MODELS[turn % len(MODELS)],
        stream=turn % 3 == 0,
        user=USER,
        content=CONTENT,
        max_tokens=ALLOWED_TOKENS,
    )


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What the database holds, when it says of itself that it is sound and all its sums are those of its records."""

    records: dict[str, Record]
    """Of all organizations, by id."""
    limited: list[Record]
    """Those of the organization with budgets."""

    @property
    def spent(self) -> int:
        """In picodollars, by the organization with budgets."""
        return sum(one.cost or 0 for one in self.limited)

    @property
    def overage(self) -> int:
        """By how much requests of that organization passed what was held for them, in picodollars."""
        held = int(HELD * PICO)
        return sum(max(0, (one.cost or 0) - held) for one in self.limited)


def contents_of(url: str) -> Contents:
    """Of the database at `url`. Gateways may run on it."""
    return asyncio.run(_contents(url))


async def _contents(url: str) -> Contents:
    store = PostgresStore.open(url, clock=lambda: 0)
    await store.start()
    try:
        home = await store.directory.home(NOBODY, now_us=0)
        by_organization = {}
        for one in await store.directory.list_organizations(limit=10):
            by_organization[one.id] = await _records_of(store, one.id)
        assert (await store.ledger.check()).problems == ()
    finally:
        await store.close()
    every = [record for records in by_organization.values() for record in records]
    found = {record.opening.id: record for record in every}
    assert len(found) == len(every), "an id is there twice"
    return Contents(records=found, limited=by_organization[home.organization_id])


async def _records_of(store: PostgresStore, organization_id: str) -> list[Record]:
    """All of one organization, whose summary has to say the same."""
    scope = Scope(organization_id=organization_id)
    records: list[Record] = []
    after = None
    while True:
        page = await store.ledger.page(ActivityQuery(scope=scope, descending=False, after=after, limit=PAGE))
        records += [row.record for row in page.rows]
        after = page.next_cursor
        if after is None:
            break
    sums = await store.ledger.summary(SummaryQuery(scope=scope, group_by=(Dimension.STATUS,)))
    for row in sums.rows:
        of_status = [one for one in records if one.status == row.group[0]]
        assert row.totals.requests == len(of_status)
        assert row.totals.cost == sum(one.cost or 0 for one in of_status)
    assert sums.totals.requests == len(records)
    return records


def open_records_of(url: str) -> int:
    """How many requests the database at `url` holds for running."""
    return asyncio.run(_open_records(url))


async def _open_records(url: str) -> int:
    store = PostgresStore.open(url, clock=lambda: 0)
    await store.start()
    try:
        return (await store.status()).open_records
    finally:
        await store.close()

"""The first users are found by one sum, and all of theirs asked for then. Whatever is copied between the two, what is
told is of one state."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from arouter.domain.activity import Dimension, Filters, Order, Summary, SummaryQuery
from arouter.store import tally
from arouter.store.buckets import DAY_US
from arouter.store.clickhouse.connections import Address, Client, Connections
from arouter.store.clickhouse.copier import Copier
from arouter.store.clickhouse.reader import ClickHouseReader
from arouter.store.clickhouse.sums import is_found_first
from arouter.store.tally import MEASURES
from tests.conformance.backends import Backend, inside, memory
from tests.conformance.samples import NOON_US, SCOPE, append, record
from tests.store.clickhouse.engine import new_place

Result = TypeVar("Result")
ORDERS = ("cost", "requests", "latency_us", "mean_latency_ms", "users", "user")


class GrowingClient:
    """Of which the table gets a record after each of the first questions."""

    def __init__(self, client: Client, left: list[str], table: str) -> None:
        self._client = client
        self._left = left
        self._table = table

    def command(self, sql: str, settings: Mapping[str, Any]) -> None:
        self._client.command(sql, settings)

    def query(self, sql: str, settings: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        rows = self._client.query(sql, settings)
        if self._left and sql.startswith("SELECT 0 AS q, CAST(k0"):
            name = self._left.pop()
            self._client.command(
                f"INSERT INTO {self._table} SELECT * REPLACE ('{name}' AS user, '{name}' AS id, 10 AS added_cost) "
                f"FROM {self._table} LIMIT 1",
                {},
            )
        return rows

    def insert(self, *arguments: Any) -> None:
        self._client.insert(*arguments)

    def close(self) -> None:
        """The engine's connection is everybody's."""


class Growing(Connections):
    def __init__(self, table: str, times: int) -> None:
        super().__init__(Address(url="chdb:"), threads=1)
        self.table = table
        self.left = [f"later-{number}" for number in range(times)]

    async def run(self, job: Callable[[Client], Result], *, timeout_s: float | None = None) -> Result:
        return await inside().run(lambda client: job(GrowingClient(client, self.left, self.table)), timeout_s=timeout_s)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Backend]:
    made = memory(tmp_path)
    users = (None, "", *(f"user-{number}" for number in range(8)))  # the first two have the same hash
    append(
        made,
        *(
            record(
                f"gen-{number}",
                opened={"user": users[number % 10], "created_at_us": NOON_US + number * DAY_US // 3},
                cost=number % 4 * 1000,
            )
            for number in range(60)
        ),
    )
    yield made
    made.stop()


def top(by: str = "cost", limit: int = 3, filters: Filters | None = None, *, descending: bool = True) -> SummaryQuery:
    return SummaryQuery(
        scope=SCOPE,
        filters=Filters() if filters is None else filters,
        group_by=(Dimension.USER,),
        order=Order(by=by, descending=descending),
        limit=limit,
    )


def copied(ledger: Backend) -> Copier:
    copier = Copier(inside(), new_place(), ledger.store.feed)
    ledger.run(copier.step())
    return copier


def asked(ledger: Backend, reader: ClickHouseReader, queries: Sequence[SummaryQuery]) -> Sequence[Summary]:
    async def run() -> Sequence[Summary]:
        return await reader.summaries(await reader.state(), queries)

    return ledger.run(run())


@pytest.mark.parametrize("descending", [True, False])
def test_the_first_users_are_those_of_the_ledger(ledger: Backend, descending: bool) -> None:
    edges = Filters(start_us=NOON_US + 7, end_us=NOON_US + 12 * DAY_US)
    empty = Filters(start_us=NOON_US - 9 * DAY_US, end_us=NOON_US - 5 * DAY_US)
    queries = [
        top(by, limit, filters, descending=descending)
        for by in ORDERS
        for limit in (1, 4, 50)
        for filters in (Filters(), edges, empty)
        if by != "latency_us"
    ]
    assert any(map(is_found_first, queries))
    reader = ClickHouseReader(inside(), copied(ledger), ledger.directory)
    # Together with others, as in a report.
    queries.append(SummaryQuery(scope=SCOPE, group_by=(Dimension.DAY,)))
    for query, found in zip(queries, asked(ledger, reader, queries), strict=True):
        kept = ledger.run(ledger.ledger.summary(query))
        assert (found.rows, found.totals, found.other, found.groups) == (
            kept.rows,
            kept.totals,
            kept.other,
            kept.groups,
        ), query


@pytest.mark.parametrize("times", [1, 2, 3, 5])
def test_what_is_copied_meanwhile_is_in_all_of_the_answer_or_in_none(ledger: Backend, times: int) -> None:
    copier = copied(ledger)
    tables = ledger.run(copier.state()).tables
    growing = Growing(f"{tables.place.database}.{tables.records}", times)
    reader = ClickHouseReader(growing, copier, ledger.directory)
    (found,) = asked(ledger, reader, [top(limit=50)])
    told = tally.total(tuple(getattr(row.totals, name) for name in MEASURES) for row in found.rows)
    assert told == tuple(getattr(found.totals, name) for name in MEASURES)
    assert found.totals.requests == 60 + min(times, 3)
    assert len(found.rows) == found.groups == 10 + min(times, 3)
    assert found.totals.users == 9 + min(times, 3)

"""A copy of an older version: it answers as it is, and is brought the sums that this version reads."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from arouter.domain.activity import Dimension, Order, Summary, SummaryQuery
from arouter.store.clickhouse.copier import Copier
from arouter.store.clickhouse.reader import ClickHouseReader
from arouter.store.clickhouse.schema import Place, Tables, upgrade_statements
from arouter.store.clickhouse.upgrade import lacking, upgrade
from tests.conformance.backends import Backend, inside, memory
from tests.conformance.samples import SCOPE, adjust, adjustment, append, record
from tests.store.clickhouse.engine import new_place

NEW = ("user_totals", "users_by_32_days", "users_by_8_days", "users_by_day", "days_by_user", "days", "quarters")
OLD = "slots (SELECT organization_id, model, sum(added_cost) GROUP BY organization_id, model)"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Backend]:
    made = memory(tmp_path)
    append(made, *(record(f"gen-{number}", opened={"user": f"user-{number % 4}"}) for number in range(9)))
    adjust(made, adjustment("adj-1", "gen-1", 7))
    yield made
    made.stop()


def command(ledger: Backend, sql: str) -> None:
    ledger.run(inside().run(lambda client: client.command(sql, {})))


def an_older_copy(ledger: Backend, place: Place) -> tuple[Copier, Tables]:
    copier = Copier(inside(), place, ledger.store.feed, at_once=3)
    tables = ledger.run(copier.prepare()).tables
    name = f"{place.database}.{tables.records}"
    for change in (*(f"DROP PROJECTION {name}" for name in NEW), f"ADD PROJECTION {OLD}"):
        sql = f"ALTER TABLE {name} {change}"
        command(ledger, sql)

    async def copy() -> None:
        while await copier.step() is not None:
            pass

    ledger.run(copy())
    return copier, tables


def copied(ledger: Backend, copier: Copier, query: SummaryQuery) -> Summary:
    reader = ClickHouseReader(inside(), copier, ledger.directory)

    async def run() -> Summary:
        (found,) = await reader.summaries(await reader.state(), [query])
        return found

    return ledger.run(run())


def projections(ledger: Backend, tables: Tables) -> set[str]:
    sql = f"SELECT DISTINCT name FROM system.projection_parts WHERE database = '{tables.place.database}' AND active"
    return {name for (name,) in ledger.run(inside().run(lambda client: client.query(sql, {})))}


def test_an_older_copy_answers_as_it_is_and_is_brought_what_it_lacks(ledger: Backend) -> None:
    copier, tables = an_older_copy(ledger, new_place())
    asked = [
        SummaryQuery(scope=SCOPE, group_by=(Dimension.USER,), order=Order(by="cost", descending=True), limit=2),
        SummaryQuery(scope=SCOPE, group_by=(Dimension.MODEL, Dimension.DAY)),
        SummaryQuery(scope=SCOPE, group_by=(Dimension.DAY,), timezone="Asia/Kolkata"),
    ]
    kept = [ledger.run(ledger.ledger.summary(query)) for query in asked]

    def are_equal() -> bool:
        found = [copied(ledger, copier, query) for query in asked]
        return [(one.rows, one.totals, one.other) for one in found] == [
            (one.rows, one.totals, one.other) for one in kept
        ]

    assert are_equal()
    assert "slots" in projections(ledger, tables)
    assert ledger.run(lacking(inside(), tables)) == [*NEW]
    assert ledger.run(upgrade(inside(), tables)) == [*NEW]
    assert ledger.run(lacking(inside(), tables)) == []
    assert {*NEW} < projections(ledger, tables)
    assert "slots" not in projections(ledger, tables)
    assert are_equal()
    assert ledger.run(upgrade(inside(), tables)) == []


def test_whoever_died_between_two_steps_of_it_leaves_nothing_half_made(ledger: Backend) -> None:
    """The new sums are known to the table, and were made of nothing yet."""
    _, tables = an_older_copy(ledger, new_place())
    *added, made = upgrade_statements(tables, NEW)
    assert "MATERIALIZE" in made
    for sql in added:
        command(ledger, sql)
    assert ledger.run(lacking(inside(), tables)) == [*NEW]
    assert ledger.run(upgrade(inside(), tables)) == [*NEW]
    assert ledger.run(lacking(inside(), tables)) == []


def test_an_empty_copy_lacks_nothing(ledger: Backend) -> None:
    copier = Copier(inside(), new_place(), ledger.store.feed)
    tables = ledger.run(copier.prepare()).tables
    assert ledger.run(lacking(inside(), tables)) == []
    assert ledger.run(upgrade(inside(), tables)) == []

"""The tables: the same columns as the rows, one text for a server and for a cluster, and sums that are found."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arouter.domain.activity import ActivityQuery, Dimension, Filters, Order, SummaryQuery
from arouter.store.buckets import DAY_US, SLOT_US
from arouter.store.clickhouse.conditions import all_conditions
from arouter.store.clickhouse.copier import Copier
from arouter.store.clickhouse.rows import COLUMNS
from arouter.store.clickhouse.schema import PERIOD_US, BadName, Place, Tables, create_statements, generation_of
from arouter.store.clickhouse.sums import First, statement
from tests.conformance.backends import Backend, inside, memory
from tests.conformance.samples import NOON_US, SCOPE, append, record
from tests.store.clickhouse.engine import new_place

CLUSTER = Place(database="arouter", cluster="main")
COST = frozenset({"cost"})
TOP = Order(by="cost", descending=True)
NEXT = NOON_US // PERIOD_US + 1
"""The first period that begins after the first record."""


def query(sql: str) -> Sequence[tuple[Any, ...]]:
    return asyncio.run(inside().run(lambda client: client.query(sql, {})))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    """Of a copy with records of 200 users on 80 days, and very many of user 7: enough for ClickHouse to tell short sums
    from long ones."""
    backend: Backend = memory(Path(tmp_path_factory.mktemp("ledger")))
    append(backend, *(record(f"gen-{n}", opened={"created_at_us": NOON_US + n * DAY_US}) for n in range(80)))
    copier = Copier(inside(), new_place(), backend.store.feed)
    state = backend.run(copier.step())
    assert state is not None
    name = f"{state.tables.place.database}.{state.tables.records}"
    sql = (
        f"INSERT INTO {name} SELECT * EXCEPT number "
        f"REPLACE (concat('user-', toString(if(number < 200, number, 7))) AS user) "
        f"FROM {name} CROSS JOIN numbers(300) AS many"
    )
    asyncio.run(inside().run(lambda client: client.command(sql, {})))
    yield state.tables
    backend.stop()


def projections(tables: Tables, asked: SummaryQuery, firsts: Mapping[int, First] | None = None) -> set[str]:
    """What a question is read from: names of projections, or `records`."""
    table = f"{tables.place.database}.{tables.records}"
    plan = "\n".join(line for (line,) in query(f"EXPLAIN {statement(table, [asked], [None], firsts)}"))
    read = {line.split("(")[1].split(")")[0] for line in plan.splitlines() if "ReadFromMergeTree" in line}
    return {name.removeprefix(f"{tables.place.database}.").replace(tables.records, "records") for name in read}


@pytest.mark.parametrize("name", ["", "a b", "a;b", "1a", "ü", "a`b", "x" * 200])
def test_a_database_is_a_plain_name(name: str) -> None:
    with pytest.raises(BadName):
        Place(database=name)
    if name:
        with pytest.raises(BadName):
            Place(database="arouter", cluster=name)


def test_the_number_of_a_copy_is_in_the_names_of_its_tables() -> None:
    for place in (CLUSTER, Place(database="arouter")):
        assert {generation_of(name) for name in Tables(place=place, generation=12).names} == {12}
    for name in ("records", "records_0", "records_x", "records_1_old", "others_1"):
        assert generation_of(name) is None


def test_the_table_has_the_columns_of_the_rows(tables: Tables) -> None:
    found = query(
        f"SELECT name, type FROM system.columns WHERE database = '{tables.place.database}' "
        f"AND table = '{tables.records}' ORDER BY position"
    )
    assert dict(found) == dict(COLUMNS)


def test_a_cluster_has_replicas_and_one_table_over_all() -> None:
    made = "\n".join(create_statements(Tables(place=CLUSTER, generation=3)))
    for part in (
        "CREATE TABLE IF NOT EXISTS arouter.records_3_local ON CLUSTER main",
        "ReplicatedMergeTree('/clickhouse/tables/{shard}/arouter/records_3_local', '{replica}')",
        "CREATE TABLE IF NOT EXISTS arouter.records_3 ON CLUSTER main AS arouter.records_3_local",
        "Distributed(main, arouter, records_3_local, sipHash64(organization_id, user))",
        "ReplicatedMergeTree('/clickhouse/tables/arouter/copied_3', '{shard}-{replica}')",
        "replicated_deduplication_window = 10000",
    ):
        assert part in made


def test_the_statements_for_a_cluster_are_understood() -> None:
    for sql in create_statements(Tables(place=CLUSTER, generation=1)):
        assert query(f"EXPLAIN AST {sql}")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (SummaryQuery(scope=SCOPE, group_by=(Dimension.USER,), order=TOP, limit=10), {"user_totals"}),
        (SummaryQuery(scope=SCOPE, filters=Filters(users=("alice",)), metrics=COST), {"user_totals"}),
        (
            SummaryQuery(scope=replace(SCOPE, key_hash="key-a"), group_by=(Dimension.USER,), order=TOP, limit=10),
            {"users_by_32_days"},
        ),
        (SummaryQuery(scope=SCOPE, group_by=(Dimension.USER, Dimension.API_KEY), metrics=COST), {"users_by_32_days"}),
        (
            SummaryQuery(
                scope=SCOPE,
                filters=Filters(start_us=NEXT * PERIOD_US - DAY_US, end_us=(NEXT + 1) * PERIOD_US + DAY_US),
                group_by=(Dimension.USER,),
            ),
            {"users_by_32_days", "users_by_day"},
        ),
        (
            SummaryQuery(scope=SCOPE, filters=Filters(users=("user-7",)), group_by=(Dimension.DAY,), metrics=COST),
            {"days_by_user"},
        ),
        (
            SummaryQuery(scope=SCOPE, filters=Filters(users=("user-7",)), group_by=(Dimension.MODEL,), metrics=COST),
            {"days_by_user"},
        ),
        (SummaryQuery(scope=SCOPE, group_by=(Dimension.MODEL, Dimension.DAY)), {"days", "user_totals"}),
        (SummaryQuery(scope=SCOPE, group_by=(Dimension.MODEL, Dimension.HOUR), metrics=COST), {"quarters"}),
        (SummaryQuery(scope=SCOPE, filters=Filters(statuses=("success",)), metrics=COST), {"days"}),
        (
            SummaryQuery(scope=SCOPE, filters=Filters(start_us=NOON_US + 1, end_us=NOON_US + SLOT_US), metrics=COST),
            {"by_time"},
        ),
    ],
    ids=[
        "top users",
        "one user",
        "of a key",
        "by key",
        "a range",
        "days of a user",
        "models of a user",
        "users of models by day",
        "hours of models",
        "a status",
        "within a quarter",
    ],
)
def test_sums_are_read_from_what_is_added_up_already(tables: Tables, asked: SummaryQuery, expected: set[str]) -> None:
    assert projections(tables, asked) == expected


def test_all_sums_of_the_first_users_are_read_from_their_own(tables: Tables) -> None:
    month = Filters(start_us=NOON_US // DAY_US * DAY_US, end_us=(NOON_US // DAY_US + 30) * DAY_US)
    asked = SummaryQuery(scope=SCOPE, filters=month, group_by=(Dimension.USER,), order=TOP, limit=2)
    first = First(users=("user-7", "user-70"), groups=201, named=201)
    assert projections(tables, asked, {0: first}) == {"days_by_user", "days"}


def test_the_newest_records_are_found_in_the_order_of_time(tables: Tables) -> None:
    table = f"{tables.place.database}.{tables.records}"
    asked = ActivityQuery(scope=SCOPE)
    where = " AND ".join(all_conditions(asked.scope, asked.filters, table))
    sql = f"SELECT user, created_at_us, id FROM {table} WHERE {where} ORDER BY created_at_us DESC, id DESC LIMIT 3"
    assert "by_time" in "\n".join(line for (line,) in query(f"EXPLAIN {sql}"))

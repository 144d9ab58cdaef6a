"""What is moved of a database: every table is moved, or it is said why not."""

import asyncio
from collections.abc import Mapping, Sequence

import apsw
import asyncpg
import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.store.moving import MOVED, NOT_MOVED, CopyState, Fingerprint, Rows, fitting, refuse_unfinished
from arouter.store.queries import read_sql
from tests.postgres_server import fresh_database

Tables = Mapping[str, Sequence[str]]

ONLY_IN: Mapping[str, frozenset[str]] = {"sqlite": frozenset(), "postgres": frozenset()}
"""Columns (`table.column`) of `MOVED` that the other backend does not have yet: what is in them cannot be moved there,
and a copy is refused if anything is."""


@pytest.fixture(scope="module")
def sqlite_tables() -> Tables:
    connection = apsw.Connection(":memory:")
    connection.execute(read_sql("sqlite", "schema.sql"))
    names = [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {
        name: sorted(str(column) for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", (name,)))
        for name in names
        if not name.startswith("sqlite_")
    }


@pytest.fixture(scope="module")
def postgres_tables() -> Tables:
    async def read(url: str) -> Tables:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(
                "SELECT relname, array_agg(attname ORDER BY attname)::text[] AS columns FROM pg_class "
                "JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped "
                "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition "
                "GROUP BY relname"
            )
        finally:
            await connection.close()
        return {row["relname"]: row["columns"] for row in rows}

    return asyncio.run(read(fresh_database()))


def test_every_table_is_moved_or_it_is_said_why_not(sqlite_tables: Tables, postgres_tables: Tables) -> None:
    there = sqlite_tables.keys() | postgres_tables.keys()
    assert sorted(there - {*MOVED} - NOT_MOVED.keys()) == [], "say in store/moving.py what becomes of it"
    assert sorted(({*MOVED} | NOT_MOVED.keys()) - there) == []
    assert not {*MOVED} & NOT_MOVED.keys()
    assert all(NOT_MOVED.values())


def test_what_is_moved_has_the_same_columns_everywhere(sqlite_tables: Tables, postgres_tables: Tables) -> None:
    def columns(tables: Tables) -> frozenset[str]:
        return frozenset(f"{table}.{column}" for table in MOVED for column in tables.get(table, ()))

    sqlite, postgres = columns(sqlite_tables), columns(postgres_tables)
    assert (sqlite - postgres, postgres - sqlite) == (ONLY_IN["sqlite"], ONLY_IN["postgres"])


def test_a_column_that_the_target_lacks_may_be_dropped_only_while_nothing_is_in_it() -> None:
    rows = Rows(table="keys", columns=("hash", "color", "name"), rows=[("a", None, "x"), ("b", "[]", "y")])
    assert fitting(rows, ("name", "hash")) == (["hash", "name"], [("a", "x"), ("b", "y")])
    assert fitting(rows, rows.columns) == (rows.columns, rows.rows)
    with pytest.raises(StorageUnavailable, match=r"no place for keys.color"):
        fitting(Rows(table="keys", columns=rows.columns, rows=[("a", "red", "x")]), ("name", "hash"))
    with pytest.raises(StorageUnavailable, match=r"no place for keys.hash"):
        fitting(rows, ())


def test_nobody_else_uses_a_copy_that_is_not_complete() -> None:
    refuse_unfinished(None)
    refuse_unfinished(CopyState(source="s", position="1", complete=True))
    with pytest.raises(StorageUnavailable, match="not complete"):
        refuse_unfinished(CopyState(source="s", position="1", complete=False))


def test_a_fingerprint_knows_no_order_and_every_difference() -> None:
    def of(*rows: tuple[str | int | None, ...], columns: Sequence[str] = ("a", "b")) -> Fingerprint:
        made = Fingerprint()
        made.add_rows(Rows(table="t", columns=columns, rows=rows))
        return made

    assert of((1, "x"), (2, "y")) == of((2, "y"), (1, "x"))
    assert of((1, "x")) == of(("x", 1), columns=("b", "a"))
    assert of((1, None)) == of((1,), columns=("a",))
    different = [of(), of((1, "x")), of((1, "x"), (1, "x")), of((1, "")), of((1, "1")), of((10, None)), of(("1", None))]
    assert len({(one.count, one.digest) for one in different}) == len(different)

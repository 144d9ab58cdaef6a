"""Migrations lead to the schema, and only forward."""

import apsw
import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.store.migrate import in_order, migrations, needed, pending
from arouter.store.queries import read_sql


def schema_of(*scripts: str) -> list[tuple[object, ...]]:
    connection = apsw.Connection(":memory:")
    for script in scripts:
        connection.execute(script)
    return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall()


def test_the_migrations_make_the_schema() -> None:
    made = schema_of(*(step.sql for step in migrations("sqlite")))
    assert made == schema_of(read_sql("sqlite", "schema.sql"))
    assert len(made) > 10


def test_migrations_are_numbered_without_gaps() -> None:
    sources = [("0002_b.sql", "B"), ("0001_a.sql", "A"), ("README.md", "")]
    assert [(step.number, step.name, step.sql) for step in in_order(sources)] == [(1, "a", "A"), (2, "b", "B")]
    with pytest.raises(ValueError):
        in_order([("0001_a.sql", ""), ("0003_c.sql", "")])
    with pytest.raises(ValueError):
        in_order([("0001_a.sql", ""), ("0001_b.sql", "")])


def test_only_what_is_missing_is_applied_and_a_newer_database_is_refused() -> None:
    steps = in_order([("0001_a.sql", ""), ("0002_b.sql", "")])
    assert [step.number for step in pending(steps, 0)] == [1, 2]
    assert [step.number for step in pending(steps, 1)] == [2]
    assert list(pending(steps, 2)) == []
    with pytest.raises(StorageUnavailable, match="version 3"):
        pending(steps, 3)


def test_a_program_may_work_on_a_newer_database_whose_further_steps_are_compatible() -> None:
    old = in_order([("0001_a.sql", "A"), ("0002_b.sql", "B")])
    further = [("0001_a.sql", "A"), ("0002_b.sql", "B"), ("0003_c.sql", "-- Compatible: a table of its own.\nC")]
    new = in_order(further)
    assert [step.is_compatible for step in new] == [False, False, True]
    assert list(pending(old, 3, needed(new))) == []
    newest = in_order([*further, ("0004_d.sql", "D"), ("0005_e.sql", "-- Compatible: another one.\nE")])
    assert needed(newest) == 4
    with pytest.raises(StorageUnavailable, match=r"version 5 and needs a program that knows version 4; .* up to 2\."):
        pending(old, 5, needed(newest))
    assert needed(()) == 0

"""SQL files with names."""

import pytest

from arouter.store.queries import parse_queries, read_sql


def test_statements_are_found_by_name() -> None:
    text = "-- About.\n\n-- name: one\nSELECT 1;\n\n-- name: two\n-- why\nSELECT 2\nFROM t;\n"
    assert dict(parse_queries(text)) == {"one": "SELECT 1", "two": "-- why\nSELECT 2\nFROM t"}


def test_a_statement_needs_a_name_of_its_own() -> None:
    with pytest.raises(ValueError):
        parse_queries("SELECT 1;\n-- name: one\nSELECT 2;")
    with pytest.raises(ValueError):
        parse_queries("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;")


def test_the_files_are_a_part_of_the_package() -> None:
    assert "spending" in parse_queries(read_sql("sqlite", "queries.sql"))
    assert "CREATE TABLE records" in read_sql("sqlite", "schema.sql")

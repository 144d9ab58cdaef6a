"""The statements of `sql/postgres/*.sql`."""

from collections.abc import Mapping
from functools import cache

from arouter.store.postgres.migrating import ENGINE
from arouter.store.queries import parse_queries, read_sql


@cache
def queries(area: str) -> Mapping[str, str]:
    """The statements of the file `<area>.sql`, by name."""
    return parse_queries(read_sql(ENGINE, f"{area}.sql"))


@cache
def statement(area: str, name: str, columns: tuple[str, ...], *, behind: int = 0) -> str:
    """The statement over these columns: they and a place for each are filled in, which come `behind` so many others."""
    places = ", ".join(f"${behind + number}" for number in range(1, len(columns) + 1))
    return queries(area)[name].format(columns=", ".join(columns), places=places)

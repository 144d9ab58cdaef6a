"""The statements of `sql/postgres/*.sql`."""

from collections.abc import Mapping
from functools import cache

from arouter.store.postgres.migrating import ENGINE
from arouter.store.queries import parse_queries, read_sql


@cache
def queries(area: str) -> Mapping[str, str]:
    """The statements of the file `<area>.sql`, by name."""
    return parse_queries(read_sql(ENGINE, f"{area}.sql"))

"""A copy that an older version made is brought the sums that this one reads.

ClickHouse makes them of the rows that are there, beside its other work. Until then a question reads what is there, and
gets the same answer.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from arouter.domain.errors import StorageUnavailable
from arouter.store.clickhouse.conditions import text
from arouter.store.clickhouse.connections import Client, Connections
from arouter.store.clickhouse.schema import PROJECTIONS, Tables, cleaning_statements, upgrade_statements

_LOOK_EVERY_S: Final = 0.5
_NOT_WAITING: Final[Mapping[str, Any]] = {"mutations_sync": 0}
_WAITING: Final[Mapping[str, Any]] = {"mutations_sync": 2}


async def lacking(connections: Connections, tables: Tables) -> Sequence[str]:
    """What is not made of all rows yet, by the names of `schema.PROJECTIONS`. On a cluster, of the server asked."""
    return await connections.run(partial(_lacking, tables=tables))


async def upgrade(
    connections: Connections, tables: Tables, on_progress: Callable[[int], None] = lambda parts: None
) -> Sequence[str]:
    """Make what is lacking, and remove what is not read any more; what was lacking.

    `on_progress` is told how many parts of the table are left. StorageUnavailable if ClickHouse fails at it.
    """
    found = await lacking(connections, tables)
    for sql in upgrade_statements(tables, found):
        await connections.run(partial(_command, sql=sql, settings=_NOT_WAITING))
    while parts := await connections.run(partial(_parts_left, tables=tables)):
        on_progress(parts)
        await asyncio.sleep(_LOOK_EVERY_S)
    for sql in cleaning_statements(tables):
        await connections.run(partial(_command, sql=sql, settings=_WAITING))
    return found


def _command(client: Client, *, sql: str, settings: Mapping[str, Any]) -> None:
    client.command(sql, settings)


def _lacking(client: Client, *, tables: Tables) -> Sequence[str]:
    ((parts,),) = client.query(f"SELECT count() FROM system.parts WHERE {_of(tables)} AND active", {})
    counted = client.query(
        f"SELECT name, count() FROM system.projection_parts WHERE {_of(tables)} AND active GROUP BY name", {}
    )
    made = {name for name, count in counted if count >= parts}
    return [name for name in PROJECTIONS if name not in made] if parts else []


def _parts_left(client: Client, *, tables: Tables) -> int:
    sql = (
        "SELECT count(), sum(parts_to_do), max(latest_fail_reason) FROM system.mutations "
        f"WHERE {_of(tables)} AND NOT is_done"
    )
    ((count, parts, failure),) = client.query(sql, {})
    if failure:
        raise StorageUnavailable("ClickHouse cannot make the sums.", detail=str(failure))
    return max(int(count), int(parts))


def _of(tables: Tables) -> str:
    return f"database = {text(tables.place.database)} AND table = {text(tables.local_records)}"

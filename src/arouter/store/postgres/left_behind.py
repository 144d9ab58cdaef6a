"""What records do not tell any more, and the sums that two databases are compared by.

Sums of expired records are written as what is missing from those that are there: to write them again changes nothing.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from arouter.domain.windows import DAY_US
from arouter.store.buckets import SLOT_US
from arouter.store.moving import ROLLUP_KEY as MOVED_KEY
from arouter.store.moving import Row, Rows, Sums
from arouter.store.postgres.batch import add_batch
from arouter.store.postgres.raised import ROLLUP_KEY, Raised, columns_of, digest_of, write_sums
from arouter.store.postgres.raised import sums_of as raised_sums
from arouter.store.postgres.statements import queries
from arouter.store.tally import MEASURES, NOTHING

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

_COLUMNS: Final = {
    Sums.SPANS: ("organization_id", "end_user", "key_hash", "workspace_id", "first_seen_us", "last_seen_us"),
    Sums.EXPIRED_DAYS: ("organization_id", "day", *MEASURES),
    Sums.EXPIRED_ROLLUPS: (*MOVED_KEY, *MEASURES),
    Sums.ROLLUPS: (*MOVED_KEY, *MEASURES),
    Sums.EXPIRED_KEY_HOURS: ("key_hash", "hour", "cost", "own_key_cost", "last_used_us"),
    Sums.KEY_HOURS: ("key_hash", "hour", "cost", "own_key_cost"),
    Sums.USAGE_DAYS: ("scope", "organization_id", "scope_id", "day", "requests", "tokens", "cost"),
}
_MEASURES: Final = ", ".join(MEASURES)
_MOST_OF_BATCH: Final = 2**31 - 1


def sums_of(name: str) -> tuple[Sequence[str], str]:
    """The columns of a stream of `Sums`, and the statement that reads it."""
    return _COLUMNS[name], queries("moving")[name].format(key=", ".join(MOVED_KEY), measures=_MEASURES)


async def put(connection: "Connection", rows: Rows) -> None:
    """Write rows of one of `LEFT_BEHIND`, within the caller's transaction."""
    writing = {
        Sums.SPANS: _widen_spans,
        Sums.EXPIRED_DAYS: _set_days,
        Sums.EXPIRED_ROLLUPS: _raise_rollups,
        Sums.EXPIRED_KEY_HOURS: _set_own_key_costs,
    }
    await writing[rows.table](connection, rows.rows)


async def _widen_spans(connection: "Connection", rows: Sequence[Row]) -> None:
    given = columns_of(rows, ("text", "text", "text", "text", "bigint", "bigint"))
    await connection.execute(queries("moving")["widen_spans"], *given)


async def _set_days(connection: "Connection", rows: Sequence[Row]) -> None:
    types = ("text", "integer", *("numeric" for _ in MEASURES))
    sql = queries("moving")["set_expired_days"].format(
        measures=_MEASURES,
        excluded=", ".join(f"excluded.{name}" for name in MEASURES),
        arrays=", ".join(f"${place}::{of}[]" for place, of in enumerate(types, 1)),
    )
    known = await connection.fetchval(queries("moving")["expired_requests"])
    await connection.execute(sql, *columns_of(rows, types))
    missing = int(await connection.fetchval(queries("moving")["expired_requests"]) - known)
    await _pass_over(connection, missing, min(int(row[1] or 0) for row in rows) * DAY_US)


async def _pass_over(connection: "Connection", records: int, earliest_us: int) -> None:
    """Give batches to records that had expired before they came here, of which nothing is there: the chain of hashes
    passes over them as over those that expire later."""
    while records > 0:
        count = min(records, _MOST_OF_BATCH)
        number = await connection.fetchval(queries("ledger")["next_batch"])
        await add_batch(connection, number, 0, earliest_us, count, hashlib.sha256().digest())
        records -= count


async def _raise_rollups(connection: "Connection", rows: Sequence[Row]) -> None:
    width = len(MOVED_KEY)
    wanted: dict[tuple[Any, ...], tuple[Any, ...]] = {row[:width]: row[width:] for row in rows}
    places = columns_of([(key[0], key[1], digest_of(key)) for key in wanted], ("text", "bigint", "bytea"))
    sql = queries("moving")["sums_of_rollups"].format(key=", ".join(ROLLUP_KEY), measures=_MEASURES)
    known = {tuple(row[:width]): tuple(map(int, row[width:])) for row in await connection.fetch(sql, *places)}
    raised = Raised()
    for key, sums in wanted.items():
        have = known.get(key, NOTHING)
        difference = tuple(want - has for want, has in zip(sums, have, strict=True))
        if any(difference) or key not in known:
            # What ran on own keys is not told by these sums: it comes on its own.
            raised.add(key, key[1] * SLOT_US, difference, is_byok=False)
    await write_sums(connection, raised_sums(raised))


async def _set_own_key_costs(connection: "Connection", rows: Sequence[Row]) -> None:
    given = columns_of([(row[0], row[1], *row[3:]) for row in rows], ("text", "integer", "numeric", "bigint"))
    await connection.execute(queries("moving")["set_own_key_costs"], *given)

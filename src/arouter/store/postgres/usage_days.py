"""What budgets and daily limits go by: sums by UTC day of organizations, workspaces, keys and end users.

They change in the transaction of the records that raise them (`raised`). A member's are those of the keys that it made.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from arouter.domain.counters import Counter, Meter
from arouter.domain.guardrails import Target
from arouter.domain.windows import DAY_US
from arouter.store.postgres.statements import queries
from arouter.store.postgres.texts import listed

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

_COLUMNS = {Meter.COST: "cost", Meter.REQUESTS: "requests", Meter.TOKENS: "tokens"}


async def usages_of(connection: "Connection", counters: Sequence[Counter]) -> dict[Counter, int]:
    """What the records say of counters that are in the ledger, each in its units; those without any are left out.

    Those of members by one statement, all others by another one.
    """
    members = [one for one in counters if one.scope is Target.MEMBER]
    others = [one for one in counters if one.scope is not Target.MEMBER]
    found: dict[Counter, int] = {}
    if members:
        found |= await _usages_of(connection, "usages_of_members", members, [])
    if others:
        found |= await _usages_of(connection, "usages_of", others, [[one.scope.value for one in others]])
    return found


async def _usages_of(
    connection: "Connection", name: str, counters: Sequence[Counter], scopes: list[list[str]]
) -> dict[Counter, int]:
    rows = await connection.fetch(
        queries("counters")[name],
        list(range(len(counters))),
        *scopes,
        listed(one.organization_id for one in counters),
        listed(one.scope_id for one in counters),
        [one.start_us // DAY_US for one in counters],
        [one.end_us // DAY_US for one in counters],
    )
    found = [(counters[row["place"]], row) for row in rows]
    return {counter: int(row[_COLUMNS[counter.meter]]) for counter, row in found}

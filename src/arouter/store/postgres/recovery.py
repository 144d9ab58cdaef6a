"""What a dead process left open is closed as interrupted, once, by whichever process asks first."""

from collections.abc import Collection
from typing import TYPE_CHECKING

import msgspec

from arouter.domain.interruption import interrupted
from arouter.domain.record import Opening
from arouter.store.postgres.batch import prepared, write
from arouter.store.postgres.leases import end_leases_of
from arouter.store.postgres.owners import forget_owner, living_owners
from arouter.store.postgres.partitions import make_partitions
from arouter.store.postgres.statements import queries

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

MOST_IN_ONE = 1_000


async def is_something_left(connection: "Connection", *, grace_s: float, known_dead: Collection[str]) -> bool:
    """Whether a process is dead, without keeping anybody from anything for longer than the question takes."""
    _, dead = await living_owners(connection, grace_s=grace_s, known_dead=known_dead)
    return bool(dead)


async def recover_some(
    connection: "Connection", *, now_us: int, written_at_us: int, grace_s: float, known_dead: Collection[str]
) -> tuple[int, bool]:
    """A transaction of its own: how many were closed, and whether there may be more."""
    async with connection.transaction():
        _, dead = await living_owners(connection, grace_s=grace_s, known_dead=known_dead)
        left = await connection.fetch(queries("ledger")["open_of"], sorted(dead), MOST_IN_ONE)
        openings = [msgspec.json.decode(row["opening"], type=Opening) for row in left]
        count = 0
        if openings:
            batch = prepared([interrupted(opening, now_us=now_us) for opening in openings])
            await make_partitions(connection, batch.months)
            ids = [opening.id for opening in openings]
            count = await write(connection, batch, written_at_us, forgotten=ids)
        if len(left) == MOST_IN_ONE:
            return count, True
        for number in sorted(dead):
            await end_leases_of(connection, number)
            await forget_owner(connection, number)
        return count, False

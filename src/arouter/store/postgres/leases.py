"""What happens to leases besides being renewed."""

from typing import TYPE_CHECKING

from arouter.store.postgres.statements import queries

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection


async def end_leases_of(connection: "Connection", owner_no: int) -> None:
    """The leases of a process that is no more, within the caller's transaction."""
    await connection.execute(queries("counters")["end_leases_of_owner"], owner_no)


async def recall_every_lease(connection: "Connection") -> None:
    """Something that was posted has changed: what is free everywhere is to be leased anew."""
    await connection.execute(queries("counters")["recall_every_lease"])

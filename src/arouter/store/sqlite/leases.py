"""What happens to leases besides being renewed."""

import apsw

from arouter.store.sqlite.statements import queries


def end_leases_of(connection: apsw.Connection, owner_no: int) -> None:
    """The leases of a process that is no more, within the caller's transaction."""
    connection.execute(queries()["post_leases_of_owner"], (owner_no,))
    connection.execute(queries()["end_leases_of_owner"], (owner_no,))


def recall_every_lease(connection: apsw.Connection) -> None:
    """Something that was posted has changed: what is free everywhere is to be leased anew."""
    connection.execute(queries()["recall_every_lease"])

"""What dead processes left open becomes records.

Who is dead is found out before what waits in files is booked, in the transaction in which it becomes records: a process
that dies in between may have kept a record that is not booked then, so it is left to the next time. Whoever was dead
before has kept nothing behind that.
"""

import apsw
import msgspec

from arouter.domain.interruption import interrupted
from arouter.domain.record import Opening
from arouter.store.sqlite.appender import Appender
from arouter.store.sqlite.leases import end_leases_of
from arouter.store.sqlite.names import fetch, to_json
from arouter.store.sqlite.owners import all_owners, living_owners
from arouter.store.sqlite.set_aside import book_set_aside
from arouter.store.sqlite.statements import queries


def who_is_dead(connection: apsw.Connection, path: str) -> set[int] | None:
    """The owners that are to be recovered; None if nothing is left at all, not even by one that nobody knows.

    Without a lock, for the many times that nothing is: who registers while this is read is alive.
    """
    alive, dead = living_owners(connection, path)
    left = dead or fetch(connection, queries()["open_of_others"], to_json(sorted(alive)))
    return dead if left else None


def recover(connection: apsw.Connection, appender: Appender, *, dead: set[int], now_us: int, written_at_us: int) -> int:
    """Within a write transaction in which everything was booked that waits, since they were found `dead`; how many
    requests they had left open."""
    # What is acknowledged does not become what was interrupted.
    book_set_aside(connection, appender, written_at_us)
    still_there = {*all_owners(connection)}
    left = fetch(connection, queries()["open_of_others"], to_json(sorted(still_there - dead)))
    records = [interrupted(msgspec.json.decode(opening, type=Opening), now_us=now_us) for _, opening in left]
    problems = appender.append(connection, records, written_at_us)
    stored = [record.opening.id for record, problem in zip(records, problems, strict=True) if problem is None]
    appender.close(connection, stored)
    for owner in still_there & dead:
        end_leases_of(connection, owner)
        connection.execute(queries()["forget_owner"], (owner,))
    return len(stored)

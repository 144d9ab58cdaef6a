"""Records that arrived and could not be booked, each with the reason: they were acknowledged, so they are kept.

Only a defect leads here, a disk that changed what was on it, or a later version's records that an earlier one met. So
they are tried again: by whoever opens the database, which may be a program that knows more, and before requests that
were left open become records. What was damaged stays: a person may still read something of it.
"""

from collections.abc import Sequence
from typing import Final

import apsw

from arouter.store.sqlite.appender import Appender, Group, already_there
from arouter.store.sqlite.connections import OUR_FAULTS
from arouter.store.sqlite.prepared import Noted, Prepared, id_of, pack, unpack
from arouter.store.sqlite.statements import queries

ANOTHER_IS_THERE: Final = "another record of the request is there"


def put_aside(connection: apsw.Connection, packed: bytes, reason: str) -> None:
    """Keep one record, or a whole group that cannot be read."""
    connection.execute(queries()["set_aside_arrivals"], (packed, reason))


def append_what_can_be(
    connection: apsw.Connection, appender: Appender, groups: Sequence[Group]
) -> list[tuple[Prepared, str]]:
    """Append groups of which any may be refused, within the caller's transaction; those that are, and why."""
    connection.execute("SAVEPOINT booking")
    refused: list[tuple[Prepared, str]] = []
    try:
        appender.append_groups(connection, groups)
    except OUR_FAULTS as fault:
        connection.execute("ROLLBACK TO booking")
        appender.forget()
        alone: list[Group] = [(at_us, [one]) for at_us, some in groups for one in some]
        if len(alone) > 1:
            # One of them spoils it for all.
            for one in alone:
                refused += append_what_can_be(connection, appender, [one])
        else:
            refused.append((alone[0][1][0], reason_of(fault)))
    connection.execute("RELEASE booking")
    return refused


def reason_of(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"


def has_any_aside(connection: apsw.Connection) -> bool:
    return bool(connection.execute(queries()["has_set_aside"]).get)


def book_set_aside(connection: apsw.Connection, appender: Appender, written_at_us: int) -> int:
    """Try it once more with all of them, within a write transaction in which everything was booked that waits; how many
    records were booked. Of the others each stays, with the reason that there is now."""
    booked = 0
    intents: list[Noted] = []
    for no, packed in connection.execute(queries()["set_aside"]).fetchall():
        try:
            records, noted = unpack(packed)  # type: ignore[arg-type]
        except ValueError:
            continue
        intents += noted
        connection.execute(queries()["forget_set_aside"], (no,))
        there = already_there(connection, [id_of(one) for one in records])
        fresh = [one for one in records if id_of(one) not in there]
        refused = append_what_can_be(connection, appender, [(written_at_us, fresh)])
        appender.close(connection, [*{*map(id_of, fresh)} - {id_of(one) for one, _ in refused}])
        # One that was made of the request's intent, say. Which of the two holds is for a person to decide.
        refused += [(one, ANOTHER_IS_THERE) for one in records if id_of(one) in there]
        for one, reason in refused:
            put_aside(connection, pack([one]), reason)
        booked += len(records) - len(refused)
    if intents:
        appender.open(connection, intents)
    return booked

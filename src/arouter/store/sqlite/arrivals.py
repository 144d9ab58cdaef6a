"""Records that are on disk and not yet in their tables: they arrive one group at a time, and are booked many at once.
Intents arrive with them, and most are never written to a table: their record comes before they are booked.

A record among all the others changes pages all over the file: its indexes, its sums, its user's. A group of them
that is written alone pays for each of these pages, and whoever waits waits for them. So a group arrives at the end of a
file (see `arrival_files`), and about a second later all that has arrived is booked: it becomes records, raises the sums
and lengthens the chain of hashes in one transaction, whose pages many records share. What is written is what each group
would have written alone: its batch, at the time at which it arrived.

Nobody sees the difference. Whoever reads records or what is made of them finds arrivals and has them booked before, and
whatever writes beside them books in its own transaction first. A group waits, or it is booked: that is decided within
the transaction that books, so that a process that is killed loses nothing and doubles nothing, and any process books
what another one left.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final, TypeVar

import apsw

from arouter.domain.record import Record
from arouter.store.sqlite.appender import Appender, Group, forgive
from arouter.store.sqlite.arrival_files import (
    ArrivalFiles,
    Packed,
    groups_above,
    has_groups_above,
    remove_if_dead,
    rows_of,
)
from arouter.store.sqlite.prepared import Noted, Prepared, id_of, pack, prepare_all, unpack
from arouter.store.sqlite.set_aside import append_what_can_be, put_aside, reason_of
from arouter.store.sqlite.statements import queries

BOOK_AFTER_S: Final = 1.0
"""The longest that a record waits."""
MOST_WAITING: Final = 4_000
"""Records: as soon as so many wait they are booked. The more, the more of them share a page; but who reads waits for
that, and so do others that write to the database."""
_DAMAGED: Final = "the file was damaged in the middle"

Result = TypeVar("Result")
Found = Mapping[int, Sequence[Packed]]
"""Groups that wait, by the number of their files."""


class Arrivals:
    """Those of a database, as one writing connection sees them. Lives on the writer's thread.

    `committed` or `forget` must be called when a transaction ends.
    """

    def __init__(
        self,
        appender: Appender,
        files: ArrivalFiles | None = None,
        *,
        careful: bool = False,
        elsewhere: Found | None = None,
    ) -> None:
        """`files` are this process's own. `careful`: as behind `beware`. `elsewhere` is what waits in the files of the
        database of which this one is a copy."""
        self._appender = appender
        self._files = files
        self._careful = careful
        self._elsewhere = elsewhere
        self._due_at_s: float | None = None
        self._booked: int | None = None
        """Up to which of the own groups the transaction that runs has booked."""
        self._of_others: set[int] = set()
        """The pairs of which it has booked any, and that are needed until it is committed."""
        self._set_aside = 0
        self._setting_aside = 0

    @property
    def set_aside(self) -> int:
        """How many records could not be booked, since the start."""
        return self._set_aside

    def due_in_s(self) -> float | None:
        """When to book at the latest; None: nothing waits."""
        waiting = None if self._files is None else self._files.unbooked
        if waiting is None or not waiting.groups:
            self._due_at_s = None
            return None
        if self._due_at_s is None:
            self._due_at_s = time.monotonic() + BOOK_AFTER_S
        return 0.0 if waiting.records >= MOST_WAITING else max(0.0, self._due_at_s - time.monotonic())

    def committed(self) -> None:
        """The transaction was."""
        self._careful = False
        self._set_aside += self._setting_aside
        self._setting_aside = 0
        if self._files is not None:
            self._files.committed()
            if self._booked is not None:
                self._files.booked(self._booked)
                self._due_at_s = None
        self._booked = None
        self._of_others.clear()

    def forget(self) -> None:
        """The transaction was rolled back: what waits is booked at the next occasion."""
        self._setting_aside = 0
        self._booked = None
        self._of_others.clear()
        self._due_at_s = time.monotonic()
        if self._files is not None:
            self._files.forget()

    def beware(self) -> bool:
        """The transaction failed for a reason of its own, such as a record that is there already. The next one goes
        wrong with nobody but those that are wrong, and takes longer. False if the one that failed was such a one."""
        was_careful, self._careful = self._careful, True
        return not was_careful

    def add(self, connection: apsw.Connection, records: Sequence[Record], now_us: int) -> Sequence[ValueError | None]:
        """Book them behind all that has arrived, within the caller's transaction; what was wrong with each, None if
        nothing.

        A record that cannot be stored does not keep the others from being written.
        """
        prepared, problems = prepare_all(records)
        if any(problems):
            # Whether such a record is there is known once all that waits is.
            self.book(connection)
            forgive(connection, records, problems)
        self.book(connection, (now_us, prepared))
        return problems

    def book(self, connection: apsw.Connection, *more: Group) -> None:
        """Make records of all that has arrived, at whichever process, within the caller's transaction, and of `more`
        behind it. An intent that arrived is remembered, unless its record is there.

        They are taken for new, and nothing is kept to undo this alone: apsw.ConstraintError if that proves wrong. The
        caller rolls back, calls `beware` and tries again.
        """
        arrived, noted = self._of_files(connection)
        groups = [*self._left(connection), *arrived, *(group for group in more if group[1])]
        if groups and connection.execute(queries()["has_open"]).get:
            self._appender.close(connection, [id_of(one) for _, some in groups for one in some])
        if self._careful:
            self._book(connection, groups)
        elif groups:
            self._appender.append_groups(connection, groups, new=True)
        if noted:
            # Those that were set aside among them, of which there is no record.
            come = {id_of(one) for _, some in groups for one in some}
            self._appender.open(connection, [intent for intent in noted if intent[0] not in come])

    def _left(self, connection: apsw.Connection) -> Sequence[Group]:
        """What a program of an earlier version left in the table that it used, taken out of it."""
        if not connection.execute(queries()["has_arrivals"]).get:
            return []
        rows = connection.execute(queries()["arrivals"]).fetchall()
        connection.execute(queries()["forget_arrivals"])
        return [(int(at_us), self._unpack(connection, packed)[0]) for at_us, packed in rows]  # type: ignore[arg-type]

    def _of_files(self, connection: apsw.Connection) -> tuple[Sequence[Group], Sequence[Noted]]:
        """What waits in files: records in the order in which they arrived, and intents. It is noted as booked."""
        found: list[tuple[int, Group]] = []
        noted: list[Noted] = []
        path = connection.filename
        for no, booked in rows_of(connection):
            if self._files is not None and no == self._files.no:
                own, through = self._files.take(booked)
                found += _in_order([(group.arrived_at_us, group.records) for group in own])
                noted += [intent for group in own for intent in group.noted]
                self._booked = through
                # Also where another process has booked them, which may not have waited for the disk: a transaction that
                # writes nothing syncs nothing, and behind this one the files are overwritten.
                if through > booked or self._files.unbooked.groups:
                    connection.execute(queries()["note_booked"], (no, through))
            else:
                groups = self._of_others_above(path, no, booked)
                if not groups:
                    if no not in self._of_others:
                        remove_if_dead(connection, path, no, booked)
                    continue
                self._of_others.add(no)
                unpacked = [
                    (group.arrived_at_us, self._unpack(connection, group.records, is_whole=group.is_whole))
                    for group in groups
                    if group.records
                ]
                found += _in_order([(at_us, records) for at_us, (records, _) in unpacked])
                noted += [intent for _, (_, intents) in unpacked for intent in intents]
                connection.execute(queries()["note_booked"], (no, groups[-1].no))
        found.sort(key=_place)
        return [group for _, group in found if group[1]], noted

    def _of_others_above(self, path: str, no: int, booked: int) -> Sequence[Packed]:
        if self._elsewhere is None:
            return groups_above(path, no, booked)
        return [group for group in self._elsewhere.get(no, ()) if group.no > booked]

    def _unpack(
        self, connection: apsw.Connection, packed: bytes, *, is_whole: bool = True
    ) -> tuple[Sequence[Prepared], Sequence[Noted]]:
        if not is_whole:
            self._put_aside(connection, packed, _DAMAGED)
            return (), ()
        try:
            return unpack(packed)
        except ValueError as problem:
            self._put_aside(connection, packed, reason_of(problem))
            return (), ()

    def _book(self, connection: apsw.Connection, groups: Sequence[Group]) -> None:
        """Whatever is wrong with one of them."""
        for one, reason in append_what_can_be(connection, self._appender, groups):
            self._put_aside(connection, pack([one]), reason)

    def _put_aside(self, connection: apsw.Connection, packed: bytes, reason: str) -> None:
        """It was acknowledged, so it is not thrown away, and the check tells."""
        put_aside(connection, packed, reason)
        self._setting_aside += 1


def _in_order(groups: Sequence[Group]) -> Iterable[tuple[int, Group]]:
    """Groups of one pair, each with its place among those of others: they keep their order if a clock steps back."""
    return zip(accumulate([at_us for at_us, _ in groups], max), groups, strict=True)


def _place(placed: tuple[int, Group]) -> int:
    return placed[0]


def has_arrivals(connection: apsw.Connection) -> bool:
    """Whether any wait that the connection's view of the database does not show."""
    path = connection.filename
    return bool(connection.execute(queries()["has_arrivals"]).get) or any(
        has_groups_above(path, no, booked) for no, booked in rows_of(connection)
    )


def find_all(connection: apsw.Connection) -> Found:
    """All that waits in files."""
    path = connection.filename
    return {no: groups_above(path, no, booked) for no, booked in rows_of(connection)}


def book_all(connection: apsw.Connection, elsewhere: Found | None = None) -> None:
    """Book within the caller's transaction, on a connection that nothing is remembered of; into a copy, what was found
    before it was made."""
    Arrivals(Appender(), careful=True, elsewhere=elsewhere).book(connection)


def read_without_writing(connection: apsw.Connection, job: Callable[[apsw.Connection], Result]) -> Result:
    """What `job` would read if all that has arrived could be booked: in a transaction that is rolled back.

    Nothing is written but in memory. Others wait for it, if there are any that can write at all.
    """
    connection.pragma("query_only", False)
    connection.pragma("cache_spill", False)
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            book_all(connection)
            return job(connection)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    finally:
        connection.pragma("cache_spill", True)
        connection.pragma("query_only", True)

"""Records that are on disk and not yet in their tables: they arrive one group at a time, and are booked many at once.

A record among all the others changes pages all over the file: its indexes, its sums, its user's. A group of them
that is written alone pays for each of these pages, and whoever waits waits for them. So a group arrives as one row of
`arrivals`, and about a second later all that has arrived is booked: it becomes records, raises the sums and lengthens
the chain of hashes in one transaction, whose pages many records share. What is written is what each group would have
written alone: its batch, at the time at which it arrived.

Nobody sees the difference. Whoever reads records or what is made of them finds arrivals and has them booked before, and
whatever writes beside them books in its own transaction first. A row is there, or it is booked: both are decided
within one write transaction, so that a process that is killed loses nothing and doubles nothing, and any process books
what another one left.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import apsw

from arouter.domain.record import Record
from arouter.store.sqlite.appender import Appender, Group, forgive
from arouter.store.sqlite.connections import OUR_FAULTS
from arouter.store.sqlite.prepared import Prepared, id_of, pack, prepare, prepare_all, unpack
from arouter.store.sqlite.statements import queries

BOOK_AFTER_S: Final = 1.0
"""The longest that a record waits."""
MOST_WAITING: Final = 500
"""Records: as soon as so many wait they are booked. A bound on the time that takes, since others wait meanwhile."""

ENOUGH: Final = 100
"""Records in one group that are booked at once: they share pages among themselves."""

Result = TypeVar("Result")


PackedGroup = tuple[Sequence[Prepared], bytes]


def as_group(records: Sequence[Record]) -> PackedGroup | None:
    """What `Arrivals.keep` takes; None if anything is wrong with one of them."""
    try:
        prepared = [prepare(record) for record in records]
        return prepared, pack(prepared)
    except ValueError:
        return None


class Arrivals:
    """Those of a file, as one writing connection sees them. Lives on the writer's thread.

    `forget` must be called when a transaction is rolled back.
    """

    def __init__(self, appender: Appender, *, careful: bool = False) -> None:
        """`careful`: as behind `beware`."""
        self._appender = appender
        self._careful = careful
        self._writer = secrets.randbits(62)
        """Tells this connection's rows from those of others, which may get a number that one of ours had."""
        self._own: dict[int, Sequence[Prepared]] = {}
        self._due_at_s: float | None = None
        self._waiting = 0
        self._set_aside = 0
        self._setting_aside = 0

    @property
    def waiting(self) -> int:
        """How many records of this connection's own wait. May be asked by any thread."""
        return self._waiting

    @property
    def set_aside(self) -> int:
        """How many records could not be booked, since the start."""
        return self._set_aside

    def due_in_s(self) -> float | None:
        """When to book at the latest; None: nothing waits."""
        if self._due_at_s is None:
            return None
        return 0.0 if self._waiting >= MOST_WAITING else max(0.0, self._due_at_s - time.monotonic())

    def forget(self) -> None:
        """The transaction was rolled back: what is there is looked up."""
        self._own = {}
        self._waiting = 0
        self._due_at_s = time.monotonic()

    def beware(self) -> bool:
        """The transaction failed for a reason of its own, such as a record that is there already. The next booking goes
        wrong with nobody but those that are wrong, and takes longer. False if the one that failed was such a one."""
        was_careful, self._careful = self._careful, True
        return not was_careful

    def add(self, connection: apsw.Connection, records: Sequence[Record], now_us: int) -> Sequence[ValueError | None]:
        """Keep them, within the caller's transaction, until they are booked; what was wrong with each, None if nothing.

        A record that cannot be stored does not keep the others from arriving.
        """
        group = as_group(records)
        problems: list[ValueError | None]
        if group is not None:
            problems = [None] * len(records)
        else:
            prepared, problems = prepare_all(records)
            group = prepared, pack(prepared)
            # Whether such a record is there is known once all that waits is.
            self.book(connection)
            forgive(connection, records, problems)
        if len(group[0]) >= ENOUGH:
            self.book(connection, (now_us, group[0]))
        elif group[0]:
            self.keep(connection, group, now_us)
        return problems

    def keep(self, connection: apsw.Connection, group: PackedGroup, now_us: int) -> None:
        """The same of fewer than `ENOUGH` in which nothing is wrong. Without a transaction this is one of its own."""
        prepared, packed = group
        connection.execute(queries()["add_arrivals"], (self._writer, now_us, packed))
        self._own[connection.last_insert_rowid()] = prepared
        self._waiting += len(prepared)
        if self._due_at_s is None:
            self._due_at_s = time.monotonic() + BOOK_AFTER_S

    def book(self, connection: apsw.Connection, *more: Group) -> None:
        """Make records of all that has arrived, by whichever process, within the caller's transaction, and of `more`
        behind it.

        They are taken for new, and nothing is kept to undo this alone: apsw.ConstraintError if that proves wrong. The
        caller rolls back, calls `beware` and tries again.
        """
        rows: list[tuple[int, int, int]] = connection.execute(queries()["arrivals"]).fetchall()  # type: ignore[assignment]
        groups: list[Group] = []
        self._setting_aside = 0
        if rows:
            for no, writer, arrived_at_us in rows:
                own = self._own.get(no) if writer == self._writer else None
                groups.append((arrived_at_us, self._read(connection, no) if own is None else own))
            # Their intents went as they arrived, but for those that were opened again.
            if connection.execute(queries()["has_open"]).get:
                self._appender.close(connection, [id_of(one) for _, some in groups for one in some])
            connection.execute(queries()["forget_arrivals"])
        if self._careful:
            self._book(connection, [*groups, *more])
        elif groups or more:
            self._appender.append_groups(connection, [*groups, *more], new=True)
        self._own = {}
        self._waiting = 0
        self._due_at_s = None
        self._careful = False
        self._set_aside += self._setting_aside

    def _read(self, connection: apsw.Connection, no: int) -> Sequence[Prepared]:
        packed = connection.execute(queries()["packed_arrivals"], (no,)).get
        try:
            return unpack(packed)
        except ValueError as problem:
            self._put_aside(connection, packed, problem)
            return ()

    def _book(self, connection: apsw.Connection, groups: Sequence[Group]) -> None:
        """Whatever is wrong with one of them."""
        connection.execute("SAVEPOINT booking")
        try:
            self._appender.append_groups(connection, groups)
        except OUR_FAULTS as fault:
            connection.execute("ROLLBACK TO booking")
            self._appender.forget()
            alone: list[Group] = [(at_us, [one]) for at_us, some in groups for one in some]
            if len(alone) > 1:
                # One of them spoils it for all.
                for one in alone:
                    self._book(connection, [one])
            else:
                self._put_aside(connection, pack(alone[0][1]), fault)
        connection.execute("RELEASE booking")

    def _put_aside(self, connection: apsw.Connection, packed: bytes, problem: Exception) -> None:
        """It was acknowledged, so it is not thrown away, and the check tells."""
        connection.execute(queries()["set_aside_arrivals"], (packed, f"{type(problem).__name__}: {problem}"))
        self._setting_aside += 1


def has_arrivals(connection: apsw.Connection) -> bool:
    return bool(connection.execute(queries()["has_arrivals"]).get)


def book_all(connection: apsw.Connection) -> None:
    """Book within the caller's transaction, on a connection that nothing is remembered of."""
    Arrivals(Appender(), careful=True).book(connection)


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

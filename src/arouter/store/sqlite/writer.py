"""The one thread that changes the database, and what comes before it.

Everything that is asked for goes through the receiver, which has records on disk and passes on the rest. This thread
takes all that was passed, does it in one transaction, and tells the event loop once for all of it. Between that it
books the records that have arrived (see `arrivals`); those that could not be kept it books at once.

When a transaction fails (disk full, I/O error, locked for too long), everybody who waits is told at once that it
is not durable, and nothing is kept by the receiver any more. The records are kept in memory and tried again every
second, up to `MOST_KEPT` of them: what was spent is not forgotten because the disk was full for a minute. An append is
done once however often it is tried.
"""

import asyncio
import concurrent.futures
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from queue import Empty
from typing import Any, Final, TypeVar

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Opening, Record
from arouter.store.intents import Intents
from arouter.store.sqlite.appender import Appender
from arouter.store.sqlite.arrival_files import ArrivalFiles
from arouter.store.sqlite.arrivals import Arrivals
from arouter.store.sqlite.bound import LogBound
from arouter.store.sqlite.connections import (
    OUR_FAULTS,
    Durability,
    connect_writer,
    schema_version,
    transaction,
    unavailable,
)
from arouter.store.sqlite.inbox import Inbox
from arouter.store.sqlite.items import (
    MOST_IN_ONE,
    Append,
    Chore,
    Command,
    Item,
    Outcomes,
    Passed,
    Waits,
    attempt,
    refuse_all,
    settle,
    take_turn,
    who_waits,
)
from arouter.store.sqlite.kept import Kept
from arouter.store.sqlite.leases import end_leases_of
from arouter.store.sqlite.owners import Owner
from arouter.store.sqlite.prepared import note_all
from arouter.store.sqlite.receiver import Receiver
from arouter.store.sqlite.scheduling import let_others_go_on
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.turns import Turns
from arouter.store.stores import OnCommit
from arouter.store.written import Tell

RETRY_S: Final = 1.0
_LAST_TRIES: Final = 3
"""Before the end, if the storage is away then."""

_FAULTS_OF_CHORES = (StorageUnavailable, ArithmeticError, AssertionError, LookupError, TypeError, ValueError)
"""What is wrong with a chore must not end the writing of records."""

Result = TypeVar("Result")


class Writer:
    """Owns the writing connection. `put` may be called from the event loop's thread only."""

    def __init__(
        self, path: str, *, durability: Durability, clock: Callable[[], int], bound: LogBound, on_commit: OnCommit
    ) -> None:
        self._path = path
        self._durability = durability
        self._clock = clock
        self._bound = bound
        self._on_commit = on_commit
        self._queue: Inbox[Passed] = Inbox()
        self._chores: deque[Chore] = deque()
        self._files = ArrivalFiles(durable=durability is Durability.STRICT)
        self._receiver = Receiver(
            self._files,
            self._queue,
            clock=clock,
            running=lambda: self._intents.count,
            owner=lambda: self._owner.number,
            is_healthy=lambda: self.last_error is None,
            kept=self._tell_kept,
        )
        self._intents = Intents(self._receiver.inbox.put)
        self.open: Callable[[Opening], None] = self._intents.add
        self._appender = Appender()
        self._arrivals = Arrivals(self._appender, self._files)
        self.book_again: Callable[[apsw.Connection], None] = self._arrivals.book
        """Within a command: what has arrived since it began."""
        self._turns = Turns(path)
        self._owner = Owner(path, clock())
        self._kept = Kept()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: apsw.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self.last_error: StorageUnavailable | None = None
        """Why the last transaction failed; None if it did not. Written by the thread."""
        self._stopped = False

    @property
    def kept(self) -> int:
        """Records that wait for the storage to come back."""
        return len(self._kept.records)

    @property
    def delayed(self) -> int:
        """Records that were kept to be tried again, since the start."""
        return self._kept.delayed

    @property
    def lost(self) -> int:
        """Records that were given up, since the start: they cannot be stored, or too many waited."""
        return self._kept.lost + self._arrivals.set_aside

    @property
    def arrived(self) -> int:
        """Records of this process that are on disk and wait to be booked."""
        return self._files.unbooked.records

    @property
    def owner(self) -> Owner:
        return self._owner

    @property
    def appender(self) -> Appender:
        return self._appender

    def now_us(self) -> int:
        """The time of what is written now."""
        return self._clock()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._intents.start(loop)
        self._receiver.start(loop)
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued, then end. Blocks until it has."""
        self._stopped = True
        if self._thread.ident is not None:
            self._receiver.inbox.put(None)
            self._receiver.join()
            self._thread.join()

    def flush_intents(self) -> None:
        """Write the intents that still wait. On the event loop's thread, as everything above `stop`."""
        self._intents.flush()

    def append(self, record: Record, tell: Tell) -> None:
        """`tell` is called on the loop: the record is durable, or it is not."""
        self._intents.drop(record.opening.id)
        if self._stopped:
            tell(_closed())
        else:
            self._receiver.inbox.put((record, tell))

    def command(self, run: Callable[[apsw.Connection], Any], *, apart: bool = False) -> "asyncio.Future[Any]":
        """Do something in a transaction, behind what was asked for before. It finds all records that arrived booked,
        unless it is `apart`: then it neither reads nor changes records, nor what is made of them."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not apart:
            self._intents.flush()
        if self._stopped:
            done.set_exception(_closed())
        else:
            self._receiver.inbox.put(Command(run, partial(settle, done), apart))
        return done

    def chore(self, run: Callable[[apsw.Connection], Result]) -> Result:
        """Do something small in a transaction of its own, once what waits now is written and all that arrived is
        booked; blocks until it is done.

        From any thread but the event loop's. What `run` raises is raised here, and its transaction undone;
        StorageUnavailable if the storage fails, or is closed.
        """
        done: concurrent.futures.Future[Result] = concurrent.futures.Future()
        self._receiver.inbox.put(Chore(run, done))
        # Looked at after it was put: either the thread takes it, or it has ended before.
        while not self._stopped or self._thread.is_alive():
            try:
                return done.result(RETRY_S)
            except concurrent.futures.TimeoutError:
                continue
        raise _closed()

    def book(self) -> None:
        """Have all that arrived be among the records; blocks until it is. As `chore`, which does so anyway."""
        if self._thread.ident is None:
            raise _closed()
        self.chore(take_turn)

    def _tell_kept(self, appends: Sequence[Append], seconds: float) -> None:
        for _, tell in appends:
            tell(None)
        self._on_commit(len(appends), seconds)

    # ------------------------------------------------------------ on the thread

    def _run(self) -> None:
        # Else it would interrupt the event loop, only to wait for the interpreter's lock, which that holds.
        let_others_go_on()
        going = True
        try:
            while going:
                items, going = self._take()
                if items or self.last_error:
                    self._work(items)
                while self._chores:
                    self._do(self._chores.popleft())
                if self.last_error is None and self._arrivals.due_in_s() == 0.0:
                    self._book()
            if self.last_error is None and self._arrivals.due_in_s() is not None:
                self._book()
            for _ in range(_LAST_TRIES):
                if self.last_error is None:
                    break
                time.sleep(RETRY_S)
                self._work(())
            self._disconnect(in_peace=True)
            self._files.leave()
        finally:
            # After a programming error nobody may wait for ever, and nothing more may be spent.
            self._stopped = True
            if going or self._receiver.has_died:
                self._die()

    def _die(self) -> None:
        self.last_error = StorageUnavailable("The storage's writer has died.")
        self._receiver.inbox.put(None)
        self._receiver.join()
        self._tell(refuse_all([*self._chores, *self._queue.take(len(self._queue))], self.last_error), 0, 0.0)

    def _take(self) -> tuple[list[Item], bool]:
        """All that is queued, at least one item unless there is something else to do; False after the last."""
        try:
            first = self._queue.get(RETRY_S if self.last_error else self._arrivals.due_in_s())
        except Empty:
            return [], True
        taken = [first, *self._queue.take(MOST_IN_ONE - 1)]
        items: list[Item] = []
        for item in taken:
            if isinstance(item, Chore):
                self._chores.append(item)
            elif item is not None and not isinstance(item, Waits):
                items.append(item)
        return items, None not in taken

    def _work(self, items: Sequence[Item]) -> None:
        started_us = self._clock()
        try:
            if self.last_error is not None:
                self._catch_up()
                self.last_error = None
            with self._writing() as connection:
                outcomes, records, refused = self._apply(connection, items)
                if records and self._files.no is None:
                    self._claim_files(connection)
        except OUR_FAULTS as exc:
            if self._arrivals.beware():
                self._work(items)
            elif len(items) > 1:
                # One of them spoils it for all.
                for item in items:
                    self._work([item])
            else:
                self._refuse(items, exc)
        except (apsw.Error, OSError, StorageUnavailable) as exc:
            self._fail(items, exc)
        else:
            self._kept.lost += refused
            self._tell(outcomes, records, max(0, self._clock() - started_us) / 1e6)

    def _claim_files(self, connection: apsw.Connection) -> None:
        """So that the next records need not be booked at once. Without files they are. An intent that arrives there
        has an owner, whom the database knows."""
        try:
            self._files.claim(connection, self._owner.register(connection))
        except OSError:
            self._files.drop()

    def _book(self) -> None:
        try:
            with self._writing() as connection:
                self._arrivals.book(connection)
        except (apsw.Error, OSError, StorageUnavailable) as exc:
            if isinstance(exc, OUR_FAULTS) and self._arrivals.beware():
                self._book()
            else:
                self._fail((), exc)

    def _do(self, chore: Chore) -> None:
        """A chore; the storage's faults are told to whoever waits for it, and found by the next transaction."""
        try:
            with self._writing() as connection:
                self._arrivals.book(connection)
                result = chore.run(connection)
                self._appender.forget_last()
        except (apsw.Error, OSError) as exc:
            if isinstance(exc, OUR_FAULTS) and self._arrivals.beware():
                self._do(chore)
                return
            if not isinstance(exc, (apsw.FullError, apsw.BusyError, *OUR_FAULTS)):
                self._disconnect(in_peace=False)
            chore.done.set_exception(unavailable(exc))
        except _FAULTS_OF_CHORES as exc:
            self._forget()
            chore.done.set_exception(exc)
        else:
            chore.done.set_result(result)

    @contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        """A transaction. What is known of the database is forgotten if it fails."""
        self._connection = self._connection or self._connect()
        was_registered = self._owner.number is not None
        try:
            with self._bound.writing(), self._turns.taken(), transaction(self._connection):
                yield self._connection
            self._arrivals.committed()
        except (apsw.Error, OSError, StorageUnavailable):
            self._forget()
            if not was_registered:
                self._owner.forget()
            raise

    def _connect(self) -> apsw.Connection:
        connection = connect_writer(self._path, self._durability)
        connection.set_wal_hook(self._committed)
        return connection

    def _committed(self, connection: apsw.Connection, database: str, pages: int) -> int:
        self._bound.committed(pages)
        return apsw.SQLITE_OK

    def _forget(self) -> None:
        """A transaction was rolled back."""
        self._appender.forget()
        self._arrivals.forget()

    def _catch_up(self) -> None:
        """Write what was kept, in pieces, so that a storage that is still away is found out with little work.

        One page is written first in any case: a transaction that changes nothing proves nothing. What had arrived is
        booked with it: a disk on which that fails is no better.
        """
        with self._writing() as connection:
            connection.pragma("user_version", schema_version(connection))
            self._arrivals.book(connection)
        kept = self._kept
        while kept.openings or kept.records:
            started_us = self._clock()
            openings = list(islice(kept.openings.values(), MOST_IN_ONE))
            records = list(islice(kept.records.values(), MOST_IN_ONE))
            self._write_kept(openings, records)
            for opening in openings:
                del kept.openings[opening.id]
            for record in records:
                del kept.records[record.opening.id]
            self._tell([], len(records), max(0, self._clock() - started_us) / 1e6)

    def _write_kept(self, openings: Sequence[Opening], records: Sequence[Record]) -> None:
        try:
            with self._writing() as connection:
                problems = self._appender.append(connection, records, self._clock())
                written = [record.opening.id for record, problem in zip(records, problems, strict=True) if not problem]
                self._appender.close(connection, written)
                self._note(connection, openings, records)
            self._kept.lost += sum(problem is not None for problem in problems)
        except OUR_FAULTS:
            # One of them spoils it for all. Alone it is given up: it would fail again for ever.
            if len(openings) + len(records) > 1:
                for opening in openings:
                    self._write_kept([opening], [])
                for record in records:
                    self._write_kept([], [record])
            else:
                self._kept.lost += len(records)

    def _apply(self, connection: apsw.Connection, items: Sequence[Item]) -> tuple[Outcomes, int, int]:
        outcomes: Outcomes = []
        openings: list[Opening] = []
        appends: list[Append] = []
        count = refused = 0

        def flush() -> None:
            nonlocal count, refused
            records, waiting = zip(*appends, strict=True) if appends else ((), ())
            problems: Sequence[ValueError | None] = ()
            if records:
                problems = self._arrivals.add(connection, records, self._clock())
            self._note(connection, openings, records)
            outcomes.extend(zip(waiting, problems, strict=True))
            count += len(records)
            refused += len(problems) - problems.count(None)
            openings.clear()
            appends.clear()

        for item in items:
            if type(item) is tuple:
                appends.append(item)
            elif type(item) is list:
                openings += item
            elif type(item) is Command:
                flush()
                if not item.apart:
                    self._arrivals.book(connection)
                result = attempt(connection, item)
                outcomes.append((item.done, result))
                if isinstance(result, ValueError):
                    self._appender.forget()
                self._appender.forget_last()
        flush()
        return outcomes, count, refused

    def _note(self, connection: apsw.Connection, openings: Sequence[Opening], records: Sequence[Record]) -> None:
        """Remember intents, but for those whose record came with them."""
        if openings:
            closed = {record.opening.id for record in records}
            openings = [opening for opening in openings if opening.id not in closed]
        if openings:
            self._appender.open(connection, note_all(openings, self._owner.register(connection)))

    def _refuse(self, items: Sequence[Item], exc: apsw.Error) -> None:
        self._kept.lost += sum(type(item) is tuple for item in items)
        self._tell([(done, unavailable(exc)) for item in items if (done := who_waits(item)) is not None], 0, 0.0)

    def _fail(self, items: Sequence[Item], exc: apsw.Error | OSError | StorageUnavailable) -> None:
        """Tell everybody, keep the records, and start afresh with a new connection unless there is only no room.

        After a failed sync the old descriptors may claim pages as written that never were.
        """
        error = unavailable(exc)
        self.last_error = error
        outcomes: Outcomes = []
        for item in items:
            if type(item) is list:
                self._kept.keep_openings(item)
            elif type(item) is tuple:
                outcomes.append((item[1], self._kept.keep(item[0]) or unavailable(exc)))
            elif type(item) is Command:
                outcomes.append((item.done, unavailable(exc)))
        self._kept.forget_intents()
        if not isinstance(exc, apsw.FullError | apsw.BusyError):
            self._disconnect(in_peace=False)
        self._tell(outcomes, 0, 0.0)

    def _tell(self, outcomes: Outcomes, records: int, seconds: float) -> None:
        assert self._loop is not None
        # RuntimeError: the loop is closed, and nobody is left to be told.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._resolve, outcomes, records, seconds)

    def _resolve(self, outcomes: Outcomes, records: int, seconds: float) -> None:
        for tell, outcome in outcomes:
            tell(outcome)
        if records:
            self._on_commit(records, seconds)

    def _disconnect(self, *, in_peace: bool) -> None:
        self._turns.close()
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(apsw.Error):
            if in_peace and self._owner.number is not None:
                end_leases_of(connection, self._owner.number)
                # The row stays where records are still open: they are the next one's to recover.
                if not self._files.unbooked.groups:
                    connection.execute(queries()["forget_owner"], (self._owner.number,))
        if in_peace and self._files.no is not None and not self._files.unbooked.groups:
            with suppress(apsw.Error):
                connection.execute(queries()["forget_arrival_files"], (self._files.no,))
                self._files.drop()
        with suppress(apsw.Error):
            connection.close()
        if in_peace:
            self._owner.forget()


def _closed() -> StorageUnavailable:
    return StorageUnavailable("The storage is closed.")

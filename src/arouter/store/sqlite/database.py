"""One SQLite file with everything in it: opened, started, observed, backed up, closed."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.store.moving import refuse_unfinished
from arouter.store.sqlite.appender import Appender
from arouter.store.sqlite.archivist import Archivist
from arouter.store.sqlite.arrivals import Found, book_all, find_all, has_arrivals
from arouter.store.sqlite.bound import LogBound
from arouter.store.sqlite.checkpointer import Checkpointer, wal_bytes
from arouter.store.sqlite.connections import (
    Durability,
    connect_reader,
    connect_writer,
    migrate,
    prepare_file,
    require_sound_library,
    schema_version,
    storage_errors,
    transaction,
)
from arouter.store.sqlite.counters import SqliteCounters
from arouter.store.sqlite.directory import SqliteDirectory
from arouter.store.sqlite.feed import SqliteFeed
from arouter.store.sqlite.folded import FEW_ROLLUPS, Day, days_to_fold, fold_day, is_installed, unfold_all
from arouter.store.sqlite.ledger import SqliteLedger
from arouter.store.sqlite.moved_records import read_copy_state
from arouter.store.sqlite.readers import Readers
from arouter.store.sqlite.sealed import has_sealed_days, require_archive
from arouter.store.sqlite.set_aside import book_set_aside, has_any_aside
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.writer import Writer
from arouter.store.stores import CommitStats, OnCommit, SqliteStatus

_BACKUP_PAGES = 1_000
_SUMMARIES_AT_ONCE = 2
_MOST_SUMMARIES_WAITING = 30

OnFailure = Callable[[StorageUnavailable], None]


class SqliteStore:
    """The protocols over one file. `open` it, then `start` it on the event loop that will use it."""

    def __init__(
        self,
        path: str,
        *,
        durability: Durability,
        clock: Callable[[], int],
        on_commit: OnCommit,
        on_checkpoint_failure: OnFailure,
    ) -> None:
        self._path = path
        self.stats = CommitStats(on_commit)
        bound = LogBound()
        self._writer = Writer(path, durability=durability, clock=clock, bound=bound, on_commit=self.stats.add)
        book = self._writer.book
        self._readers = Readers(path, book)
        self._summaries = Readers(path, book, threads=_SUMMARIES_AT_ONCE, most_waiting=_MOST_SUMMARIES_WAITING)
        self._folding = Readers(path, book, threads=1)
        self._checkpointer = Checkpointer(path, durability, bound, on_checkpoint_failure)
        self.directory = SqliteDirectory(self._writer, self._readers)
        self.archive = Archivist(path, self._writer, clock)
        self.retention = self.archive
        self.partitions = None
        self.ledger = SqliteLedger(path, self._writer, self._readers, self._summaries, clock)
        self.counters = SqliteCounters(path, self._writer, self._readers)
        self._feeding = Readers(path, book, threads=1)
        self.feed = SqliteFeed(self._feeding, self.ledger.behind_all_writes)

    @classmethod
    def open(
        cls,
        path: str,
        *,
        clock: Callable[[], int],
        durability: str = Durability.STRICT,
        on_commit: OnCommit = lambda records, seconds: None,
        on_checkpoint_failure: OnFailure = lambda failure: None,
    ) -> "SqliteStore":
        """The store in the file `path`, made or brought to the present schema where needed.

        `clock` tells microseconds since the epoch. `on_checkpoint_failure` is told, on another thread, when the log
        can no longer be moved into the database: nothing is lost, but the log grows. StorageUnavailable, with a text
        for the operator, if the database cannot be opened.
        """
        require_sound_library(apsw.sqlite_lib_version())
        prepare_file(path)
        with storage_errors():
            connection = connect_writer(path, Durability(durability))
            try:
                migrate(connection)
                refuse_unfinished(read_copy_state(connection))
                if has_sealed_days(connection):
                    require_archive()
                _book_what_was_left(connection, clock())
            finally:
                connection.close()
        return cls(
            path,
            durability=Durability(durability),
            clock=clock,
            on_commit=on_commit,
            on_checkpoint_failure=on_checkpoint_failure,
        )

    @property
    def path(self) -> str:
        return self._path

    @property
    def healthy(self) -> bool:
        """Whether the last write succeeded: while it did not, nothing should be started that must be recorded."""
        return self._writer.last_error is None

    @property
    def last_error(self) -> StorageUnavailable | None:
        """What went wrong with the last write."""
        return self._writer.last_error

    @property
    def checkpoint_error(self) -> StorageUnavailable | None:
        """Why the log could not be moved into the database when that was tried last."""
        return self._checkpointer.last_error

    @property
    def log_bytes(self) -> int:
        """The size of the write-ahead log."""
        return wal_bytes(self._path)

    @property
    def unwritten(self) -> int:
        """Records that were refused by the storage and are tried again every second."""
        return self._writer.kept

    @property
    def delayed(self) -> int:
        """Records that were refused by the storage at first, since the start."""
        return self._writer.delayed

    @property
    def lost(self) -> int:
        """Records that were given up, since the start: they cannot be stored, or too many waited."""
        return self._writer.lost

    @property
    def arrived(self) -> int:
        """Records of this process that are on disk and wait to be booked; nobody sees that they do."""
        return self._writer.arrived

    async def start(self) -> None:
        self._writer.start(asyncio.get_running_loop())
        self._checkpointer.start()

    async def close(self) -> None:
        """Writes what is queued first."""
        self._writer.flush_intents()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.archive.close)
        await loop.run_in_executor(None, self._checkpointer.stop)
        for readers in (self._summaries, self._folding, self._feeding, self._readers):
            await loop.run_in_executor(None, readers.close)
        await loop.run_in_executor(None, self._writer.stop)

    async def days_to_fold(self, now_us: int, least: int = FEW_ROLLUPS) -> Sequence[Day]:
        """The closed days that have no columns yet, with so many roll-ups at least, the latest first, and the day that
        runs if that is worth it; none where numpy is not installed."""
        if not is_installed():
            return ()
        return await self._folding.read(lambda connection: days_to_fold(connection, now_us, least))

    async def fold(self, day: Day, now_us: int) -> bool:
        """Make the columns of a day. False if somebody else does, or if its sums changed meanwhile.

        AnalyticsMissing without numpy.
        """
        return await fold_day(self._folding.read, self._writer.command, day, now_us)

    async def unfold_all(self) -> None:
        """Forget all columns: they are made anew."""
        await self._writer.command(unfold_all)

    async def status(self) -> SqliteStatus:
        def read(connection: apsw.Connection) -> SqliteStatus:
            return SqliteStatus(
                path=self._path,
                size=Path(self._path).stat().st_size,
                wal_size=wal_bytes(self._path),
                schema_version=schema_version(connection),
                sqlite_version=apsw.sqlite_lib_version(),
                records=_number(connection, "count_records"),
                open_records=_number(connection, "count_open"),
            )

        return await self._readers.read(read)

    async def backup(self, target: str, progress: Callable[[int, int], None] = lambda done, pages: None) -> None:
        """A consistent copy in the new file `target`, while everything goes on.

        `progress` is told the pages done and their number, on another thread. FileExistsError if `target` is there.
        """
        await asyncio.get_running_loop().run_in_executor(None, self._back_up, target, progress)

    def _back_up(self, target: str, progress: Callable[[int, int], None]) -> None:
        if Path(target).exists():
            raise FileExistsError(target)
        prepare_file(target)
        with suppress(StorageUnavailable):
            self._writer.book()
        with storage_errors():
            source, copy = connect_reader(self._path), apsw.Connection(target)
            try:
                # Nothing, unless the disk is full: then they are booked in the copy alone.
                waiting = find_all(source)
                # One read transaction: what others write meanwhile does not start the copy anew.
                source.execute("BEGIN")
                source.execute(queries()["count_open"]).get  # noqa: B018  it begins with the first read
                with copy.backup("main", source, "main") as job:
                    while not job.done:
                        job.step(_BACKUP_PAGES)
                        progress(job.page_count - job.remaining, job.page_count)
                _book_in_copy(copy, waiting)
            finally:
                copy.close()
                source.close()


def _book_what_was_left(connection: apsw.Connection, now_us: int) -> None:
    """By a process that was killed, or set aside by one that did not know better. Behind the migrations: what waits
    says which columns it has, and is booked into the tables of this program. Where it cannot be now, as on a full disk,
    it stays, and whoever reads finds it."""
    if has_arrivals(connection) or has_any_aside(connection):
        with suppress(apsw.Error), transaction(connection):
            book_all(connection)
            book_set_aside(connection, Appender(), now_us)


def _book_in_copy(copy: apsw.Connection, waiting: Found) -> None:
    """What had arrived and was not booked. The files are the other database's."""
    with transaction(copy):
        book_all(copy, waiting)
        copy.execute(queries()["forget_all_arrival_files"])


def _number(connection: apsw.Connection, name: str) -> int:
    return int(connection.execute(queries()[name]).get)

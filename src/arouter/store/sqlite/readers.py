"""A few threads that read, each job with a connection of its own and one consistent view of the database.

A job sees all records that were acknowledged before it asked. So it is looked in its view whether any have arrived that
are not booked yet; if so the writer books them, and the job reads in a new view. What arrives meanwhile was
acknowledged later.

If the writer cannot book, as on a full disk, they are booked in memory for the job alone: what can be read stays right
for as long as it can be read, and an operator who looks for what goes on finds every record. To read without them would
be wrong without a word, and to refuse would take away the view of all the others.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

import apsw

from arouter.domain.errors import InvalidRequest, RateLimited, StorageUnavailable
from arouter.store.sqlite.arrivals import has_arrivals, read_without_writing
from arouter.store.sqlite.connections import connect_reader, storage_errors, transaction

THREADS: Final = 3
_LOOK_EVERY: Final = 20_000
"""Steps of SQLite's machine: a few milliseconds at most."""

_MOST_TOGETHER: Final = 500
"""Small things that one job reads."""

Key = TypeVar("Key")
Result = TypeVar("Result")


class Stopped(Exception):
    """Nobody waits for the answer any more."""


class _Unbooked(Exception):
    """There are records that the view does not show."""


class Watch:
    """Ends a job when its time is over, or when nobody waits for it any more."""

    def __init__(self, timeout_s: float | None = None) -> None:
        self._timeout_s = timeout_s
        self._ends_at_s: float | None = None
        self._stopped = False

    def start(self) -> None:
        """The job begins: its time counts from now on."""
        self._ends_at_s = None if self._timeout_s is None else time.monotonic() + self._timeout_s

    def stop(self) -> None:
        self._stopped = True

    def is_over(self) -> bool:
        return self._stopped or (self._ends_at_s is not None and time.monotonic() >= self._ends_at_s)

    def check(self) -> None:
        """InvalidRequest when the time is over, Stopped when nobody waits."""
        if self._stopped:
            raise Stopped
        if self.is_over():
            raise InvalidRequest(
                f"The answer took longer than {self._timeout_s:g} s. Narrow the range from `start` to `end`, group by "
                "fewer dimensions, or leave `users` and percentiles out of `metrics`.",
                code="query_too_heavy",
            )


class Readers:
    def __init__(
        self, path: str, book: Callable[[], None], *, threads: int = THREADS, most_waiting: int | None = None
    ) -> None:
        """`most_waiting` jobs may wait for a thread; None: any number.

        `book` has all that arrived booked; it blocks until that is done. StorageUnavailable if it cannot be.
        """
        self._path = path
        self._book = book
        self._threads = threads
        self._most_waiting = most_waiting
        self._jobs = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ledger-reader")
        self._idle: SimpleQueue[apsw.Connection] = SimpleQueue()
        self._looking: apsw.Connection | None = None
        """Reads nothing, and never waits: it is asked on the event loop."""

    async def read(
        self, job: Callable[[apsw.Connection], Result], watch: Watch | None = None, *, apart: bool = False
    ) -> Result:
        """What `job` returns, run in a read transaction. StorageUnavailable if SQLite fails.

        It sees all records that were acknowledged before, unless it is `apart`: then it reads neither records nor what
        is made of them.
        `watch` ends it early; it is stopped if whoever waits is cancelled. RateLimited if too many wait.
        """
        if self._most_waiting is not None and self._jobs >= self._threads + self._most_waiting:
            raise RateLimited(
                "Too many summaries are being made at the moment; ask again soon.",
                code="too_many_queries",
                retry_after_s=1,
            )
        self._jobs += 1
        running = asyncio.get_running_loop().run_in_executor(self._pool, self._run, job, watch, apart)
        try:
            return await running
        except asyncio.CancelledError:
            if watch is not None:
                watch.stop()
            raise
        finally:
            self._jobs -= 1

    def commits(self) -> int | None:
        """A number that is another one after every commit, by whichever process; None if that cannot be said now.

        It takes microseconds: SQLite looks at the head of its log's index, which is in memory.
        """
        try:
            if self._looking is None:
                self._looking = connect_reader(self._path)
                self._looking.set_busy_timeout(0)
            return int(self._looking.pragma("data_version"))
        except apsw.Error:
            return None

    def close(self) -> None:
        """Blocks until the running jobs have ended."""
        self._pool.shutdown(cancel_futures=True)
        if self._looking is not None:
            self._looking.close()
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _run(self, job: Callable[[apsw.Connection], Result], watch: Watch | None, apart: bool) -> Result:
        with storage_errors():
            try:
                connection = self._idle.get_nowait()
            except Empty:
                connection = connect_reader(self._path)
            try:
                if watch is None:
                    return self._read(connection, job, apart)
                with _watched(connection, watch):
                    return self._read(connection, job, apart)
            finally:
                self._idle.put(connection)

    def _read(self, connection: apsw.Connection, job: Callable[[apsw.Connection], Result], apart: bool) -> Result:
        if apart:
            return _in_one_view(connection, job)
        with suppress(_Unbooked):
            return _in_one_view(connection, job, looks=True)
        try:
            self._book()
        except StorageUnavailable:
            return read_without_writing(connection, job)
        return _in_one_view(connection, job)


class Together(Generic[Key, Result]):
    """Reads small things that many ask for at the same moment, and that are no records: one job for all that are asked
    for while the last one runs. A job for each costs more than what it reads. Belongs to one event loop."""

    def __init__(self, readers: Readers, read: Callable[[apsw.Connection, Key], Result]) -> None:
        """`read` reads one of them."""
        self._readers = readers
        self._read = read
        self._asked: list[tuple[Key, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[list[Result]] | None = None

    def read(self, key: Key) -> "asyncio.Future[Result]":
        """What is there now. StorageUnavailable as of `Readers.read`."""
        told: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._asked.append((key, told))
        if self._running is None:
            asyncio.get_running_loop().call_soon(self._start)
        return told

    def _start(self) -> None:
        if self._running is not None or not self._asked:
            return
        asked, self._asked = self._asked[:_MOST_TOGETHER], self._asked[_MOST_TOGETHER:]
        read, keys = self._read, [key for key, _ in asked]
        job = self._readers.read(lambda connection: [read(connection, key) for key in keys], apart=True)
        self._running = asyncio.get_running_loop().create_task(job)
        self._running.add_done_callback(lambda done: self._tell([told for _, told in asked], done))

    def _tell(self, waiting: Sequence["asyncio.Future[Result]"], done: "asyncio.Task[list[Result]]") -> None:
        self._running = None
        self._start()
        failure = None if done.cancelled() else done.exception()
        for place, told in enumerate(waiting):
            if told.done():
                continue  # Cancelled.
            if done.cancelled():
                told.cancel()
            elif failure is not None:
                told.set_exception(failure)
            else:
                told.set_result(done.result()[place])


def _in_one_view(
    connection: apsw.Connection, job: Callable[[apsw.Connection], Result], *, looks: bool = False
) -> Result:
    """`looks`: _Unbooked if there are records that the view does not show."""
    with transaction(connection, "DEFERRED"):
        if looks and has_arrivals(connection):
            raise _Unbooked
        return job(connection)


@contextmanager
def _watched(connection: apsw.Connection, watch: Watch) -> Iterator[None]:
    watch.start()
    watch.check()
    connection.set_progress_handler(watch.is_over, _LOOK_EVERY)
    try:
        yield
    except apsw.InterruptError:
        watch.check()
        raise
    finally:
        connection.set_progress_handler(None)

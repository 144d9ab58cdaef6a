"""A few threads that read, each job with a connection of its own and one consistent view of the database."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

import apsw

from arouter.domain.errors import InvalidRequest, RateLimited
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
    def __init__(self, path: str, *, threads: int = THREADS, most_waiting: int | None = None) -> None:
        """`most_waiting` jobs may wait for a thread; None: any number."""
        self._path = path
        self._threads = threads
        self._most_waiting = most_waiting
        self._jobs = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ledger-reader")
        self._idle: SimpleQueue[apsw.Connection] = SimpleQueue()
        self._looking: apsw.Connection | None = None
        """Reads nothing, and never waits: it is asked on the event loop."""

    async def read(self, job: Callable[[apsw.Connection], Result], watch: Watch | None = None) -> Result:
        """What `job` returns, run in a read transaction. StorageUnavailable if SQLite fails.

        `watch` ends it early; it is stopped if whoever waits is cancelled. RateLimited if too many wait.
        """
        if self._most_waiting is not None and self._jobs >= self._threads + self._most_waiting:
            raise RateLimited(
                "Too many summaries are being made at the moment; ask again soon.",
                code="too_many_queries",
                retry_after_s=1,
            )
        self._jobs += 1
        running = asyncio.get_running_loop().run_in_executor(self._pool, self._run, job, watch)
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

    def _run(self, job: Callable[[apsw.Connection], Result], watch: Watch | None) -> Result:
        with storage_errors():
            try:
                connection = self._idle.get_nowait()
            except Empty:
                connection = connect_reader(self._path)
            try:
                return _watched(connection, job, watch) if watch is not None else _in_one_view(connection, job)
            finally:
                self._idle.put(connection)


class Together(Generic[Key, Result]):
    """Reads small things that many ask for at the same moment: one job for all that are asked for while the last one
    runs. A job for each costs more than what it reads. Belongs to one event loop."""

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
        job = self._readers.read(lambda connection: [read(connection, key) for key in keys])
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


def _in_one_view(connection: apsw.Connection, job: Callable[[apsw.Connection], Result]) -> Result:
    with transaction(connection, "DEFERRED"):
        return job(connection)


def _watched(connection: apsw.Connection, job: Callable[[apsw.Connection], Result], watch: Watch) -> Result:
    watch.start()
    watch.check()
    connection.set_progress_handler(watch.is_over, _LOOK_EVERY)
    try:
        return _in_one_view(connection, job)
    except apsw.InterruptError:
        watch.check()
        raise
    finally:
        connection.set_progress_handler(None)

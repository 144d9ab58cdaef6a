"""A few threads that read, each job with a connection of its own and one consistent view of the database."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

import apsw

from arouter.store.sqlite.connections import connect_reader, storage_errors, transaction

THREADS: Final = 3

Result = TypeVar("Result")


class Readers:
    def __init__(self, path: str) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="ledger-reader")
        self._idle: SimpleQueue[apsw.Connection] = SimpleQueue()

    async def read(self, job: Callable[[apsw.Connection], Result]) -> Result:
        """What `job` returns, run in a read transaction. StorageUnavailable if SQLite fails."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, job)

    def close(self) -> None:
        """Blocks until the running jobs have ended."""
        self._pool.shutdown(cancel_futures=True)
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _run(self, job: Callable[[apsw.Connection], Result]) -> Result:
        with storage_errors():
            try:
                connection = self._idle.get_nowait()
            except Empty:
                connection = connect_reader(self._path)
            try:
                with transaction(connection, "DEFERRED"):
                    return job(connection)
            finally:
                self._idle.put(connection)

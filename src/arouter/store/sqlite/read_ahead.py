"""What a question is about to read, read by other threads meanwhile: so the disk is asked for several things at once.

The blocks of many days lie at many places of the file, and one after the other each is waited for. What is read here is
thrown away. It only has to be in the system's cache when the question comes to it, so that it does not matter whether
it is of the same view, nor whether it succeeds. A thread that had not to wait for the disk lately needs no help.
"""

import resource
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

import apsw

from arouter.store.sqlite.connections import connect_reader
from arouter.store.sqlite.names import to_json
from arouter.store.sqlite.statements import queries

THREADS: Final = 4
LEAST: Final = 8
"""Fewer are not worth it."""
_MOST_WAITING: Final = 2 * THREADS
"""When so much is asked, the disk has enough to do."""
_CACHE_KB: Final = 256
"""A connection needs nothing twice."""
_OF_THREAD: Final[int | None] = getattr(resource, "RUSAGE_THREAD", None)
"""Linux tells what a single thread has read. Where nobody does, nothing is read ahead but once."""

Touch = Callable[[str, Sequence[int]], None]
"""What `ReadAhead.touch` does."""


def touch_nothing(query: str, numbers: Sequence[int]) -> None:
    """Where nobody reads ahead."""


class ReadAhead:
    """Of one database file. There are no threads and no connections before something is touched."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="ledger-ahead")
        self._idle: SimpleQueue[apsw.Connection] = SimpleQueue()
        self._free = threading.Semaphore(_MOST_WAITING)
        self._told = threading.local()

    def touch(self, query: str, numbers: Sequence[int]) -> None:
        """Have rows read, in the order in which they will be needed; `query` names a statement that takes their numbers
        as JSON, if this thread has read from the disk since it last called. Returns at once. Not to be called after
        `close`."""
        read = 0 if _OF_THREAD is None else resource.getrusage(_OF_THREAD).ru_inblock
        before, self._told.read = getattr(self._told, "read", None), read
        if len(numbers) < LEAST or read == before:
            return
        for first in range(THREADS):
            if not self._free.acquire(blocking=False):
                return
            self._pool.submit(self._read, queries()[query], numbers[first::THREADS])

    def close(self) -> None:
        """Blocks until what is being read has been."""
        self._pool.shutdown()
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _read(self, sql: str, numbers: Sequence[int]) -> None:
        try:
            with suppress(apsw.Error):
                connection = self._connection()
                try:
                    connection.execute(sql, (to_json(numbers),)).fetchall()
                finally:
                    self._idle.put(connection)
        finally:
            self._free.release()

    def _connection(self) -> apsw.Connection:
        with suppress(Empty):
            return self._idle.get_nowait()
        connection = connect_reader(self._path)
        connection.pragma("cache_size", -_CACHE_KB)
        return connection

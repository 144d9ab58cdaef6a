"""The thread that writes one journal, with group commit: what is asked for meanwhile shares the next transaction.

When a transaction fails, everybody who waits is told, and the next one begins with a new connection: after a failed
sync the old one may take pages for written that never were.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty
from typing import Any, Final, TypeVar

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Opening
from arouter.store.journal.file import Held, JournalFile
from arouter.store.sqlite.connections import unavailable
from arouter.store.sqlite.inbox import Inbox

MOST_IN_ONE: Final = 1_000
"""Commands in one transaction."""

Result = TypeVar("Result")
Run = Callable[[JournalFile], Any]
_Item = tuple[Run, "asyncio.Future[Any] | None"]


class Journal:
    """One journal, written and read on its own thread. Belongs to one event loop."""

    def __init__(self, path: str) -> None:
        """Makes the file where there is none. StorageUnavailable, with a text for the operator, if it cannot be."""
        self._path = path
        try:
            self._file: JournalFile | None = JournalFile(path)
            with self._file.transaction():
                self._held = self._file.held()
        except (apsw.Error, OSError) as exc:
            raise StorageUnavailable(f"The journal {path} cannot be opened.", detail=str(exc)) from exc
        self._inbox: Inbox[_Item | None] = Inbox()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last_error: StorageUnavailable | None = None
        self._stopped = False

    @property
    def held(self) -> Held:
        """What is on disk, as of the last transaction."""
        return self._held

    @property
    def last_error(self) -> StorageUnavailable | None:
        """Why the last transaction failed; None if it did not."""
        return self._last_error

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued, then end. Blocks until it has."""
        self._stopped = True
        if self._thread.ident is not None:
            self._inbox.put(None)
            self._thread.join()

    # ---------------------------------------------------------------- asked for

    def append(self, record_id: str, body: str, *, closed_at_us: int, known: bool) -> "asyncio.Future[None]":
        """Keep a record. Done when it is on disk; StorageUnavailable if it could not be written."""
        return self.command(lambda file: file.append(record_id, body, closed_at_us=closed_at_us, known=known))

    def open(self, openings: Sequence[Opening]) -> None:
        """Keep that these requests run; on disk soon, not awaited."""
        self._put((lambda file: file.open(openings), None))

    def close_openings(self, record_ids: Sequence[str]) -> None:
        """Forget that they run; soon."""
        self._put((lambda file: file.close_openings(record_ids), None))

    def command(self, run: Callable[[JournalFile], Result]) -> "asyncio.Future[Result]":
        """Anything else, with others in one transaction. Its result comes when that is on disk."""
        assert self._loop is not None  # it has started
        done: asyncio.Future[Result] = self._loop.create_future()
        if not self._put((run, done)):
            done.set_exception(StorageUnavailable("The journal is closed."))
        return done

    def _put(self, item: _Item) -> bool:
        if not self._stopped:
            self._inbox.put(item)
        return not self._stopped

    # ---------------------------------------------------------------- on the thread

    def _run(self) -> None:
        going = True
        while going:
            items, going = self._take()
            if items:
                self._work(items)
        self._disconnect()

    def _take(self) -> tuple[list[_Item], bool]:
        """All that is queued, at least one; False after the last."""
        items: list[_Item] = []
        item = self._inbox.get(None)
        with suppress(Empty):
            while item is not None:
                items.append(item)
                if len(items) == MOST_IN_ONE:
                    return items, True
                item = self._inbox.get_nowait()
            return items, False
        return items, True

    def _work(self, items: Sequence[_Item]) -> None:
        try:
            if self._file is None:
                self._file = JournalFile(self._path)
            with self._file.transaction():
                if self._last_error is not None:
                    self._file.touch()
                results = [run(self._file) for run, _ in items]
                held = self._file.held()
        except (apsw.Error, OSError, StorageUnavailable) as exc:
            self._last_error = failure = unavailable(exc)
            if not isinstance(exc, apsw.FullError | apsw.BusyError):
                self._disconnect()
            self._tell([(done, failure) for _, done in items])
        else:
            self._last_error = None
            self._held = held
            self._tell([(done, result) for (_, done), result in zip(items, results, strict=True)])

    def _tell(self, outcomes: "Sequence[tuple[asyncio.Future[Any] | None, object]]") -> None:
        assert self._loop is not None
        # RuntimeError: the loop is closed, and nobody is left to be told.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_resolve, outcomes)

    def _disconnect(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(apsw.Error):
                file.close()


def _resolve(outcomes: "Sequence[tuple[asyncio.Future[Any] | None, object]]") -> None:
    for done, outcome in outcomes:
        if done is None or done.done():
            continue
        if isinstance(outcome, StorageUnavailable):
            done.set_exception(StorageUnavailable(outcome.message, detail=outcome.detail))
        else:
            done.set_result(outcome)

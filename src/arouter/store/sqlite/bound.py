"""Who may write when: the writer's transactions, and between two of them, seldom, a turn of the checkpointer.

SQLite lets a checkpoint start the log afresh only when nobody writes, and asks for that by trying again and again,
in vain beside a writer that never rests. So the two agree here first. It also makes the bound of the log a real one:
beyond `MOST_PAGES` the writer waits until the checkpointer has had its turn.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

PAGE_BYTES: Final = 4096
MOST_PAGES: Final = 96 * 1024 * 1024 // PAGE_BYTES
_MOST_WAIT_S: Final = 5.0
"""For a turn: longer than any takes, so that a checkpointer that has died does not end the writing."""


class LogBound:
    """Shared by the writer's thread and the checkpointer's."""

    def __init__(self) -> None:
        self._writing = threading.Lock()
        self._free = threading.Event()
        self._free.set()
        self._due = threading.Event()
        self._pages = 0
        self._wake_at = 0
        self._most_pages = MOST_PAGES
        self._stopping = False
        self._ended = False

    @property
    def pages(self) -> int:
        """In the log after the writer's last commit."""
        return self._pages

    # ------------------------------------------------------------ the writer's side

    def writing(self) -> AbstractContextManager[bool]:
        """Around a transaction. Waits for a turn that is due, and is to be entered then."""
        if not self._free.is_set() and not self._free.wait(_MOST_WAIT_S):
            self._free.set()
        return self._writing

    def committed(self, pages: int) -> None:
        """So many pages are in the log. Told after each commit of the writer."""
        self._pages = pages
        if pages >= self._wake_at:
            self._due.set()
        if pages >= self._most_pages and not self._ended:
            self._free.clear()
            self._due.set()

    # ------------------------------------------------------------ the checkpointer's side

    def wait(self, timeout_s: float, wake_at: int) -> bool:
        """Until there are `wake_at` pages in the log, or the time is over; False after `stop`."""
        self._wake_at = wake_at
        self._due.clear()
        if self._pages < wake_at and self._free.is_set() and not self._stopping:
            self._due.wait(timeout_s)
        return not self._stopping

    def stop(self) -> None:
        """From any thread."""
        self._stopping = True
        self._due.set()

    @property
    def is_awaited(self) -> bool:
        """Whether the writer waits for a turn to be taken."""
        return not self._free.is_set()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A turn: no transaction of the writer runs."""
        self._free.clear()
        try:
            with self._writing:
                yield
        finally:
            self._free.set()

    def started_afresh(self) -> None:
        """Within a turn: the log is empty."""
        self._pages = 0
        self._most_pages = MOST_PAGES

    def allow(self, pages: int) -> None:
        """Let the log grow to so many pages, at least to `MOST_PAGES`: it cannot be started afresh now."""
        self._most_pages = max(MOST_PAGES, pages)
        self._free.set()

    def end(self) -> None:
        """There will be no more turns."""
        self._ended = True
        self._free.set()

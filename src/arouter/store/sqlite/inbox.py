"""What one thread is asked to do by others. Asking wakes it only if it sleeps.

A queue that wakes its reader for every item makes two threads of Python hand the interpreter's lock to and fro, once
for each item, which costs more than the item. While the reader is at work nobody needs to wake it: it looks again.
"""

import sys
import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_NEVER: Final = sys.maxsize
"""So many items the reader does not wait for: it is awake."""


class Inbox(Generic[T]):
    """Any thread may put, one thread gets."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._wanted = _NEVER
        self._wake: SimpleQueue[None] = SimpleQueue()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        self._items.append(item)
        # Looked at after the item is there, as the reader looks for items after it has said what it waits for: one of
        # the two sees the other.
        if len(self._items) >= self._wanted:
            self._wanted = _NEVER
            self._wake.put(None)

    def get_nowait(self) -> T:
        """The next item. Empty if there is none."""
        try:
            return self._items.popleft()
        except IndexError:
            raise Empty from None

    def take(self, most: int) -> list[T]:
        """What is there, `most` items at most."""
        take = self._items.popleft
        return [take() for _ in range(min(len(self._items), most))]

    def wait_for(self, count: int, timeout_s: float) -> None:
        """Until there are so many items, or the time is over."""
        ends_at_s = time.monotonic() + timeout_s
        while len(self._items) < count and (left_s := ends_at_s - time.monotonic()) > 0:
            self._wanted = count
            if len(self._items) < count:
                with suppress(Empty):
                    self._wake.get(timeout=left_s)
            self._wanted = _NEVER

    def get(self, timeout_s: float | None) -> T:
        """The next item, as soon as there is one. Empty if there is none after so many seconds; None: never."""
        while True:
            with suppress(Empty):
                return self.get_nowait()
            self._wanted = 1
            if self._items:
                self._wanted = _NEVER
                continue
            # Woken for an item that was found without being woken: then there is none, and it looks again.
            try:
                self._wake.get(timeout=timeout_s)
            except Empty:
                self._wanted = _NEVER
                return self.get_nowait()

"""What one thread is asked to do by others. Asking wakes it only if it sleeps.

A queue that wakes its reader for every item makes two threads of Python hand the interpreter's lock to and fro, once
for each item, which costs more than the item. While the reader is at work nobody needs to wake it: it looks again.
"""

from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Any thread may put, one thread gets."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._asleep = False
        self._wake: SimpleQueue[None] = SimpleQueue()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        self._items.append(item)
        # Looked at after the item is there, as `get` looks for items after it has said that it sleeps: one of the
        # two sees the other.
        if self._asleep:
            self._asleep = False
            self._wake.put(None)

    def get_nowait(self) -> T:
        """The next item. Empty if there is none."""
        try:
            return self._items.popleft()
        except IndexError:
            raise Empty from None

    def get(self, timeout_s: float | None) -> T:
        """The next item, as soon as there is one. Empty if there is none after so many seconds; None: never."""
        while True:
            with suppress(Empty):
                return self.get_nowait()
            self._asleep = True
            if self._items:
                self._asleep = False
                continue
            # Woken for an item that was found without being woken: then there is none, and it looks again.
            try:
                self._wake.get(timeout=timeout_s)
            except Empty:
                self._asleep = False
                return self.get_nowait()

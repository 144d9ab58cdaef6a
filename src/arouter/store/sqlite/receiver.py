"""The thread to which everything comes that is to be written. It keeps records and intents, and passes on the rest.

What is asked for is put into a queue. The thread takes all that is there, has its records and intents on disk in one
group, and tells the event loop once for all of it: under load, hundreds of records share one sync of the disk. They are
booked by the writer's thread, many at once, which nobody waits for. What cannot be kept is passed to it as well.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from arouter.domain.record import Opening, Record
from arouter.store.sqlite.arrival_files import ArrivalFiles
from arouter.store.sqlite.arrivals import MOST_WAITING
from arouter.store.sqlite.inbox import Inbox
from arouter.store.sqlite.items import MOST_IN_ONE, Append, Asked, Passed, Waits
from arouter.store.sqlite.prepared import Noted, Prepared, note_all, pack, prepare

REST_S: Final = 0.003
"""Between two groups while there are others: what comes meanwhile shares the next one. A group costs about as much as
twenty records in it. A request that is alone never waits."""
LONG_REST_S: Final = 0.005
"""The same behind a group of `MANY` items or more: thousands come each second, and larger groups make room for them. A
seventh less CPU a record at 5,000 a second, measured, with the same median wait."""
MANY: Final = 16


class Receiver:
    """`inbox` is for any thread. Everything comes to `passed` in the order in which it came, behind all records before
    it."""

    def __init__(
        self,
        files: ArrivalFiles,
        passed: Inbox[Passed],
        *,
        clock: Callable[[], int],
        running: Callable[[], int],
        owner: Callable[[], int | None],
        is_healthy: Callable[[], bool],
        kept: Callable[[Sequence[Append], float], None],
    ) -> None:
        """`running` counts the requests whose records may come soon. `owner` tells whose intents these are, as soon as
        there are files. `kept` is called on the event loop with records that are on disk, and how long that took. While
        it is not `is_healthy`, nothing is kept here."""
        self.inbox: Inbox[Asked] = Inbox()
        self._files = files
        self._passed = passed
        self._clock = clock
        self._running = running
        self._owner = owner
        self._is_healthy = is_healthy
        self._kept = kept
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="ledger-receiver", daemon=True)
        self._rested_at_s = 0.0
        self._last_size = 0
        self.has_died = False
        """Of a programming error."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread.start()

    def join(self) -> None:
        """Blocks until everything before a None is passed on, and the None."""
        self._thread.join()

    # ------------------------------------------------------------ on the thread

    def _run(self) -> None:
        going = True
        try:
            while going:
                first = self.inbox.get(None)
                self._gather()
                items = [first, *self.inbox.take(MOST_IN_ONE - 1)]
                appends = [item for item in items if type(item) is tuple]
                openings = [item for item in items if type(item) is list]
                if not self._keep(appends, [opening for some in openings for opening in some]):
                    for append in appends:
                        self._passed.put(append)
                    for some in openings:
                        self._passed.put(some)
                for item in items:
                    if item is None:
                        going = False
                    elif type(item) is not tuple and type(item) is not list:
                        self._passed.put(item)
        finally:
            self.has_died = going
            self._passed.put(None)

    def _gather(self) -> None:
        """Let others come, so that they share a group, if the last one has just ended and others there are: requests
        that still run, or as many as shared the last one."""
        while (pause_s := self._rested_at_s - time.monotonic()) > 0:
            running, came = self._running(), len(self.inbox)
            if not running and came + 1 >= self._last_size:
                break
            # Each that runs puts its record here: woken once for all, not for each.
            self.inbox.wait_for(max(came + running, self._last_size - 1), pause_s)

    def _keep(self, appends: Sequence[Append], openings: Sequence[Opening]) -> bool:
        """Whether they are on disk. Who waits for a record is told that."""
        if not appends and not openings:
            return True
        started_us, owner_no = self._clock(), self._owner()
        if owner_no is None or not self._is_healthy():
            return False
        noted = note_all(openings, owner_no)
        group = _as_group([record for record, _ in appends], noted)
        waiting = None if group is None else self._files.keep(*group, started_us, noted)
        if waiting is None:
            return False
        if appends:
            self._rested_at_s = time.monotonic() + (LONG_REST_S if len(appends) >= MANY else REST_S)
            self._last_size = len(appends)
            assert self._loop is not None
            # RuntimeError: the loop is closed, and nobody is left to be told.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._kept, appends, max(0, self._clock() - started_us) / 1e6)
        if waiting.groups == 1 or waiting.records - len(appends) < MOST_WAITING <= waiting.records:
            self._passed.put(Waits.SOME)
        return True


def _as_group(records: Sequence[Record], noted: Sequence[Noted]) -> tuple[Sequence[Prepared], bytes] | None:
    """Packed; None if anything is wrong with one of them."""
    try:
        prepared = [prepare(record) for record in records]
        return prepared, pack(prepared, noted)
    except ValueError:
        return None

"""Moves the write-ahead log into the database beside the writer, so that no commit waits for it.

A passive checkpoint blocks nobody, but lets the log grow for as long as there is no pause. Over `MOST_BYTES` the
log is started afresh in a turn that the writer waits for (see `bound`): passive checkpoints before it leave it little
to do. A writer that is quicker than they are waits longer, at the hard bound of the log. Only a reader that stays on
an old state, as a backup does, lets the log grow beyond.

The file keeps its size after a fresh start, since to grow it again costs every commit (a p99 of 70 ms instead of
7 ms at 2,000 records a second, measured); it is cut down when nothing was written for a while.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.store.sqlite.bound import PAGE_BYTES, LogBound
from arouter.store.sqlite.connections import Durability, connect_writer, unavailable
from arouter.store.sqlite.turns import Turns

INTERVAL_S: Final = 1.0
MOST_BYTES: Final = 64 * 1024 * 1024
_STEP: Final = 16 * 1024 * 1024 // PAGE_BYTES
"""Pages: a checkpoint begins at the latest when the log has grown by so many."""
_FEW: Final = 150
"""Pages: what a turn should have left to move, since it must sync them: a thousand take 50 ms, measured."""
_MOST_PASSES: Final = 8
"""Passive checkpoints, one after the other, to come down to so few."""
_PATIENCE_MS: Final = 20
"""How long a turn may wait for readers of the old log, and for other processes."""
_MOST_TURNS: Final = 3
_PAUSE_S: Final = 5.0
"""Before the next try, if they did not leave in so many turns."""
_LOOK_AGAIN_S: Final = 0.01
_MOST_LOOKS: Final = 200
"""While another process moves the log. A checkpoint takes less than two seconds."""


class Checkpointer:
    def __init__(
        self,
        path: str,
        durability: Durability,
        bound: LogBound,
        on_failure: Callable[[StorageUnavailable], None] = lambda failure: None,
    ) -> None:
        """`on_failure` is told, on the checkpointer's thread, the first of failures in a row."""
        self._path = path
        self._durability = durability
        self._bound = bound
        self._on_failure = on_failure
        self._turns = Turns(path)
        self._logged = 0
        self._moved = 0
        self._next_at = _STEP
        self._tries = 0
        self._passes = 0
        self._again_at_s = 0.0
        self.last_error: StorageUnavailable | None = None
        """Why the last round failed; the next one tries again. The records are safe in the log meanwhile."""
        self._thread = threading.Thread(target=self._run, name="ledger-checkpointer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._bound.stop()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        try:
            while self._bound.wait(INTERVAL_S, self._next_at):
                connection = self._round(connection)
        finally:
            self._bound.end()
            self._turns.close()
            _close(connection)

    def _round(self, connection: apsw.Connection | None) -> apsw.Connection | None:
        """The connection for the next round, None if it needs a new one."""
        try:
            if connection is None:
                connection = connect_writer(self._path, self._durability)
                connection.set_busy_timeout(_PATIENCE_MS)
            self._checkpoint(connection)
        except apsw.BusyError:
            # Another process is at it.
            time.sleep(_LOOK_AGAIN_S)
            self._in_vain(_MOST_LOOKS)
        except (apsw.Error, OSError) as exc:
            self._failed(unavailable(exc))
            if not isinstance(exc, apsw.FullError):
                # As the writer does: what failed to sync is not asked again through the same descriptors.
                _close(connection)
                connection = None
        else:
            self.last_error = None
        return connection

    def _failed(self, failure: StorageUnavailable) -> None:
        first = self.last_error is None
        self.last_error = failure
        self._put_off()
        if first:
            self._on_failure(failure)

    def _checkpoint(self, connection: apsw.Connection) -> None:
        before = self._moved
        logged, self._moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._next_at = self._bound.pages + _STEP
        if logged * PAGE_BYTES > MOST_BYTES:
            self._start_afresh(connection, moves=self._moved > before)
        elif logged == self._logged and wal_bytes(self._path) > MOST_BYTES:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._logged = logged

    def _start_afresh(self, connection: apsw.Connection, *, moves: bool) -> None:
        """In a turn, if the writer waits for it, or little is left to move; else after one more passive checkpoint."""
        if not self._bound.is_awaited:
            if time.monotonic() < self._again_at_s:
                return
            self._passes += 1
            if moves and self._bound.pages - self._moved > _FEW and self._passes < _MOST_PASSES:
                self._next_at = 0
                return
        self._passes = 0
        try:
            with self._bound.taken(), self._turns.taken():
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
                self._bound.started_afresh()
        except apsw.BusyError:
            # Somebody reads what was there long ago. That is no failure, and it ends.
            self._in_vain(_MOST_TURNS)
        else:
            self._moved = 0
            self._next_at = _STEP
            self._tries = 0

    def _in_vain(self, most_tries: int) -> None:
        """Until it was tried so often, the writer that waits, or soon will again, is not let go."""
        self._tries += 1
        self._next_at = self._bound.pages + _STEP
        if self._tries >= most_tries:
            self._put_off()

    def _put_off(self) -> None:
        self._again_at_s = time.monotonic() + _PAUSE_S
        self._tries = 0
        self._next_at = self._bound.pages + _STEP
        self._bound.allow(self._next_at)


def _close(connection: apsw.Connection | None) -> None:
    if connection is not None:
        with suppress(apsw.Error):
            connection.close()


def wal_bytes(path: str) -> int:
    """The size of the write-ahead log; 0 if there is none."""
    try:
        return Path(f"{path}-wal").stat().st_size
    except FileNotFoundError:
        return 0

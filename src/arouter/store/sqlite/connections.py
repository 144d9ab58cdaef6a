"""Connections to one database file, and what may go wrong with them.

SQLite before 3.51.3 can lose committed writes in WAL mode (https://sqlite.org/wal.html#walresetbug), so the
library is refused. For the same reason the file must not be opened with another SQLite library while we run.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.store.migrate import Migration, migrations, needed, pending
from arouter.store.sqlite.statements import ENGINE

OLDEST_LIBRARY = (3, 51, 3)
BUSY_TIMEOUT_MS = 5_000
STATEMENTS_CACHED = 200
OUR_FAULTS = (apsw.ConstraintError, apsw.MismatchError, apsw.RangeError, apsw.SQLError, apsw.TooBigError)
"""What is wrong with the statement or its values, not with the storage: it would fail again for ever."""
_BETWEEN_TRIES_S = 0.005
_APPLICATION_ID = 0x4152_4C47
_WHAT_IS_NEEDED = "SELECT version FROM needed_version"
_SAY_WHAT_IS_NEEDED = "INSERT OR REPLACE INTO needed_version (one, version) VALUES (1, ?)"
_MESSAGE = "The storage cannot be reached or written to at the moment."


class Durability(StrEnum):
    """What a commit waits for."""

    STRICT = "strict"
    """The disk: a committed record survives the loss of power."""
    RELAXED = "relaxed"
    """The operating system: it survives the death of the process, the last moments may be lost with the power."""


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns what SQLite raises, or the disk, into StorageUnavailable."""
    try:
        yield
    except (apsw.Error, OSError) as exc:
        raise unavailable(exc) from exc


def unavailable(exc: apsw.Error | OSError | StorageUnavailable) -> StorageUnavailable:
    if isinstance(exc, StorageUnavailable):
        return StorageUnavailable(exc.message, detail=exc.detail)
    return StorageUnavailable(_MESSAGE, detail=f"{type(exc).__name__}: {exc}")


def require_sound_library(version: str) -> None:
    """StorageUnavailable if SQLite `version` has the WAL-reset bug."""
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_LIBRARY:
        oldest = ".".join(map(str, OLDEST_LIBRARY))
        raise StorageUnavailable(
            f"SQLite {version} can lose committed writes in WAL mode (fixed in {oldest}). Install a newer apsw."
        )


def prepare_file(path: str) -> None:
    """Make the folder and an empty file that only its owner can read, where there are none."""
    if not path or path.startswith((":memory:", "file:")):
        raise StorageUnavailable(
            f"{path!r} is not a file on disk, and records that vanish with the process are no ledger. Give a path."
        )
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as exc:
        raise StorageUnavailable(f"The database {path} cannot be created.", detail=str(exc)) from exc


def connect_writer(path: str, durability: Durability) -> apsw.Connection:
    """A connection that writes. Checkpoints are left to the checkpointer: inline ones make commits wait."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=STATEMENTS_CACHED)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    _write_ahead(connection)
    connection.wal_autocheckpoint(0)
    connection.pragma("synchronous", "FULL" if durability is Durability.STRICT else "NORMAL")
    # Each commit looks through all of the cache for pages beyond the end of the file: a larger one costs more than it
    # saves, since what it has not got comes from the system's cache.
    connection.pragma("cache_size", -16_384)
    connection.pragma("temp_store", "MEMORY")
    return connection


def _write_ahead(connection: apsw.Connection) -> None:
    """Set the journal's mode. Of several that do so on a new file at once each may hold what another waits for: then
    SQLite says at once that it is busy, without having waited, and the one that tries again finds it done."""
    until = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.pragma("journal_mode", "wal")
            return
        except apsw.BusyError:
            if time.monotonic() > until:
                raise
            time.sleep(_BETWEEN_TRIES_S)


def connect_reader(path: str) -> apsw.Connection:
    """A connection that only reads."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=STATEMENTS_CACHED)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.wal_autocheckpoint(0)
    connection.pragma("query_only", True)
    connection.pragma("temp_store", "MEMORY")
    return connection


@contextmanager
def transaction(connection: apsw.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """BEGIN and COMMIT; ROLLBACK if anything is raised in between or by the commit."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled it back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def migrate(connection: apsw.Connection) -> int:
    """Bring the database to the schema of this program; the version it has then. StorageUnavailable if it is newer than
    the program and needs one that knows more."""
    known = migrations(ENGINE)
    if _missing(connection, known):
        with transaction(connection):
            missing = _missing(connection, known)  # nobody else was faster
            if missing:
                _apply(connection, missing)
                connection.execute(_SAY_WHAT_IS_NEEDED, (needed(known),))
    return schema_version(connection)


def schema_version(connection: apsw.Connection) -> int:
    return int(connection.pragma("user_version"))


def _missing(connection: apsw.Connection, known: Sequence[Migration]) -> Sequence[Migration]:
    version = schema_version(connection)
    says_so = version > len(known) and connection.table_exists(None, "needed_version")
    return pending(known, version, connection.execute(_WHAT_IS_NEEDED).get if says_so else None)


def _apply(connection: apsw.Connection, steps: Sequence[Migration]) -> None:
    for step in steps:
        connection.execute(step.sql)
        connection.pragma("user_version", step.number)
    connection.pragma("application_id", _APPLICATION_ID)

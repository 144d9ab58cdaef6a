"""Bringing a PostgreSQL database to the schema of this program, while older programs work on it."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import asyncpg

from arouter.domain.errors import StorageUnavailable
from arouter.store.migrate import Migration, migrations, needed, pending

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

ENGINE = "postgres"
_LOCK: Final = 0x4152_4C47
"""The advisory lock that one process holds while it migrates; the others wait for it."""
_TIMEOUT_S: Final = 3600.0
"""For a step over many records, and for whoever waits for that."""
_LOCK_TIMEOUT: Final = "500ms"
"""How long a step waits for a table that somebody reads: whoever comes next waits behind it. Shorter than the second
after which the server looks for deadlocks, and might end a request's transaction instead of this one."""
_PAUSE_S: Final = 0.5
_MOST_TRIES: Final = 120


async def migrate(connection: "Connection") -> int:
    """Apply what is missing, all or nothing; the version that the database has then.

    StorageUnavailable if it is newer than the program and needs one that knows more, or if others keep tables to
    themselves for minutes. Several processes may start at once.
    """
    known = migrations(ENGINE)
    for _ in range(_MOST_TRIES):
        try:
            async with connection.transaction():
                return await _migrate(connection, known)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            await asyncio.sleep(_PAUSE_S)
    raise StorageUnavailable(
        "The database could not be brought to the schema of this version: for minutes others, such as exports or a "
        "backup, have been reading the tables that have to change. Nothing was changed. Try again when they have ended."
    )


async def _migrate(connection: "Connection", known: Sequence[Migration]) -> int:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=_TIMEOUT_S)
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)"
    )
    version = await connection.fetchval("SELECT version FROM schema_version") or 0
    is_newer = version > len(known)
    needs = await connection.fetchval("SELECT needed FROM schema_version") if is_newer else None
    missing = pending(known, version, needs)
    if not missing:
        return int(version)
    await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    for step in missing:
        await connection.execute(step.sql, timeout=_TIMEOUT_S)
    await connection.execute(
        "INSERT INTO schema_version (one, version, needed) VALUES (1, $1, $2) "
        "ON CONFLICT (one) DO UPDATE SET version = excluded.version, needed = excluded.needed",
        len(known),
        needed(known),
    )
    return len(known)

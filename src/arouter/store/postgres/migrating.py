"""Bringing a PostgreSQL database to the schema of this program."""

from typing import TYPE_CHECKING

from arouter.store.migrate import migrations, pending

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

ENGINE = "postgres"
_LOCK = 0x4152_4C47
"""The advisory lock that one process holds while it migrates; the others wait for it."""


async def migrate(connection: "Connection") -> int:
    """Apply what is missing, in one transaction; the version that the database has then.

    StorageUnavailable if it is newer than the program. Several processes may start at once.
    """
    known = migrations(ENGINE)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version "
            "(one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)"
        )
        version = await connection.fetchval("SELECT version FROM schema_version")
        for step in pending(known, version or 0):
            await connection.execute(step.sql)
        await connection.execute(
            "INSERT INTO schema_version VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET version = excluded.version",
            len(known),
        )
    return len(known)

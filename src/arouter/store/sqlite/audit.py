"""The audit log in SQLite: entries appended within the transaction of a change, read in pages, checked in a chain."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import apsw
import msgspec

from arouter.domain.audit import NO_ENTRY, Actor, AuditAction, AuditEntry, AuditQuery, ChainEnd, chained, faults
from arouter.store.directory_rows import AUDIT_COLUMNS, entry_values, read_entry
from arouter.store.queries import parse_queries, read_sql
from arouter.store.sqlite.statements import ENGINE

_COLUMN_LIST = ", ".join(AUDIT_COLUMNS)
_AT_ONCE = 1_000


@cache
def statements() -> Mapping[str, str]:
    """Those of `sql/sqlite/audit.sql`."""
    return {
        name: sql.format(columns=_COLUMN_LIST, places=", ".join("?" * len(AUDIT_COLUMNS)))
        for name, sql in parse_queries(read_sql(ENGINE, "audit.sql")).items()
    }


def append_entry(
    connection: apsw.Connection,
    actor: Actor,
    action: AuditAction,
    *,
    organization_id: str,
    target_id: str | None,
    was: str | None,
    now: str | None,
    at_us: int,
) -> None:
    """Append, within the caller's transaction."""
    row = connection.execute(statements()["last_entry"], (organization_id,)).fetchone()
    entry = chained(
        None if row is None else read_entry(row),
        organization_id=organization_id,
        at_us=at_us,
        actor=actor,
        action=action,
        target_id=target_id,
        was=was,
        now=now,
    )
    connection.execute(statements()["add_entry"], entry_values(entry))


def read_entries(connection: apsw.Connection, query: AuditQuery) -> Sequence[AuditEntry]:
    """A page."""
    sql = statements()["entries_descending" if query.descending else "entries_ascending"]
    values = (
        query.organization_id,
        query.after_no,
        query.start_us,
        query.end_us,
        *(_alternatives(texts) for texts in (query.actors, query.actions, query.targets)),
        query.limit,
    )
    return tuple(read_entry(row) for row in connection.execute(sql, values).fetchall())


def check_audit(connection: apsw.Connection) -> Iterator[str]:
    """What is wrong with the logs: an entry that is missing, or is not what was written."""
    for (organization_id,) in connection.execute(statements()["organizations"]).fetchall():
        before: AuditEntry | ChainEnd = NO_ENTRY
        while rows := connection.execute(
            statements()["entries_after"], (organization_id, before.no, _AT_ONCE)
        ).fetchall():
            for row in rows:
                entry = read_entry(row)
                yield from faults(entry, before)
                before = entry


def _alternatives(texts: tuple[str, ...]) -> str | None:
    return msgspec.json.encode(texts).decode() if texts else None

"""The audit log in SQLite: entries appended within the transaction of a change, read in pages, checked in a chain."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import apsw
import msgspec

from arouter.domain.audit import NO_HASH, Actor, ActorKind, AuditAction, AuditEntry, AuditQuery, chained, entry_hash
from arouter.store.queries import parse_queries, read_sql
from arouter.store.sqlite.statements import ENGINE

COLUMNS = (
    "organization_id",
    "no",
    "at_us",
    "actor_kind",
    "actor_id",
    "request_id",
    "action",
    "target_id",
    "before",
    "after",
    "hash",
)
_COLUMN_LIST = ", ".join(COLUMNS)
_AT_ONCE = 1_000


@cache
def statements() -> Mapping[str, str]:
    """Those of `sql/sqlite/audit.sql`."""
    return {
        name: sql.format(columns=_COLUMN_LIST, places=", ".join("?" * len(COLUMNS)))
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
        None if row is None else _entry(row),
        organization_id=organization_id,
        at_us=at_us,
        actor=actor,
        action=action,
        target_id=target_id,
        was=was,
        now=now,
    )
    connection.execute(statements()["add_entry"], _values(entry))


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
    return tuple(_entry(row) for row in connection.execute(sql, values).fetchall())


def check_audit(connection: apsw.Connection) -> Iterator[str]:
    """What is wrong with the logs: an entry that is missing, or is not what was written."""
    for (organization_id,) in connection.execute(statements()["organizations"]).fetchall():
        no, digest = 0, NO_HASH
        while rows := connection.execute(statements()["entries_after"], (organization_id, no, _AT_ONCE)).fetchall():
            for row in rows:
                entry = _entry(row)
                if entry.no != no + 1:
                    yield f"Entries are missing before entry {entry.no} of the audit log of {organization_id}."
                if entry_hash(digest, entry) != entry.hash:
                    yield (
                        f"Entry {entry.no} of the audit log of {organization_id} is not what was written: "
                        "its hash differs."
                    )
                no, digest = entry.no, entry.hash


def _alternatives(texts: tuple[str, ...]) -> str | None:
    return msgspec.json.encode(texts).decode() if texts else None


def _values(entry: AuditEntry) -> tuple[str | int | bytes | None, ...]:
    return (
        entry.organization_id,
        entry.no,
        entry.at_us,
        entry.actor.kind.value,
        entry.actor.id,
        entry.actor.request_id,
        entry.action.value,
        entry.target_id,
        entry.before,
        entry.after,
        entry.hash,
    )


def _entry(row: Sequence[Any]) -> AuditEntry:
    value = dict(zip(COLUMNS, row, strict=True))
    return AuditEntry(
        organization_id=value["organization_id"],
        no=value["no"],
        at_us=value["at_us"],
        actor=Actor(kind=ActorKind(value["actor_kind"]), id=value["actor_id"], request_id=value["request_id"]),
        action=AuditAction(value["action"]),
        target_id=value["target_id"],
        before=value["before"],
        after=value["after"],
        hash=value["hash"],
    )

"""The audit log in PostgreSQL: entries appended within the transaction of a change, read in pages, checked in a chain.

The row of an organization in `audit_ends` is its chain's end, and a lock: whoever holds it is the only one that changes
anything of the organization, on whichever machine, until its transaction ends.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING

from arouter.domain.audit import (
    NO_ENTRY,
    Actor,
    AuditAction,
    AuditEntry,
    AuditQuery,
    ChainEnd,
    chained,
    faults,
)
from arouter.store.directory_rows import AUDIT_COLUMNS, entry_values, read_entry
from arouter.store.postgres.statements import queries, statement
from arouter.store.postgres.texts import listed

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

AREA = "audit"
_AT_ONCE = 1_000


async def lock_chains(connection: "Connection", organization_ids: Iterable[str]) -> None:
    """Wait until nobody else changes anything of these organizations, and keep it so until the transaction ends.

    In the order of their ids, so that no two wait for each other.
    """
    for organization_id in sorted(set(organization_ids)):
        await _locked_end(connection, organization_id)


async def append_entry(
    connection: "Connection",
    actor: Actor,
    action: AuditAction,
    *,
    organization_id: str,
    target_id: str | None,
    was: str | None,
    now: str | None,
    at_us: int,
) -> None:
    """Append, within the caller's transaction. Who appends to several organizations' logs locks their chains first."""
    entry = chained(
        await _locked_end(connection, organization_id),
        organization_id=organization_id,
        at_us=at_us,
        actor=actor,
        action=action,
        target_id=target_id,
        was=was,
        now=now,
    )
    await connection.execute(statement(AREA, "add_entry", AUDIT_COLUMNS), *entry_values(entry))
    await connection.execute(queries(AREA)["set_end"], organization_id, entry.no, entry.at_us, entry.hash)


async def read_entries(connection: "Connection", query: AuditQuery) -> Sequence[AuditEntry]:
    """A page."""
    name = "entries_descending" if query.descending else "entries_ascending"
    rows = await connection.fetch(
        statement(AREA, name, AUDIT_COLUMNS),
        query.organization_id,
        query.after_no,
        query.start_us,
        query.end_us,
        *(listed(texts) if texts else None for texts in (query.actors, query.actions, query.targets)),
        query.limit,
    )
    return tuple(read_entry(tuple(row)) for row in rows)


async def check_audit(connection: "Connection") -> AsyncIterator[str]:
    """What is wrong with the logs: an entry that is missing, or is not what was written.

    Within a transaction that sees one state of the database.
    """
    for organization_id, no, at_us, digest in await connection.fetch(queries(AREA)["ends"]):
        end, before = ChainEnd(no=no, at_us=at_us, hash=digest), NO_ENTRY
        async for entry in _entries(connection, organization_id):
            for fault in faults(entry, before):
                yield fault
            before = ChainEnd(no=entry.no, at_us=entry.at_us, hash=entry.hash)
        if before.no < end.no:
            yield f"Entries are missing behind entry {before.no} of the audit log of {organization_id}."
        elif before != end:
            yield f"Entry {before.no} of the audit log of {organization_id} is not the last one that was written."
    for row in await connection.fetch(queries(AREA)["chains_without_end"]):
        yield f"The audit log of {row[0]} has entries that were never written."


async def _entries(connection: "Connection", organization_id: str) -> AsyncIterator[AuditEntry]:
    """All of one organization."""
    sql, no = statement(AREA, "entries_after", AUDIT_COLUMNS), 0
    while rows := await connection.fetch(sql, organization_id, no, _AT_ONCE):
        for row in rows:
            entry = read_entry(tuple(row))
            yield entry
            no = entry.no


async def _locked_end(connection: "Connection", organization_id: str) -> ChainEnd:
    row = await connection.fetchrow(queries(AREA)["lock_end"], organization_id)
    if row is None:
        begun = (NO_ENTRY.no, NO_ENTRY.at_us, NO_ENTRY.hash)
        row = await connection.fetchrow(queries(AREA)["begin_chain"], organization_id, *begun)
        assert row is not None  # it returns one
    no, at_us, digest = row
    return ChainEnd(no=no, at_us=at_us, hash=digest)

"""How the directory changes in PostgreSQL: every change through one place, which notes it in the audit log.

A change of an organization first waits for those that others are making of it: what it reads then still holds when it
writes, as it does in a database with one writer. Reads wait for nobody.
"""

import copy
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from arouter.domain.audit import OPERATOR, Actor, AuditAction, AuditEntry, AuditQuery, shown
from arouter.domain.directory_changes import Thing
from arouter.store.directory_rows import KEPT_CHANGES, Row, Value, write_things
from arouter.store.postgres.audit import AREA, append_entry, lock_chains, read_entries
from arouter.store.postgres.errors import refusals
from arouter.store.postgres.pool import Pool
from arouter.store.postgres.statements import queries

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from arouter.store.postgres.connection import Connection

T = TypeVar("T")
Statement = tuple[str, tuple[Value, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is done to one thing. `read` tells it as it is at that moment, None if it is not there."""

    action: AuditAction
    organization_id: str
    target_id: str
    read: "Callable[[Connection], Awaitable[DataclassInstance | None]]"

    @property
    def thing(self) -> Thing:
        return self.action, self.organization_id, self.target_id


class Unchanged(Exception):
    """There is nothing to change: the transaction is undone."""


class PostgresChanges:
    """What the parts of the directory have in common."""

    def __init__(self, pool: Pool, now_us: Callable[[], int]) -> None:
        """`now_us` is the clock of the audit log."""
        self._pool = pool
        self._now_us = now_us
        self._actor = OPERATOR

    def acting(self, actor: Actor) -> Self:
        bound = copy.copy(self)
        bound._actor = actor
        return bound

    async def audit_page(self, query: AuditQuery) -> Sequence[AuditEntry]:
        async with self._pool.lend() as connection:
            return await read_entries(connection, query)

    async def _all(self, read: Callable[[Row], T], sql: str, *values: object) -> tuple[T, ...]:
        """What `read` makes of each row. ValueError for a value that cannot be in the database."""
        async with self._pool.lend() as connection:
            with refusals():
                rows = await connection.fetch(sql, *values)
        return tuple(read(tuple(row)) for row in rows)

    async def _first(self, read: Callable[[Row], T], sql: str, *values: object) -> T | None:
        found = await self._all(read, sql, *values)
        return found[0] if found else None

    async def _change(
        self,
        changes: Change | Sequence[Change],
        *statements: Statement,
        first: "Callable[[Connection], Awaitable[None]] | None" = None,
        counting: Statement | None = None,
    ) -> bool:
        """Execute `statements` in one transaction after `first`, note the changes, and raise the revision; or execute
        `counting` in place of that, which numbers the change otherwise.

        Whether the first statement changed anything: if not, nothing else is done. ValueError where a constraint
        fails, or what `first` raises.
        """
        every = (changes,) if isinstance(changes, Change) else changes
        try:
            async with self._pool.transaction() as connection:
                with refusals():
                    await lock_chains(connection, (one.organization_id for one in every))
                    if first is not None:
                        await first(connection)
                    before = [shown(await one.read(connection)) for one in every]
                    for place, (sql, values) in enumerate(statements):
                        if not changed_rows(await connection.execute(sql, *values)) and place == 0:
                            raise Unchanged
                    for one, was in zip(every, before, strict=True):
                        await self._note(connection, one, was)
                    if counting is None:
                        await count_change(connection, *(one.thing for one in every))
                    else:
                        sql, values = counting
                        await connection.execute(sql, *values)
                        await tell(connection)
        except Unchanged:
            return False
        return True

    async def _note(self, connection: "Connection", one: Change, was: str | None) -> None:
        await append_entry(
            connection,
            self._actor,
            one.action,
            organization_id=one.organization_id,
            target_id=one.target_id,
            was=was,
            now=shown(await one.read(connection)),
            at_us=self._now_us(),
        )


def reading(read: Callable[[Row], T], sql: str, *values: object) -> "Callable[[Connection], Awaitable[T | None]]":
    """For `Change.read`: what `read` makes of the first row, if there is one."""

    async def look(connection: "Connection") -> T | None:
        row = await connection.fetchrow(sql, *values)
        return None if row is None else read(tuple(row))

    return look


async def count_change(connection: "Connection", *things: Thing) -> None:
    """Raise the directory's revision, say what changed (with nothing it may be anything), and tell every process once
    it is committed.

    The last step of a transaction: the numbers are one row, for which all changes wait.
    """
    told = write_things(things) if things else None
    await connection.execute(queries(AREA)["raise_revision"], told, KEPT_CHANGES)
    await tell(connection)


async def tell(connection: "Connection") -> None:
    """Tell every process that there is a change, once it is committed."""
    await connection.execute(queries(AREA)["tell"])


def changed_rows(told: str) -> int:
    """How many rows a statement changed, from what the server tells of it: `UPDATE 1`."""
    return int(told.rpartition(" ")[2])

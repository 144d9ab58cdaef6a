"""How the directory changes in SQLite: every change through one place, which notes it in the audit log."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import apsw

from arouter.domain.audit import OPERATOR, Actor, AuditAction, AuditEntry, AuditQuery, shown
from arouter.domain.directory_changes import Thing
from arouter.store.directory_rows import KEPT_CHANGES, Value, write_things
from arouter.store.sqlite.audit import append_entry, read_entries
from arouter.store.sqlite.readers import Readers
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.writer import Writer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Statement = tuple[str, tuple[Value, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is done to one thing. `read` tells it as it is at that moment, None if it is not there."""

    action: AuditAction
    organization_id: str
    target_id: str
    read: "Callable[[apsw.Connection], DataclassInstance | None]"

    @property
    def thing(self) -> Thing:
        return self.action, self.organization_id, self.target_id


class SqliteChanges:
    """What the parts of the directory have in common. Reads in the readers' threads, writes in the writer's."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers
        self._actor = OPERATOR

    def acting(self, actor: Actor) -> Self:
        bound = copy.copy(self)
        bound._actor = actor
        return bound

    async def audit_page(self, query: AuditQuery) -> Sequence[AuditEntry]:
        return await self._readers.read(lambda connection: read_entries(connection, query), apart=True)

    async def _change(
        self,
        changes: Change | Sequence[Change],
        *statements: Statement,
        first: Callable[[apsw.Connection], None] | None = None,
        raises_revision: bool = True,
    ) -> bool:
        """Execute `statements` in one transaction, raise the revision and note the changes, after `first`.

        Whether the first statement changed anything: if not, nothing else is done. ValueError where a constraint
        fails, or what `first` raises.
        """
        every = (changes,) if isinstance(changes, Change) else changes

        def run(connection: apsw.Connection) -> bool:
            if first is not None:
                first(connection)
            before = [shown(one.read(connection)) for one in every]
            for place, (sql, values) in enumerate(statements):
                connection.execute(sql, values)
                if place == 0 and not connection.changes():
                    return False
            if raises_revision:
                count_change(connection, *(one.thing for one in every))
            for one, was in zip(every, before, strict=True):
                self._note(connection, one, was)
            return True

        result: bool = await self._writer.command(run)
        return result

    def _note(self, connection: apsw.Connection, one: Change, was: str | None) -> None:
        append_entry(
            connection,
            self._actor,
            one.action,
            organization_id=one.organization_id,
            target_id=one.target_id,
            was=was,
            now=shown(one.read(connection)),
            at_us=self._writer.now_us(),
        )


def count_change(connection: apsw.Connection, *things: Thing) -> None:
    """Raise the directory's revision, and say what changed; with nothing it may be anything."""
    sql = queries()
    connection.execute(sql["raise_revision"])
    if things:
        connection.execute(sql["note_change"], (write_things(things),))
    connection.execute(sql["forget_changes"], (KEPT_CHANGES,))

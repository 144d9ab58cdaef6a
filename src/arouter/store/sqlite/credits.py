"""`Credits` in SQLite: entries and pools in one transaction with the costs that they are compared with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, fields, replace
from functools import cache
from typing import Any

import apsw

from arouter.domain.activity import Cursor
from arouter.domain.audit import AuditAction, shown
from arouter.domain.counters import Counter, Meter, Window, bounds
from arouter.domain.credits import (
    CreditAccount,
    CreditConflict,
    CreditEntry,
    CreditKind,
    CreditPool,
    added_up,
    opening_entry,
)
from arouter.domain.guardrails import Target
from arouter.domain.money import Picodollars
from arouter.store.queries import parse_queries, read_sql
from arouter.store.sqlite.audit import append_entry
from arouter.store.sqlite.changes import SqliteChanges
from arouter.store.sqlite.statements import ENGINE, queries
from arouter.store.sqlite.usage_days import usages_of

_COLUMNS = tuple(field.name for field in fields(CreditEntry))


@cache
def statements() -> Mapping[str, str]:
    """Those of `sql/sqlite/credits.sql`."""
    return {
        name: sql.format(columns=", ".join(_COLUMNS), places=", ".join("?" * len(_COLUMNS)))
        for name, sql in parse_queries(read_sql(ENGINE, "credits.sql")).items()
    }


class SqliteCredits(SqliteChanges):
    """As the parts of the directory do."""

    async def add_credit(self, entry: CreditEntry, *, opening_id: str) -> CreditEntry:
        def run(connection: apsw.Connection) -> CreditEntry:
            known = _known(connection, entry)
            if known is not None:
                return known
            if _pool(connection, entry.organization_id) is None:
                self._switch_credits_on(connection, entry.organization_id, opening_id, entry.created_at_us)
            self._append_credit(connection, entry)
            connection.execute(queries()["raise_revision"])
            return entry

        kept: CreditEntry = await self._writer.command(run)
        return kept

    async def switch_credits(self, organization_id: str, *, enabled: bool, opening_id: str, now_us: int) -> bool:
        def run(connection: apsw.Connection) -> bool:
            pool = _pool(connection, organization_id)
            if enabled == (pool is not None and pool.enabled):
                return False
            if enabled:
                self._switch_credits_on(connection, organization_id, opening_id, now_us)
            else:
                assert pool is not None
                cost = _spent(connection, organization_id)
                self._set_pool(connection, pool, replace(pool, enabled=False, cost_at_end=cost))
            connection.execute(queries()["raise_revision"])
            return True

        changed: bool = await self._writer.command(run)
        return changed

    async def get_credit(self, organization_id: str, entry_id: str) -> CreditEntry | None:
        return await self._readers.read(lambda connection: _one(connection, "get_credit", organization_id, entry_id))

    async def list_credits(
        self, organization_id: str, *, limit: int, after: Cursor | None = None
    ) -> Sequence[CreditEntry]:
        here = (None, None) if after is None else (after.created_at_us, after.id)
        parameters = (organization_id, *here, limit)
        return await self._readers.read(
            lambda connection: tuple(map(_entry, connection.execute(statements()["list_credits"], parameters)))
        )

    async def credit_account(self, organization_id: str) -> CreditAccount | None:
        def read(connection: apsw.Connection) -> CreditAccount | None:
            pool = _pool(connection, organization_id)
            if pool is None:
                return None
            return CreditAccount(enabled=pool.enabled, total=pool.total, spent=_spent(connection, organization_id))

        return await self._readers.read(read)

    async def every_credit_total(self) -> Mapping[str, Picodollars]:
        return await self._readers.read(
            lambda connection: {
                str(organization_id): Picodollars(total)
                for organization_id, total in connection.execute(statements()["every_total"])
            }
        )

    def _switch_credits_on(
        self, connection: apsw.Connection, organization_id: str, opening_id: str, now_us: int
    ) -> None:
        """With the entry that makes up for what was used meanwhile, if anything was."""
        pool = _pool(connection, organization_id)
        spent = _spent(connection, organization_id)
        opening = opening_entry(pool, spent, organization_id=organization_id, entry_id=opening_id, now_us=now_us)
        total = Picodollars(0) if pool is None else pool.total
        self._set_pool(connection, pool, CreditPool(organization_id=organization_id, enabled=True, total=total))
        if opening.amount:
            self._append_credit(connection, opening)

    def _append_credit(self, connection: apsw.Connection, entry: CreditEntry) -> None:
        pool = _pool(connection, entry.organization_id)
        assert pool is not None
        total = added_up(pool.total, entry.amount)
        connection.execute(statements()["add_credit"], _values(entry))
        connection.execute(statements()["set_pool"], _pool_values(replace(pool, total=total)))
        self._note_credit(connection, AuditAction.CREATE_CREDIT, entry.organization_id, entry.id, None, shown(entry))

    def _set_pool(self, connection: apsw.Connection, before: CreditPool | None, after: CreditPool) -> None:
        connection.execute(statements()["set_pool"], _pool_values(after))
        name = after.organization_id
        self._note_credit(connection, AuditAction.UPDATE_CREDIT_POOL, name, name, shown(before), shown(after))

    def _note_credit(
        self,
        connection: apsw.Connection,
        action: AuditAction,
        organization_id: str,
        target_id: str,
        was: str | None,
        now: str | None,
    ) -> None:
        append_entry(
            connection,
            self._actor,
            action,
            organization_id=organization_id,
            target_id=target_id,
            was=was,
            now=now,
            at_us=self._writer.now_us(),
        )


def check_credits(connection: apsw.Connection) -> Iterator[str]:
    """What is wrong with the credits: an entry that the audit log does not know as it is, or the other way round; a sum
    that is not that of the entries. The log is proved by its own chain."""
    noted = {
        (organization_id, entry_id): after
        for organization_id, entry_id, after in connection.execute(statements()["noted_credits"])
    }
    totals: dict[str, int] = {}
    for row in connection.execute(statements()["credits_of_organizations"]):
        entry = _entry(row)
        totals[entry.organization_id] = totals.get(entry.organization_id, 0) + entry.amount
        if noted.pop((entry.organization_id, entry.id), None) != shown(entry):
            yield f"The credit {entry.id} of {entry.organization_id} is not what the audit log says."
    for organization_id, entry_id in noted:
        yield f"The credit {entry_id} of {organization_id} is in the audit log, and is missing."
    for organization_id, total in connection.execute(statements()["every_pool"]):
        if totals.pop(str(organization_id), 0) != total:
            yield f"The credits of {organization_id} do not add up to what they are said to."
    for organization_id in totals:
        yield f"The credits of {organization_id} are in no pool."


def _known(connection: apsw.Connection, entry: CreditEntry) -> CreditEntry | None:
    """The same entry, if it is there already. CreditConflict if another one is in its place."""
    for name in ("idempotency_key", "reference"):
        told = getattr(entry, name)
        if told is None:
            continue
        found = _one(connection, f"credit_by_{name}", entry.organization_id, told)
        if found is not None:
            if not found.says_the_same(entry):
                raise CreditConflict(name, found)
            return found
    return None


def _spent(connection: apsw.Connection, organization_id: str) -> Picodollars:
    """What all of the organization's records cost: the sums that budgets go by."""
    start_us, end_us = bounds(Window.LIFETIME, 0)
    counter = Counter(
        meter=Meter.COST,
        scope=Target.ORGANIZATION,
        organization_id=organization_id,
        scope_id=organization_id,
        start_us=start_us,
        end_us=end_us,
    )
    return Picodollars(usages_of(connection, [counter]).get(counter, 0))


def _pool(connection: apsw.Connection, organization_id: str) -> CreditPool | None:
    row: Any = connection.execute(statements()["get_pool"], (organization_id,)).fetchone()
    if row is None:
        return None
    _, enabled, total, cost_at_end = row
    return CreditPool(
        organization_id=organization_id,
        enabled=bool(enabled),
        total=Picodollars(total),
        cost_at_end=None if cost_at_end is None else int(cost_at_end),
    )


def _pool_values(pool: CreditPool) -> tuple[str | int | None, ...]:
    cost = None if pool.cost_at_end is None else str(pool.cost_at_end)
    return (pool.organization_id, int(pool.enabled), pool.total, cost)


def _one(connection: apsw.Connection, name: str, *parameters: str) -> CreditEntry | None:
    row = connection.execute(statements()[name], parameters).fetchone()
    return None if row is None else _entry(row)


def _values(entry: CreditEntry) -> tuple[str | int | None, ...]:
    return (*(value.value if isinstance(value, CreditKind) else value for value in astuple(entry)),)


def _entry(row: Sequence[Any]) -> CreditEntry:
    value = dict(zip(_COLUMNS, row, strict=True))
    value.update(kind=CreditKind(value["kind"]), amount=Picodollars(value["amount"]))
    return CreditEntry(**value)

"""`Credits` in SQLite: entries and pools in one transaction with the costs that they are compared with."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import apsw

from arouter.domain.activity import Cursor
from arouter.domain.audit import AuditAction, shown
from arouter.domain.credits import (
    CreditAccount,
    CreditConflict,
    CreditEntry,
    CreditPool,
    added_up,
    opening_entry,
)
from arouter.domain.money import Picodollars
from arouter.store.credits import credit_faults, lifetime_cost
from arouter.store.directory_rows import (
    CREDIT_COLUMNS,
    CREDIT_POOL_COLUMNS,
    Value,
    credit_pool_values,
    credit_values,
    read_credit,
    read_credit_pool,
)
from arouter.store.queries import parse_queries, read_sql
from arouter.store.sqlite.audit import append_entry
from arouter.store.sqlite.changes import SqliteChanges, count_change
from arouter.store.sqlite.names import to_json
from arouter.store.sqlite.statements import ENGINE
from arouter.store.sqlite.usage_days import usages_of


@cache
def statements() -> Mapping[str, str]:
    """Those of `sql/sqlite/credits.sql`."""
    return parse_queries(read_sql(ENGINE, "credits.sql"))


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
            count_change(connection, (AuditAction.CREATE_CREDIT, entry.organization_id, entry.id))
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
            count_change(connection, (AuditAction.UPDATE_CREDIT_POOL, organization_id, organization_id))
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
            lambda connection: tuple(map(read_credit, connection.execute(_over_credits("list_credits"), parameters)))
        )

    async def credit_account(self, organization_id: str) -> CreditAccount | None:
        def read(connection: apsw.Connection) -> CreditAccount | None:
            pool = _pool(connection, organization_id)
            if pool is None:
                return None
            return CreditAccount(enabled=pool.enabled, total=pool.total, spent=_spent(connection, organization_id))

        return await self._readers.read(read)

    async def every_credit_total(self, among: Collection[str] | None = None) -> Mapping[str, Picodollars]:
        if among is not None and not among:
            return {}
        name, values = ("every_total", ()) if among is None else ("totals_among", (to_json(sorted(among)),))
        return await self._readers.read(
            lambda connection: {
                str(organization_id): Picodollars(total)
                for organization_id, total in connection.execute(statements()[name], values)
            },
            apart=True,
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
        connection.execute(_over_credits("add_credit"), credit_values(entry))
        connection.execute(_over_pools("set_pool"), _pool_values(replace(pool, total=total)))
        self._note_credit(connection, AuditAction.CREATE_CREDIT, entry.organization_id, entry.id, None, shown(entry))

    def _set_pool(self, connection: apsw.Connection, before: CreditPool | None, after: CreditPool) -> None:
        connection.execute(_over_pools("set_pool"), _pool_values(after))
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
    """What is wrong with the credits, as `credit_faults` says."""
    entries = map(read_credit, connection.execute(_over_credits("credits_of_organizations")))
    noted: Any = connection.execute(statements()["noted_credits"])
    totals: Any = connection.execute(statements()["every_pool"])
    yield from credit_faults(noted, entries, totals)


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
    counter = lifetime_cost(organization_id)
    return Picodollars(usages_of(connection, [counter]).get(counter, 0))


def _pool(connection: apsw.Connection, organization_id: str) -> CreditPool | None:
    row: Any = connection.execute(_over_pools("get_pool"), (organization_id,)).fetchone()
    return None if row is None else read_credit_pool(row)


def _pool_values(pool: CreditPool) -> tuple[Value, ...]:
    """With a decimal text for what SQLite's integers cannot hold."""
    *values, cost = credit_pool_values(pool)
    return (*values, None if cost is None else str(cost))


def _one(connection: apsw.Connection, name: str, *parameters: str) -> CreditEntry | None:
    row: Any = connection.execute(_over_credits(name), parameters).fetchone()
    return None if row is None else read_credit(row)


@cache
def _over(name: str, columns: tuple[str, ...]) -> str:
    return statements()[name].format(columns=", ".join(columns), places=", ".join("?" * len(columns)))


def _over_credits(name: str) -> str:
    return _over(name, CREDIT_COLUMNS)


def _over_pools(name: str) -> str:
    return _over(name, CREDIT_POOL_COLUMNS)

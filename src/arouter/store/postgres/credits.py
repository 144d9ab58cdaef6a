"""`Credits` in PostgreSQL: entries and pools in one transaction with the costs that they are compared with.

A change of an organization's credits has the lock of its chain, as every change of it has: nobody else switches its
pool, adds to it or takes the same reference meanwhile. Records that are appended meanwhile wait for nothing, and
nothing waits for them. None is missed or counted twice all the same. Its cost is in `usage_days` from the very commit
from which it is in the ledger, and what was spent is the sum of one statement, which sees a commit wholly or not at
all: what that sees, the opening entry makes up for; what it does not see is committed later, and counts against the
pool. It looks behind the lock, and sees what was committed until it began (`read committed`): all that was seen when
the pool was switched off before. Whoever sees the opening entry began later still, and sees all that the entry makes
up for.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

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
    credit_pool_values,
    credit_values,
    read_credit,
    read_credit_pool,
)
from arouter.store.postgres.audit import append_entry, lock_chains
from arouter.store.postgres.changes import PostgresChanges, Unchanged, count_change, reading
from arouter.store.postgres.errors import refusals
from arouter.store.postgres.pool import Pool
from arouter.store.postgres.statements import queries, statement
from arouter.store.postgres.usage_days import usages_of

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

T = TypeVar("T")

_AREA = "credits"


class PostgresCredits(PostgresChanges):
    """As the parts of the directory do."""

    def __init__(self, pool: Pool, now_us: Callable[[], int], behind: Callable[[], Awaitable[None]]) -> None:
        """`behind()` is done when the records that were closed before it was called are committed.

        StorageUnavailable if they are not.
        """
        super().__init__(pool, now_us)
        self._behind = behind

    async def add_credit(self, entry: CreditEntry, *, opening_id: str) -> CreditEntry:
        async def decide(connection: "Connection") -> CreditEntry:
            known = await _known(connection, entry)
            if known is not None:
                return known
            if await _pool(connection, entry.organization_id) is None:
                await self._switch_credits_on(connection, None, entry.organization_id, opening_id, entry.created_at_us)
            await self._append_credit(connection, entry)
            await count_change(connection, (AuditAction.CREATE_CREDIT, entry.organization_id, entry.id))
            return entry

        return await self._alone(entry.organization_id, decide)

    async def switch_credits(self, organization_id: str, *, enabled: bool, opening_id: str, now_us: int) -> bool:
        async def decide(connection: "Connection") -> None:
            pool = await _pool(connection, organization_id)
            if enabled == (pool is not None and pool.enabled):
                raise Unchanged
            if enabled:
                await self._switch_credits_on(connection, pool, organization_id, opening_id, now_us)
            else:
                assert pool is not None
                cost = await _spent(connection, organization_id)
                await self._set_pool(connection, pool, replace(pool, enabled=False, cost_at_end=cost))
            await count_change(connection, (AuditAction.UPDATE_CREDIT_POOL, organization_id, organization_id))

        try:
            await self._alone(organization_id, decide)
        except Unchanged:
            return False
        return True

    async def get_credit(self, organization_id: str, entry_id: str) -> CreditEntry | None:
        return await self._first(read_credit, _over_credits("get_credit"), organization_id, entry_id)

    async def list_credits(
        self, organization_id: str, *, limit: int, after: Cursor | None = None
    ) -> Sequence[CreditEntry]:
        here = (None, None) if after is None else (after.created_at_us, after.id)
        return await self._all(read_credit, _over_credits("list_credits"), organization_id, *here, limit)

    async def credit_account(self, organization_id: str) -> CreditAccount | None:
        await self._behind()
        async with self._pool.transaction("repeatable_read", readonly=True) as connection:
            with refusals():
                pool = await _pool(connection, organization_id)
                if pool is None:
                    return None
                spent = await _spent(connection, organization_id)
        return CreditAccount(enabled=pool.enabled, total=pool.total, spent=spent)

    async def every_credit_total(self, among: Collection[str] | None = None) -> Mapping[str, Picodollars]:
        if among is not None and not among:
            return {}
        name, values = ("every_total", ()) if among is None else ("totals_among", (sorted(among),))
        rows = await self._all(tuple, queries(_AREA)[name], *values)
        return {organization_id: Picodollars(total) for organization_id, total in rows}

    async def _alone(self, organization_id: str, decide: "Callable[[Connection], Awaitable[T]]") -> T:
        """What `decide` does in one transaction while nobody else changes anything of the organization; undone if it
        raises."""
        await self._behind()
        async with self._pool.transaction("read_committed") as connection:
            with refusals():
                await lock_chains(connection, (organization_id,))
                return await decide(connection)

    async def _switch_credits_on(
        self, connection: "Connection", pool: CreditPool | None, organization_id: str, opening_id: str, now_us: int
    ) -> None:
        """With the entry that makes up for what was used meanwhile, if anything was."""
        spent = await _spent(connection, organization_id)
        opening = opening_entry(pool, spent, organization_id=organization_id, entry_id=opening_id, now_us=now_us)
        total = Picodollars(0) if pool is None else pool.total
        await self._set_pool(connection, pool, CreditPool(organization_id=organization_id, enabled=True, total=total))
        if opening.amount:
            await self._append_credit(connection, opening)

    async def _append_credit(self, connection: "Connection", entry: CreditEntry) -> None:
        pool = await _pool(connection, entry.organization_id)
        assert pool is not None
        total = added_up(pool.total, entry.amount)
        await connection.execute(_over_credits("add_credit"), *credit_values(entry))
        await connection.execute(_over_pools("set_pool"), *credit_pool_values(replace(pool, total=total)))
        await self._note_credit(
            connection, AuditAction.CREATE_CREDIT, entry.organization_id, entry.id, None, shown(entry)
        )

    async def _set_pool(self, connection: "Connection", before: CreditPool | None, after: CreditPool) -> None:
        await connection.execute(_over_pools("set_pool"), *credit_pool_values(after))
        name = after.organization_id
        await self._note_credit(connection, AuditAction.UPDATE_CREDIT_POOL, name, name, shown(before), shown(after))

    async def _note_credit(
        self,
        connection: "Connection",
        action: AuditAction,
        organization_id: str,
        target_id: str,
        was: str | None,
        now: str | None,
    ) -> None:
        await append_entry(
            connection,
            self._actor,
            action,
            organization_id=organization_id,
            target_id=target_id,
            was=was,
            now=now,
            at_us=self._now_us(),
        )


async def check_credits(connection: "Connection") -> AsyncIterator[str]:
    """What is wrong with the credits, as `credit_faults` says.

    Within a transaction that sees one state of the database.
    """
    noted = [tuple(row) for row in await connection.fetch(queries(_AREA)["noted_credits"])]
    rows = await connection.fetch(_over_credits("credits_of_organizations"))
    totals = [tuple(row) for row in await connection.fetch(queries(_AREA)["every_pool"])]
    for fault in credit_faults(noted, (read_credit(tuple(row)) for row in rows), totals):
        yield fault


async def _known(connection: "Connection", entry: CreditEntry) -> CreditEntry | None:
    """The same entry, if it is there already. CreditConflict if another one is in its place."""
    for name in ("idempotency_key", "reference"):
        told = getattr(entry, name)
        if told is None:
            continue
        look = reading(read_credit, _over_credits(f"credit_by_{name}"), entry.organization_id, told)
        found = await look(connection)
        if found is not None:
            if not found.says_the_same(entry):
                raise CreditConflict(name, found)
            return found
    return None


async def _spent(connection: "Connection", organization_id: str) -> Picodollars:
    """What all of the organization's records cost: the sums that budgets go by, in one statement."""
    counter = lifetime_cost(organization_id)
    return Picodollars((await usages_of(connection, [counter])).get(counter, 0))


async def _pool(connection: "Connection", organization_id: str) -> CreditPool | None:
    return await reading(read_credit_pool, _over_pools("get_pool"), organization_id)(connection)


def _over_credits(name: str) -> str:
    return statement(_AREA, name, CREDIT_COLUMNS)


def _over_pools(name: str) -> str:
    return statement(_AREA, name, CREDIT_POOL_COLUMNS)

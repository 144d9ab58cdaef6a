"""`Credits` over dictionaries: part of the reference backend."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from arouter.domain.activity import Cursor
from arouter.domain.audit import AuditAction
from arouter.domain.credits import CreditAccount, CreditConflict, CreditEntry, CreditPool, added_up, opening_entry
from arouter.domain.money import Picodollars
from arouter.store.memory_audit import MemoryAudit, Trail


@dataclass(slots=True)
class CreditData:
    """What would be on disk."""

    entries: dict[str, CreditEntry] = field(default_factory=dict)
    """By id."""
    pools: dict[str, CreditPool] = field(default_factory=dict)
    """By organization."""


class MemoryCredits(MemoryAudit):
    """As simple as it can be said."""

    def __init__(self, data: CreditData, spent: Callable[[str], int], trail: Trail) -> None:
        """`spent` tells what an organization's records cost."""
        MemoryAudit.__init__(self, trail)
        self._credits = data
        self._spent = spent

    async def add_credit(self, entry: CreditEntry, *, opening_id: str) -> CreditEntry:
        for text in (entry.description, entry.reference, entry.idempotency_key):
            (text or "").encode()  # UnicodeEncodeError is a ValueError
        known = self._known_credit(entry)
        if known is not None:
            return known
        if entry.id in self._credits.entries:
            raise ValueError("there is such an entry already")
        pool = self._credits.pools.get(entry.organization_id)
        opening = None
        if pool is None:
            opening = self._opening_of(entry.organization_id, opening_id, entry.created_at_us)
        before = 0 if pool is None else pool.total
        added_up(before + (0 if opening is None else opening.amount), entry.amount)
        if opening is not None:
            self._switch_credits_on(entry.organization_id, opening)
        self._append_credit(entry)
        return entry

    async def switch_credits(self, organization_id: str, *, enabled: bool, opening_id: str, now_us: int) -> bool:
        pool = self._credits.pools.get(organization_id)
        if enabled == (pool is not None and pool.enabled):
            return False
        if enabled:
            self._switch_credits_on(organization_id, self._opening_of(organization_id, opening_id, now_us))
            return True
        assert pool is not None
        cost = self._spent(organization_id)
        self._set_pool(CreditPool(organization_id=organization_id, enabled=False, total=pool.total, cost_at_end=cost))
        return True

    async def get_credit(self, organization_id: str, entry_id: str) -> CreditEntry | None:
        found = self._credits.entries.get(entry_id)
        return found if found is not None and found.organization_id == organization_id else None

    async def list_credits(
        self, organization_id: str, *, limit: int, after: Cursor | None = None
    ) -> Sequence[CreditEntry]:
        mine = sorted(self._credits_of(organization_id), key=lambda one: (one.created_at_us, one.id), reverse=True)
        if after is not None:
            mine = [one for one in mine if (one.created_at_us, one.id) < (after.created_at_us, after.id)]
        return tuple(mine[:limit])

    async def credit_account(self, organization_id: str) -> CreditAccount | None:
        pool = self._credits.pools.get(organization_id)
        if pool is None:
            return None
        spent = Picodollars(self._spent(organization_id))
        return CreditAccount(enabled=pool.enabled, total=pool.total, spent=spent)

    async def every_credit_total(self, among: Collection[str] | None = None) -> Mapping[str, Picodollars]:
        pools = [pool for pool in self._credits.pools.values() if pool.enabled]
        return {pool.organization_id: pool.total for pool in pools if among is None or pool.organization_id in among}

    def _credits_of(self, organization_id: str) -> list[CreditEntry]:
        return [one for one in self._credits.entries.values() if one.organization_id == organization_id]

    def _known_credit(self, entry: CreditEntry) -> CreditEntry | None:
        for name in ("idempotency_key", "reference"):
            told = getattr(entry, name)
            for one in self._credits_of(entry.organization_id):
                if told is not None and getattr(one, name) == told:
                    if not one.says_the_same(entry):
                        raise CreditConflict(name, one)
                    return one
        return None

    def _opening_of(self, organization_id: str, opening_id: str, now_us: int) -> CreditEntry:
        return opening_entry(
            self._credits.pools.get(organization_id),
            self._spent(organization_id),
            organization_id=organization_id,
            entry_id=opening_id,
            now_us=now_us,
        )

    def _switch_credits_on(self, organization_id: str, opening: CreditEntry) -> None:
        pool = self._credits.pools.get(organization_id)
        total = Picodollars(0) if pool is None else pool.total
        added_up(total, opening.amount)
        self._set_pool(CreditPool(organization_id=organization_id, enabled=True, total=total))
        if opening.amount:
            self._append_credit(opening)

    def _append_credit(self, entry: CreditEntry) -> None:
        pool = self._credits.pools[entry.organization_id]
        total = added_up(pool.total, entry.amount)
        self._credits.entries[entry.id] = entry
        self._credits.pools[entry.organization_id] = CreditPool(
            organization_id=entry.organization_id, enabled=pool.enabled, total=total, cost_at_end=pool.cost_at_end
        )
        self._note(AuditAction.CREATE_CREDIT, entry.organization_id, entry.id, None, entry)

    def _set_pool(self, pool: CreditPool) -> None:
        before = self._credits.pools.get(pool.organization_id)
        self._credits.pools[pool.organization_id] = pool
        self._note(AuditAction.UPDATE_CREDIT_POOL, pool.organization_id, pool.organization_id, before, pool)

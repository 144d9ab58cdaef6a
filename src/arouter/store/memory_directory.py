"""Part of the reference backend: the directory, and what would be on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from arouter.domain.adjustment import Adjustment
from arouter.domain.audit import AuditAction
from arouter.domain.directory_changes import DirectoryChanges
from arouter.domain.keys import Key, by_previous_plaintext
from arouter.domain.provider_keys import ProviderKey, Sealed
from arouter.domain.record import Opening, Record
from arouter.store.base import Home, KeyLabel, KeySecrets, LastChanges, first_of
from arouter.store.memory_audit import MemoryAudit, Trail
from arouter.store.memory_counters import CounterData
from arouter.store.memory_credits import CreditData, MemoryCredits
from arouter.store.memory_guardrails import GuardrailData, MemoryGuardrails
from arouter.store.memory_organizations import Structure
from arouter.store.memory_sign_in import Doors, MemorySignIns


@dataclass(slots=True)
class MemoryData:
    """What would be on disk."""

    trail: Trail
    home: Home | None = None
    keys: dict[str, Key] = field(default_factory=dict)
    """By hash; with the deleted ones."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Secret to hash."""
    previous_secrets: dict[str, str] = field(default_factory=dict)
    """The same of before the last rotation, where it left them some time."""
    provider_keys: dict[str, tuple[ProviderKey, Sealed]] = field(default_factory=dict)
    """By id."""
    structure: Structure = field(default_factory=Structure)
    doors: Doors = field(default_factory=Doors)
    records: dict[str, tuple[Record, int]] = field(default_factory=dict)
    """By id, with the time of writing."""
    adjustments: dict[str, tuple[Adjustment, int]] = field(default_factory=dict)
    """By id, in the order of writing, with its time."""
    open: dict[str, Opening] = field(default_factory=dict)
    last_written_us: int = 0
    guardrails: GuardrailData = field(default_factory=GuardrailData)
    counters: CounterData = field(default_factory=CounterData)
    credits: CreditData = field(default_factory=CreditData)


class MemoryProviderKeys(MemoryAudit):
    """`ProviderKeys` over a dictionary."""

    def __init__(self, data: MemoryData) -> None:
        MemoryAudit.__init__(self, data.trail)
        self._data = data

    async def add_provider_key(self, key: ProviderKey, sealed: Sealed) -> None:
        if key.id in self._data.provider_keys:
            raise ValueError("there is such a key already")
        self._store(AuditAction.CREATE_PROVIDER_KEY, key, sealed)

    async def get_provider_key(self, organization_id: str, key_id: str) -> ProviderKey | None:
        found = self._found(organization_id, key_id)
        return None if found is None else found[0]

    async def list_provider_keys(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_disabled: bool = True
    ) -> Sequence[ProviderKey]:
        keys = [key for key, _ in self._of(organization_id) if include_disabled or not key.disabled]
        keys.sort(key=lambda key: (key.created_at_us, key.id), reverse=True)
        return tuple(keys[offset : offset + limit])

    async def replace_provider_key(self, key: ProviderKey, sealed: Sealed | None = None) -> bool:
        found = self._found(key.organization_id, key.id)
        if found is None:
            return False
        changed = replace(
            found[0],
            name=key.name,
            label=found[0].label if sealed is None else key.label,
            updated_at_us=key.updated_at_us,
            disabled=key.disabled,
            byok_fallback=key.byok_fallback,
        )
        self._store(AuditAction.UPDATE_PROVIDER_KEY, changed, found[1] if sealed is None else sealed)
        return True

    async def reseal_provider_key(self, key: ProviderKey, *, before: Sealed, after: Sealed) -> bool:
        found = self._found(key.organization_id, key.id)
        if found is None or found[1] != before:
            return False
        self._store(AuditAction.RESEAL_PROVIDER_KEY, found[0], after)
        return True

    async def delete_provider_key(self, organization_id: str, key_id: str) -> bool:
        found = self._found(organization_id, key_id)
        if found is None:
            return False
        del self._data.provider_keys[key_id]
        self._note(AuditAction.DELETE_PROVIDER_KEY, organization_id, key_id, found[0], None)
        return True

    async def sealed_provider_keys(self, organization_id: str) -> Sequence[tuple[ProviderKey, Sealed]]:
        return tuple(pair for pair in self._of(organization_id) if not pair[0].disabled)

    async def every_provider_key(
        self, *, after_id: str = "", limit: int = 1000
    ) -> Sequence[tuple[ProviderKey, Sealed]]:
        ids = sorted(key_id for key_id in self._data.provider_keys if key_id > after_id)
        return tuple(self._data.provider_keys[key_id] for key_id in ids[:limit])

    async def provider_key_holders(self) -> Mapping[str, frozenset[str]]:
        holders: dict[str, frozenset[str]] = {}
        for key, sealed in self._data.provider_keys.values():
            if not key.disabled:
                holders[key.organization_id] = holders.get(key.organization_id, frozenset()) | {sealed.key_id}
        return holders

    def _of(self, organization_id: str) -> list[tuple[ProviderKey, Sealed]]:
        return [pair for pair in self._data.provider_keys.values() if pair[0].organization_id == organization_id]

    def _found(self, organization_id: str, key_id: str) -> tuple[ProviderKey, Sealed] | None:
        found = self._data.provider_keys.get(key_id)
        return found if found is not None and found[0].organization_id == organization_id else None

    def _store(self, action: AuditAction, key: ProviderKey, sealed: Sealed) -> None:
        before = self._data.provider_keys.get(key.id, (None, None))[0]
        self._data.provider_keys[key.id] = key, sealed
        self._note(action, key.organization_id, key.id, before, key)


class MemoryDirectory(MemoryProviderKeys, MemoryGuardrails, MemoryCredits, MemorySignIns):
    """`Directory` over dictionaries."""

    def __init__(self, data: MemoryData) -> None:
        MemoryProviderKeys.__init__(self, data)
        MemoryGuardrails.__init__(self, data.guardrails, data.trail)
        MemoryCredits.__init__(self, data.credits, self._cost_of, data.trail)
        MemorySignIns.__init__(self, data.structure, data.trail)
        self._doors = data.doors

    async def home(self, candidate: Home, *, now_us: int) -> Home:
        if self._data.home is None:
            self._data.home = candidate
            await self.add_organization(*first_of(candidate, now_us))
        return self._data.home

    async def delete_workspace(self, organization_id: str, workspace_id: str) -> bool:
        data = self._data
        told = {record.opening.workspace_id for record, _ in data.records.values()}
        told |= {key.workspace_id for key in data.keys.values()}
        told |= {one for member in data.structure.members.values() for one in member.workspace_ids}
        waiting = [one for one in data.structure.invitations.values() if one.accepted_by is None]
        told |= {one for invitation in waiting for one in invitation.workspace_ids}
        if workspace_id in told or (data.home is not None and workspace_id == data.home.workspace_id):
            return False
        return await self._forget_workspace(organization_id, workspace_id)

    async def changes_after(self, revision: int) -> DirectoryChanges:
        changes = self._trail.changes
        known = 0 <= revision <= len(changes)
        return DirectoryChanges(revision=len(changes), things=frozenset(changes[revision:]) if known else None)

    async def last_changes(self) -> LastChanges:
        return LastChanges(revision=len(self._trail.changes), user_rules=self._latest())

    async def find_key(self, secret: str) -> Key | None:
        if secret in self._data.secrets:
            return self._data.keys[self._data.secrets[secret]]
        key_hash = self._data.previous_secrets.get(secret)
        return None if key_hash is None else by_previous_plaintext(self._data.keys[key_hash])

    async def get_key(self, organization_id: str, key_hash: str) -> Key | None:
        return self._live().get((organization_id, key_hash))

    async def secrets_of(self, organization_id: str, key_hash: str) -> KeySecrets | None:
        key = self._live().get((organization_id, key_hash))
        if key is None:
            return None
        current = next(secret for secret, of in self._data.secrets.items() if of == key_hash)
        previous = next((secret for secret, of in self._data.previous_secrets.items() if of == key_hash), None)
        return KeySecrets(current=current, previous=previous, previous_expires_at_us=key.previous_expires_at_us)

    async def list_keys(
        self,
        organization_id: str,
        *,
        offset: int = 0,
        limit: int = 100,
        include_disabled: bool = True,
        creator: str | None = None,
    ) -> Sequence[Key]:
        keys = [
            key
            for key in self._live().values()
            if key.organization_id == organization_id
            and (include_disabled or not key.disabled)
            and creator in (None, key.creator)
        ]
        keys.sort(key=lambda key: (key.created_at_us, key.hash), reverse=True)
        return tuple(keys[offset : offset + limit])

    async def label_keys(self, organization_id: str, key_hashes: Sequence[str]) -> Mapping[str, KeyLabel]:
        return {
            key.hash: KeyLabel(name=key.name, creator=key.creator)
            for key in self._data.keys.values()
            if key.organization_id == organization_id and key.hash in {*key_hashes}
        }

    async def add_key(self, key: Key, *, secret: str) -> None:
        self._check_free(key, secret)
        self._data.keys[key.hash] = key
        self._data.secrets[secret] = key.hash
        self._changed_key(AuditAction.CREATE_KEY, None, key)

    async def add_first_keys(self, keys: Sequence[tuple[Key, str]]) -> bool:
        if any(organization_id == keys[0][0].organization_id for organization_id, _ in self._live()):
            return False
        for key, secret in keys:
            self._check_free(key, secret)
        for key, secret in keys:
            await self.add_key(key, secret=secret)
        return True

    async def replace_key(self, key: Key) -> bool:
        before = self._live().get((key.organization_id, key.hash))
        if before is None:
            return False
        self._data.keys[key.hash] = replace(key, previous_expires_at_us=before.previous_expires_at_us)
        self._changed_key(AuditAction.UPDATE_KEY, before, self._data.keys[key.hash])
        return True

    async def rotate_key(
        self,
        organization_id: str,
        key_hash: str,
        *,
        secret: str,
        label: str,
        now_us: int,
        previous_expires_at_us: int | None = None,
    ) -> bool:
        secrets = await self.secrets_of(organization_id, key_hash)
        if secrets is None:
            return False
        if (self._data.secrets | self._data.previous_secrets).get(secret, key_hash) != key_hash:
            raise ValueError("there is such a key already")
        key = self._data.keys[key_hash]
        self._forget_secrets(key_hash)
        self._data.secrets[secret] = key_hash
        if previous_expires_at_us is not None:
            self._data.previous_secrets[secrets.current] = key_hash
        self._data.keys[key_hash] = replace(
            key, label=label, updated_at_us=now_us, previous_expires_at_us=previous_expires_at_us
        )
        self._changed_key(AuditAction.ROTATE_KEY, key, self._data.keys[key_hash])
        return True

    async def delete_key(self, organization_id: str, key_hash: str, *, now_us: int) -> bool:
        key = self._live().get((organization_id, key_hash))
        if key is None:
            return False
        self._forget_secrets(key_hash)
        self._changed_key(AuditAction.DELETE_KEY, key, None)
        return True

    def _cost_of(self, organization_id: str) -> int:
        """What all of the organization's records cost, at the costs that hold."""
        latest = {one.record_id: one.cost for one, _ in self._data.adjustments.values()}
        records = [record for record, _ in self._data.records.values()]
        costs = [
            latest.get(record.opening.id, record.cost)
            for record in records
            if record.opening.organization_id == organization_id
        ]
        return sum(cost for cost in costs if cost is not None)

    def _changed_key(self, action: AuditAction, before: Key | None, after: Key | None) -> None:
        one = after or before
        assert one is not None
        self._note(action, one.organization_id, one.hash, before, after)

    def _check_free(self, key: Key, secret: str) -> None:
        if key.hash in self._data.keys or secret in self._data.secrets | self._data.previous_secrets:
            raise ValueError("there is such a key already")

    def _live(self) -> dict[tuple[str, str], Key]:
        """A key without a secret was deleted."""
        keys = [self._data.keys[key_hash] for key_hash in self._data.secrets.values()]
        return {(key.organization_id, key.hash): key for key in keys}

    def _forget_secrets(self, key_hash: str) -> None:
        data = self._data
        data.secrets = {secret: of for secret, of in data.secrets.items() if of != key_hash}
        data.previous_secrets = {secret: of for secret, of in data.previous_secrets.items() if of != key_hash}

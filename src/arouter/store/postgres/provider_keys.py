"""`ProviderKeys` in PostgreSQL."""

from collections.abc import Mapping, Sequence

from arouter.domain.audit import AuditAction
from arouter.domain.provider_keys import ProviderKey, Sealed
from arouter.store.directory_rows import (
    PROVIDER_KEY_COLUMNS,
    Row,
    provider_key_values,
    read_provider_key,
    sealed_values,
)
from arouter.store.postgres.changes import Change, PostgresChanges, reading
from arouter.store.postgres.statements import queries, statement

_AREA = "directory"


class PostgresProviderKeys(PostgresChanges):
    """As the parts of the directory do."""

    async def add_provider_key(self, key: ProviderKey, sealed: Sealed) -> None:
        sql = statement(_AREA, "add_provider_key", PROVIDER_KEY_COLUMNS)
        await self._change(_of(AuditAction.CREATE_PROVIDER_KEY, key), (sql, provider_key_values(key, sealed)))

    async def get_provider_key(self, organization_id: str, key_id: str) -> ProviderKey | None:
        found = await self._pairs("get_provider_key", organization_id, key_id)
        return found[0][0] if found else None

    async def list_provider_keys(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_disabled: bool = True
    ) -> Sequence[ProviderKey]:
        found = await self._pairs("list_provider_keys", organization_id, include_disabled, limit, offset)
        return tuple(key for key, _ in found)

    async def replace_provider_key(self, key: ProviderKey, sealed: Sealed | None = None) -> bool:
        place = (key.organization_id, key.id)
        change = _of(AuditAction.UPDATE_PROVIDER_KEY, key)
        changeable = (key.name, key.updated_at_us, key.disabled, key.byok_fallback)
        if sealed is None:
            return await self._change(change, (queries(_AREA)["replace_provider_key"], (*place, *changeable)))
        sql = queries(_AREA)["replace_provider_key_and_secret"]
        return await self._change(change, (sql, (*place, *changeable, key.label, *sealed_values(sealed))))

    async def reseal_provider_key(self, key: ProviderKey, *, before: Sealed, after: Sealed) -> bool:
        values = (key.organization_id, key.id, *sealed_values(before), *sealed_values(after))
        change = _of(AuditAction.RESEAL_PROVIDER_KEY, key)
        return await self._change(change, (queries(_AREA)["reseal_provider_key"], values))

    async def delete_provider_key(self, organization_id: str, key_id: str) -> bool:
        change = _changing(AuditAction.DELETE_PROVIDER_KEY, organization_id, key_id)
        return await self._change(change, (queries(_AREA)["delete_provider_key"], (organization_id, key_id)))

    async def sealed_provider_keys(self, organization_id: str) -> Sequence[tuple[ProviderKey, Sealed]]:
        return await self._pairs("sealed_provider_keys", organization_id)

    async def every_provider_key(
        self, *, after_id: str = "", limit: int = 1000
    ) -> Sequence[tuple[ProviderKey, Sealed]]:
        return await self._pairs("every_provider_key", after_id, limit)

    async def provider_key_holders(self) -> Mapping[str, frozenset[str]]:
        holders: dict[str, frozenset[str]] = {}
        for organization_id, sealed_with in await self._all(tuple, queries(_AREA)["provider_key_holders"]):
            holders[organization_id] = holders.get(organization_id, frozenset()) | {sealed_with}
        return holders

    async def _pairs(self, name: str, *values: object) -> tuple[tuple[ProviderKey, Sealed], ...]:
        return await self._all(read_provider_key, statement(_AREA, name, PROVIDER_KEY_COLUMNS), *values)


def _of(action: AuditAction, key: ProviderKey) -> Change:
    return _changing(action, key.organization_id, key.id)


def _changing(action: AuditAction, organization_id: str, key_id: str) -> Change:
    sql = statement(_AREA, "get_provider_key", PROVIDER_KEY_COLUMNS)
    read = reading(_read, sql, organization_id, key_id)
    return Change(action=action, organization_id=organization_id, target_id=key_id, read=read)


def _read(row: Row) -> ProviderKey:
    """Without the secret."""
    return read_provider_key(row)[0]

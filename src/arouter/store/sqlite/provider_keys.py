"""`ProviderKeys` in SQLite."""

from collections.abc import Mapping, Sequence

import apsw

from arouter.domain.audit import AuditAction
from arouter.domain.provider_keys import ProviderKey, Sealed
from arouter.store.directory_rows import (
    PROVIDER_KEY_COLUMNS,
    Value,
    provider_key_values,
    read_provider_key,
    sealed_values,
)
from arouter.store.sqlite.changes import Change, SqliteChanges
from arouter.store.sqlite.statements import queries

_COLUMN_LIST = ", ".join(PROVIDER_KEY_COLUMNS)
_PLACES = ", ".join("?" * len(PROVIDER_KEY_COLUMNS))


class SqliteProviderKeys(SqliteChanges):
    """As the parts of the directory do."""

    async def add_provider_key(self, key: ProviderKey, sealed: Sealed) -> None:
        sql = queries()["add_provider_key"].format(columns=_COLUMN_LIST, places=_PLACES)
        await self._change(_of(AuditAction.CREATE_PROVIDER_KEY, key), (sql, provider_key_values(key, sealed)))

    async def get_provider_key(self, organization_id: str, key_id: str) -> ProviderKey | None:
        found = await self._pairs("get_provider_key", organization_id, key_id)
        return found[0][0] if found else None

    async def list_provider_keys(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_disabled: bool = True
    ) -> Sequence[ProviderKey]:
        found = await self._pairs("list_provider_keys", organization_id, int(include_disabled), limit, offset)
        return tuple(key for key, _ in found)

    async def replace_provider_key(self, key: ProviderKey, sealed: Sealed | None = None) -> bool:
        place = (key.organization_id, key.id)
        change = _of(AuditAction.UPDATE_PROVIDER_KEY, key)
        changeable = (key.name, key.updated_at_us, int(key.disabled), int(key.byok_fallback))
        if sealed is None:
            return await self._change(change, (queries()["replace_provider_key"], (*changeable, *place)))
        sql = queries()["replace_provider_key_and_secret"]
        return await self._change(change, (sql, (*changeable, key.label, *sealed_values(sealed), *place)))

    async def reseal_provider_key(self, key: ProviderKey, *, before: Sealed, after: Sealed) -> bool:
        places = (key.organization_id, key.id, *sealed_values(before))
        change = _of(AuditAction.RESEAL_PROVIDER_KEY, key)
        return await self._change(change, (queries()["reseal_provider_key"], (*sealed_values(after), *places)))

    async def delete_provider_key(self, organization_id: str, key_id: str) -> bool:
        change = _changing(AuditAction.DELETE_PROVIDER_KEY, organization_id, key_id)
        return await self._change(change, (queries()["delete_provider_key"], (organization_id, key_id)))

    async def sealed_provider_keys(self, organization_id: str) -> Sequence[tuple[ProviderKey, Sealed]]:
        return await self._pairs("sealed_provider_keys", organization_id)

    async def every_provider_key(
        self, *, after_id: str = "", limit: int = 1000
    ) -> Sequence[tuple[ProviderKey, Sealed]]:
        return await self._pairs("every_provider_key", after_id, limit)

    async def provider_key_holders(self) -> Mapping[str, frozenset[str]]:
        def read(connection: apsw.Connection) -> Mapping[str, frozenset[str]]:
            holders: dict[str, frozenset[str]] = {}
            for organization_id, sealed_with in connection.execute(queries()["provider_key_holders"]):
                holders[organization_id] = holders.get(organization_id, frozenset()) | {sealed_with}
            return holders

        return await self._readers.read(read, apart=True)

    async def _pairs(self, name: str, *parameters: Value) -> tuple[tuple[ProviderKey, Sealed], ...]:
        sql = queries()[name].format(columns=_COLUMN_LIST)
        return await self._readers.read(
            lambda connection: tuple(read_provider_key(row) for row in connection.execute(sql, parameters).fetchall()),
            apart=True,
        )


def _of(action: AuditAction, key: ProviderKey) -> Change:
    return _changing(action, key.organization_id, key.id)


def _changing(action: AuditAction, organization_id: str, key_id: str) -> Change:
    def read(connection: apsw.Connection) -> ProviderKey | None:
        sql = queries()["get_provider_key"].format(columns=_COLUMN_LIST)
        row = connection.execute(sql, (organization_id, key_id)).fetchone()
        return None if row is None else read_provider_key(row)[0]

    return Change(action=action, organization_id=organization_id, target_id=key_id, read=read)

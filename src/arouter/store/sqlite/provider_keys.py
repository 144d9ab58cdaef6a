"""`ProviderKeys` in SQLite."""

from collections.abc import Mapping, Sequence

import apsw

from arouter.domain.provider_keys import ProviderKey, Sealed
from arouter.store.sqlite.readers import Readers
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.writer import Writer

Value = str | int | bytes | None

_KEY_COLUMNS = (
    "id",
    "organization_id",
    "api_key_hash",
    "provider",
    "name",
    "label",
    "creator",
    "created_at_us",
    "updated_at_us",
    "disabled",
    "byok_fallback",
)
_SEALED_COLUMNS = ("sealed_with", "nonce", "ciphertext")
_COLUMNS = (*_KEY_COLUMNS, *_SEALED_COLUMNS)
_COLUMN_LIST = ", ".join(_COLUMNS)
_PLACES = ", ".join("?" * len(_COLUMNS))


class SqliteProviderKeys:
    """Reads in the readers' threads, writes in the writer's."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def add_provider_key(self, key: ProviderKey, sealed: Sealed) -> None:
        sql = queries()["add_provider_key"].format(columns=_COLUMN_LIST, places=_PLACES)
        await self._change(sql, *_key_values(key), *_sealed_values(sealed))

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
        changeable = (key.name, key.updated_at_us, int(key.disabled), int(key.byok_fallback))
        if sealed is None:
            return await self._change(queries()["replace_provider_key"], *changeable, *place)
        sql = queries()["replace_provider_key_and_secret"]
        return await self._change(sql, *changeable, key.label, *_sealed_values(sealed), *place)

    async def reseal_provider_key(self, key: ProviderKey, *, before: Sealed, after: Sealed) -> bool:
        places = (key.organization_id, key.id, *_sealed_values(before))
        return await self._change(queries()["reseal_provider_key"], *_sealed_values(after), *places)

    async def delete_provider_key(self, organization_id: str, key_id: str) -> bool:
        return await self._change(queries()["delete_provider_key"], organization_id, key_id)

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

        return await self._readers.read(read)

    async def _pairs(self, name: str, *parameters: Value) -> tuple[tuple[ProviderKey, Sealed], ...]:
        sql = queries()[name].format(columns=_COLUMN_LIST)
        return await self._readers.read(
            lambda connection: tuple(_pair(row) for row in connection.execute(sql, parameters).fetchall())
        )

    async def _change(self, sql: str, *parameters: Value) -> bool:
        """Whether the statement changed anything; a change raises the revision."""

        def run(connection: apsw.Connection) -> bool:
            connection.execute(sql, parameters)
            changed = connection.changes() > 0
            if changed:
                connection.execute(queries()["raise_revision"])
            return changed

        result: bool = await self._writer.command(run)
        return result


def _key_values(key: ProviderKey) -> tuple[Value, ...]:
    return (
        key.id,
        key.organization_id,
        key.api_key_hash,
        key.provider,
        key.name,
        key.label,
        key.creator,
        key.created_at_us,
        key.updated_at_us,
        int(key.disabled),
        int(key.byok_fallback),
    )


def _sealed_values(sealed: Sealed) -> tuple[Value, ...]:
    return (sealed.key_id, sealed.nonce, sealed.ciphertext)


def _pair(row: tuple) -> tuple[ProviderKey, Sealed]:  # type: ignore[type-arg]
    value = dict(zip(_COLUMNS, row, strict=True))
    key = ProviderKey(
        **{name: value[name] for name in _KEY_COLUMNS if name not in ("disabled", "byok_fallback")},
        disabled=bool(value["disabled"]),
        byok_fallback=bool(value["byok_fallback"]),
    )
    return key, Sealed(key_id=value["sealed_with"], nonce=value["nonce"], ciphertext=value["ciphertext"])

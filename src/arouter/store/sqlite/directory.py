"""`Directory` in SQLite."""

from collections.abc import Mapping, Sequence

import apsw
import msgspec

from arouter.domain.audit import AuditAction
from arouter.domain.keys import ActivityScope, Key, KeyKind, LimitReset, UserPolicy, by_previous_plaintext
from arouter.domain.limits import Limits
from arouter.domain.money import Picodollars
from arouter.store.base import Home, KeyLabel, KeySecrets, first_of
from arouter.store.sqlite.changes import Change
from arouter.store.sqlite.guardrails import SqliteGuardrails
from arouter.store.sqlite.names import fetch, to_json
from arouter.store.sqlite.organizations import SqliteOrganizations, adding, creating
from arouter.store.sqlite.provider_keys import SqliteProviderKeys
from arouter.store.sqlite.sign_in import SqliteSignIns
from arouter.store.sqlite.statements import queries

_CHANGEABLE = (
    "hash",
    "name",
    "kind",
    "label",
    "organization_id",
    "workspace_id",
    "creator",
    "created_at_us",
    "updated_at_us",
    "expires_at_us",
    "disabled",
    "spending_limit",
    "limit_reset",
    "allowed_providers",
    "allowed_models",
    "user_policy",
    "fixed_user",
    "activity_scope",
    "rate_limit",
    "default_user_limits",
)
_COLUMNS = (*_CHANGEABLE, "previous_expires_at_us")
"""The last one is changed by a rotation alone."""
_COLUMN_LIST = ", ".join(_COLUMNS)


class SqliteDirectory(SqliteProviderKeys, SqliteGuardrails, SqliteOrganizations, SqliteSignIns):
    """All parts as one."""

    async def home(self, candidate: Home, *, now_us: int) -> Home:
        home = await self._readers.read(_home)
        if home is not None:
            return home

        def found(connection: apsw.Connection) -> Home:
            there = _home(connection)
            if there is not None:
                return there
            organization, workspace = first_of(candidate, now_us)
            connection.execute(*adding(organization))
            connection.execute(*adding(workspace))
            for change in creating(organization, workspace):
                self._note(connection, change, None)
            sql = queries()
            connection.execute(sql["set_home"], (candidate.organization_id, candidate.workspace_id, candidate.secret))
            connection.execute(sql["raise_revision"])
            return candidate

        result: Home = await self._writer.command(found)
        return result

    async def revision(self) -> int:
        return await self._readers.read(lambda connection: int(connection.execute(queries()["revision"]).get))

    async def find_key(self, secret: str) -> Key | None:
        found = await self._one("find_key", secret)
        if found is not None:
            return found
        found = await self._one("find_key_by_previous", secret)
        return None if found is None else by_previous_plaintext(found)

    async def get_key(self, organization_id: str, key_hash: str) -> Key | None:
        return await self._one("get_key", organization_id, key_hash)

    async def secrets_of(self, organization_id: str, key_hash: str) -> KeySecrets | None:
        sql, parameters = queries()["secrets_of"], (organization_id, key_hash)
        row = await self._readers.read(lambda connection: connection.execute(sql, parameters).fetchone())
        if row is None:
            return None
        current, previous, previous_expires_at_us = row
        return KeySecrets(current=current, previous=previous, previous_expires_at_us=previous_expires_at_us)

    async def list_keys(
        self,
        organization_id: str,
        *,
        offset: int = 0,
        limit: int = 100,
        include_disabled: bool = True,
        creator: str | None = None,
    ) -> Sequence[Key]:
        sql = queries()["list_keys"].format(columns=_COLUMN_LIST)
        parameters = (organization_id, int(include_disabled), creator, limit, offset)
        return await self._readers.read(
            lambda connection: tuple(_key(row) for row in connection.execute(sql, parameters).fetchall())
        )

    async def label_keys(self, organization_id: str, key_hashes: Sequence[str]) -> Mapping[str, KeyLabel]:
        sql, hashes = queries()["label_keys"], to_json(sorted(set(key_hashes)))
        rows = await self._readers.read(lambda connection: fetch(connection, sql, organization_id, hashes))
        return {key_hash: KeyLabel(name=name, creator=creator) for key_hash, name, creator in rows}

    async def add_key(self, key: Key, *, secret: str) -> None:
        sql = queries()["add_key"].format(columns=", ".join(_CHANGEABLE), places=_places(len(_CHANGEABLE)))

        def check(connection: apsw.Connection) -> None:
            _check_free(connection, secret, key.hash)

        await self._change(_of(AuditAction.CREATE_KEY, key), (sql, (*_values(key), secret)), first=check)

    async def replace_key(self, key: Key) -> bool:
        sql = queries()["replace_key"].format(columns=", ".join(_CHANGEABLE), places=_places(len(_CHANGEABLE)))
        values = (*_values(key), key.organization_id, key.hash)
        return await self._change(_of(AuditAction.UPDATE_KEY, key), (sql, values))

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
        change = _changing(AuditAction.ROTATE_KEY, organization_id, key_hash)
        values = (secret, label, now_us, previous_expires_at_us, organization_id, key_hash)

        def check(connection: apsw.Connection) -> None:
            _check_free(connection, secret, key_hash)

        return await self._change(change, (queries()["rotate_key"], values), first=check)

    async def delete_key(self, organization_id: str, key_hash: str, *, now_us: int) -> bool:
        change = _changing(AuditAction.DELETE_KEY, organization_id, key_hash)
        return await self._change(change, (queries()["delete_key"], (now_us, organization_id, key_hash)))

    async def _one(self, name: str, *parameters: str) -> Key | None:
        sql = queries()[name].format(columns=_COLUMN_LIST)
        row = await self._readers.read(lambda connection: connection.execute(sql, parameters).fetchone())
        return None if row is None else _key(row)


def _places(count: int) -> str:
    return ", ".join("?" * count)


def _check_free(connection: apsw.Connection, secret: str, key_hash: str) -> None:
    """ValueError if the secret was another key's before its rotation; what it is now, a constraint holds."""
    row = connection.execute(queries()["find_key_by_previous"].format(columns="hash"), (secret,)).fetchone()
    if row is not None and row[0] != key_hash:
        raise ValueError("there is such a key already")


def _home(connection: apsw.Connection) -> Home | None:
    row = connection.execute(queries()["home"]).fetchone()
    if row is None:
        return None
    organization_id, workspace_id, secret = row
    return Home(organization_id=organization_id, workspace_id=workspace_id, secret=secret)


def _of(action: AuditAction, key: Key) -> Change:
    return _changing(action, key.organization_id, key.hash)


def _changing(action: AuditAction, organization_id: str, key_hash: str) -> Change:
    def read(connection: apsw.Connection) -> Key | None:
        sql = queries()["get_key"].format(columns=_COLUMN_LIST)
        row = connection.execute(sql, (organization_id, key_hash)).fetchone()
        return None if row is None else _key(row)

    return Change(action=action, organization_id=organization_id, target_id=key_hash, read=read)


def _values(key: Key) -> tuple[str | int | None, ...]:
    return (
        key.hash,
        key.name,
        key.kind.value,
        key.label,
        key.organization_id,
        key.workspace_id,
        key.creator,
        key.created_at_us,
        key.updated_at_us,
        key.expires_at_us,
        int(key.disabled),
        key.limit,
        None if key.limit_reset is None else key.limit_reset.value,
        None if key.allowed_providers is None else to_json(key.allowed_providers),
        None if key.allowed_models is None else to_json(key.allowed_models),
        key.user_policy.value,
        key.fixed_user,
        key.activity_scope.value,
        None if key.rate_limit is None else to_json(key.rate_limit),
        None if key.default_user_limits is None else to_json(key.default_user_limits),
    )


def _key(row: tuple) -> Key:  # type: ignore[type-arg]
    value = dict(zip(_COLUMNS, row, strict=True))
    limit, reset = value["spending_limit"], value["limit_reset"]
    return Key(
        hash=value["hash"],
        name=value["name"],
        kind=KeyKind(value["kind"]),
        label=value["label"],
        organization_id=value["organization_id"],
        workspace_id=value["workspace_id"],
        creator=value["creator"],
        created_at_us=value["created_at_us"],
        updated_at_us=value["updated_at_us"],
        expires_at_us=value["expires_at_us"],
        disabled=bool(value["disabled"]),
        limit=None if limit is None else Picodollars(limit),
        limit_reset=None if reset is None else LimitReset(reset),
        allowed_providers=_texts(value["allowed_providers"]),
        allowed_models=_texts(value["allowed_models"]),
        user_policy=UserPolicy(value["user_policy"]),
        fixed_user=value["fixed_user"],
        activity_scope=ActivityScope(value["activity_scope"]),
        rate_limit=_limits(value["rate_limit"]),
        default_user_limits=_limits(value["default_user_limits"]),
        previous_expires_at_us=value["previous_expires_at_us"],
    )


def _limits(text: str | None) -> Limits | None:
    return None if text is None else msgspec.json.decode(text, type=Limits)


def _texts(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else msgspec.json.decode(text, type=tuple[str, ...])

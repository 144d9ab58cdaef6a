"""`Directory` in PostgreSQL."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from arouter.domain.audit import AuditAction
from arouter.domain.directory_changes import DirectoryChanges
from arouter.domain.keys import Key, by_previous_plaintext
from arouter.store.base import Home, KeyLabel, KeySecrets, LastChanges, first_of
from arouter.store.directory_rows import CHANGEABLE_KEY_COLUMNS, KEY_COLUMNS, Row, key_values, read_changes, read_key
from arouter.store.postgres.audit import AREA
from arouter.store.postgres.changes import Change, Unchanged, count_change, reading
from arouter.store.postgres.credits import PostgresCredits
from arouter.store.postgres.errors import refusals
from arouter.store.postgres.guardrails import PostgresGuardrails
from arouter.store.postgres.organizations import PostgresOrganizations, adding, creating
from arouter.store.postgres.provider_keys import PostgresProviderKeys
from arouter.store.postgres.sign_in import PostgresSignIns
from arouter.store.postgres.statements import queries, statement
from arouter.store.postgres.texts import listed

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

_AREA = "directory"


class PostgresDirectory(
    PostgresProviderKeys, PostgresGuardrails, PostgresOrganizations, PostgresSignIns, PostgresCredits
):
    """All parts as one."""

    async def home(self, candidate: Home, *, now_us: int) -> Home:
        there = await self._first(_read_home, queries(_AREA)["home"])
        if there is not None:
            return there
        async with self._pool.transaction() as connection:
            with refusals():
                await connection.execute(queries(_AREA)["lock_home"])
                there = await reading(_read_home, queries(_AREA)["home"])(connection)
                if there is None:
                    await self._settle(connection, candidate, now_us)
        return there or candidate

    async def _settle(self, connection: "Connection", home: Home, now_us: int) -> None:
        """Make the first organization and workspace, and note them as the home."""
        organization, workspace = first_of(home, now_us)
        for sql, values in (adding(organization), adding(workspace)):
            await connection.execute(sql, *values)
        changes = creating(organization, workspace)
        for change in changes:
            await self._note(connection, change, None)
        await connection.execute(queries(_AREA)["set_home"], home.organization_id, home.workspace_id, home.secret)
        await count_change(connection, *(change.thing for change in changes))

    async def changes_after(self, revision: int) -> DirectoryChanges:
        async with self._pool.lend() as connection:
            rows = await connection.fetch(queries(AREA)["changes_after"], revision)
        return read_changes([tuple(row) for row in rows], revision)

    async def last_changes(self) -> LastChanges:
        async with self._pool.lend() as connection:
            row = await connection.fetchrow(queries(AREA)["last_changes"])
        return LastChanges(revision=0, user_rules=0) if row is None else LastChanges(**row)

    async def find_key(self, secret: str) -> Key | None:
        found = await self._first(read_key, _over_keys("find_key"), secret)
        if found is not None:
            return found
        found = await self._first(read_key, _over_keys("find_key_by_previous"), secret)
        return None if found is None else by_previous_plaintext(found)

    async def get_key(self, organization_id: str, key_hash: str) -> Key | None:
        return await self._first(read_key, _over_keys("get_key"), organization_id, key_hash)

    async def secrets_of(self, organization_id: str, key_hash: str) -> KeySecrets | None:
        return await self._first(_read_secrets, queries(_AREA)["secrets_of"], organization_id, key_hash)

    async def list_keys(
        self,
        organization_id: str,
        *,
        offset: int = 0,
        limit: int = 100,
        include_disabled: bool = True,
        creator: str | None = None,
    ) -> Sequence[Key]:
        values = (organization_id, include_disabled, creator, limit, offset)
        return await self._all(read_key, _over_keys("list_keys"), *values)

    async def label_keys(self, organization_id: str, key_hashes: Sequence[str]) -> Mapping[str, KeyLabel]:
        hashes = listed(sorted(set(key_hashes)))
        rows = await self._all(tuple, queries(_AREA)["label_keys"], organization_id, hashes)
        return {key_hash: KeyLabel(name=name, creator=creator) for key_hash, name, creator in rows}

    async def add_key(self, key: Key, *, secret: str) -> None:
        sql = statement(_AREA, "add_key", CHANGEABLE_KEY_COLUMNS, behind=1)
        await self._change(
            _of(AuditAction.CREATE_KEY, key), (sql, (secret, *key_values(key))), first=_checking(secret, key.hash)
        )

    async def add_first_keys(self, keys: Sequence[tuple[Key, str]]) -> bool:
        sql = statement(_AREA, "add_key", CHANGEABLE_KEY_COLUMNS, behind=1)
        organization_id = keys[0][0].organization_id

        async def check(connection: "Connection") -> None:
            # Whoever came first has the organization's lock until its keys are there.
            if await connection.fetchval(queries(_AREA)["has_keys"], organization_id):
                raise Unchanged
            for key, secret in keys:
                await _checking(secret, key.hash)(connection)

        changes = [_of(AuditAction.CREATE_KEY, key) for key, _ in keys]
        adding_keys = [(sql, (secret, *key_values(key))) for key, secret in keys]
        return await self._change(changes, *adding_keys, first=check)

    async def replace_key(self, key: Key) -> bool:
        sql = statement(_AREA, "replace_key", CHANGEABLE_KEY_COLUMNS, behind=2)
        values = (key.organization_id, key.hash, *key_values(key))
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
        values = (organization_id, key_hash, secret, label, now_us, previous_expires_at_us)
        return await self._change(change, (queries(_AREA)["rotate_key"], values), first=_checking(secret, key_hash))

    async def delete_key(self, organization_id: str, key_hash: str, *, now_us: int) -> bool:
        change = _changing(AuditAction.DELETE_KEY, organization_id, key_hash)
        return await self._change(change, (queries(_AREA)["delete_key"], (organization_id, key_hash, now_us)))


def _read_home(row: Row) -> Home:
    organization_id, workspace_id, secret = row
    return Home(organization_id=organization_id, workspace_id=workspace_id, secret=secret)


def _read_secrets(row: Row) -> KeySecrets:
    current, previous, previous_expires_at_us = row
    return KeySecrets(current=current, previous=previous, previous_expires_at_us=previous_expires_at_us)


def _checking(secret: str, key_hash: str) -> "Callable[[Connection], Awaitable[None]]":
    """ValueError if the secret was another key's before its rotation; what it is now, a constraint holds.

    Two organizations may look at once; but secrets are random, and theirs are the same only if one of them is known.
    """

    async def check(connection: "Connection") -> None:
        if await connection.fetchval(queries(_AREA)["is_secret_taken"], secret, key_hash):
            raise ValueError("there is such a key already")

    return check


def _of(action: AuditAction, key: Key) -> Change:
    return _changing(action, key.organization_id, key.hash)


def _changing(action: AuditAction, organization_id: str, key_hash: str) -> Change:
    read = reading(read_key, _over_keys("get_key"), organization_id, key_hash)
    return Change(action=action, organization_id=organization_id, target_id=key_hash, read=read)


def _over_keys(name: str) -> str:
    return statement(_AREA, name, KEY_COLUMNS)

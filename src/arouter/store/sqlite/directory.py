"""`Directory` in SQLite."""

from collections.abc import Mapping, Sequence

import apsw

from arouter.domain.audit import AuditAction
from arouter.domain.directory_changes import DirectoryChanges
from arouter.domain.keys import Key, by_previous_plaintext
from arouter.store.base import Home, KeyLabel, KeySecrets, LastChanges, first_of
from arouter.store.directory_rows import CHANGEABLE_KEY_COLUMNS, KEY_COLUMNS, key_values, read_changes, read_key
from arouter.store.sqlite.changes import Change, count_change
from arouter.store.sqlite.credits import SqliteCredits
from arouter.store.sqlite.guardrails import SqliteGuardrails, last_change_of_user_rules
from arouter.store.sqlite.lasting import Lasting
from arouter.store.sqlite.names import fetch, to_json
from arouter.store.sqlite.organizations import SqliteOrganizations, adding, creating
from arouter.store.sqlite.provider_keys import SqliteProviderKeys
from arouter.store.sqlite.readers import Readers
from arouter.store.sqlite.sign_in import SqliteSignIns
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.writer import Writer

_COLUMN_LIST = ", ".join(KEY_COLUMNS)
_CHANGEABLE = {"columns": ", ".join(CHANGEABLE_KEY_COLUMNS), "places": ", ".join("?" * len(CHANGEABLE_KEY_COLUMNS))}


class SqliteDirectory(SqliteProviderKeys, SqliteGuardrails, SqliteOrganizations, SqliteCredits, SqliteSignIns):
    """All parts as one."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        super().__init__(writer, readers)
        self._last_changes = Lasting(readers, _last_changes)

    async def home(self, candidate: Home, *, now_us: int) -> Home:
        home = await self._readers.read(_home, apart=True)
        if home is not None:
            return home

        def found(connection: apsw.Connection) -> Home:
            there = _home(connection)
            if there is not None:
                return there
            organization, workspace = first_of(candidate, now_us)
            connection.execute(*adding(organization))
            connection.execute(*adding(workspace))
            changes = creating(organization, workspace)
            for change in changes:
                self._note(connection, change, None)
            sql = queries()
            connection.execute(sql["set_home"], (candidate.organization_id, candidate.workspace_id, candidate.secret))
            count_change(connection, *(change.thing for change in changes))
            return candidate

        result: Home = await self._writer.command(found, apart=True)
        return result

    async def changes_after(self, revision: int) -> DirectoryChanges:
        sql = queries()["changes_after"]
        rows = await self._readers.read(lambda connection: connection.execute(sql, (revision,)).fetchall(), apart=True)
        return read_changes(rows, revision)

    async def last_changes(self) -> LastChanges:
        return await self._last_changes.read()

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
        row = await self._readers.read(lambda connection: connection.execute(sql, parameters).fetchone(), apart=True)
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
            lambda connection: tuple(read_key(row) for row in connection.execute(sql, parameters).fetchall()),
            apart=True,
        )

    async def label_keys(self, organization_id: str, key_hashes: Sequence[str]) -> Mapping[str, KeyLabel]:
        sql, hashes = queries()["label_keys"], to_json(sorted(set(key_hashes)))
        rows = await self._readers.read(lambda connection: fetch(connection, sql, organization_id, hashes), apart=True)
        return {key_hash: KeyLabel(name=name, creator=creator) for key_hash, name, creator in rows}

    async def add_key(self, key: Key, *, secret: str) -> None:
        sql = queries()["add_key"].format(**_CHANGEABLE)

        def check(connection: apsw.Connection) -> None:
            _check_free(connection, secret, key.hash)

        await self._change(_of(AuditAction.CREATE_KEY, key), (sql, (*key_values(key), secret)), first=check)

    async def add_first_keys(self, keys: Sequence[tuple[Key, str]]) -> bool:
        sql = queries()["add_key"].format(**_CHANGEABLE)

        def run(connection: apsw.Connection) -> bool:
            if connection.execute(queries()["has_keys"], (keys[0][0].organization_id,)).get:
                return False
            changes = [_of(AuditAction.CREATE_KEY, key) for key, _ in keys]
            for (key, secret), change in zip(keys, changes, strict=True):
                _check_free(connection, secret, key.hash)
                connection.execute(sql, (*key_values(key), secret))
                self._note(connection, change, None)
            count_change(connection, *(change.thing for change in changes))
            return True

        result: bool = await self._writer.command(run)
        return result

    async def replace_key(self, key: Key) -> bool:
        sql = queries()["replace_key"].format(**_CHANGEABLE)
        values = (*key_values(key), key.organization_id, key.hash)
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
        row = await self._readers.read(lambda connection: connection.execute(sql, parameters).fetchone(), apart=True)
        return None if row is None else read_key(row)


def _revision(connection: apsw.Connection) -> int:
    return int(connection.execute(queries()["revision"]).get)


def _last_changes(connection: apsw.Connection) -> LastChanges:
    return LastChanges(revision=_revision(connection), user_rules=last_change_of_user_rules(connection))


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
        return None if row is None else read_key(row)

    return Change(action=action, organization_id=organization_id, target_id=key_hash, read=read)

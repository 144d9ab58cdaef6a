"""`Guardrails` in SQLite."""

from collections.abc import Collection, Mapping, Sequence

import apsw

from arouter.domain.audit import AuditAction
from arouter.domain.guardrails import Guardrail, UserRules
from arouter.domain.users import end_of_prefix
from arouter.store.base import MOST_TOLD, UserRulesChange
from arouter.store.directory_rows import (
    GUARDRAIL_COLUMNS,
    Value,
    guardrail_values,
    read_guardrail,
    read_user_rules,
    user_rules_values,
)
from arouter.store.sqlite.changes import Change, SqliteChanges
from arouter.store.sqlite.names import fetch, to_json
from arouter.store.sqlite.readers import Readers, Together
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.writer import Writer

_COLUMN_LIST = ", ".join(GUARDRAIL_COLUMNS)
_PLACES = ", ".join("?" * len(GUARDRAIL_COLUMNS))


class SqliteGuardrails(SqliteChanges):
    """As the parts of the directory do."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        super().__init__(writer, readers)
        self._user_rules = Together(readers, _rules_of)

    async def add_guardrail(self, guardrail: Guardrail) -> None:
        sql = queries()["add_guardrail"].format(columns=_COLUMN_LIST, places=_PLACES)
        await self._change(_of(AuditAction.CREATE_GUARDRAIL, guardrail), (sql, guardrail_values(guardrail)))

    async def get_guardrail(self, organization_id: str, guardrail_id: str) -> Guardrail | None:
        found = await self._guardrails("get_guardrail", organization_id, guardrail_id)
        return found[0] if found else None

    async def list_guardrails(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_disabled: bool = True
    ) -> Sequence[Guardrail]:
        return await self._guardrails("list_guardrails", organization_id, int(include_disabled), limit, offset)

    async def replace_guardrail(self, guardrail: Guardrail) -> bool:
        sql = queries()["replace_guardrail"].format(columns=_COLUMN_LIST, places=_PLACES)
        values = (*guardrail_values(guardrail), guardrail.organization_id, guardrail.id)
        return await self._change(_of(AuditAction.UPDATE_GUARDRAIL, guardrail), (sql, values))

    async def delete_guardrail(self, organization_id: str, guardrail_id: str) -> bool:
        change = _changing(AuditAction.DELETE_GUARDRAIL, organization_id, guardrail_id)
        return await self._change(change, (queries()["delete_guardrail"], (organization_id, guardrail_id)))

    async def every_guardrail(self, among: Collection[str] | None = None) -> Sequence[Guardrail]:
        if among is None:
            return await self._guardrails("every_guardrail")
        return await self._guardrails("guardrails_among", to_json(sorted(among))) if among else ()

    async def get_user_rules(self, organization_id: str, user: str) -> UserRules | None:
        user.encode()  # UnicodeEncodeError is a ValueError
        return await self._user_rules.read((organization_id, user))

    async def user_rules_of(self, organization_id: str, users: Sequence[str]) -> Mapping[str, UserRules]:
        for user in users:
            user.encode()

        def read(connection: apsw.Connection) -> Mapping[str, UserRules]:
            found = [_user_rules(connection, organization_id, user) for user in users]
            return {rules.user: rules for rules in found if rules is not None}

        return await self._readers.read(read, apart=True)

    async def list_blocked_users(
        self, organization_id: str, *, prefix: str = "", after: str | None = None, descending: bool = False, limit: int
    ) -> Sequence[UserRules]:
        order = {"behind": "<", "direction": "DESC"} if descending else {"behind": ">", "direction": "ASC"}
        sql = queries()["list_blocked_users"].format(**order)
        values = (organization_id, prefix, end_of_prefix(prefix), after, limit)
        return await self._readers.read(
            lambda connection: tuple(map(read_user_rules, connection.execute(sql, values).fetchall())), apart=True
        )

    async def put_user_rules(self, rules: UserRules) -> None:
        change = Change(
            action=AuditAction.UPDATE_USER,
            organization_id=rules.organization_id,
            target_id=rules.user,
            read=lambda connection: _user_rules(connection, rules.organization_id, rules.user),
        )
        await self._change(change, (queries()["put_user_rules"], user_rules_values(rules)), raises_revision=False)

    async def user_rules_changed(self, since: int) -> UserRulesChange:
        def read(connection: apsw.Connection) -> UserRulesChange:
            latest = last_change_of_user_rules(connection)
            users: list[tuple[str, str]] = []
            if latest > since:
                users = fetch(connection, queries()["changed_user_rules"], since, MOST_TOLD + 1)
            return UserRulesChange(
                latest=latest,
                users=None if len(users) > MOST_TOLD else frozenset((one, name) for one, name in users),
                holders=frozenset(_holders(connection)),
            )

        return await self._readers.read(read, apart=True)

    async def _guardrails(self, name: str, *parameters: Value) -> Sequence[Guardrail]:
        sql = queries()[name].format(columns=_COLUMN_LIST)
        return await self._readers.read(
            lambda connection: tuple(map(read_guardrail, connection.execute(sql, parameters).fetchall())), apart=True
        )


def last_change_of_user_rules(connection: apsw.Connection) -> int:
    """Its number; 0 if there was none."""
    return int(connection.execute(queries()["last_change_of_user_rules"]).get)


def _of(action: AuditAction, guardrail: Guardrail) -> Change:
    return _changing(action, guardrail.organization_id, guardrail.id)


def _changing(action: AuditAction, organization_id: str, guardrail_id: str) -> Change:
    def read(connection: apsw.Connection) -> Guardrail | None:
        sql = queries()["get_guardrail"].format(columns=_COLUMN_LIST)
        row = connection.execute(sql, (organization_id, guardrail_id)).fetchone()
        return None if row is None else read_guardrail(row)

    return Change(action=action, organization_id=organization_id, target_id=guardrail_id, read=read)


def _rules_of(connection: apsw.Connection, user: tuple[str, str]) -> UserRules | None:
    return _user_rules(connection, *user)


def _user_rules(connection: apsw.Connection, organization_id: str, user: str) -> UserRules | None:
    row = connection.execute(queries()["get_user_rules"], (organization_id, user)).fetchone()
    return None if row is None else read_user_rules(row)


def _holders(connection: apsw.Connection) -> list[str]:
    """One look-up for each, however many users they have."""
    found: list[str] = []
    last = ""
    while (row := connection.execute(queries()["next_holder_of_user_rules"], (last,)).fetchone()) is not None:
        last = str(row[0])
        found.append(last)
    return found

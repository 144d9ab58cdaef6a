"""`Guardrails` in PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence

from arouter.domain.audit import AuditAction
from arouter.domain.guardrails import Guardrail, UserRules
from arouter.domain.users import end_of_prefix
from arouter.store.base import MOST_TOLD, UserRulesChange
from arouter.store.directory_rows import (
    GUARDRAIL_COLUMNS,
    USER_RULES_COLUMNS,
    guardrail_values,
    read_guardrail,
    read_user_rules,
    user_rules_values,
)
from arouter.store.postgres.changes import Change, PostgresChanges, reading
from arouter.store.postgres.statements import queries, statement
from arouter.store.postgres.texts import listed

_AREA = "guardrails"


class PostgresGuardrails(PostgresChanges):
    """As the parts of the directory do."""

    async def add_guardrail(self, guardrail: Guardrail) -> None:
        sql = statement(_AREA, "add_guardrail", GUARDRAIL_COLUMNS)
        await self._change(_of(AuditAction.CREATE_GUARDRAIL, guardrail), (sql, guardrail_values(guardrail)))

    async def get_guardrail(self, organization_id: str, guardrail_id: str) -> Guardrail | None:
        found = await self._guardrails("get_guardrail", organization_id, guardrail_id)
        return found[0] if found else None

    async def list_guardrails(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_disabled: bool = True
    ) -> Sequence[Guardrail]:
        return await self._guardrails("list_guardrails", organization_id, include_disabled, limit, offset)

    async def replace_guardrail(self, guardrail: Guardrail) -> bool:
        sql = statement(_AREA, "replace_guardrail", GUARDRAIL_COLUMNS, behind=2)
        values = (guardrail.organization_id, guardrail.id, *guardrail_values(guardrail))
        return await self._change(_of(AuditAction.UPDATE_GUARDRAIL, guardrail), (sql, values))

    async def delete_guardrail(self, organization_id: str, guardrail_id: str) -> bool:
        change = _changing(AuditAction.DELETE_GUARDRAIL, organization_id, guardrail_id)
        return await self._change(change, (queries(_AREA)["delete_guardrail"], (organization_id, guardrail_id)))

    async def every_guardrail(self, among: Collection[str] | None = None) -> Sequence[Guardrail]:
        if among is None:
            return await self._guardrails("every_guardrail")
        return await self._guardrails("guardrails_among", sorted(among)) if among else ()

    async def get_user_rules(self, organization_id: str, user: str) -> UserRules | None:
        return await self._first(read_user_rules, _user_rules("get_user_rules"), organization_id, user)

    async def user_rules_of(self, organization_id: str, users: Sequence[str]) -> Mapping[str, UserRules]:
        found = await self._all(read_user_rules, _user_rules("user_rules_of"), organization_id, listed(users))
        return {rules.user: rules for rules in found}

    async def list_blocked_users(
        self, organization_id: str, *, prefix: str = "", after: str | None = None, descending: bool = False, limit: int
    ) -> Sequence[UserRules]:
        sql = _user_rules("blocked_users_descending" if descending else "blocked_users_ascending")
        values = (organization_id, prefix, end_of_prefix(prefix), after, limit)
        return await self._all(read_user_rules, sql, *values)

    async def put_user_rules(self, rules: UserRules) -> None:
        place = (rules.organization_id, rules.user)
        change = Change(
            action=AuditAction.UPDATE_USER,
            organization_id=rules.organization_id,
            target_id=rules.user,
            read=reading(read_user_rules, _user_rules("get_user_rules"), *place),
        )
        await self._change(
            change,
            (_user_rules("put_user_rules"), user_rules_values(rules)),
            counting=(queries(_AREA)["number_change_of_user_rules"], place),
        )

    async def user_rules_changed(self, since: int) -> UserRulesChange:
        sql = queries(_AREA)
        async with self._pool.lend() as connection:
            # The number first: what is committed after it is told now and once more, and nothing is missed.
            latest = int(await connection.fetchval(sql["last_change_of_user_rules"]))
            users = await connection.fetch(sql["changed_user_rules"], since, MOST_TOLD + 1) if latest > since else []
            holders = await connection.fetch(sql["holders_of_user_rules"])
        return UserRulesChange(
            latest=latest,
            users=None if len(users) > MOST_TOLD else frozenset((one, name) for one, name in users),
            holders=frozenset(one for (one,) in holders),
        )

    async def _guardrails(self, name: str, *values: object) -> Sequence[Guardrail]:
        return await self._all(read_guardrail, statement(_AREA, name, GUARDRAIL_COLUMNS), *values)


def _of(action: AuditAction, guardrail: Guardrail) -> Change:
    return _changing(action, guardrail.organization_id, guardrail.id)


def _changing(action: AuditAction, organization_id: str, guardrail_id: str) -> Change:
    sql = statement(_AREA, "get_guardrail", GUARDRAIL_COLUMNS)
    read = reading(read_guardrail, sql, organization_id, guardrail_id)
    return Change(action=action, organization_id=organization_id, target_id=guardrail_id, read=read)


def _user_rules(name: str) -> str:
    return statement(_AREA, name, USER_RULES_COLUMNS)

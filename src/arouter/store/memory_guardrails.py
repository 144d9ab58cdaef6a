"""The reference of `Guardrails`: dictionaries."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from arouter.domain.audit import AuditAction
from arouter.domain.guardrails import Guardrail, UserRules
from arouter.store.base import UserRulesChange
from arouter.store.memory_audit import MemoryAudit, Trail


@dataclass(slots=True)
class GuardrailData:
    """What would be on disk."""

    guardrails: dict[str, Guardrail] = field(default_factory=dict)
    """By id."""
    users: dict[tuple[str, str], tuple[UserRules, int]] = field(default_factory=dict)
    """By organization and name, with the number of the change."""


class MemoryGuardrails(MemoryAudit):
    """`Guardrails` over dictionaries."""

    def __init__(self, rules: GuardrailData, trail: Trail) -> None:
        MemoryAudit.__init__(self, trail)
        self._rules = rules

    async def add_guardrail(self, guardrail: Guardrail) -> None:
        if guardrail.id in self._rules.guardrails:
            raise ValueError("there is such a guardrail already")
        self._rules.guardrails[guardrail.id] = guardrail
        self._changed_guardrail(AuditAction.CREATE_GUARDRAIL, None, guardrail)

    async def get_guardrail(self, organization_id: str, guardrail_id: str) -> Guardrail | None:
        found = self._rules.guardrails.get(guardrail_id)
        return found if found is not None and found.organization_id == organization_id else None

    async def list_guardrails(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_disabled: bool = True
    ) -> Sequence[Guardrail]:
        found = [
            one
            for one in self._rules.guardrails.values()
            if one.organization_id == organization_id and (include_disabled or not one.disabled)
        ]
        found.sort(key=lambda one: (one.created_at_us, one.id), reverse=True)
        return tuple(found[offset : offset + limit])

    async def replace_guardrail(self, guardrail: Guardrail) -> bool:
        before = await self.get_guardrail(guardrail.organization_id, guardrail.id)
        if before is None:
            return False
        self._rules.guardrails[guardrail.id] = guardrail
        self._changed_guardrail(AuditAction.UPDATE_GUARDRAIL, before, guardrail)
        return True

    async def delete_guardrail(self, organization_id: str, guardrail_id: str) -> bool:
        before = await self.get_guardrail(organization_id, guardrail_id)
        if before is None:
            return False
        del self._rules.guardrails[guardrail_id]
        self._changed_guardrail(AuditAction.DELETE_GUARDRAIL, before, None)
        return True

    async def every_guardrail(self, among: Collection[str] | None = None) -> Sequence[Guardrail]:
        every = sorted(self._rules.guardrails.items())
        return tuple(one for name, one in every if not one.disabled and (among is None or name in among))

    async def get_user_rules(self, organization_id: str, user: str) -> UserRules | None:
        user.encode()  # UnicodeEncodeError is a ValueError
        found = self._rules.users.get((organization_id, user))
        return None if found is None else found[0]

    async def user_rules_of(self, organization_id: str, users: Sequence[str]) -> Mapping[str, UserRules]:
        found = [(user, await self.get_user_rules(organization_id, user)) for user in users]
        return {user: rules for user, rules in found if rules is not None}

    async def list_blocked_users(
        self, organization_id: str, *, prefix: str = "", after: str | None = None, descending: bool = False, limit: int
    ) -> Sequence[UserRules]:
        blocked = [
            rules
            for (organization, user), (rules, _) in self._rules.users.items()
            if organization == organization_id
            and rules.blocked
            and user.startswith(prefix)
            and (after is None or (user < after if descending else user > after))
        ]
        return tuple(sorted(blocked, key=lambda rules: rules.user, reverse=descending)[:limit])

    async def put_user_rules(self, rules: UserRules) -> None:
        before = await self.get_user_rules(rules.organization_id, rules.user)
        self._rules.users[rules.organization_id, rules.user] = rules, self._latest() + 1
        self._note(AuditAction.UPDATE_USER, rules.organization_id, rules.user, before, rules, raises_revision=False)

    async def user_rules_changed(self, since: int) -> UserRulesChange:
        return UserRulesChange(
            latest=self._latest(),
            users=frozenset(user for user, (_, number) in self._rules.users.items() if number > since),
            holders=frozenset(organization_id for organization_id, _ in self._rules.users),
        )

    def _changed_guardrail(self, action: AuditAction, before: Guardrail | None, after: Guardrail | None) -> None:
        one = after or before
        assert one is not None
        self._note(action, one.organization_id, one.id, before, after)

    def _latest(self) -> int:
        return max((number for _, number in self._rules.users.values()), default=0)

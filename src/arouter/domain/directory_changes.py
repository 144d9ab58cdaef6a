"""What changed in the directory, so that a process forgets what may be otherwise now and keeps the rest.

A change is known as the audit log has it: by an action, its organization and the id of what it was done to. An action
that is not named here, such as one of a later version, may change anything.
"""

from collections.abc import Iterable
from typing import Final

from arouter.domain.audit import AuditAction as Action
from arouter.domain.keys import Key
from arouter.domain.value import value

Thing = tuple[str, str, str]
"""An action, the organization that it was done in, and the id of what it was done to."""

_OF_ONE_KEY: Final = frozenset({Action.CREATE_KEY, Action.UPDATE_KEY, Action.ROTATE_KEY, Action.DELETE_KEY})
_OF_EVERY_KEY: Final = frozenset(
    {
        Action.UPDATE_ORGANIZATION,
        Action.UPDATE_WORKSPACE,
        Action.DELETE_WORKSPACE,
        Action.UPDATE_MEMBER,
        Action.DELETE_MEMBER,
    }
)
"""Of the organization: a member's role, for one, is that of the management keys that it made."""
_OF_PROVIDER_KEYS: Final = frozenset(
    {
        Action.CREATE_PROVIDER_KEY,
        Action.UPDATE_PROVIDER_KEY,
        Action.RESEAL_PROVIDER_KEY,
        Action.DELETE_PROVIDER_KEY,
    }
)
_OF_GUARDRAILS: Final = frozenset({Action.CREATE_GUARDRAIL, Action.UPDATE_GUARDRAIL, Action.DELETE_GUARDRAIL})
_OF_CREDITS: Final = frozenset({Action.CREATE_CREDIT, Action.UPDATE_CREDIT_POOL})
_OF_NONE: Final = frozenset(
    {
        # Of what is new, no key that is known has been.
        Action.CREATE_ORGANIZATION,
        Action.CREATE_WORKSPACE,
        Action.CREATE_MEMBER,
        Action.CREATE_INVITATION,
        Action.ACCEPT_INVITATION,
        Action.DELETE_INVITATION,
        Action.SET_PASSWORD,
        Action.ENROL_TOTP,
        Action.CONFIRM_TOTP,
        Action.REMOVE_TOTP,
        Action.USE_RECOVERY_CODE,
        Action.CREATE_SESSION,
        Action.DELETE_SESSION,
        Action.UPDATE_USER,
        Action.ADJUST_RECORD,
    }
)
_KNOWN: Final = _OF_ONE_KEY | _OF_EVERY_KEY | _OF_PROVIDER_KEYS | _OF_GUARDRAILS | _OF_CREDITS | _OF_NONE


@value(frozen=True, slots=True, kw_only=True)
class DirectoryChanges:
    """What changed after some revision."""

    revision: int
    """The one that all of it has led to."""
    things: frozenset[Thing] | None
    """None if anything may have changed."""

    def keys(self, known: Iterable[Key]) -> frozenset[str] | None:
        """The hashes of the API keys that may be otherwise, new and deleted ones included: of those that are named, and
        of the `known` ones of organizations of which any may be. None: any key of any organization may be."""
        if (named := self._ids(_OF_ONE_KEY)) is None:
            return None
        organizations = self._organizations(_OF_EVERY_KEY)
        if not organizations:
            return named
        return named.union(key.hash for key in known if key.organization_id in organizations)

    def guardrails(self) -> frozenset[str] | None:
        """The ids of guardrails that may be otherwise, new and deleted ones included; None: any of them."""
        return self._ids(_OF_GUARDRAILS)

    def credits(self) -> frozenset[str] | None:
        """The organizations whose credits may be otherwise; None: any of them."""
        return self._organizations(_OF_CREDITS)

    def provider_keys(self) -> frozenset[str] | None:
        """The organizations whose own keys for providers may be otherwise; None: any of them."""
        return self._organizations(_OF_PROVIDER_KEYS)

    def _ids(self, actions: frozenset[Action]) -> frozenset[str] | None:
        things = self._things()
        return None if things is None else frozenset(name for action, _, name in things if action in actions)

    def _organizations(self, actions: frozenset[Action]) -> frozenset[str] | None:
        things = self._things()
        return None if things is None else frozenset(name for action, name, _ in things if action in actions)

    def _things(self) -> frozenset[Thing] | None:
        """None if there is an action among them that is not known."""
        if self.things is None or any(action not in _KNOWN for action, _, _ in self.things):
            return None
        return self.things

"""What changed in the directory, so that a process forgets what may be otherwise now and keeps the rest.

A change is known as the audit log has it, by an action and the id of what it was done to. An action that is not named
here, such as one of a later version, may change anything.
"""

from typing import Final

from arouter.domain.audit import AuditAction as Action
from arouter.domain.value import value

Thing = tuple[str, str]
"""An action, and the id of what it was done to."""

_OF_ONE_KEY: Final = frozenset({Action.CREATE_KEY, Action.UPDATE_KEY, Action.ROTATE_KEY, Action.DELETE_KEY})
_OF_MANY_KEYS: Final = frozenset(
    {
        Action.UPDATE_ORGANIZATION,
        Action.UPDATE_WORKSPACE,
        Action.DELETE_WORKSPACE,
        Action.UPDATE_MEMBER,
        Action.DELETE_MEMBER,
    }
)
"""A member's role, for one, is that of the management keys that it made."""
_OF_PROVIDER_KEYS: Final = frozenset(
    {
        Action.CREATE_PROVIDER_KEY,
        Action.UPDATE_PROVIDER_KEY,
        Action.RESEAL_PROVIDER_KEY,
        Action.DELETE_PROVIDER_KEY,
    }
)
_OF_GUARDRAILS: Final = frozenset({Action.CREATE_GUARDRAIL, Action.UPDATE_GUARDRAIL, Action.DELETE_GUARDRAIL})
_OF_POOLS: Final = frozenset({Action.UPDATE_CREDIT_POOL})
"""Of credits, by the organization. Every payment is told as one of its pool, too."""
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
        Action.CREATE_CREDIT,
        Action.ADJUST_RECORD,
    }
)
_KNOWN: Final = _OF_ONE_KEY | _OF_MANY_KEYS | _OF_PROVIDER_KEYS | _OF_GUARDRAILS | _OF_POOLS | _OF_NONE


@value(frozen=True, slots=True, kw_only=True)
class DirectoryChanges:
    """What changed after some revision."""

    revision: int
    """The one that all of it has led to."""
    things: frozenset[Thing] | None
    """None if anything may have changed."""

    def keys(self) -> frozenset[str] | None:
        """The hashes of the API keys that may be otherwise, new and deleted ones included; None: any of them."""
        return self._ids(_OF_ONE_KEY, _KNOWN - _OF_MANY_KEYS)

    def guardrails(self) -> frozenset[str] | None:
        """The ids of guardrails that may be otherwise, as `keys`."""
        return self._ids(_OF_GUARDRAILS, _KNOWN)

    def pools(self) -> frozenset[str] | None:
        """The ids of organizations whose credits may be otherwise, as `keys`."""
        return self._ids(_OF_POOLS, _KNOWN)

    def provider_keys(self) -> frozenset[str] | None:
        """The ids of providers' keys that organizations brought and that may be otherwise, as `keys`."""
        return self._ids(_OF_PROVIDER_KEYS, _KNOWN)

    def _ids(self, actions: frozenset[Action], known: frozenset[Action]) -> frozenset[str] | None:
        """Of what these actions were done to; None if there were other actions than those that are `known`."""
        if self.things is None or any(action not in known for action, _ in self.things):
            return None
        return frozenset(target_id for action, target_id in self.things if action in actions)

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
_OF_LIMITS: Final = frozenset(
    {
        Action.CREATE_GUARDRAIL,
        Action.UPDATE_GUARDRAIL,
        Action.DELETE_GUARDRAIL,
        Action.CREATE_CREDIT,
        Action.UPDATE_CREDIT_POOL,
    }
)
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


@value(frozen=True, slots=True, kw_only=True)
class DirectoryChanges:
    """What changed after some revision."""

    revision: int
    """The one that all of it has led to."""
    things: frozenset[Thing] | None
    """None if anything may have changed."""

    def keys(self) -> frozenset[str] | None:
        """The hashes of the API keys that may be otherwise, new and deleted ones included; None: any of them."""
        if not self._are_all_of(_OF_ONE_KEY | _OF_PROVIDER_KEYS | _OF_LIMITS | _OF_NONE):
            return None
        return frozenset(key_hash for action, key_hash in self.things or () if action in _OF_ONE_KEY)

    def spares_provider_keys(self) -> bool:
        """Whether all providers' keys that organizations brought are as they were."""
        return self._are_all_of(_OF_ONE_KEY | _OF_MANY_KEYS | _OF_LIMITS | _OF_NONE)

    def spares_limits(self) -> bool:
        """Whether all guardrails and credits are as they were."""
        return self._are_all_of(_OF_ONE_KEY | _OF_MANY_KEYS | _OF_PROVIDER_KEYS | _OF_NONE)

    def _are_all_of(self, actions: frozenset[Action]) -> bool:
        return self.things is not None and all(action in actions for action, _ in self.things)

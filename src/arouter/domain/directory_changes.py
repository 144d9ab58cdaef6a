"""What changed in the directory, so that a process forgets what may be otherwise now and keeps the rest.

A change is known by the word before the dot of its action in the audit log, its subject, and by the id of what was
changed. A subject that is not named here may change anything.
"""

from typing import Final

from arouter.domain.value import value

_KEY: Final = "key"
_PROVIDER_KEY: Final = "provider_key"
_LIMITS: Final = frozenset({"guardrail", "credit", "credit_pool"})
_APART: Final = frozenset({"session", "login", "user", "record"})
"""These change neither API keys nor providers' keys, guardrails or credits."""
_STRUCTURE: Final = frozenset({"workspace", "member", "invitation"})
"""These change keys: a member's role is that of the management keys that it made."""


@value(frozen=True, slots=True, kw_only=True)
class DirectoryChanges:
    """What changed after some revision."""

    revision: int
    """The one that all of it has led to."""
    things: frozenset[tuple[str, str]] | None
    """Subjects, each with an id; None if anything may have changed."""

    def keys(self) -> frozenset[str] | None:
        """The hashes of the API keys that may be otherwise, new and deleted ones included; None: any of them."""
        if not self._are_all_of(_APART | _LIMITS | {_KEY, _PROVIDER_KEY}):
            return None
        return frozenset(key_hash for subject, key_hash in self.things or () if subject == _KEY)

    def spares_provider_keys(self) -> bool:
        """Whether all providers' keys that organizations brought are as they were."""
        return self._are_all_of(_APART | _STRUCTURE | _LIMITS | {_KEY})

    def spares_limits(self) -> bool:
        """Whether all guardrails and credits are as they were."""
        return self._are_all_of(_APART | _STRUCTURE | {_KEY, _PROVIDER_KEY})

    def _are_all_of(self, subjects: frozenset[str]) -> bool:
        return self.things is not None and all(subject in subjects for subject, _ in self.things)

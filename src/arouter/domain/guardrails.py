"""Guardrails: what an organization allows itself, its workspaces, members, keys and end users.

All that apply to a request are checked, and the most restrictive one wins. For end users there are two kinds: what is
said of every user, and what is said of one. What is said of one takes the place of what is said of every user, limit
by limit, so that one customer may have more than the others as well as less.
"""

from dataclasses import replace
from enum import StrEnum

from arouter.domain.limits import NO_LIMITS, Limits
from arouter.domain.value import value

ID_PREFIX = "grl"
ID_BYTES = 8


class Target(StrEnum):
    """Whom a guardrail is for."""

    ORGANIZATION = "organization"
    WORKSPACE = "workspace"
    MEMBER = "member"
    """The keys that one member made."""
    KEY = "key"
    USER = "user"
    """One end user."""
    EVERY_USER = "every_user"
    """Each end user for itself."""


NAMELESS = frozenset({Target.ORGANIZATION, Target.EVERY_USER})
"""The targets of which an organization has but one."""


@value(frozen=True, slots=True, kw_only=True)
class Lists:
    """Which models and providers may be asked. None: all."""

    allowed_models: tuple[str, ...] | None = None
    """With or without the provider's prefix."""
    ignored_models: tuple[str, ...] | None = None
    allowed_providers: tuple[str, ...] | None = None
    ignored_providers: tuple[str, ...] | None = None
    zero_data_retention: bool = False
    """Only providers that keep nothing at all."""


NO_LISTS = Lists()


@value(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """One of an organization's. Times are microseconds since the epoch."""

    id: str
    organization_id: str
    name: str
    target: Target
    target_id: str | None
    """The workspace, member, key (by its hash) or user; None for the `NAMELESS` targets."""
    limits: Limits = NO_LIMITS
    lists: Lists = NO_LISTS
    disabled: bool = False
    creator: str | None = None
    created_at_us: int
    updated_at_us: int | None = None


@value(frozen=True, slots=True, kw_only=True)
class UserRules:
    """What is said of one end user: its limits, and whether it is blocked."""

    organization_id: str
    user: str
    """Byte for byte."""
    limits: Limits = NO_LIMITS
    blocked: bool = False
    reason: str | None = None
    """Why it is blocked; for the operator, and told to the client."""
    blocked_at_us: int | None = None
    updated_at_us: int = 0

    @property
    def says_nothing(self) -> bool:
        """Whether it is as if there were none."""
        return not self.blocked and self.limits == NO_LIMITS


def blocked(rules: UserRules, reason: str | None, *, now_us: int) -> UserRules:
    """The rules of a user who is blocked from now on; of one who is already, with another reason."""
    since = rules.blocked_at_us if rules.blocked else now_us
    return replace(rules, blocked=True, reason=reason, blocked_at_us=since, updated_at_us=now_us)


def unblocked(rules: UserRules, *, now_us: int) -> UserRules:
    """The rules of a user who may ask again."""
    return replace(rules, blocked=False, reason=None, blocked_at_us=None, updated_at_us=now_us)

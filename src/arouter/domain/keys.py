"""Keys: what they look like, what they are, what they may do.

The plaintext is shown once, when a key is made or rotated. What is stored is the SHA-256 of the plaintext
(`secret`), by which a request is recognised, and `hash`, by which every API names the key: it is the SHA-256 of the
key's first plaintext and survives a rotation, so that history, budgets and activity stay attached.

A rotation may leave the plaintext of before it some time: then a key has two until that time, and never more.
"""

import hashlib
import re
from dataclasses import replace
from enum import StrEnum

from arouter.domain.limits import LimitReset as LimitReset
from arouter.domain.limits import Limits
from arouter.domain.money import Picodollars
from arouter.domain.value import value

ENTROPY_BYTES = 24
LONGEST_OVERLAP_S = 30 * 24 * 60 * 60
"""For how many seconds a rotation may leave the plaintext of before it."""


class KeyKind(StrEnum):
    LIVE = "live"
    """Inference, and its own activity."""
    MANAGEMENT = "management"
    """Management and the organization's activity; never inference."""
    TEST = "test"
    """Like live, but reaches the sandbox provider only: it can never spend."""


PREFIXES = {KeyKind.LIVE: "lr_live_", KeyKind.MANAGEMENT: "lr_mgmt_", KeyKind.TEST: "lr_test_"}

_SHAPE = re.compile(r"lr_(?:live|mgmt|test)_[0-9a-f]{48}")


class ActivityScope(StrEnum):
    """Whose records a key may read."""

    KEY = "key"
    WORKSPACE = "workspace"
    ORGANIZATION = "organization"


class UserPolicy(StrEnum):
    """What a key demands of the `user` of its requests."""

    OPTIONAL = "optional"
    REQUIRED = "required"
    FORBIDDEN = "forbidden"
    FIXED = "fixed"
    """Every request is attributed to the key's own `fixed_user`, whatever it says."""
    SIGNED = "signed"
    """Every request carries a signed user token, which says whom it is for."""


@value(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as the directory knows it. Times are microseconds since the epoch."""

    hash: str
    name: str
    kind: KeyKind
    label: str
    """The plaintext with its middle masked, to recognise a key by."""
    organization_id: str
    workspace_id: str
    creator: str | None
    """The member who made it; None for keys made on the command line."""
    created_at_us: int
    updated_at_us: int | None = None
    expires_at_us: int | None = None
    disabled: bool = False
    limit: Picodollars | None = None
    """What it may spend in one window of `limit_reset`; None for no limit."""
    limit_reset: LimitReset | None = None
    """None: the limit holds for the key's whole life."""
    allowed_providers: tuple[str, ...] | None = None
    """None: all."""
    allowed_models: tuple[str, ...] | None = None
    """With or without the provider's prefix; None: all."""
    user_policy: UserPolicy = UserPolicy.OPTIONAL
    fixed_user: str | None = None
    activity_scope: ActivityScope = ActivityScope.KEY
    rate_limit: Limits | None = None
    """How many requests and tokens it may ask for, and how many at once. It holds no budget: that is `limit`."""
    default_user_limits: Limits | None = None
    """What each end user may, of whom nothing else is said; None for what the organization's guardrails say alone."""
    previous_expires_at_us: int | None = None
    """When the plaintext of before the last rotation ends, or ended; None if it ended with the rotation."""


def new_plaintext(kind: KeyKind, entropy: bytes) -> str:
    """A key's plaintext from 24 random bytes."""
    return PREFIXES[kind] + entropy.hex()


def has_key_shape(text: str) -> bool:
    """Whether `text` could be one of our keys at all."""
    return _SHAPE.fullmatch(text) is not None


def by_previous_plaintext(key: Key) -> Key:
    """The key as it is found by the plaintext of before its rotation: it expires when that one ends, if not before."""
    ends = [instant for instant in (key.expires_at_us, key.previous_expires_at_us) if instant is not None]
    return replace(key, expires_at_us=min(ends, default=0))


def digest(plaintext: str) -> str:
    """SHA-256 of a plaintext as 64 hex characters: all of a key that is ever stored."""
    return hashlib.sha256(plaintext.encode()).hexdigest()


def masked(plaintext: str) -> str:
    """`lr_live_12ab…ef90`."""
    return f"{plaintext[:12]}…{plaintext[-4:]}"

"""Provider keys: what an organization brings of its own, so that its requests run on its own account at a provider.

The secret is sealed before it is stored: encrypted, and bound to what it is the secret of. It is never shown again;
`label` is what it is recognised by.
"""

import re
from collections.abc import Iterable

from arouter.domain.value import value

ID_PREFIX = "pkey"
ID_BYTES = 12
LEAST_SECRET, MOST_SECRET = 8, 4096

_SENDABLE = re.compile(r"[!-~]+")
_SHOWN_FROM = 20
"""A shorter secret would be told by half if its ends were shown."""


@value(frozen=True, slots=True, kw_only=True)
class ProviderKey:
    """A key for a provider as the directory knows it. Times are microseconds since the epoch."""

    id: str
    """Ours; `pkey_…`."""
    organization_id: str
    api_key_hash: str | None
    """The one API key whose requests it serves; None: those of the whole organization."""
    provider: str
    """The name of the provider, as its models begin with it."""
    name: str
    label: str
    """The secret with its middle masked."""
    creator: str | None
    """The member who stored it; None for one that was stored on the command line."""
    created_at_us: int
    updated_at_us: int | None = None
    disabled: bool = False
    byok_fallback: bool = False
    """Whether the operator's key is asked with when this one fails."""


@value(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A secret that can be read with a key-encryption key alone."""

    key_id: str
    """Which one."""
    nonce: bytes
    ciphertext: bytes


class Unreadable(ValueError):
    """A sealed secret that cannot be read. The text says why, for the operator."""


def binding(key: ProviderKey) -> bytes:
    """What the secret of a key is sealed together with: no two keys have the same."""
    parts = (key.organization_id, key.provider, key.id)
    return b"provider key 1" + b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)


def is_sendable(secret: str) -> bool:
    """Whether a text can be a provider's key: visible ASCII, so that it fits into a header field."""
    return LEAST_SECRET <= len(secret) <= MOST_SECRET and _SENDABLE.fullmatch(secret) is not None


def masked_secret(secret: str) -> str:
    """`sk-…ef90`; of a short one nothing."""
    return f"{secret[:3]}…{secret[-4:]}" if len(secret) >= _SHOWN_FROM else "…"


def in_force(keys: Iterable[ProviderKey], api_key_hash: str) -> dict[str, ProviderKey]:
    """By provider, the key that requests of an API key are made with: one that is bound to it before those of the
    organization, the newest before older ones. Disabled ones do not count."""
    chosen: dict[str, ProviderKey] = {}
    for key in sorted(keys, key=lambda key: (key.api_key_hash is not None, key.created_at_us, key.id)):
        if not key.disabled and key.api_key_hash in (None, api_key_hash):
            chosen[key.provider] = key
    return chosen

"""Bodies of the API for provider keys. A secret is read, and never written.

A field that is absent is `msgspec.UNSET`, which is not null.
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from arouter.domain.provider_keys import ProviderKey
from arouter.wire.instants import write_instant

NOT_YET = ("workspace_id", "allowed_models", "allowed_user_ids", "allowed_api_key_hashes", "is_fallback")
"""Fields of OpenRouter's that nothing enforces yet."""


class CreateProviderKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the organization's own for a provider. `key` is the secret: it is encrypted, and never shown again."""

    provider: str
    key: str
    name: str | UnsetType = UNSET
    api_key_hash: str | UnsetType | None = UNSET
    byok_fallback: bool | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class UpdateProviderKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change. Absent fields stay as they are; `key` is another secret."""

    key: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    byok_fallback: bool | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class ProviderKeyObject(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the organization's own for a provider. `label` is the secret with its middle masked."""

    id: str
    provider: str
    name: str
    label: str
    api_key_hash: str | None
    byok_fallback: bool
    disabled: bool
    organization_id: str
    creator: str | None
    created_at: str
    updated_at: str | None


class ProviderKeyAnswer(msgspec.Struct, frozen=True):
    data: ProviderKeyObject


class ProviderKeyList(msgspec.Struct, frozen=True):
    data: list[ProviderKeyObject]
    next_page_token: str | None


def provider_key_object(key: ProviderKey) -> ProviderKeyObject:
    """A provider key in its public form."""
    return ProviderKeyObject(
        id=key.id,
        provider=key.provider,
        name=key.name,
        label=key.label,
        api_key_hash=key.api_key_hash,
        byok_fallback=key.byok_fallback,
        disabled=key.disabled,
        organization_id=key.organization_id,
        creator=key.creator,
        created_at=write_instant(key.created_at_us),
        updated_at=None if key.updated_at_us is None else write_instant(key.updated_at_us),
    )


def encode_provider_key(key: ProviderKey) -> bytes:
    return msgspec.json.encode(ProviderKeyAnswer(provider_key_object(key)))


def encode_provider_keys(keys: Sequence[ProviderKey], next_page_token: str | None) -> bytes:
    return msgspec.json.encode(ProviderKeyList([provider_key_object(key) for key in keys], next_page_token))

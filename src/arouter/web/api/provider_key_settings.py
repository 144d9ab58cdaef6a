"""From the fields of a request to a provider key. What is outside the contract is an InvalidRequest."""

from dataclasses import replace
from typing import TypeVar

from msgspec import UNSET, UnsetType

from arouter.domain.errors import InvalidRequest
from arouter.domain.ids import named_id
from arouter.domain.provider_keys import (
    ID_PREFIX,
    LEAST_SECRET,
    MOST_SECRET,
    ProviderKey,
    is_sendable,
    masked_secret,
)
from arouter.engine.own_keys import OwnProviders
from arouter.web.api.key_settings import checked_name
from arouter.wire.provider_keys_json import CreateProviderKey, UpdateProviderKey

T = TypeVar("T")


def new_provider_key(
    wanted: CreateProviderKey,
    providers: OwnProviders,
    *,
    organization_id: str,
    creator: str | None,
    now_us: int,
    entropy: bytes,
) -> ProviderKey:
    """A new key, without its secret, which is `wanted.key`. The API key that it is bound to is for the caller to
    check."""
    provider = providers.named(wanted.provider)
    secret = checked_secret(wanted.key)
    return ProviderKey(
        id=named_id(ID_PREFIX, entropy),
        organization_id=organization_id,
        api_key_hash=_told(wanted.api_key_hash, None),
        provider=provider,
        name=checked_name(wanted.name) if isinstance(wanted.name, str) else provider,
        label=masked_secret(secret),
        creator=creator,
        created_at_us=now_us,
        disabled=_told(wanted.disabled, False),
        byok_fallback=_told(wanted.byok_fallback, False),
    )


def changed_provider_key(key: ProviderKey, wanted: UpdateProviderKey, *, now_us: int) -> ProviderKey:
    """`key` with what `wanted` says; the label follows another secret."""
    return replace(
        key,
        name=checked_name(wanted.name) if isinstance(wanted.name, str) else key.name,
        label=masked_secret(checked_secret(wanted.key)) if isinstance(wanted.key, str) else key.label,
        disabled=_told(wanted.disabled, key.disabled),
        byok_fallback=_told(wanted.byok_fallback, key.byok_fallback),
        updated_at_us=now_us,
    )


def checked_secret(secret: str) -> str:
    """What can be a provider's key. The error does not repeat it."""
    if not is_sendable(secret):
        raise InvalidRequest(
            f"`key` must be a provider's key: from {LEAST_SECRET} to {MOST_SECRET} visible ASCII characters without "
            "spaces.",
            code="invalid_parameter",
            param="key",
        )
    return secret


def no_such_api_key() -> InvalidRequest:
    """For an `api_key_hash` that is not one of the organization's."""
    return InvalidRequest(
        "`api_key_hash` names no key of this organization.", code="invalid_parameter", param="api_key_hash"
    )


def _told(value: T | UnsetType, otherwise: T) -> T:
    return otherwise if value is UNSET else value

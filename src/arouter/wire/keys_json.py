"""Keys as JSON: the shapes of ARouter's SDKs, and the fields that are ours.

Read: `CreateKey`, `UpdateKey`. A field that is absent is `msgspec.UNSET`, which is not null: null clears.
Written: `KeyObject`, and `CurrentKey` for the key that asks about itself.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from arouter.domain.keys import LONGEST_OVERLAP_S, Key, KeyKind, LimitReset, UserPolicy
from arouter.wire.instants import write_instant
from arouter.wire.limits_json import AllLimits, AllLimitsObject, Amount, RateLimit, Reset, limits_object, rate_limit
from arouter.wire.numbers import Dollars, dollars, exact_dollars

NOT_YET = ("enforce_zdr",)
"""Fields of the contract that nothing enforces yet."""

KEY_TYPES = {KeyKind.LIVE: "regular", KeyKind.MANAGEMENT: "management", KeyKind.TEST: "test"}
FIXED_PREFIX = "fixed:"


class KeySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What can be set on a key when it is made and later."""

    limit: Amount | UnsetType | None = UNSET
    limit_usd: Amount | UnsetType | None = UNSET
    spending_limit: Amount | UnsetType | None = UNSET
    limit_reset: Reset | UnsetType | None = UNSET
    expires_at: str | int | UnsetType | None = UNSET
    allowed_providers: tuple[str, ...] | UnsetType | None = UNSET
    allowed_models: tuple[str, ...] | UnsetType | None = UNSET
    user_policy: str | UnsetType | None = UNSET
    activity_scope: Literal["key", "workspace", "organization"] | UnsetType | None = UNSET
    workspace_id: str | UnsetType | None = UNSET
    rate_limit: RateLimit | UnsetType | None = UNSET
    default_user_limits: AllLimits | UnsetType | None = UNSET


class CreateKey(KeySettings, frozen=True, kw_only=True):
    """A new key. Amounts are US dollars; `limit_usd` and `spending_limit` are other names of `limit`."""

    name: str
    key_type: Literal["regular", "management", "test"] | UnsetType = UNSET


class UpdateKey(KeySettings, frozen=True, kw_only=True):
    """What is to change. Absent fields stay as they are; null clears."""

    name: str | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class RotateKey(msgspec.Struct, frozen=True, kw_only=True):
    """For how long the plaintext of before works beside the new one; 0: it is worthless at once."""

    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_OVERLAP_S)] = 0


class KeyObject(msgspec.Struct, frozen=True, kw_only=True):
    """A key. Amounts are US dollars; `usage…` is what it has spent altogether and in the current windows.

    `previous_key_expires_at` is when the plaintext of before its last rotation ends, or ended; null if the rotation
    ended it. `last_used_at` is when its last request began, of those that have ended; null if there was none.
    """

    hash: str
    name: str
    label: str
    key_type: Literal["regular", "management", "test"]
    disabled: bool
    limit: Dollars | None
    limit_remaining: Dollars | None
    limit_reset: Reset | None
    allowed_providers: tuple[str, ...] | None
    allowed_models: tuple[str, ...] | None
    user_policy: str
    activity_scope: Literal["key", "workspace", "organization"]
    rate_limit: RateLimit | None
    default_user_limits: AllLimitsObject | None
    usage: Dollars
    usage_daily: Dollars
    usage_weekly: Dollars
    usage_monthly: Dollars
    organization_id: str
    workspace_id: str
    creator: str | None
    created_at: str
    updated_at: str | None
    expires_at: str | None
    previous_key_expires_at: str | None
    last_used_at: str | None


class KeyAnswer(msgspec.Struct, frozen=True):
    data: KeyObject


class KeyMade(msgspec.Struct, frozen=True):
    """`key` is the plaintext. It is shown this once and stored nowhere."""

    data: KeyObject
    key: str


class KeyList(msgspec.Struct, frozen=True):
    data: list[KeyObject]
    next_page_token: str | None


class Deleted(msgspec.Struct, frozen=True):
    deleted: bool


class DeletedAnswer(msgspec.Struct, frozen=True):
    data: Deleted


class CurrentRateLimit(RateLimit, frozen=True, kw_only=True):
    """What the SDKs read besides; -1 is their word for no limit."""

    requests: int = -1
    interval: str = ""
    note: str = "deprecated"


class CurrentKey(KeyObject, frozen=True, kw_only=True):
    """The key that asks, with the fields that the SDKs read. `byok_usage…` is the part of `usage…` that was spent on
    the organization's own keys for providers; the limit counts it too."""

    byok_usage: Dollars
    byok_usage_daily: Dollars
    byok_usage_weekly: Dollars
    byok_usage_monthly: Dollars
    is_free_tier: bool = False
    is_management_key: bool
    is_provisioning_key: bool
    include_byok_in_limit: bool = True
    rate_limit: CurrentRateLimit = CurrentRateLimit()


class CurrentKeyAnswer(msgspec.Struct, frozen=True):
    data: CurrentKey


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a key has spent, in picodollars, altogether and in the current windows, and when it was used last."""

    total: int
    daily: int
    weekly: int
    monthly: int
    last_used_us: int | None = None


def key_object(key: Key, spent: Spent) -> KeyObject:
    """A key in its public form."""
    return KeyObject(
        hash=key.hash,
        name=key.name,
        label=key.label,
        key_type=KEY_TYPES[key.kind],  # type: ignore[arg-type]
        disabled=key.disabled,
        limit=dollars(key.limit),
        limit_remaining=dollars(_remaining(key, spent)),
        limit_reset=None if key.limit_reset is None else key.limit_reset.value,
        allowed_providers=key.allowed_providers,
        allowed_models=key.allowed_models,
        user_policy=_user_policy(key),
        activity_scope=key.activity_scope.value,
        rate_limit=rate_limit(key.rate_limit),
        default_user_limits=limits_object(key.default_user_limits),
        usage=exact_dollars(spent.total),
        usage_daily=exact_dollars(spent.daily),
        usage_weekly=exact_dollars(spent.weekly),
        usage_monthly=exact_dollars(spent.monthly),
        organization_id=key.organization_id,
        workspace_id=key.workspace_id,
        creator=key.creator,
        created_at=write_instant(key.created_at_us),
        updated_at=_instant(key.updated_at_us),
        expires_at=_instant(key.expires_at_us),
        previous_key_expires_at=_instant(key.previous_expires_at_us),
        last_used_at=_instant(spent.last_used_us),
    )


def encode_key(key: Key, spent: Spent) -> bytes:
    return msgspec.json.encode(KeyAnswer(key_object(key, spent)))


def encode_made(key: Key, spent: Spent, plaintext: str) -> bytes:
    return msgspec.json.encode(KeyMade(key_object(key, spent), plaintext))


def encode_keys(keys: Sequence[tuple[Key, Spent]], next_page_token: str | None) -> bytes:
    return msgspec.json.encode(KeyList([key_object(key, spent) for key, spent in keys], next_page_token))


def encode_deleted() -> bytes:
    return msgspec.json.encode(DeletedAnswer(Deleted(True)))


def encode_current(key: Key, spent: Spent, byok: Spent) -> bytes:
    """The answer to `GET /v1/key`; `byok` is the part of `spent` that was spent on the organization's own keys."""
    is_management = key.kind is KeyKind.MANAGEMENT
    shown = msgspec.structs.asdict(key_object(key, spent))
    current = CurrentKey(
        **{**shown, "rate_limit": _current_rate_limit(shown["rate_limit"])},
        byok_usage=exact_dollars(byok.total),
        byok_usage_daily=exact_dollars(byok.daily),
        byok_usage_weekly=exact_dollars(byok.weekly),
        byok_usage_monthly=exact_dollars(byok.monthly),
        is_management_key=is_management,
        is_provisioning_key=is_management,
    )
    return msgspec.json.encode(CurrentKeyAnswer(current))


def _current_rate_limit(limits: RateLimit | None) -> CurrentRateLimit:
    if limits is None:
        return CurrentRateLimit()
    stated = msgspec.structs.asdict(limits)
    for name, interval in (("requests_per_minute", "1m"), ("requests_per_day", "1d")):
        if stated[name] is not None:
            return CurrentRateLimit(**stated, requests=stated[name], interval=interval)
    return CurrentRateLimit(**stated)


def _instant(at_us: int | None) -> str | None:
    return None if at_us is None else write_instant(at_us)


def _user_policy(key: Key) -> str:
    if key.user_policy is UserPolicy.FIXED:
        return f"{FIXED_PREFIX}{key.fixed_user}"
    return key.user_policy.value


def _remaining(key: Key, spent: Spent) -> int | None:
    """What may still be spent in the current window: nothing, not less, where the limit was passed."""
    if key.limit is None:
        return None
    used = {
        None: spent.total,
        LimitReset.DAILY: spent.daily,
        LimitReset.WEEKLY: spent.weekly,
        LimitReset.MONTHLY: spent.monthly,
    }[key.limit_reset]
    return max(0, key.limit - used)

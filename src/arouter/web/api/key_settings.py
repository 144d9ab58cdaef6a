"""From the fields of a request to the settings of a key. What is outside the contract is an InvalidRequest."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC
from typing import TypeVar

from msgspec import UNSET, UnsetType

from arouter.domain.errors import InvalidRequest
from arouter.domain.keys import ActivityScope, Key, LimitReset, UserPolicy
from arouter.domain.money import Picodollars
from arouter.web.api.limit_settings import amount_of, limits_of, rates_of
from arouter.web.api.parameters import invalid
from arouter.wire.instants import read_instant
from arouter.wire.keys_json import FIXED_PREFIX, KeySettings
from arouter.wire.nearest import quoted

LONGEST_NAME = 256
LONGEST_USER_BYTES = 1024

_LIMIT_NAMES = ("limit", "limit_usd", "spending_limit")
_POLICIES = tuple(policy.value for policy in UserPolicy if policy is not UserPolicy.FIXED)

T = TypeVar("T")


def with_settings(key: Key, settings: KeySettings, *, workspace_ids: Collection[str]) -> Key:
    """`key` with what `settings` says; what it leaves unset stays, null goes back to the default.

    `workspace_ids` are those that the key may be in.
    """
    policy, fixed_user = _user_policy(settings.user_policy, key)
    return replace(
        key,
        limit=_limit(settings, key.limit),
        limit_reset=_given(
            settings.limit_reset, None if key.limit_reset is None else key.limit_reset.value, LimitReset
        ),
        expires_at_us=_expiry(settings.expires_at, key.expires_at_us),
        allowed_providers=_allowed("allowed_providers", settings.allowed_providers, key.allowed_providers),
        allowed_models=_allowed("allowed_models", settings.allowed_models, key.allowed_models),
        user_policy=policy,
        fixed_user=fixed_user,
        activity_scope=_activity_scope(settings.activity_scope, key.activity_scope),
        rate_limit=rates_of(settings.rate_limit, key.rate_limit),
        default_user_limits=limits_of("default_user_limits", settings.default_user_limits, key.default_user_limits),
        workspace_id=_workspace(settings.workspace_id, key.workspace_id, workspace_ids),
    )


def checked_name(name: str) -> str:
    """A key's name: not empty, not endless, otherwise anything."""
    if not name.strip():
        raise invalid("name", "must not be empty")
    if len(name) > LONGEST_NAME:
        raise InvalidRequest(
            f"`name` has more than {LONGEST_NAME} characters.", code="string_above_max_length", param="name"
        )
    return name


def _limit(settings: KeySettings, current: Picodollars | None) -> Picodollars | None:
    return amount_of(tuple((name, getattr(settings, name)) for name in _LIMIT_NAMES), current)


def _given(value: str | UnsetType | None, current: str | None, kind: type[LimitReset]) -> LimitReset | None:
    wanted = current if value is UNSET else value
    return None if wanted is None else kind(wanted)


def _expiry(value: str | int | UnsetType | None, current: int | None) -> int | None:
    if value is UNSET:
        return current
    if value is None:
        return None
    try:
        return read_instant(str(value), UTC)
    except ValueError as exc:
        raise invalid("expires_at", f"is {exc}") from exc


def _allowed(
    name: str, value: tuple[str, ...] | UnsetType | None, current: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    if value is UNSET:
        return current
    if value is None:
        return None
    if not value:
        raise invalid(name, "is empty, which would allow nothing; null allows everything")
    if not all(value):
        raise invalid(name, "holds an empty name")
    return tuple(dict.fromkeys(value))


def _user_policy(value: str | UnsetType | None, key: Key) -> tuple[UserPolicy, str | None]:
    if value is UNSET:
        return key.user_policy, key.fixed_user
    if value is None:
        return UserPolicy.OPTIONAL, None
    if value.startswith(FIXED_PREFIX):
        return UserPolicy.FIXED, _fixed_user(value.removeprefix(FIXED_PREFIX))
    if value not in _POLICIES:
        raise invalid("user_policy", f"must be one of {', '.join(_POLICIES)}, {FIXED_PREFIX}<user>")
    return UserPolicy(value), None


def _fixed_user(user: str) -> str:
    if len(user.encode()) > LONGEST_USER_BYTES:
        raise InvalidRequest(
            f"`user_policy` fixes a user of more than {LONGEST_USER_BYTES} bytes.",
            code="string_above_max_length",
            param="user_policy",
        )
    return user


def _activity_scope(value: str | UnsetType | None, current: ActivityScope) -> ActivityScope:
    if value is UNSET:
        return current
    return ActivityScope.KEY if value is None else ActivityScope(value)


def _workspace(value: str | UnsetType | None, current: str, known: Collection[str]) -> str:
    if value is UNSET or value is None:
        return current
    if value != current and value not in known:
        raise invalid("workspace_id", f"names no workspace of this organization: `{quoted(value)}`")
    return value

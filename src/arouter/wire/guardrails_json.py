"""Bodies of the API for guardrails, for what is said of single users, and for what applies to a request."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from arouter.domain.guardrails import Guardrail, UserRules
from arouter.wire.instants import write_instant
from arouter.wire.limits_json import AllLimits, AllLimitsObject, Amount, Count, Reset, limits_object
from arouter.wire.numbers import Dollars, dollars

TargetName = Literal["organization", "workspace", "member", "key", "user", "every_user"]


class GuardrailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What can be set on a guardrail. Null: no such limit."""

    limit: Amount | UnsetType | None = UNSET
    limit_usd: Amount | UnsetType | None = UNSET
    limit_reset: Reset | UnsetType | None = UNSET
    requests_per_minute: Count | UnsetType | None = UNSET
    requests_per_day: Count | UnsetType | None = UNSET
    tokens_per_minute: Count | UnsetType | None = UNSET
    tokens_per_day: Count | UnsetType | None = UNSET
    concurrent_requests: Count | UnsetType | None = UNSET
    allowed_models: tuple[str, ...] | UnsetType | None = UNSET
    ignored_models: tuple[str, ...] | UnsetType | None = UNSET
    allowed_providers: tuple[str, ...] | UnsetType | None = UNSET
    ignored_providers: tuple[str, ...] | UnsetType | None = UNSET
    zero_data_retention: bool | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class CreateGuardrail(GuardrailSettings, frozen=True, kw_only=True):
    """A new guardrail. `target_id` names the workspace, member, key (by its hash) or user; for the organization and
    for every user there is none. Amounts are US dollars; `limit_usd` is another name of `limit`."""

    target: TargetName
    target_id: str | UnsetType | None = UNSET
    name: str | UnsetType = UNSET


class UpdateGuardrail(GuardrailSettings, frozen=True, kw_only=True):
    """What is to change. Absent fields stay as they are; null clears."""

    name: str | UnsetType = UNSET


class GuardrailObject(AllLimitsObject, frozen=True, kw_only=True):
    """A guardrail. Null: no such limit."""

    id: str
    name: str
    target: TargetName
    target_id: str | None
    allowed_models: tuple[str, ...] | None
    ignored_models: tuple[str, ...] | None
    allowed_providers: tuple[str, ...] | None
    ignored_providers: tuple[str, ...] | None
    zero_data_retention: bool
    disabled: bool
    organization_id: str
    creator: str | None
    created_at: str
    updated_at: str | None


class GuardrailAnswer(msgspec.Struct, frozen=True):
    data: GuardrailObject


class GuardrailList(msgspec.Struct, frozen=True):
    data: list[GuardrailObject]
    next_page_token: str | None


class UpdateUser(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one end user. Absent fields stay as they are. `limits` are replaced as a whole; null: nothing is
    said, and what is said of every user applies. `block_reason` is told to whoever is refused."""

    limits: AllLimits | UnsetType | None = UNSET
    blocked: bool | UnsetType = UNSET
    block_reason: str | UnsetType | None = UNSET


class UserRulesObject(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one end user; `limits` null: nothing."""

    user: str
    limits: AllLimitsObject | None
    blocked: bool
    block_reason: str | None
    blocked_at: str | None
    updated_at: str | None


class UserRulesAnswer(msgspec.Struct, frozen=True):
    data: UserRulesObject


class LimitStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One limit that applies, and how it stands. `used` is what the records say; `held` is held by requests that run,
    or leased by other processes of the gateway. Of a budget the figures are US dollars."""

    guardrail: str | None
    said_by: str
    scope: Literal["organization", "workspace", "member", "key", "user"]
    scope_id: str
    meter: str
    window: Literal["minute", "day", "week", "month", "lifetime"]
    limit: int | Dollars
    used: int | Dollars
    held: int | Dollars
    remaining: int | Dollars
    resets_at: str | None


class ListRule(msgspec.Struct, frozen=True, kw_only=True):
    """A guardrail that says which models and providers may be asked."""

    guardrail: str | None
    said_by: str
    allowed_models: tuple[str, ...] | None
    ignored_models: tuple[str, ...] | None
    allowed_providers: tuple[str, ...] | None
    ignored_providers: tuple[str, ...] | None
    zero_data_retention: bool


class UserLimitsObject(UserRulesObject, frozen=True, kw_only=True):
    """What is said of one end user, and every limit that applies to it with whichever key it comes, by default or by
    name. A key's own limits for each user come on top."""

    applied_limits: list[LimitStanding]
    applied_lists: list[ListRule]


class UserLimitsAnswer(msgspec.Struct, frozen=True):
    data: UserLimitsObject


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that limits the requests of a key for a user. Of several limits on the same thing it is the most
    restrictive one."""

    api_key_hash: str
    user: str | None
    blocked: bool
    block_reason: str | None
    limits: list[LimitStanding]
    lists: list[ListRule]


class ExplanationAnswer(msgspec.Struct, frozen=True):
    data: Explanation


def guardrail_object(guardrail: Guardrail) -> GuardrailObject:
    """A guardrail in its public form."""
    limits = limits_object(guardrail.limits)
    assert limits is not None
    lists = guardrail.lists
    return GuardrailObject(
        **msgspec.structs.asdict(limits),
        id=guardrail.id,
        name=guardrail.name,
        target=guardrail.target.value,
        target_id=guardrail.target_id,
        allowed_models=lists.allowed_models,
        ignored_models=lists.ignored_models,
        allowed_providers=lists.allowed_providers,
        ignored_providers=lists.ignored_providers,
        zero_data_retention=lists.zero_data_retention,
        disabled=guardrail.disabled,
        organization_id=guardrail.organization_id,
        creator=guardrail.creator,
        created_at=write_instant(guardrail.created_at_us),
        updated_at=None if guardrail.updated_at_us is None else write_instant(guardrail.updated_at_us),
    )


def encode_guardrail(guardrail: Guardrail) -> bytes:
    return msgspec.json.encode(GuardrailAnswer(guardrail_object(guardrail)))


def encode_guardrails(guardrails: Sequence[Guardrail], next_page_token: str | None) -> bytes:
    return msgspec.json.encode(GuardrailList([guardrail_object(one) for one in guardrails], next_page_token))


def user_rules_object(rules: UserRules) -> UserRulesObject:
    """What is said of a user in its public form."""
    limits = limits_object(rules.limits)
    return UserRulesObject(
        user=rules.user,
        limits=None if limits == AllLimitsObject() else limits,
        blocked=rules.blocked,
        block_reason=rules.reason,
        blocked_at=None if rules.blocked_at_us is None else write_instant(rules.blocked_at_us),
        updated_at=None if rules.updated_at_us == 0 else write_instant(rules.updated_at_us),
    )


def encode_user_rules(rules: UserRules) -> bytes:
    return msgspec.json.encode(UserRulesAnswer(user_rules_object(rules)))


def amount(value: int, *, is_money: bool) -> int | msgspec.Raw:
    """A figure of a limit: picodollars as dollars, anything else as it is."""
    if not is_money:
        return value
    told = dollars(value)
    assert told is not None
    return told

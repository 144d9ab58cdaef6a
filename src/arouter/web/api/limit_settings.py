"""From the fields of a request to limits, guardrails and what is said of a user; else InvalidRequest."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar

from msgspec import UNSET, UnsetType

from arouter.domain.errors import InvalidRequest
from arouter.domain.guardrails import ID_PREFIX, NAMELESS, Guardrail, Lists, Target, UserRules, blocked, unblocked
from arouter.domain.ids import named_id
from arouter.domain.limits import NO_LIMITS, Budget, LimitReset, Limits
from arouter.domain.money import LARGEST, Picodollars, from_decimal, to_decimal
from arouter.web.api.parameters import invalid
from arouter.wire.guardrails_json import CreateGuardrail, GuardrailSettings, UpdateGuardrail, UpdateUser
from arouter.wire.limits_json import AllLimits, RateLimit

MOST_REASON = 500

RATES = RateLimit.__struct_fields__
_LISTS = ("allowed_models", "ignored_models", "allowed_providers", "ignored_providers")

T = TypeVar("T")
Given = Decimal | UnsetType | None


def amount_of(given: tuple[tuple[str, Given], ...], current: Picodollars | None) -> Picodollars | None:
    """The one amount that several names of the same setting give; `current` if none does."""
    told = [(name, value) for name, value in given if value is not UNSET]
    if not told:
        return current
    for (_, first), (second, other) in pairwise(told):
        if first != other:
            raise invalid(second, f"and `{told[0][0]}` are names of the same setting and differ")
    name, amount = told[0]
    return dollars_of(name, amount) if isinstance(amount, Decimal) else None


def dollars_of(name: str, amount: Decimal) -> Picodollars:
    """Dollars as picodollars, exactly."""
    # The size is compared before any arithmetic: 1e999999999 is one short line of JSON.
    if not amount.is_finite() or amount < 0 or amount > to_decimal(LARGEST):
        raise invalid(name, f"must be an amount of dollars from 0 to {to_decimal(LARGEST):f}, or null for no limit")
    if to_decimal(from_decimal(amount)) != amount:
        raise invalid(name, "has more than twelve decimals")
    return from_decimal(amount)


def rates_of(given: RateLimit | UnsetType | None, current: Limits | None) -> Limits | None:
    """What a key's `rate_limit` says; as a whole."""
    if isinstance(given, UnsetType):
        return current
    return None if given is None else _none_if_empty(Limits(**{name: getattr(given, name) for name in RATES}))


def limits_of(name: str, given: AllLimits | UnsetType | None, current: Limits | None) -> Limits | None:
    """What the field `name` says of limits; as a whole."""
    if isinstance(given, UnsetType):
        return current
    if given is None:
        return None
    limit = amount_of(((f"{name}.limit", given.limit), (f"{name}.limit_usd", given.limit_usd)), None)
    if limit is None and given.limit_reset is not None:
        raise invalid(f"{name}.limit_reset", "needs a `limit` that it resets")
    budget = None if limit is None else Budget(limit=limit, reset=_reset(given.limit_reset))
    return _none_if_empty(Limits(budget=budget, **{rate: getattr(given, rate) for rate in RATES}))


# ---------------------------------------------------------------- guardrails


def new_guardrail(
    wanted: CreateGuardrail, *, organization_id: str, creator: str | None, now_us: int, entropy: bytes
) -> Guardrail:
    """A new one. That a key or workspace is there is for the caller to check."""
    target = Target(wanted.target)
    target_id = _told(wanted.target_id, None)
    if target in NAMELESS and target_id is not None:
        raise invalid("target_id", f"must be absent: `{target}` names no one")
    if target not in NAMELESS and target_id is None:
        raise InvalidRequest(
            f"`target_id` is required: which {target} it is for.", code="missing_required_parameter", param="target_id"
        )
    if target is Target.USER and target_id is not None:
        checked_user("target_id", target_id)
    blank = Guardrail(
        id=named_id(ID_PREFIX, entropy),
        organization_id=organization_id,
        name=_name(wanted.name, target.value.replace("_", " ")),
        target=target,
        target_id=target_id,
        creator=creator,
        created_at_us=now_us,
    )
    return _with_settings(blank, wanted)


def changed_guardrail(guardrail: Guardrail, wanted: UpdateGuardrail, *, now_us: int) -> Guardrail:
    """It with what `wanted` says."""
    named = replace(guardrail, name=_name(wanted.name, guardrail.name), updated_at_us=now_us)
    return _with_settings(named, wanted)


def _with_settings(guardrail: Guardrail, wanted: GuardrailSettings) -> Guardrail:
    limits, lists = guardrail.limits, guardrail.lists
    budget = limits.budget
    limit = amount_of(
        (("limit", wanted.limit), ("limit_usd", wanted.limit_usd)), None if budget is None else budget.limit
    )
    if isinstance(wanted.limit_reset, UnsetType):
        reset = None if budget is None else budget.reset
    else:
        reset = _reset(wanted.limit_reset)
        if limit is None and reset is not None:
            raise invalid("limit_reset", "needs a `limit` that it resets")
    return replace(
        guardrail,
        limits=Limits(
            budget=None if limit is None else Budget(limit=limit, reset=reset),
            **{name: _told(getattr(wanted, name), getattr(limits, name)) for name in RATES},
        ),
        lists=Lists(
            **{name: _told(getattr(wanted, name), getattr(lists, name)) for name in _LISTS},
            zero_data_retention=_told(wanted.zero_data_retention, lists.zero_data_retention),
        ),
        disabled=_told(wanted.disabled, guardrail.disabled),
    )


# ---------------------------------------------------------------- users


def changed_user(rules: UserRules, wanted: UpdateUser, *, now_us: int) -> UserRules:
    """What is said of a user with what `wanted` says."""
    limits = limits_of("limits", wanted.limits, rules.limits)
    changed = replace(rules, limits=NO_LIMITS if limits is None else limits, updated_at_us=now_us)
    is_blocked = _told(wanted.blocked, rules.blocked)
    reason = _told(wanted.block_reason, rules.reason)
    if reason is not None and not is_blocked and not isinstance(wanted.block_reason, UnsetType):
        raise invalid("block_reason", "is for a user that is `blocked`")
    if reason is not None and len(reason) > MOST_REASON:
        raise InvalidRequest(
            f"`block_reason` has more than {MOST_REASON} characters.",
            code="string_above_max_length",
            param="block_reason",
        )
    return blocked(changed, reason, now_us=now_us) if is_blocked else unblocked(changed, now_us=now_us)


def checked_user(name: str, user: str) -> str:
    """What can be a user: at most 1,024 bytes of UTF-8."""
    try:
        size = len(user.encode())
    except UnicodeEncodeError as exc:
        raise invalid(name, "must be text that UTF-8 can hold") from exc
    if size > 1024:
        raise InvalidRequest(
            f"`{name}` must be at most 1024 bytes of UTF-8; this one has {size}.",
            code="string_above_max_length",
            param=name,
        )
    return user


def _name(given: str | UnsetType, otherwise: str) -> str:
    name = _told(given, otherwise)
    if not name.strip():
        raise invalid("name", "must not be empty")
    if len(name) > 256:
        raise InvalidRequest("`name` has more than 256 characters.", code="string_above_max_length", param="name")
    return name


def _reset(value: str | None) -> LimitReset | None:
    return None if value is None else LimitReset(value)


def _none_if_empty(limits: Limits) -> Limits | None:
    return None if limits == NO_LIMITS else limits


def _told(value: T | UnsetType, otherwise: T) -> T:
    return otherwise if isinstance(value, UnsetType) else value

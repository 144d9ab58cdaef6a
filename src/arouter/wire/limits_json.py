"""Limits as JSON: of guardrails, of keys, of users.

Read: counts from 0, amounts exactly. Written: everything, null where there is no limit.
"""

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from arouter.domain.limits import MOST_OF_A_RATE, Limits
from arouter.wire.numbers import Dollars, dollars

Amount = Annotated[Decimal, msgspec.Meta(description="US dollars; a JSON number or decimal text, read exactly.")]
Reset = Literal["daily", "weekly", "monthly"]
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_OF_A_RATE)]


class RateLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much may be asked for in a minute and in a day (by UTC), and how many requests may run at once. Tokens are
    those that are read and those that are generated."""

    requests_per_minute: Count | None = None
    requests_per_day: Count | None = None
    tokens_per_minute: Count | None = None
    tokens_per_day: Count | None = None
    concurrent_requests: Count | None = None


class AllLimits(RateLimit, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A budget besides. Without `limit_reset` it never starts again. `limit_usd` is another name of `limit`."""

    limit: Amount | UnsetType | None = UNSET
    limit_usd: Amount | UnsetType | None = UNSET
    limit_reset: Reset | None = None


class AllLimitsObject(RateLimit, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits that there are; null: none."""

    limit: Dollars | None = None
    limit_reset: Reset | None = None


def rate_limit(limits: Limits | None) -> RateLimit | None:
    """The rates of limits in their public form."""
    return None if limits is None else RateLimit(**_rates(limits))


def limits_object(limits: Limits | None) -> AllLimitsObject | None:
    """All of them."""
    if limits is None:
        return None
    budget = limits.budget
    return AllLimitsObject(
        **_rates(limits),
        limit=None if budget is None else dollars(budget.limit),
        limit_reset=None if budget is None or budget.reset is None else budget.reset.value,
    )


def _rates(limits: Limits) -> dict[str, int | None]:
    return {name: getattr(limits, name) for name in RateLimit.__struct_fields__}

"""What can be limited, and in which windows: the amounts that a key, a guardrail or a user carries."""

from enum import StrEnum

from arouter.domain.money import Picodollars
from arouter.domain.value import value

MOST_OF_A_RATE = 10**12
"""Of requests or tokens in one window: more than that is no limit."""


class LimitReset(StrEnum):
    """When a spending limit starts again: at 00:00 UTC, on Monday, on the 1st."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@value(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent in one window."""

    limit: Picodollars
    reset: LimitReset | None = None
    """None: the budget is for ever, and never starts again."""


@value(frozen=True, slots=True, kw_only=True)
class Limits:
    """Everything that is counted. None: no limit."""

    budget: Budget | None = None
    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    concurrent_requests: int | None = None

    def over(self, other: "Limits") -> "Limits":
        """These where they say something, else the `other` ones: what is said of one user comes before what is said of
        all."""
        return Limits(
            budget=other.budget if self.budget is None else self.budget,
            requests_per_minute=_first(self.requests_per_minute, other.requests_per_minute),
            requests_per_day=_first(self.requests_per_day, other.requests_per_day),
            tokens_per_minute=_first(self.tokens_per_minute, other.tokens_per_minute),
            tokens_per_day=_first(self.tokens_per_day, other.tokens_per_day),
            concurrent_requests=_first(self.concurrent_requests, other.concurrent_requests),
        )


NO_LIMITS = Limits()


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one

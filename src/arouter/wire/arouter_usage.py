"""Sums in the shapes of ARouter's SDKs: what `GET /api/usage/summary` and `GET /api/usage/timeseries` answer.

`by_user`, `other_users` and the two `requests_without_…` fields are ours.
Source: the SDKs' types UsageSummary and UsageTimeSeries (arouter-node, go-sdk).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import msgspec

from arouter.domain.activity import Totals
from arouter.wire.numbers import Dollars, exact_dollars


class UsageSums(msgspec.Struct, frozen=True, kw_only=True):
    """Of some requests. Tokens and cost count what is known; the two `requests_without_…` fields tell how many
    requests are missing from them."""

    requests: int
    input_tokens: int
    output_tokens: int
    estimated_cost_usd: Dollars
    requests_without_usage: int
    requests_without_price: int


class ProviderUsage(UsageSums, frozen=True, kw_only=True):
    """Of a provider; null for requests that reached none."""

    provider_id: str | None


class ModelUsage(UsageSums, frozen=True, kw_only=True):
    """Of a provider's model; null for requests that reached none."""

    provider_id: str | None
    model: str | None


class UserUsage(UsageSums, frozen=True, kw_only=True):
    """Of an end user; null for requests without one."""

    user: str | None


class OtherUsers(UsageSums, frozen=True, kw_only=True):
    """The users beyond those that are listed, as one."""

    users: int


class UsageSummaryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Each list adds up to the totals; the dearest come first."""

    total_requests: int
    total_input_tokens: int
    total_output_tokens: int
    total_tokens: int
    estimated_cost_usd: Dollars
    requests_without_usage: int
    requests_without_price: int
    by_provider: list[ProviderUsage]
    by_model: list[ModelUsage]
    by_user: list[UserUsage] | None
    other_users: OtherUsers | None


class UsagePoint(UsageSums, frozen=True, kw_only=True):
    """An hour, a day or a month that begins at `timestamp`."""

    timestamp: str
    by_user: list[UserUsage] | None


class UsageTimeSeries(msgspec.Struct, frozen=True, kw_only=True):
    """In the order of time, those without requests too."""

    data_points: list[UsagePoint]


ByUser = Sequence[tuple[str | None, Totals]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a point of a series is written from."""

    timestamp: str
    totals: Totals
    by_user: ByUser | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageParts:
    """What a summary is written from."""

    totals: Totals
    by_provider: Sequence[tuple[str | None, Totals]]
    by_model: Sequence[tuple[tuple[str | None, str | None], Totals]]
    """By provider and model."""
    by_user: ByUser | None
    other_users: tuple[int, Totals] | None
    """How many, and their sums."""


def encode_usage_summary(parts: UsageParts) -> bytes:
    """`by_user` and `other_users` are null where nobody asked for them."""
    totals = parts.totals
    return msgspec.json.encode(
        UsageSummaryAnswer(
            total_requests=totals.requests,
            total_input_tokens=totals.prompt_tokens,
            total_output_tokens=totals.completion_tokens,
            total_tokens=totals.total_tokens,
            estimated_cost_usd=exact_dollars(totals.cost),
            requests_without_usage=totals.requests_without_usage,
            requests_without_price=totals.requests_without_price,
            by_provider=[ProviderUsage(provider_id=each, **_sums(sums)) for each, sums in parts.by_provider],
            by_model=[
                ModelUsage(provider_id=provider, model=model, **_sums(sums))
                for (provider, model), sums in parts.by_model
            ],
            by_user=_users(parts.by_user),
            other_users=None
            if parts.other_users is None
            else OtherUsers(users=parts.other_users[0], **_sums(parts.other_users[1])),
        )
    )


def encode_time_series(points: Sequence[Point]) -> bytes:
    """In the order given."""
    return msgspec.json.encode(
        UsageTimeSeries(
            data_points=[
                UsagePoint(timestamp=point.timestamp, by_user=_users(point.by_user), **_sums(point.totals))
                for point in points
            ]
        )
    )


def _users(by_user: ByUser | None) -> list[UserUsage] | None:
    return None if by_user is None else [UserUsage(user=user, **_sums(sums)) for user, sums in by_user]


class _Sums(TypedDict):
    requests: int
    input_tokens: int
    output_tokens: int
    estimated_cost_usd: msgspec.Raw
    requests_without_usage: int
    requests_without_price: int


def _sums(totals: Totals) -> _Sums:
    return _Sums(
        requests=totals.requests,
        input_tokens=totals.prompt_tokens,
        output_tokens=totals.completion_tokens,
        estimated_cost_usd=exact_dollars(totals.cost),
        requests_without_usage=totals.requests_without_usage,
        requests_without_price=totals.requests_without_price,
    )

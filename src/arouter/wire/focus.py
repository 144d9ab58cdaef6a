"""The activity as a FOCUS table: the FinOps Open Cost and Usage Specification, version 1.2, as CSV.

One row for each UTC day, workspace, key, user, model, provider and kind of account that was charged. Costs are exact
sums of what is known; `x_RequestsWithoutPrice` says how many requests are not in them. An absent value is an empty
cell without quotes. What FOCUS has no column for is in columns that begin with `x_`.

https://focus.finops.org/focus-specification/v1-2/
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from arouter.domain.activity import ActivityRow
from arouter.domain.record import Status
from arouter.wire import csv_cells
from arouter.wire.numbers import exact_dollars

DAY_US = 86_400_000_000
UNROUTED = "ARouter"
"""The provider of a request that none was asked for: it was refused here, and costs nothing."""

COLUMNS = (
    "AvailabilityZone",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
    "x_User",
    "x_IsByok",
    "x_Requests",
    "x_PromptTokens",
    "x_CompletionTokens",
    "x_TotalTokens",
    "x_CachedTokens",
    "x_ReasoningTokens",
    "x_RequestsWithoutUsage",
    "x_RequestsWithoutPrice",
)


class Group(NamedTuple):
    """What a row is the sum of."""

    day: int
    """Days since the epoch."""
    organization_id: str
    workspace_id: str
    key_hash: str
    user: str | None
    model: str | None
    provider: str | None
    is_byok: bool


class Sums(NamedTuple):
    """Exact sums of some requests; a token sum counts what is known."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost: int
    """Picodollars."""
    requests_without_usage: int
    requests_without_price: int

    def plus(self, other: "Sums") -> "Sums":
        return Sums(*(one + more for one, more in zip(self, other, strict=True)))


@dataclass(slots=True)
class _Days:
    """The sums so far, of days that may still get more."""

    sums: dict[Group, Sums] = field(default_factory=dict)
    key_names: dict[str, str] = field(default_factory=dict)
    day: int | None = None


class Focus:
    """One table. Records come in ascending order: a day is written when the next one begins."""

    def __init__(self) -> None:
        self._now = _Days()

    def header(self) -> bytes:
        """The first line."""
        return csv_cells.row(COLUMNS).encode()

    def add(self, rows: Sequence[ActivityRow]) -> bytes:
        """What is known to be final after these records."""
        return self.add_sums((_group(row), row.key_name, _sums(row)) for row in rows)

    def add_sums(self, more: Iterable[tuple[Group, str, Sums]]) -> bytes:
        """The same of sums, with the names of their keys. Days ascend. ValueError if one comes back."""
        written = []
        for group, key_name, sums in more:
            if group.day != self._now.day:
                if self._now.day is not None and group.day < self._now.day:
                    raise ValueError("records must come in ascending order")
                written.append(self.end())
                self._now.day = group.day
            before = self._now.sums.get(group)
            self._now.sums[group] = sums if before is None else before.plus(sums)
            self._now.key_names[group.key_hash] = key_name
        return b"".join(written)

    def end(self) -> bytes:
        """The day that is not written yet."""
        done, self._now = self._now, _Days()
        lines = [
            csv_cells.row(_cells(group, done.key_names[group.key_hash], done.sums[group]))
            for group in sorted(done.sums, key=_place)
        ]
        return "".join(lines).encode()


def _place(group: Group) -> tuple[object, ...]:
    """Nobody and nothing come first."""
    return tuple((part is not None, part if part is not None else "") for part in group)


def _group(row: ActivityRow) -> Group:
    record, opening = row.record, row.record.opening
    return Group(
        day=opening.created_at_us // DAY_US,
        organization_id=opening.organization_id,
        workspace_id=opening.workspace_id,
        key_hash=opening.key_hash,
        user=opening.user,
        model=record.model,
        provider=record.provider,
        is_byok=record.is_byok,
    )


def _sums(row: ActivityRow) -> Sums:
    record, usage = row.record, row.record.usage
    total = usage.total_tokens
    return Sums(
        requests=1,
        prompt_tokens=_known(usage.prompt_tokens),
        completion_tokens=_known(usage.completion_tokens),
        total_tokens=_known(total),
        cached_tokens=_known(usage.cached_tokens),
        reasoning_tokens=_known(usage.reasoning_tokens),
        cost=_known(record.cost),
        requests_without_usage=int(total is None and record.status is not Status.REJECTED),
        requests_without_price=int(record.cost is None and _known(total) > 0),
    )


def _known(count: int | None) -> int:
    return 0 if count is None else count


def _cells(group: Group, key_name: str, sums: Sums) -> list[csv_cells.Cell]:
    start = datetime.fromtimestamp(group.day * 86_400, UTC)
    month = start.replace(day=1)
    next_month = (month + timedelta(days=31)).replace(day=1)
    provider = UNROUTED if group.provider is None else group.provider
    service = "Refused requests" if group.model is None else group.model
    cost = _decimal(exact_dollars(sums.cost))
    quantity = _decimal(msgspec.Raw(str(sums.total_tokens).encode()))
    filled: dict[str, csv_cells.Cell] = {
        "BilledCost": cost,
        "BillingAccountId": group.organization_id,
        "BillingAccountType": "Organization",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": _instant(next_month),
        "BillingPeriodStart": _instant(month),
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{sums.requests} requests to {service}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": _instant(start + timedelta(days=1)),
        "ChargePeriodStart": _instant(start),
        "ConsumedQuantity": quantity,
        "ConsumedUnit": "Tokens",
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "InvoiceIssuerName": provider,
        "ListCost": cost,
        "PricingCategory": "Standard",
        "PricingCurrency": "USD",
        "PricingCurrencyEffectiveCost": cost,
        "PricingQuantity": quantity,
        "PricingUnit": "Tokens",
        "ProviderName": provider,
        "PublisherName": provider,
        "ResourceId": group.key_hash,
        "ResourceName": key_name or None,
        "ResourceType": "API key",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": service,
        "ServiceSubcategory": "Generative AI",
        "SkuId": service,
        "SkuMeter": "Tokens",
        "SkuPriceId": service,
        "SubAccountId": group.workspace_id,
        "SubAccountType": "Workspace",
        "Tags": None if group.user is None else msgspec.json.encode({"user": group.user}).decode(),
        "x_User": group.user,
        "x_IsByok": group.is_byok,
        "x_Requests": sums.requests,
        "x_PromptTokens": sums.prompt_tokens,
        "x_CompletionTokens": sums.completion_tokens,
        "x_TotalTokens": sums.total_tokens,
        "x_CachedTokens": sums.cached_tokens,
        "x_ReasoningTokens": sums.reasoning_tokens,
        "x_RequestsWithoutUsage": sums.requests_without_usage,
        "x_RequestsWithoutPrice": sums.requests_without_price,
    }
    return [filled.get(column) for column in COLUMNS]


def _decimal(number: msgspec.Raw) -> msgspec.Raw:
    """With a point: who guesses the types of columns takes one without for integers, where FOCUS has decimals."""
    digits = bytes(number)
    return number if b"." in digits else msgspec.Raw(digits + b".0")


def _instant(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")

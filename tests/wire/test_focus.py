"""FOCUS: one row a day and group, exact sums, columns as the specification names them."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.activity import ActivityRow
from arouter.domain.record import Status, UsageSource
from arouter.domain.usage import NOTHING_REPORTED
from arouter.wire.activity_columns import columns_of
from arouter.wire.focus import COLUMNS, DAY_US, Focus
from arouter.wire.focus_columns import sums_of
from tests.rfc4180 import read_csv
from tests.wire.activity_rows import ROWS, row

NOON_US = 1_795_348_800_000_000


def table(*rows: ActivityRow) -> list[dict[str | None, str | None]]:
    focus = Focus()
    header, *lines = read_csv(b"".join([focus.header(), focus.add(rows), focus.end()]).decode())
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_a_row_is_filled_as_the_specification_wants() -> None:
    [shown] = table(row(user="ü", created_at_us=NOON_US, cost=1_500_000_000, key_hash="abc"))
    assert {name: value for name, value in shown.items() if value is not None} == {
        "BilledCost": "0.0015",
        "BillingAccountId": "org_home",
        "BillingAccountType": "Organization",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": "2026-12-01T00:00:00Z",
        "BillingPeriodStart": "2026-11-01T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeDescription": "1 requests to openai/gpt-0",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": "2026-11-23T00:00:00Z",
        "ChargePeriodStart": "2026-11-22T00:00:00Z",
        "ConsumedQuantity": "60.0",
        "ConsumedUnit": "Tokens",
        "ContractedCost": "0.0015",
        "EffectiveCost": "0.0015",
        "InvoiceIssuerName": "openai",
        "ListCost": "0.0015",
        "PricingCategory": "Standard",
        "PricingCurrency": "USD",
        "PricingCurrencyEffectiveCost": "0.0015",
        "PricingQuantity": "60.0",
        "PricingUnit": "Tokens",
        "ProviderName": "openai",
        "PublisherName": "openai",
        "ResourceId": "abc",
        "ResourceName": "prod",
        "ResourceType": "API key",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "openai/gpt-0",
        "ServiceSubcategory": "Generative AI",
        "SkuId": "openai/gpt-0",
        "SkuMeter": "Tokens",
        "SkuPriceId": "openai/gpt-0",
        "SubAccountId": "ws_home",
        "SubAccountType": "Workspace",
        "Tags": '{"user":"ü"}',
        "x_User": "ü",
        "x_IsByok": "false",
        "x_Requests": "1",
        "x_PromptTokens": "60",
        "x_CompletionTokens": "0",
        "x_TotalTokens": "60",
        "x_CachedTokens": "60",
        "x_ReasoningTokens": "0",
        "x_RequestsWithoutUsage": "0",
        "x_RequestsWithoutPrice": "0",
    }


def test_own_columns_are_marked_and_stand_behind_the_others() -> None:
    own = [name for name in COLUMNS if name.startswith("x_")]
    assert COLUMNS[-len(own) :] == tuple(own)
    assert list(COLUMNS[: -len(own)]) == sorted(COLUMNS[: -len(own)])


def test_what_differs_is_another_row() -> None:
    plain = row(created_at_us=NOON_US)
    others = [
        row(created_at_us=NOON_US, user=None),
        row(created_at_us=NOON_US, user=""),
        row(created_at_us=NOON_US, model=None, provider=None),
        row(created_at_us=NOON_US, key_hash="b"),
        row(created_at_us=NOON_US, workspace_id="b"),
        row(created_at_us=NOON_US, is_byok=True),
    ]
    shown = table(plain, plain, *others)
    assert sorted(str(one["x_Requests"]) for one in shown) == ["1"] * 6 + ["2"]
    assert {one["ProviderName"] for one in shown} == {"openai", "ARouter"}


def test_a_day_is_written_when_the_next_begins() -> None:
    focus = Focus()
    assert focus.add([row(created_at_us=NOON_US), row(1, created_at_us=NOON_US + 1)]) == b""
    assert focus.add([row(created_at_us=NOON_US + DAY_US)]).count(b"\r\n") == 2
    assert focus.end().count(b"\r\n") == 1
    assert focus.end() == b""


def test_a_day_that_comes_back_is_a_mistake() -> None:
    focus = Focus()
    focus.add([row(created_at_us=NOON_US)])
    with pytest.raises(ValueError, match="ascending"):
        focus.add([row(created_at_us=NOON_US - DAY_US)])


def test_a_year_ends_with_its_last_month() -> None:
    [shown] = table(row(created_at_us=NOON_US + 39 * DAY_US))
    assert shown["BillingPeriodEnd"] == "2027-01-01T00:00:00Z"


def test_what_is_unknown_is_counted_and_not_guessed() -> None:
    nothing: dict[str, Any] = {"usage": NOTHING_REPORTED, "usage_source": UsageSource.NONE, "cost": None}
    [shown] = table(
        row(created_at_us=NOON_US, status=Status.INTERRUPTED, **nothing),
        row(created_at_us=NOON_US, status=Status.REJECTED, **nothing),
        row(created_at_us=NOON_US, cost=None),
    )
    names = ("BilledCost", "x_Requests", "x_RequestsWithoutUsage", "x_RequestsWithoutPrice", "ConsumedQuantity")
    assert [shown[name] for name in names] == ["0.0", "3", "1", "1", "60.0"]


@given(ROWS, st.integers(1, 3))
@settings(deadline=None)
def test_columns_make_the_same_table(rows: list[ActivityRow], at_once: int) -> None:
    ordered = sorted((_in_three_days(one) for one in rows), key=lambda one: one.record.opening.created_at_us)
    of_rows, of_columns = Focus(), Focus()
    pieces = [ordered[start : start + at_once] for start in range(0, len(ordered), at_once)]
    left = b"".join([*(of_rows.add(piece) for piece in pieces), of_rows.end()])
    right = b"".join([*(of_columns.add_sums(sums_of(columns_of(piece))) for piece in pieces), of_columns.end()])
    assert left == right


@given(ROWS)
@settings(deadline=None)
def test_costs_are_exact_sums(rows: list[ActivityRow]) -> None:
    ordered = sorted((_in_three_days(one) for one in rows), key=lambda one: one.record.opening.created_at_us)
    shown = sum((Decimal(str(one["BilledCost"])) for one in table(*ordered)), Decimal(0))
    assert shown == Decimal(sum(_costs(ordered))).scaleb(-12)


def _costs(rows: list[ActivityRow]) -> Iterator[int]:
    return (one.record.cost for one in rows if one.record.cost is not None)


def _in_three_days(one: ActivityRow) -> ActivityRow:
    """A key has one name."""
    opening = one.record.opening
    moved = replace(opening, created_at_us=NOON_US + opening.created_at_us % (3 * DAY_US))
    return replace(one, record=replace(one.record, opening=moved), key_name=f"name of {opening.key_hash}")

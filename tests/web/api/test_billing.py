"""Transactions, balance and credits: the ledger's charges, and the organization's credits where it keeps any."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from arouter.domain.credits import CreditEntry, CreditKind
from arouter.domain.keys import ActivityScope
from arouter.domain.money import Picodollars
from arouter.domain.record import Status
from arouter.domain.usage import NOTHING_REPORTED, Usage
from tests.web.api.gateway import NEEDS_NO_STORE, NOW_US, Gateway, exact, failure

SECOND = 1_000_000
PATHS = ("/v1/billing/transactions", "/v1/transactions", "/api/v1/transactions", "/api/v1/billing/transactions")


def pay(gateway: Gateway, number: int, ago_us: int, **changes: Any) -> None:
    """A dollar."""
    entry = CreditEntry(
        id=f"crd-{number}",
        organization_id="org_home",
        created_at_us=NOW_US - ago_us,
        kind=CreditKind.TOP_UP,
        amount=Picodollars(10**12),
        description="Top-up",
    )
    gateway.run(gateway.store.directory.add_credit(replace(entry, **changes), opening_id=f"crd-open-{number}"))


def read(gateway: Gateway, path: str = PATHS[0], query: str = "", *, key: str | None = None) -> Any:
    answer = gateway.get(f"{path}?{query}", key=gateway.management if key is None else key)
    assert answer.status_code == 200, answer.text
    return exact(answer.content)


@pytest.mark.parametrize("path", PATHS)
def test_a_charge_is_a_transaction(gateway: Gateway, path: str) -> None:
    record = gateway.add_record(user="ada", cost=4_200_000_000, usage=Usage(input_tokens=500, output_tokens=200))
    assert read(gateway, path) == {
        "transactions": [
            {
                "id": f"txn_{record.opening.id}",
                "type": "usage",
                "amount": "-0.0042",
                "currency": "USD",
                "description": "openai/gpt-5.4 - 500 input tokens, 200 output tokens",
                "created_at": "2026-11-22T06:00:00.123456Z",
                "generation_id": record.opening.id,
                "user": "ada",
                "credit_type": None,
                "reference": None,
            }
        ],
        "has_more": False,
        "next_cursor": None,
    }


@pytest.mark.parametrize(
    ("changes", "amount", "description"),
    [
        ({"cost": None}, None, "openai/gpt-5.4 - 120 input tokens, 85 output tokens"),
        ({"cost": 0}, "0", "openai/gpt-5.4 - 120 input tokens, 85 output tokens"),
        ({"cost": 1, "usage": Usage(input_tokens=3)}, "-0.000000000001",
         "openai/gpt-5.4 - 3 input tokens, unknown output tokens"),
        ({"cost": None, "usage": NOTHING_REPORTED, "status": Status.INTERRUPTED}, None,
         "openai/gpt-5.4 - usage unknown"),
        ({"cost": None, "usage": NOTHING_REPORTED, "status": Status.REJECTED, "model": None, "requested_model": "gpt"},
         None, "gpt - rejected"),
        ({"cost": None, "usage": NOTHING_REPORTED, "status": Status.REJECTED, "model": None, "requested_model": None},
         None, "/v1/chat/completions - rejected"),
    ],
)  # fmt: skip
def test_what_is_unknown_is_null(
    gateway: Gateway, changes: dict[str, Any], amount: str | None, description: str
) -> None:
    gateway.add_record(**changes)
    [told] = read(gateway)["transactions"]
    assert (told["amount"], told["description"]) == (amount, description)


def test_the_charges_are_the_costs_that_hold(gateway: Gateway) -> None:
    records = [gateway.add_record(cost=10**number, ago_us=number) for number in range(5)]
    gateway.adjust(records[0], 7)
    gateway.adjust(records[1], None)
    told = [one["amount"] for one in read(gateway)["transactions"]]
    assert told == ["-0.000000000007", None, "-0.0000000001", "-0.000000001", "-0.00000001"]
    cost = exact(gateway.get("/v1/activity/summary").content)["totals"]["cost"]
    assert -sum(Decimal(amount) for amount in told if amount is not None) == Decimal(cost)


def test_pages_ranges_and_users(gateway: Gateway) -> None:
    for number in range(7):
        gateway.add_record(user=f"u{number % 2}", cost=number, ago_us=number * SECOND)
    found, cursor = [], ""
    for _ in range(4):
        body = read(gateway, query=f"limit=2{cursor}")
        found += [one["amount"] for one in body["transactions"]]
        cursor = f"&cursor={body['next_cursor']}"
    assert (body["has_more"], body["next_cursor"]) == (False, None)
    assert found == ["0", *(f"-0.00000000000{number}" for number in range(1, 7))]
    assert len(read(gateway, query="user=u1")["transactions"]) == 3
    assert len(read(gateway, query="start=2026-11-22T05:59:58Z&end=2026-11-22T06:00:00Z")["transactions"]) == 2


@pytest.mark.parametrize("path", ["/v1/balance", "/api/v1/balance"])
def test_a_balance_that_nobody_keeps_is_unknown(gateway: Gateway, path: str) -> None:
    gateway.add_record(cost=1_500)
    assert read(gateway, path) == {"balance": None, "currency": "USD", "total_usage": "0.0000000015"}
    assert read(gateway, "/v1/credits") == {
        "data": {"total_credits": None, "total_usage": "0.0000000015", "balance": None, "enabled": False}
    }


def test_credits_are_among_the_transactions(gateway: Gateway) -> None:
    """Both in one list, page by page, in the order of time."""
    for number, ago_us in enumerate((5, 25, 1000)):
        pay(gateway, number, ago_us, reference=f"invoice {number}")
    for ago_us in (0, 10, 20, 30):
        gateway.add_record(user="ada", cost=1, ago_us=ago_us)
    whole = read(gateway)["transactions"]
    assert [one["type"] for one in whole] == ["usage", "credit", "usage", "usage", "credit", "usage", "credit"]
    assert whole[1] == {
        "id": "txn_crd-0",
        "type": "credit",
        "amount": "1",
        "currency": "USD",
        "description": "Top-up",
        "created_at": "2026-11-22T06:00:00.123451Z",
        "generation_id": None,
        "user": None,
        "credit_type": "top_up",
        "reference": "invoice 0",
    }
    for limit in (1, 2, 3, 6, 7):
        found: list[Any] = []
        cursor = ""
        while True:
            body = read(gateway, query=f"limit={limit}{cursor}")
            found += body["transactions"]
            if not body["has_more"]:
                break
            assert len(body["transactions"]) == limit
            cursor = f"&cursor={body['next_cursor']}"
        assert found == whole
    within = read(gateway, query="start=2026-11-22T06:00:00.123430Z&end=2026-11-22T06:00:00.123451Z")
    assert [one["type"] for one in within["transactions"]] == ["usage", "usage", "credit"]
    assert [one["type"] for one in read(gateway, query="user=ada")["transactions"]] == ["usage"] * 4


def test_the_balance_is_what_all_transactions_add_up_to(gateway: Gateway) -> None:
    """In every shape, before and after corrections, to the last digit."""
    records = [gateway.add_record(cost=cost, ago_us=50) for cost in (7, None, 0, 123_456_789_012)]
    pay(gateway, 0, 40)
    records += [gateway.add_record(cost=cost, ago_us=30) for cost in (1, 999_999_999_999)]
    pay(gateway, 1, 20, kind=CreditKind.CORRECTION, amount=Picodollars(-3))
    for adjusting in ((), ((0, 8), (1, 5), (5, 10**13)), ((5, None),)):
        for place, cost in adjusting:
            gateway.adjust(records[place], cost)
        told = [one["amount"] for one in read(gateway)["transactions"]]
        total = sum((Decimal(amount) for amount in told if amount is not None), Decimal(0))
        balance, credits_ = read(gateway, "/v1/balance"), read(gateway, "/api/v1/credits")["data"]
        assert Decimal(balance["balance"]) == Decimal(credits_["balance"]) == total
        assert balance["total_usage"] == credits_["total_usage"]
        assert Decimal(credits_["total_credits"]) - Decimal(credits_["total_usage"]) == total
        summary = exact(gateway.get("/v1/activity/summary", key=gateway.management).content)["totals"]["cost"]
        assert summary == balance["total_usage"]
        assert credits_["enabled"] is True


def test_a_key_that_sees_only_its_own_sees_no_credits_either(gateway: Gateway) -> None:
    pay(gateway, 0, 5)
    _, colleague = gateway.add_key("colleague")
    stranger, strangers = gateway.add_key("stranger", organization_id="org_2")
    mine = gateway.add_record(cost=1)
    gateway.add_record(key=colleague, cost=2)
    gateway.add_record(key=strangers, cost=4, organization_id="org_2")

    def seen(key: str) -> tuple[list[str], list[Any]]:
        ids = [one["id"] for one in read(gateway, key=key)["transactions"]]
        balance, total = read(gateway, "/v1/balance", key=key), read(gateway, "/v1/credits", key=key)["data"]
        assert (balance["balance"], balance["total_usage"]) == (total["balance"], total["total_usage"])
        return ids, [*total.values()]

    alone = ([f"txn_{mine.opening.id}"], [None, "0.000000000001", None, None])
    assert seen(gateway.live) == alone
    key = replace(gateway.live_key, activity_scope=ActivityScope.WORKSPACE)
    gateway.replace_key(key)
    assert seen(gateway.live)[1] == [None, "0.000000000003", None, None]
    gateway.replace_key(replace(key, activity_scope=ActivityScope.ORGANIZATION))
    assert seen(gateway.live)[1] == ["1", "0.000000000003", "0.999999999997", True]
    assert seen(gateway.management)[1] == ["1", "0.000000000003", "0.999999999997", True]
    assert seen(stranger)[1] == [None, "0.000000000004", None, None]


@pytest.mark.parametrize("path", [*PATHS, "/v1/balance", "/v1/credits"])
@NEEDS_NO_STORE
def test_without_a_key_there_is_nothing(gateway: Gateway, path: str) -> None:
    assert gateway.ask("GET", path).status_code == 401


@NEEDS_NO_STORE
def test_a_path_without_parameters_takes_none(gateway: Gateway) -> None:
    error = failure(gateway.get("/v1/balance?currency=EUR"))
    assert (error["param"], error["message"]) == ("currency", "Unknown parameter `currency`.")


@pytest.mark.parametrize(
    ("query", "param", "message"),
    [
        ("limit=0", "limit", "from 1 to 1000"),
        ("limit=1001", "limit", "from 1 to 1000"),
        ("cursor=x", "cursor", "not a cursor"),
        ("start=x", "start", "not an instant"),
        ("start=2026-11-02&end=2026-11-01", "end", "before"),
        ("users=a", "users", "Did you mean `user`?"),
    ],
)
@NEEDS_NO_STORE
def test_what_does_not_fit_is_named(gateway: Gateway, query: str, param: str, message: str) -> None:
    answer = gateway.get(f"/v1/transactions?{query}")
    assert answer.status_code == 400
    error = failure(answer)
    assert error["param"] == param
    assert message in error["message"]

"""Transactions, balance and credits: the ledger's charges, and a pool of credits where there is one."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from arouter.domain.activity import Cursor
from arouter.domain.keys import ActivityScope
from arouter.domain.money import Picodollars
from arouter.domain.record import Status
from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.engine.credits import CreditEntry
from tests.web.api.gateway import NEEDS_NO_STORE, NOW_US, Gateway, exact, failure

SECOND = 1_000_000
PATHS = ("/v1/billing/transactions", "/v1/transactions", "/api/v1/transactions", "/api/v1/billing/transactions")


class Paid:
    """A pool that was paid into, as somebody may write one."""

    def __init__(self, entries: Sequence[CreditEntry]) -> None:
        self._entries = sorted(entries, key=lambda one: (one.created_at_us, one.id), reverse=True)

    async def balance(self, organization_id: str) -> Picodollars | None:
        return Picodollars(10**13) if organization_id == "org_home" else None

    async def paid_in(self, organization_id: str) -> Picodollars | None:
        return Picodollars(sum(one.amount for one in self._entries)) if organization_id == "org_home" else None

    async def entries(self, organization_id: str, *, limit: int, after: Cursor | None = None) -> Sequence[CreditEntry]:
        here = (2**63, "") if after is None else (after.created_at_us, after.id)
        found = [one for one in self._entries if (one.created_at_us, one.id) < here]
        return found[:limit] if organization_id == "org_home" else ()


def paid(number: int, ago_us: int) -> CreditEntry:
    return CreditEntry(
        id=f"crd-{number}", created_at_us=NOW_US - ago_us, amount=Picodollars(10**12), description="Top-up"
    )


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
    assert read(gateway, "/v1/credits") == {"data": {"total_credits": None, "total_usage": "0.0000000015"}}


def test_credits_are_among_the_transactions() -> None:
    """Whoever keeps a pool: both in one list, page by page, in the order of time."""
    pool = Paid([paid(0, 5), paid(1, 25), paid(2, 1000)])
    with Gateway(credits=pool) as gateway:
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
        assert read(gateway, "/v1/balance")["balance"] == "10"
        assert read(gateway, "/v1/credits")["data"]["total_credits"] == "3"


def test_a_key_that_sees_only_its_own_sees_no_credits_either() -> None:
    with Gateway(credits=Paid([paid(0, 5)])) as gateway:
        _, colleague = gateway.add_key("colleague")
        stranger, strangers = gateway.add_key("stranger", organization_id="org_2")
        mine = gateway.add_record(cost=1)
        gateway.add_record(key=colleague, cost=2)
        gateway.add_record(key=strangers, cost=4, organization_id="org_2")

        def seen(key: str) -> tuple[list[str], list[str | None]]:
            ids = [one["id"] for one in read(gateway, key=key)["transactions"]]
            balance, total = read(gateway, "/v1/balance", key=key), read(gateway, "/v1/credits", key=key)["data"]
            return ids, [balance["balance"], balance["total_usage"], total["total_credits"], total["total_usage"]]

        alone = ([f"txn_{mine.opening.id}"], [None, "0.000000000001", None, "0.000000000001"])
        assert seen(gateway.live) == alone
        key = replace(gateway.live_key, activity_scope=ActivityScope.WORKSPACE)
        gateway.replace_key(key)
        assert seen(gateway.live)[1] == [None, "0.000000000003", None, "0.000000000003"]
        assert seen(gateway.management)[1] == ["10", "0.000000000003", "1", "0.000000000003"]
        assert seen(stranger)[1] == [None, "0.000000000004", None, "0.000000000004"]


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

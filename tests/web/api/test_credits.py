"""`/v1/credits`: what is paid in, once, by whoever may; and what an inference request would hear."""

from typing import Any

import pytest

from arouter.domain.money import LARGEST, to_text
from tests.web.api.gateway import NEEDS_NO_STORE, Gateway, exact, failure


def add(gateway: Gateway, body: dict[str, Any], **rest: Any) -> Any:
    answer = gateway.manage("POST", "/v1/credits", json=body, **rest)
    assert answer.status_code == 201, answer.text
    return exact(answer.content)["data"]


def standing(gateway: Gateway) -> Any:
    return exact(gateway.manage("GET", "/v1/credits").content)["data"]


def test_what_is_added_is_told_and_kept(gateway: Gateway) -> None:
    made = add(gateway, {"amount": 12.5, "description": "Invoice 7", "reference": "inv-7"})
    assert made == {
        "id": made["id"],
        "type": "top_up",
        "amount": "12.5",
        "currency": "USD",
        "description": "Invoice 7",
        "reference": "inv-7",
        "created_at": "2026-11-22T06:00:00.123456Z",
    }
    assert made["id"].startswith("crd_")
    gift = add(gateway, {"amount": "0.000000000001", "type": "gift"})
    less = add(gateway, {"amount": -2, "type": "correction", "description": None, "reference": None})
    assert [(one["type"], one["description"], one["reference"]) for one in (gift, less)] == [
        ("gift", "Gift", None),
        ("correction", "Correction", None),
    ]
    assert standing(gateway)["balance"] == "10.500000000001"
    assert exact(gateway.manage("GET", f"/api/v1/credits/entries/{made['id']}").content) == {"data": made}
    listed = exact(gateway.manage("GET", "/v1/credits/entries").content)
    assert {one["id"] for one in listed["data"]} == {made["id"], gift["id"], less["id"]}
    assert (listed["has_more"], listed["next_cursor"]) == (False, None)
    found, cursor = [], ""
    for _ in range(3):
        page = exact(gateway.manage("GET", f"/v1/credits/entries?limit=1{cursor}").content)
        found += page["data"]
        cursor = f"&cursor={page['next_cursor']}"
    assert found == listed["data"]
    assert not page["has_more"]
    audit = gateway.manage("GET", f"/v1/audit?target={made['id']}").json()["data"]
    assert [(one["action"], one["actor_id"]) for one in audit] == [("credit.create", gateway.management_key.hash)]


def test_the_same_one_twice_is_one(gateway: Gateway) -> None:
    body = {"amount": 5, "reference": "inv-7"}
    keyed = {"headers": {"Idempotency-Key": "k-1"}}
    made = add(gateway, body, **keyed)
    gateway.now_us += 1_000_000
    assert add(gateway, body, **keyed) == made
    assert add(gateway, body) == made
    assert add(gateway, body, headers={"Idempotency-Key": "k-2"}) == made
    assert standing(gateway)["balance"] == "5"
    for other, headers, param in (
        ({"amount": 6, "reference": "inv-7"}, {}, "reference"),
        ({"amount": 5, "reference": "inv-8"}, {"Idempotency-Key": "k-1"}, "Idempotency-Key"),
        ({"amount": 5}, {"Idempotency-Key": "k-1"}, "Idempotency-Key"),
    ):
        answer = gateway.manage("POST", "/v1/credits", json=other, headers=headers)
        error = failure(answer)
        assert (answer.status_code, error["code"], error["param"]) == (409, "idempotency_conflict", param)
        assert error["metadata"] == {"id": made["id"]}
    assert standing(gateway)["balance"] == "5"


def test_the_pool_is_switched(gateway: Gateway) -> None:
    gateway.add_record(cost=3)
    told = [
        exact(gateway.manage("PATCH", "/v1/credits", json={"enabled": enabled}).content)["data"]
        for enabled in (False, True, True, False, True)
    ]
    usage = "0.000000000003"
    off = {"total_credits": None, "total_usage": usage, "balance": None, "enabled": False}
    on = {"total_credits": usage, "total_usage": usage, "balance": "0", "enabled": True}
    assert told == [off, on, on, off, on]
    assert standing(gateway) == on
    actions = [one["action"] for one in gateway.manage("GET", "/v1/audit").json()["data"]]
    assert actions[:4] == ["credit_pool.update", "credit_pool.update", "credit.create", "credit_pool.update"]


def test_what_limits_a_request_tells_of_the_credits(gateway: Gateway) -> None:
    gateway.add_record(cost=10**11)
    add(gateway, {"amount": 2})
    gateway.add_record(cost=10**12)
    explained = exact(gateway.manage("GET", f"/v1/guardrails/explain?api_key_hash={gateway.live_key.hash}").content)
    assert explained["data"]["limits"] == [
        {
            "guardrail": None,
            "said_by": "the organization's credits",
            "scope": "organization",
            "scope_id": "org_home",
            "meter": "cost",
            "window": "lifetime",
            "limit": "2.1",
            "used": "1.1",
            "held": "0",
            "remaining": "1",
            "resets_at": None,
        }
    ]


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({}, "amount", "required"),
        ({"amount": 0}, "amount", "must not be zero"),
        ({"amount": -1}, "amount", "only a `correction` may be negative"),
        ({"amount": -1, "type": "refund"}, "amount", "only a `correction` may be negative"),
        ({"amount": "x"}, "amount", ""),
        ({"amount": "NaN"}, "amount", "must be an amount of dollars"),
        ({"amount": "1e999999999"}, "amount", "must be an amount of dollars"),
        ({"amount": "-1e999999999", "type": "correction"}, "amount", "must be an amount of dollars"),
        ({"amount": "0.0000000000001"}, "amount", "more than twelve decimals"),
        ({"amount": 1, "type": "opening"}, "type", "opening"),
        ({"amount": 1, "reference": ""}, "reference", "1 to 255 characters"),
        ({"amount": 1, "reference": "a\nb"}, "reference", "that can be printed"),
        ({"amount": 1, "description": "x" * 501}, "description", "1 to 500 characters"),
        ({"amount": 1, "usd": 1}, "usd", "usd"),
    ],
)
@NEEDS_NO_STORE
def test_what_does_not_fit_is_named(gateway: Gateway, body: dict[str, Any], param: str, message: str) -> None:
    answer = gateway.manage("POST", "/v1/credits", json=body)
    error = failure(answer)
    assert (answer.status_code, error["param"]) == (400, param)
    assert message in error["message"]


@NEEDS_NO_STORE
def test_more_than_can_be_kept_is_refused(gateway: Gateway) -> None:
    add(gateway, {"amount": to_text(LARGEST)})
    answer = gateway.manage("POST", "/v1/credits", json={"amount": 1})
    assert (answer.status_code, failure(answer)["param"]) == (400, "amount")
    key = gateway.manage("POST", "/v1/credits", json={"amount": 1}, headers={"Idempotency-Key": "x" * 256})
    assert failure(key)["param"] == "Idempotency-Key"
    assert failure(gateway.manage("GET", "/v1/credits/entries?cursor=x"))["param"] == "cursor"
    assert failure(gateway.manage("GET", "/v1/credits/entries/crd_x"))["code"] == "credit_not_found"


@NEEDS_NO_STORE
def test_a_key_for_requests_adds_nothing(gateway: Gateway) -> None:
    for method, path in (("POST", "/v1/credits"), ("PATCH", "/v1/credits"), ("GET", "/v1/credits/entries")):
        answer = gateway.ask(method, path, key=gateway.live, json={"amount": 1})
        assert (answer.status_code, failure(answer)["code"]) == (403, "wrong_key_type")

"""`/api/usage/summary` and `/api/usage/timeseries`: the ledger in the shapes of ARouter's SDKs."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from arouter.domain.keys import ActivityScope
from arouter.domain.record import Status
from arouter.domain.usage import NOTHING_REPORTED
from tests.web.api.gateway import NEEDS_NO_STORE, Gateway, exact, failure

SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
SUMMARY, SERIES = "/api/usage/summary", "/api/usage/timeseries"


def read(gateway: Gateway, path: str, query: str = "", *, key: str | None = None) -> Any:
    answer = gateway.get(f"{path}?{query}", key=gateway.management if key is None else key)
    assert answer.status_code == 200, answer.text
    return exact(answer.content)


def test_a_summary_is_the_sdks(gateway: Gateway) -> None:
    gateway.add_record(user="ada", cost=1)
    gateway.add_record(user=None, cost=None, provider="anthropic", model="anthropic/claude")
    sums = {"requests": "1", "input_tokens": "120", "output_tokens": "85"}
    priced = {**sums, "estimated_cost_usd": "0.000000000001", "requests_without_usage": "0"}
    priced["requests_without_price"] = "0"
    unpriced = {**priced, "estimated_cost_usd": "0", "requests_without_price": "1"}
    assert read(gateway, SUMMARY) == {
        "total_requests": "2",
        "total_input_tokens": "240",
        "total_output_tokens": "170",
        "total_tokens": "410",
        "estimated_cost_usd": "0.000000000001",
        "requests_without_usage": "0",
        "requests_without_price": "1",
        "by_provider": [{**priced, "provider_id": "openai"}, {**unpriced, "provider_id": "anthropic"}],
        "by_model": [
            {**priced, "provider_id": "openai", "model": "openai/gpt-5.4"},
            {**unpriced, "provider_id": "anthropic", "model": "anthropic/claude"},
        ],
        "by_user": [{**priced, "user": "ada"}, {**unpriced, "user": None}],
        "other_users": None,
    }


def test_every_list_adds_up_to_the_totals(gateway: Gateway) -> None:
    for number in range(9):
        gateway.add_record(
            user=[None, "", "a"][number % 3], provider=["x", "y"][number % 2], model=f"m{number % 4}", cost=3**number
        )
    gateway.add_record(status=Status.REJECTED, provider=None, model=None, usage=NOTHING_REPORTED, cost=None)
    body = read(gateway, SUMMARY)
    for part in ("by_provider", "by_model", "by_user"):
        assert sum(int(one["requests"]) for one in body[part]) == int(body["total_requests"]) == 10
        assert sum(int(one["input_tokens"]) for one in body[part]) == int(body["total_input_tokens"])
        cost = sum(Decimal(one["estimated_cost_usd"]) for one in body[part])
        assert cost == Decimal(body["estimated_cost_usd"]) == Decimal(sum(3**number for number in range(9))) / 10**12


def test_users_beyond_the_dearest_are_added_up(gateway: Gateway) -> None:
    for number in range(1003):
        gateway.add_record(user=f"user {number}", cost=number)
    gateway.add_record(user=None, cost=0)
    body = read(gateway, SUMMARY)
    assert [len(body["by_user"]), body["by_user"][0]["user"]] == [1000, "user 1002"]
    others = body["other_users"]
    assert (others["users"], others["requests"], others["estimated_cost_usd"]) == ("3", "4", "0.000000000003")
    assert read(gateway, SUMMARY, "by_user=false")["by_user"] is None


@pytest.mark.parametrize("granularity", ["hourly", "daily", "monthly"])
def test_a_summary_takes_what_the_sdks_send(gateway: Gateway, granularity: str) -> None:
    gateway.add_record()
    query = f"start_time=2026-11-01T00:00:00Z&end_time=2026-12-01T00:00:00Z&granularity={granularity}"
    assert read(gateway, SUMMARY, query)["total_requests"] == "1"


@pytest.mark.parametrize(
    ("query", "requests"),
    [
        ("user=a", "1"),
        ("user=a&user=", "2"),
        ("unattributed=true", "1"),
        ("provider_id=anthropic", "1"),
        ("model=openai/gpt-5.4", "2"),
        ("start_time=2026-11-22", "2"),
        ("end_time=2026-11-22", "1"),
        ("start_time=2026-11-22T00:00:00Z&end_time=2026-11-22T00:00:00Z", "0"),
    ],
)
def test_filters(gateway: Gateway, query: str, requests: str) -> None:
    gateway.add_record(user="a")
    gateway.add_record(user="", ago_us=DAY)
    gateway.add_record(user=None, provider="anthropic", model="anthropic/claude", requested_model="anthropic/claude")
    assert read(gateway, SUMMARY, query)["total_requests"] == requests
    points = read(gateway, SERIES, query)["data_points"]
    assert sum(int(point["requests"]) for point in points) == int(requests)


def test_a_key_is_a_filter(gateway: Gateway) -> None:
    _, other = gateway.add_key("other")
    gateway.add_record()
    gateway.add_record(key=other, cost=7)
    assert read(gateway, SUMMARY, f"key_id={other.hash}")["estimated_cost_usd"] == "0.000000000007"


def test_a_series_is_the_sdks(gateway: Gateway) -> None:
    gateway.add_record(user="ada", cost=1)
    [point] = read(gateway, SERIES)["data_points"]
    assert point == {
        "requests": "1",
        "input_tokens": "120",
        "output_tokens": "85",
        "estimated_cost_usd": "0.000000000001",
        "requests_without_usage": "0",
        "requests_without_price": "0",
        "timestamp": "2026-11-22T00:00:00Z",
        "by_user": None,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [("20T00", 1), ("21T00", 0), ("22T00", 2)]),
        ("start_time=2026-11-19T12:00:00Z", [("19T00", 0), ("20T00", 1), ("21T00", 0), ("22T00", 2)]),
        ("start_time=2026-11-21&end_time=2026-11-22T05:00:01Z", [("21T00", 0), ("22T00", 1)]),
        ("start_time=2026-11-21&end_time=2027-01-01", [("21T00", 0), ("22T00", 2)]),
        ("start_time=2026-11-22T04:30:00Z&granularity=hourly", [("22T04", 0), ("22T05", 1), ("22T06", 1)]),
        ("granularity=monthly", [("01T00", 3)]),
        ("start_time=2026-11-25", []),
        ("user=nobody", []),
        ("user=nobody&start_time=2026-11-22", [("22T00", 0)]),
    ],
)
def test_points_without_requests_are_there(gateway: Gateway, query: str, expected: list[tuple[str, int]]) -> None:
    gateway.add_record()
    gateway.add_record(ago_us=HOUR)
    gateway.add_record(ago_us=2 * DAY)
    points = read(gateway, SERIES, query)["data_points"]
    assert [(point["timestamp"][8:13], int(point["requests"])) for point in points] == expected


def test_months_follow_each_other(gateway: Gateway) -> None:
    points = read(gateway, SERIES, "start_time=2025-12-31&granularity=monthly")["data_points"]
    months = ["2025-12-01T00:00:00Z", *(f"2026-{month:02}-01T00:00:00Z" for month in range(1, 12))]
    assert [point["timestamp"] for point in points] == months


def test_users_at_each_point(gateway: Gateway) -> None:
    gateway.add_record(user="b", cost=1)
    gateway.add_record(user=None, cost=2)
    gateway.add_record(user="b", cost=4, ago_us=2 * DAY)
    points = read(gateway, SERIES, "by_user=true")["data_points"]
    told = [[(one["user"], one["estimated_cost_usd"]) for one in point["by_user"]] for point in points]
    assert told == [[("b", "0.000000000004")], [], [(None, "0.000000000002"), ("b", "0.000000000001")]]


@pytest.mark.parametrize("path", [SUMMARY, SERIES])
def test_a_key_sees_what_its_scope_covers(gateway: Gateway, path: str) -> None:
    _, colleague = gateway.add_key("colleague")
    _, stranger = gateway.add_key("stranger", organization_id="org_2")
    gateway.add_record(user="mine")
    gateway.add_record(user="colleague", key=colleague)
    gateway.add_record(user="stranger", key=stranger, organization_id="org_2")

    def seen(query: str) -> int:
        body = read(gateway, path, query, key=gateway.live)
        return int(body.get("total_requests", sum(int(one["requests"]) for one in body.get("data_points", ()))))

    assert [seen(""), seen(f"key_id={colleague.hash}"), seen("user=colleague"), seen("user=stranger")] == [1, 0, 0, 0]
    wide = replace(gateway.live_key, activity_scope=ActivityScope.ORGANIZATION)
    gateway.replace_key(wide)
    assert [seen(""), seen(f"key_id={colleague.hash}"), seen("user=stranger")] == [2, 1, 0]
    assert gateway.ask("GET", path).status_code == 401


@pytest.mark.parametrize(
    ("path", "query", "param", "message"),
    [
        (SUMMARY, "start_time=undefined", "start_time", "not an instant"),
        (SUMMARY, "start_time=2026-11-02&end_time=2026-11-01", "end_time", "before"),
        (SUMMARY, "granularity=weekly", "granularity", "hourly, daily, monthly"),
        (SUMMARY, "by_user=some", "by_user", "true or false"),
        (SUMMARY, "provider=openai", "provider", "Did you mean `provider_id`?"),
        (SERIES, "granularity=day", "granularity", "hourly, daily, monthly"),
        (SERIES, "start_time=2020-01-01&granularity=hourly", "granularity", "more than 10000 points"),
        (SERIES, "start_time=1900-01-01&granularity=daily", "granularity", "more than 10000 points"),
    ],
)
@NEEDS_NO_STORE
def test_what_does_not_fit_is_named(gateway: Gateway, path: str, query: str, param: str, message: str) -> None:
    answer = gateway.get(f"{path}?{query}")
    assert answer.status_code == 400
    error = failure(answer)
    assert error["param"] == param
    assert message in error["message"]

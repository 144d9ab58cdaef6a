"""`GET /v1/activity/users`: who uses most, beside the range before."""

from decimal import Decimal
from typing import Any

import pytest

from arouter.domain.keys import ActivityScope
from arouter.domain.usage import Usage
from tests.rfc4180 import read_csv
from tests.web.api.gateway import NEEDS_NO_STORE, Gateway, exact, failure

HOUR = 3_600_000_000
DAY = 24 * HOUR
ADDED = (
    *("requests", "errors", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens"),
    *("cost", "requests_without_usage", "requests_without_price", "users", "previous", "change"),
)


@pytest.fixture(autouse=True)
def _requests(gateway: Gateway) -> None:
    gateway.add_record(user="a", cost=7, ago_us=HOUR)
    gateway.add_record(user="a", cost=10**12, ago_us=2 * HOUR)
    gateway.add_record(user="b", cost=3 * 10**12, ago_us=3 * HOUR, usage=Usage(input_tokens=1))
    gateway.add_record(user="", cost=5, ago_us=4 * HOUR)
    gateway.add_record(user=None, cost=10**12, ago_us=5 * HOUR)
    gateway.add_record(user="c", cost=None, ago_us=6 * HOUR)
    gateway.add_record(user="b", cost=10**12, ago_us=31 * DAY)
    gateway.add_record(user="gone", cost=2, ago_us=32 * DAY)


def asked(gateway: Gateway, query: str = "", **rest: Any) -> Any:
    answer = gateway.get(f"/v1/activity/users?{query}", **rest)
    assert answer.status_code == 200, answer.text
    return exact(answer.content)


def test_users_come_by_cost_with_their_trend(gateway: Gateway) -> None:
    body = asked(gateway)
    assert [(row["rank"], row["user"], row["cost"]) for row in body["data"]] == [
        ("1", "b", "3"),
        ("2", "a", "1.000000000007"),
        ("3", "", "0.000000000005"),
        ("4", "c", "0"),
    ]
    first, second, *_ = body["data"]
    assert {name: first[name] for name in ("share", "previous", "change", "ratio")} == {
        "share": "0.6",
        "previous": "1",
        "change": "2",
        "ratio": "3.0",
    }
    assert (second["previous"], second["change"], second["ratio"]) == ("0", "1.000000000007", None)
    assert (body["unattributed"]["cost"], body["unattributed"]["users"]) == ("1", "0")
    assert (body["other"]["previous"], body["other"]["requests"]) == ("0.000000000002", "0")
    assert body["totals"]["cost"] == "5.000000000012"
    assert (body["object"], body["order_by"], body["currency"]) == ("activity.users", "cost", "USD")


def test_the_ranges_are_told_and_of_equal_length(gateway: Gateway) -> None:
    body = asked(gateway)
    assert (body["start"], body["end"]) == ("2026-10-23T06:00:00.123457Z", "2026-11-22T06:00:00.123457Z")
    assert (body["previous_start"], body["previous_end"]) == ("2026-09-23T06:00:00.123457Z", body["start"])
    body = asked(gateway, "start=2026-11-21&end=2026-11-22&timezone=Europe/Berlin")
    assert (body["start"], body["end"]) == ("2026-11-20T23:00:00.000000Z", "2026-11-21T23:00:00.000000Z")
    assert (body["previous_start"], body["previous_end"]) == ("2026-11-19T23:00:00.000000Z", body["start"])


@pytest.mark.parametrize("order_by", ["cost", "tokens", "requests"])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_all_rows_add_up(gateway: Gateway, order_by: str, limit: int) -> None:
    body = asked(gateway, f"order_by={order_by}&limit={limit}")
    rows = [*body["data"], *(body[name] for name in ("unattributed", "other") if body[name] is not None)]
    assert len(body["data"]) == min(limit, 4)
    for name in ADDED:
        assert sum(Decimal(row[name]) for row in rows) == Decimal(body["totals"][name]), name


@pytest.mark.parametrize("query", ["", "user=a&user=c", "unattributed=true", "model=openai/gpt-5.4", "limit=1"])
def test_the_figures_are_the_summarys(gateway: Gateway, query: str) -> None:
    body = asked(gateway, query)
    same = f"start={body['start']}&end={body['end']}&{query}"
    summary = exact(gateway.get(f"/v1/activity/summary?group_by=user&{same}").content)
    by_user = {row.pop("user"): row for row in summary["data"]}
    for row in body["data"]:
        if row["user"] in by_user:
            assert {name: row[name] for name in by_user[row["user"]]} == by_user[row["user"]]
    assert {name: body["totals"][name] for name in summary["totals"]} == summary["totals"]
    before = f"start={body['previous_start']}&end={body['previous_end']}&{query}"
    summary = exact(gateway.get(f"/v1/activity/summary?{before}").content)
    assert body["totals"]["previous"] == summary["totals"]["cost"]


def test_other_measures(gateway: Gateway) -> None:
    body = asked(gateway, "order_by=tokens&limit=1")
    assert (body["data"][0]["user"], body["data"][0]["previous"], body["data"][0]["change"]) == ("a", "0", "410")
    body = asked(gateway, "order_by=requests&limit=2")
    assert [(row["rank"], row["user"]) for row in body["data"]] == [("1", "a"), ("2", "")]
    assert (body["other"]["requests"], body["other"]["previous"]) == ("2", "2")


def test_few_make_half(gateway: Gateway) -> None:
    assert asked(gateway, "limit=1")["concentration"] == {
        "users": "4",
        "cost": "4.000000000012",
        "top_1_percent": {"users": "1", "cost": "3", "share": "0.75"},
        "top_10_percent": {"users": "1", "cost": "3", "share": "0.75"},
        "users_of_half_the_cost": "1",
    }


def test_a_table_has_the_same_rows(gateway: Gateway) -> None:
    body = asked(gateway, "limit=2")
    answer = gateway.get("/v1/activity/users?limit=2&format=csv")
    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    header, *rows = read_csv(answer.text)
    assert header[:4] == ["row", "rank", "user", "requests"]
    assert [row[0] for row in rows] == ["user", "user", "unattributed", "other", "total"]
    told = [dict(zip(header, row, strict=True)) for row in rows]
    for row, same in zip(told, [*body["data"], body["unattributed"], body["other"], body["totals"]], strict=True):
        for name, value in same.items():
            assert row[name] == value, name
    assert told[2]["user"] is None


def test_a_key_ranks_the_users_of_its_own_requests(gateway: Gateway) -> None:
    other, other_key = gateway.add_key("other")
    foreign, foreign_key = gateway.add_key(
        "foreign", organization_id="org_b", activity_scope=ActivityScope.ORGANIZATION
    )
    gateway.add_record(user="mine", key=other_key, cost=1)
    gateway.add_record(user="theirs", key=foreign_key, cost=10**15)
    assert [row["user"] for row in asked(gateway, key=other)["data"]] == ["mine"]
    assert [row["user"] for row in asked(gateway, key=foreign)["data"]] == ["theirs"]
    whole = asked(gateway, key=gateway.management)
    assert [row["user"] for row in whole["data"]] == ["b", "a", "", "mine", "c"]


@NEEDS_NO_STORE
@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("order_by=money", "order_by", "invalid_parameter"),
        ("limit=0", "limit", "invalid_parameter"),
        ("limit=1001", "limit", "invalid_parameter"),
        ("start=2026-01-02&end=2026-01-01", "end", "invalid_parameter"),
        ("start=2027-01-01", "end", "invalid_parameter"),
        ("timezone=Mars", "timezone", "invalid_parameter"),
        ("group_by=user", "group_by", "unknown_parameter"),
        ("format=ndjson", "format", "invalid_parameter"),
    ],
)
def test_a_wrong_parameter_is_named(gateway: Gateway, query: str, param: str, code: str) -> None:
    answer = gateway.get(f"/v1/activity/users?{query}")
    assert answer.status_code == 400
    error = failure(answer)
    assert (error["param"], error["code"]) == (param, code)

"""`GET /v1/activity/summary`: exact sums of what `/v1/activity` lists."""

from decimal import Decimal

import pytest

from arouter.domain.record import Status
from arouter.domain.usage import NOTHING_REPORTED, Usage
from tests.rfc4180 import read_csv
from tests.web.api.gateway import NEEDS_NO_STORE, Gateway, exact, failure

HOUR = 3_600_000_000


@pytest.fixture(autouse=True)
def _requests(gateway: Gateway) -> None:
    gateway.add_record(user="a", cost=1, latency_us=1000)
    gateway.add_record(user="a", cost=2, latency_us=2001, ago_us=HOUR, model="openai/gpt-5.4-mini")
    gateway.add_record(user="b", cost=10**13, latency_us=None, ago_us=24 * HOUR)
    gateway.add_record(user=None, cost=None, usage=Usage(input_tokens=1), latency_us=None, ago_us=2)
    gateway.add_record(
        user="c", cost=None, usage=NOTHING_REPORTED, latency_us=5, status=Status.UPSTREAM_ERROR, http_status=502
    )


def column(gateway: Gateway, query: str, name: str) -> list[object]:
    answer = gateway.get(f"/v1/activity/summary?{query}")
    assert answer.status_code == 200, answer.text
    return [row[name] for row in exact(answer.content)["data"]]


def test_a_row_has_its_group_and_every_metric(gateway: Gateway) -> None:
    body = exact(gateway.get("/v1/activity/summary?group_by=user&user=c").content)
    assert list(body) == ["object", "data", "other", "totals", "groups", "currency", "as_of"]
    assert list(body["data"][0].items()) == [
        ("user", "c"),
        ("requests", "1"),
        ("errors", "1"),
        ("prompt_tokens", "0"),
        ("completion_tokens", "0"),
        ("total_tokens", "0"),
        ("cached_tokens", "0"),
        ("reasoning_tokens", "0"),
        ("cost", "0"),
        ("requests_without_usage", "1"),
        ("requests_without_price", "0"),
        ("users", "1"),
        ("mean_latency_ms", "0.005"),
    ]


def test_totals_are_over_everything(gateway: Gateway) -> None:
    body = exact(gateway.get("/v1/activity/summary").content)
    assert (body["object"], body["currency"], body["other"]) == ("activity.summary", "USD", None)
    assert body["as_of"] == "2026-11-22T06:00:00.123456Z"
    assert body["totals"] == {
        "requests": "5",
        "errors": "1",
        "prompt_tokens": "361",
        "completion_tokens": "255",
        "total_tokens": "616",
        "cached_tokens": "180",
        "reasoning_tokens": "90",
        "cost": "10.000000000003",
        "requests_without_usage": "1",
        "requests_without_price": "1",
        "users": "3",
        "mean_latency_ms": "1.002",
    }
    assert body["data"] == [body["totals"]]


def test_nothing_sums_to_zero_and_means_nothing(gateway: Gateway) -> None:
    body = gateway.get("/v1/activity/summary?user=nobody&group_by=user").json()
    assert body["data"] == []
    assert (body["totals"]["requests"], body["totals"]["cost"], body["totals"]["mean_latency_ms"]) == (0, 0, None)


@pytest.mark.parametrize(
    ("query", "name", "expected"),
    [
        ("group_by=user", "user", ["b", "a", None, "c"]),
        ("group_by=user&order=asc", "user", [None, "c", "a", "b"]),
        ("group_by=user&order_by=requests", "user", ["a", None, "b", "c"]),
        ("group_by=user&order_by=user", "user", ["a", "b", "c", None]),
        ("group_by=user&order_by=user&order=desc", "user", ["c", "b", "a", None]),
        ("group_by=user&order_by=mean_latency_ms", "user", ["a", "c", None, "b"]),
        ("group_by=model", "cost", ["10.000000000001", "0.000000000002"]),
        ("group_by=status&order_by=status", "status", ["success", "upstream_error"]),
        ("group_by=endpoint", "requests", ["5"]),
        ("group_by=organization", "organization", ["org_home"]),
        ("group_by=workspace", "workspace", ["ws_home"]),
        ("group_by=provider", "provider", ["openai"]),
        ("group_by=day", "day", ["2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"]),
        ("group_by=day&order=desc", "day", ["2026-11-22T00:00:00Z", "2026-11-21T00:00:00Z"]),
        ("group_by=hour&user=a", "hour", ["2026-11-22T05:00:00Z", "2026-11-22T06:00:00Z"]),
        ("group_by=week", "week", ["2026-11-16T00:00:00Z"]),
        ("group_by=month", "month", ["2026-11-01T00:00:00Z"]),
        ("group_by=day,user&user=a&user=b", "user", ["b", "a"]),
        ("group_by=day&group_by=user&user=a&user=b", "user", ["b", "a"]),
        ("group_by=user&start=2026-11-22&status=success", "user", ["a", None]),
    ],
)
def test_groups_and_their_order(gateway: Gateway, query: str, name: str, expected: list[object]) -> None:
    assert column(gateway, query, name) == expected


def test_a_key_is_a_group(gateway: Gateway) -> None:
    assert column(gateway, "group_by=api_key", "api_key") == [gateway.live_key.hash]


def test_days_begin_where_the_time_zone_says(gateway: Gateway) -> None:
    days = column(gateway, "group_by=day&timezone=Asia/Shanghai", "day")
    assert days == ["2026-11-21T00:00:00+08:00", "2026-11-22T00:00:00+08:00"]
    # A date without an offset is a day of that zone: all of the 22nd in Shanghai, which began at 16:00 UTC.
    gateway.add_record(user="late", ago_us=13 * HOUR)
    query = "start=2026-11-22&group_by=user&user=late"
    assert column(gateway, f"{query}&timezone=Asia/Shanghai", "user") == ["late"]
    assert column(gateway, query, "user") == []


def test_a_limit_leaves_a_rest_and_everything_still_adds_up(gateway: Gateway) -> None:
    body = exact(gateway.get("/v1/activity/summary?group_by=user&limit=1").content)
    assert [row["user"] for row in body["data"]] == ["b"]
    assert (body["other"]["groups"], body["other"]["users"]) == ("3", "2")
    for name in ("requests", "errors", "total_tokens", "cost", "requests_without_price"):
        parts = Decimal(body["data"][0][name]) + Decimal(body["other"][name])
        assert parts == Decimal(body["totals"][name])
    by_day = gateway.get("/v1/activity/summary?group_by=day&limit=1").json()
    assert by_day["other"]["users"] is None


def test_csv_says_the_same(gateway: Gateway) -> None:
    query = "/v1/activity/summary?group_by=user,model&limit=2"
    body = exact(gateway.get(query).content)
    answer = gateway.get(f"{query}&format=csv")
    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    header, *rows = read_csv(answer.text)
    assert header[:4] == ["row", "user", "model", "requests"]
    assert [row[0] for row in rows] == ["group", "group", "other"]
    for row, shown in zip(rows, [*body["data"], body["other"]], strict=True):
        assert row[1:] == [shown.get(name) for name in header[1:] if name is not None]


def test_a_name_without_a_guard_survives_csv(gateway: Gateway) -> None:
    gateway.add_record(user="=1")
    assert '"\'=1"' in gateway.get("/v1/activity/summary?group_by=user&user==1&format=csv").text


@pytest.mark.parametrize(
    ("query", "param", "message"),
    [
        ("metrics=price", "metrics", "Unknown metric"),
        ("metrics=", "metrics", "Unknown metric"),
        ("group_by=users", "group_by", "Did you mean `user`?"),
        ("group_by=", "group_by", "Unknown dimension"),
        ("group_by=user,user", "group_by", "twice"),
        ("group_by=user,model,day,status", "group_by", "at most 3"),
        ("order_by=price", "order_by", "cost"),
        ("order_by=user&group_by=model", "order_by", "model"),
        ("timezone=Europe/Berlim", "timezone", "Did you mean `Europe/Berlin`?"),
        ("timezone=../etc/passwd", "timezone", "Unknown time zone"),
        ("timezone=Europe", "timezone", "Unknown time zone"),
        ("limit=0", "limit", "from 1"),
        ("format=ndjson", "format", "json, csv"),
        ("format=parquet", "format", "not supported yet"),
        ("cursor=a", "cursor", "Unknown parameter"),
    ],
)
@NEEDS_NO_STORE
def test_what_does_not_fit_is_named(gateway: Gateway, query: str, param: str, message: str) -> None:
    answer = gateway.get(f"/v1/activity/summary?{query}")
    assert answer.status_code == 400
    error = failure(answer)
    assert error["param"] == param
    assert message in error["message"]


def test_a_summary_agrees_with_the_list(gateway: Gateway) -> None:
    records = exact(gateway.get("/v1/activity?limit=1000").content)["data"]
    totals = exact(gateway.get("/v1/activity/summary").content)["totals"]
    assert sum(Decimal(r["cost"]) for r in records if r["cost"] is not None) == Decimal(totals["cost"])
    assert sum(int(r["total_tokens"]) for r in records if r["total_tokens"] is not None) == int(totals["total_tokens"])

"""`GET /v1/users` and `GET /v1/users/{user}`: each user, as far as the key may see."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from arouter.domain.keys import ActivityScope
from tests.conformance.test_ledger import USERS
from tests.web.api.gateway import NEEDS_NO_STORE, Gateway, exact, failure

HOUR = 3_600_000_000
DAY = 24 * HOUR
METRICS = (
    *("requests", "errors", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens"),
    *("cost", "requests_without_usage", "requests_without_price", "users", "mean_latency_ms"),
)


UNKNOWN = {"blocked": None, "block_reason": None, "blocked_at": None}
"""What a key for requests is told of whether a user is blocked."""


def listed(gateway: Gateway, query: str = "", **rest: Any) -> list[str]:
    answer = gateway.get(f"/v1/users?{query}", **rest)
    assert answer.status_code == 200, answer.text
    return [one["user"] for one in answer.json()["data"]]


def shown(gateway: Gateway, user: str, query: str = "", **rest: Any) -> Any:
    answer = gateway.get(f"/v1/users/{quote(user, safe='')}?{query}", **rest)
    assert answer.status_code == 200, answer.text
    return exact(answer.content)


def summed(gateway: Gateway, query: str, **rest: Any) -> Any:
    answer = gateway.get(f"/v1/activity/summary?{query}", **rest)
    assert answer.status_code == 200, answer.text
    return exact(answer.content)


def figures(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: told[name] for name in METRICS}


# ---------------------------------------------------------------- the list


def test_users_are_listed_with_when_they_were_seen(gateway: Gateway) -> None:
    gateway.add_record(user="a", ago_us=5)
    gateway.add_record(user="a", ago_us=3)
    gateway.add_record(user="b", ago_us=4)
    gateway.add_record(user=None)
    body = gateway.get("/v1/users").json()
    assert body == {
        "object": "list",
        "data": [
            {
                "object": "user",
                "user": "a",
                "first_seen": "2026-11-22T06:00:00.123451Z",
                "last_seen": "2026-11-22T06:00:00.123453Z",
                **UNKNOWN,
            },
            {
                "object": "user",
                "user": "b",
                "first_seen": "2026-11-22T06:00:00.123452Z",
                "last_seen": "2026-11-22T06:00:00.123452Z",
                **UNKNOWN,
            },
        ],
        "has_more": False,
        "next_cursor": None,
    }


def test_pages_follow_each_other(gateway: Gateway) -> None:
    for number, user in enumerate(("d", "", "a", "c", "b")):
        gateway.add_record(user=user, ago_us=number)
    for query, expected in (
        ("", ["d", "", "a", "c", "b"]),
        ("order=asc", ["b", "c", "a", "", "d"]),
        ("order_by=name", ["", "a", "b", "c", "d"]),
        ("order_by=name&order=desc", ["d", "c", "b", "a", ""]),
        ("order_by=first_seen", ["d", "", "a", "c", "b"]),
    ):
        found: list[str] = []
        cursor = ""
        while True:
            body = gateway.get(f"/v1/users?limit=2&{query}{cursor}").json()
            found += [one["user"] for one in body["data"]]
            assert body["has_more"] == (body["next_cursor"] is not None)
            if body["next_cursor"] is None:
                break
            cursor = f"&cursor={body['next_cursor']}"
        assert found == expected


def test_a_prefix_finds_users(gateway: Gateway) -> None:
    for user in ("org_7:ann", "org_7:bob", "org_70", "ORG_7:x", "ü"):
        gateway.add_record(user=user)
    assert listed(gateway, "q=org_7:&order_by=name") == ["org_7:ann", "org_7:bob"]
    assert listed(gateway, "q=%C3%BC") == ["ü"]
    assert listed(gateway, "q=u") == []


@NEEDS_NO_STORE
@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("order_by=cost", "order_by", "invalid_parameter"),
        ("order=up", "order", "invalid_parameter"),
        ("limit=1001", "limit", "invalid_parameter"),
        ("cursor=x", "cursor", "invalid_parameter"),
        ("prefix=x", "prefix", "unknown_parameter"),
    ],
)
def test_a_wrong_parameter_of_the_list_is_named(gateway: Gateway, query: str, param: str, code: str) -> None:
    answer = gateway.get(f"/v1/users?{query}")
    assert answer.status_code == 400
    assert (failure(answer)["param"], failure(answer)["code"]) == (param, code)


# ---------------------------------------------------------------- whom a key sees


def test_a_key_sees_the_users_of_its_scope(gateway: Gateway) -> None:
    own, own_key = gateway.add_key("own")
    wide, wide_key = gateway.add_key("wide", workspace_id="ws_2", activity_scope=ActivityScope.WORKSPACE)
    _, beside = gateway.add_key("beside", workspace_id="ws_2")
    foreign, foreign_key = gateway.add_key(
        "foreign", organization_id="org_b", activity_scope=ActivityScope.ORGANIZATION
    )
    for user, key in (("a", own_key), ("b", wide_key), ("c", beside), ("d", foreign_key), ("a", beside)):
        gateway.add_record(user=user, key=key)
    sees = {own: ["a"], wide: ["a", "b", "c"], foreign: ["d"], gateway.management: ["a", "b", "c"], gateway.live: []}
    for plaintext, users in sees.items():
        assert sorted(listed(gateway, key=plaintext)) == users
        for user in "abcd":
            answer = gateway.get(f"/v1/users/{user}", key=plaintext)
            assert answer.status_code == (200 if user in users else 404), (plaintext, user)
            if user not in users:
                assert failure(answer)["code"] == "user_not_found"
    assert shown(gateway, "a", key=own)["totals"]["all_time"]["requests"] == "1"
    assert shown(gateway, "a", key=gateway.management)["totals"]["all_time"]["requests"] == "2"
    nobody = gateway.get("/v1/users/nobody", key=own)
    theirs = gateway.get("/v1/users/d", key=own)
    assert nobody.content == theirs.content


# ---------------------------------------------------------------- one user


@pytest.mark.parametrize("user", [*USERS, "me", "me/usage", "..", ".", "%2F", "users/x", "/", "a\r\nb"])
def test_a_user_is_named_byte_for_byte(gateway: Gateway, user: str) -> None:
    for other in (*USERS, "me", "me/usage", ".."):
        if other != user:
            gateway.add_record(user=other)
    gateway.add_record(user=user, cost=42)
    named = quote(user, safe="")
    paths = [f"/v1/users/?user={named}", f"/api/v1/users/?user={named}"]
    if user not in ("", ".", ".."):
        paths += [f"/v1/users/{named}", f"/api/v1/users/{named}"]
    for path in paths:
        answer = gateway.get(path)
        assert answer.status_code == 200, answer.text
        body = exact(answer.content)
        assert (body["user"], body["totals"]["all_time"]["cost"]) == (user, "0.000000000042")


@NEEDS_NO_STORE
def test_what_names_no_user_is_refused(gateway: Gateway) -> None:
    gateway.add_record(user="a/b")
    gateway.add_record(user="")
    for path, status, code, param in (
        ("/v1/users/", 400, "missing_required_parameter", "user"),
        ("/v1/users/a?user=a", 400, "invalid_parameter", "user"),
        ("/v1/users/%FF", 400, "invalid_parameter", "user"),
        ("/v1/users/?user=%FF", 400, "invalid_parameter", "user"),
        ("/v1/users/a/b", 404, "not_found", None),
        ("/v1/users/a%2Fb?start=never", 400, "invalid_parameter", "start"),
        ("/v1/users/a%2Fb?timezone=Mars", 400, "invalid_parameter", "timezone"),
        ("/v1/users/a%2Fb?group_by=day", 400, "unknown_parameter", "group_by"),
    ):
        answer = gateway.get(path)
        assert answer.status_code == status, path
        assert (failure(answer)["code"], failure(answer)["param"]) == (code, param)


def test_all_is_told_of_a_user(gateway: Gateway) -> None:
    gateway.add_record(user="a", cost=7, ago_us=HOUR)
    gateway.add_record(user="a", cost=1, ago_us=400 * DAY)
    gateway.add_record(user="b", cost=3, ago_us=HOUR)
    body = shown(gateway, "a")
    assert list(body) == [
        *("object", "user", "first_seen", "last_seen", "totals", "range", "projection", "days", "models", "keys"),
        *("limits", "applied_limits", "blocked", "block_reason", "blocked_at", "anomalies"),
        *("timezone", "currency", "as_of"),
    ]
    assert (body["first_seen"], body["last_seen"]) == ("2025-10-18T06:00:00.123456Z", "2026-11-22T05:00:00.123456Z")
    assert [body["totals"][name]["requests"] for name in ("all_time", "this_month", "today")] == ["2", "1", "1"]
    assert (body["range"]["share"], body["range"]["rank"], body["range"]["of_users"]) == ("0.7", "1", "2")
    assert (body["range"]["percentile"], body["range"]["previous"], body["range"]["ratio"]) == ("100.0", "0", None)
    assert len(body["days"]) == 30
    assert (body["days"][0]["day"], body["days"][-1]["day"]) == ("2026-10-24T00:00:00Z", "2026-11-22T00:00:00Z")
    assert [(one["model"], one["cost"]) for one in body["models"]] == [("openai/gpt-5.4", "0.000000000007")]
    assert [(one["api_key_hash"], one["api_key_name"]) for one in body["keys"]] == [(gateway.live_key.hash, "prod")]
    assert (body["limits"], body["blocked"], body["anomalies"]) == (None, None, None)


def test_a_user_outside_the_range_has_no_rank(gateway: Gateway) -> None:
    gateway.add_record(user="a", cost=4, ago_us=40 * DAY)
    gateway.add_record(user="b")
    told = shown(gateway, "a")["range"]
    assert (told["rank"], told["percentile"], told["of_users"], told["requests"]) == (None, None, "1", "0")
    assert (told["previous"], told["change"]) == ("0.000000000004", "-0.000000000004")


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "Pacific/Auckland", "America/Los_Angeles"])
def test_every_figure_is_the_summarys(gateway: Gateway, timezone: str) -> None:
    _, second = gateway.add_key("second")
    for number in range(60):
        gateway.add_record(
            user=("a", "b", None)[number % 3],
            cost=None if number % 7 == 0 else 7**number // 5**number,
            ago_us=number * 17 * HOUR,
            key=gateway.live_key if number % 2 else second,
            model=f"openai/m{number % 4}",
        )
    zone = f"timezone={timezone}"
    asks: dict[str, Any] = {"key": gateway.management}
    body = shown(gateway, "a", zone, **asks)
    mine = f"user=a&{zone}"
    assert figures(body["totals"]["all_time"]) == summed(gateway, mine, **asks)["totals"]
    days = {row["day"]: row for row in summed(gateway, f"{mine}&group_by=day", **asks)["data"]}
    nothing = summed(gateway, f"{mine}&end=2000-01-01", **asks)["totals"]
    assert [figures(day) for day in body["days"]] == [figures(days.get(day["day"], nothing)) for day in body["days"]]
    today = "2026-11-21" if timezone == "America/Los_Angeles" else "2026-11-22"
    for name, start in (("today", today), ("this_month", "2026-11-01")):
        assert figures(body["totals"][name]) == summed(gateway, f"{mine}&start={start}", **asks)["totals"]
    told = body["range"]
    within = f"start={told['start']}&end={told['end']}"
    for field, group in (("models", "model"), ("keys", "api_key")):
        rows = summed(gateway, f"{mine}&{within}&group_by={group}", **asks)["data"]
        named = {"models": "model", "keys": "api_key_hash"}[field]
        assert [(one[named], figures(one)) for one in body[field]] == [(row[group], figures(row)) for row in rows]
    assert figures(told) == summed(gateway, f"{mine}&{within}", **asks)["totals"]
    before = f"start={told['previous_start']}&end={told['previous_end']}"
    assert told["previous"] == summed(gateway, f"{mine}&{before}", **asks)["totals"]["cost"]
    everybody = exact(gateway.get(f"/v1/activity/users?{within}", **asks).content)
    (row,) = (row for row in everybody["data"] if row["user"] == "a")
    assert {name: told[name] for name in row if name != "user"} == {
        name: value for name, value in row.items() if name != "user"
    }


# ---------------------------------------------------------------- where the month is heading


def test_a_month_goes_on_as_the_days_before(gateway: Gateway) -> None:
    for day in range(1, 29):
        gateway.add_record(user="a", cost=10, ago_us=day * DAY)
    gateway.add_record(user="a", cost=3, ago_us=HOUR)
    body = shown(gateway, "a")
    # 21 days at 10 and today's 3 so far; three quarters of today, and eight days, are to come.
    assert body["totals"]["this_month"]["cost"] == "0.000000000213"
    projection = body["projection"]
    assert (projection["confidence"], projection["days"], projection["by_weekday"]) == ("0.8", "27", True)
    assert Decimal(projection["cost"]) == Decimal("0.000000000300")
    assert projection["low"] <= projection["cost"] <= projection["high"]


def test_of_the_day_on_which_a_user_came_nothing_is_concluded(gateway: Gateway) -> None:
    gateway.add_record(user="a", ago_us=3 * DAY)
    assert shown(gateway, "a")["projection"] is None
    gateway.add_record(user="b", ago_us=4 * DAY)
    projection = shown(gateway, "b")["projection"]
    assert (projection["days"], projection["cost"], projection["by_weekday"]) == ("3", "0.0012345", False)


def test_a_user_of_today_has_no_projection(gateway: Gateway) -> None:
    gateway.add_record(user="a")
    assert shown(gateway, "a")["projection"] is None

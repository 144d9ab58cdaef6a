"""`arouter users`: the same users and figures as the HTTP API, and tokens that it takes."""

from typing import Any

from tests.cli.conftest import USERS, Gateway
from tests.cli.process import arouter, call, misused, refused, succeeded, told

NAMED = list(dict.fromkeys(user for user in USERS if user is not None))


def over_http(gateway: Gateway, path: str) -> Any:
    status, body = call(f"{gateway.url}{path}", gateway.management_key)
    assert status == 200, body
    return body


def test_users_are_listed_as_the_api_lists_them(gateway: Gateway) -> None:
    listed = told("users", "list", cwd=gateway.folder)
    assert listed == over_http(gateway, "/v1/users")["data"]
    assert [one["user"] for one in listed][-1] == NAMED[0]
    by_name = told("users", "list", "--order-by", "name", cwd=gateway.folder)
    assert [one["user"] for one in by_name] == sorted(NAMED)
    last = told("users", "list", "--order-by", "name", "--reverse", "--limit", "1", cwd=gateway.folder)
    assert [one["user"] for one in last] == [max(NAMED)]
    found = told("users", "list", "--prefix", "user_", cwd=gateway.folder)
    assert [one["user"] for one in found] == ["user_12345"]


def test_who_is_blocked_and_limited_is_told_as_the_api_tells_it(gateway: Gateway) -> None:
    for user in ("ada", "never seen"):
        told("users", "block", user, "--reason", "stolen \x1b[31mcard", cwd=gateway.folder)
    told("users", "limit", "ada", "--limit", "0.25", "--requests-per-day", "7", cwd=gateway.folder)
    blocked = told("users", "list", "--blocked", cwd=gateway.folder)
    assert blocked == over_http(gateway, "/v1/users?blocked=true")["data"]
    assert [one["user"] for one in blocked] == ["ada", "never seen"]
    lines = succeeded("users", "list", "--blocked", cwd=gateway.folder)
    assert "never" in lines
    assert "stolen \\x1b[31mcard" in lines
    assert [one["user"] for one in told("users", "list", "--blocked", "--prefix", "n", cwd=gateway.folder)] == [
        "never seen"
    ]
    here = told("users", "show", "ada", cwd=gateway.folder)
    there = over_http(gateway, "/v1/users/ada")
    names = ("limits", "applied_limits", "blocked", "block_reason", "blocked_at")
    assert {name: here[name] for name in names} == {name: there[name] for name in names}
    assert [one["said_by"] for one in here["applied_limits"]] == ["the user's own limits"] * 2
    text = succeeded("users", "show", "ada", cwd=gateway.folder)
    assert "1 of 7 requests in the day: the user's own limits" in text
    for user in ("ada", "never seen"):
        told("users", "unblock", user, cwd=gateway.folder)
    told("users", "limit", "ada", cwd=gateway.folder)
    assert told("users", "list", "--blocked", cwd=gateway.folder) == []


def test_a_table_is_safe_on_a_terminal(gateway: Gateway) -> None:
    for command in (("list",), ("top",)):
        lines = succeeded("users", *command, cwd=gateway.folder)
        assert "\x1b" not in lines
        assert "\\x1b[31mred" in lines
        assert '""' in lines
    done = arouter("users", "list", "--limit", "1", cwd=gateway.folder)
    assert "There are more" in done.stderr


def test_the_high_usage_list_is_the_apis(gateway: Gateway) -> None:
    here = told("users", "top", "--limit", "2", "--order-by", "requests", "--start", "2020-01-01", cwd=gateway.folder)
    there = over_http(gateway, f"/v1/activity/users?limit=2&order_by=requests&start=2020-01-01&end={here['end']}")
    assert {**here, "as_of": there["as_of"]} == there
    assert (here["data"][0]["rank"], here["data"][0]["user"]) == (1, "user_12345")
    lines = succeeded("users", "top", "--limit", "2", cwd=gateway.folder)
    assert "others" in lines
    assert "of 5 users" in " ".join(lines.split())


def test_one_user_is_shown_as_the_api_shows_it(gateway: Gateway) -> None:
    for user in ("user_12345", ""):
        options = ("--start", "2026-01-01", "--end", "2036-01-01", "--timezone", "Asia/Tokyo")
        here = told("users", "show", user, *options, cwd=gateway.folder)
        there = over_http(gateway, f"/v1/users/?user={user}&start=2026-01-01&end=2036-01-01&timezone=Asia/Tokyo")
        assert {**here, "as_of": there["as_of"]} == there
        assert here["user"] == user
    lines = succeeded("users", "show", "user_12345", cwd=gateway.folder)
    assert "sandbox/sandbox-echo" in lines
    assert "All time" in lines
    assert "'nobody'" in refused("users", "show", "nobody", cwd=gateway.folder)


def test_a_token_opens_the_users_own_figures(gateway: Gateway) -> None:
    done = arouter("users", "token", "user_12345", cwd=gateway.folder)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert "Until 20" in done.stderr
    status, body = call(f"{gateway.url}/v1/users/me/usage", done.stdout.strip())
    assert (status, body["user"], body["totals"]["requests"]) == (200, "user_12345", 2)
    made = told("users", "token", "ada", "--expires-in", "5", cwd=gateway.folder)
    assert (made["user"], made["expires_in"]) == ("ada", 5)
    keys = {one["hash"]: one["key_type"] for one in told("keys", "list", cwd=gateway.folder)}
    assert keys[made["api_key_hash"]] == "management"
    live = next(one for one, kind in keys.items() if kind == "regular")
    made = told("users", "token", "ada", "--key", live[:12], cwd=gateway.folder)
    assert made["api_key_hash"] == live
    assert call(f"{gateway.url}/v1/users/me/usage", made["token"])[1]["totals"]["requests"] == 1
    assert "no key's hash" in refused("users", "token", "ada", "--key", "ffffffff", cwd=gateway.folder)
    assert "1024" in refused("users", "token", "x" * 1025, cwd=gateway.folder, code=2)


def test_what_it_does_not_take() -> None:
    assert "--order-by" in misused("users", "top", "--order-by", "money")
    assert "--timezone" in misused("users", "show", "ann", "--timezone", "Mars")
    assert "--expires-in" in misused("users", "token", "ann", "--expires-in", "86401")
    assert "--limit" in misused("users", "list", "--limit", "0")

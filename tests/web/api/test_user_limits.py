"""What limits a user, and who is blocked: every view of users tells the same, to who may know."""

from typing import Any
from urllib.parse import quote

import pytest

from arouter.domain.keys import ActivityScope, KeyKind
from arouter.domain.roles import Role
from tests.web.api.gateway import NEEDS_NO_STORE, Gateway, exact, failure
from tests.web.api.people import Town

UNSAID = {"limits": None, "blocked": False, "block_reason": None, "blocked_at": None}
HIDDEN = {**UNSAID, "applied_limits": None, "blocked": None}
SAID = ("limits", "applied_limits", "blocked", "block_reason", "blocked_at")


def guardrail(gateway: Gateway, **body: Any) -> str:
    answer = gateway.manage("POST", "/v1/guardrails", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


def say(gateway: Gateway, user: str, **body: Any) -> Any:
    answer = gateway.manage("PATCH", "/v1/users", params={"user": user}, json=body)
    assert answer.status_code == 200, answer.text
    return exact(answer.content)["data"]


def limits(gateway: Gateway, user: str) -> Any:
    answer = gateway.manage("GET", f"/v1/users/{quote(user, safe='')}/limits")
    assert answer.status_code == 200, answer.text
    return exact(answer.content)["data"]


def told(one: Any) -> dict[str, Any]:
    return {name: one[name] for name in SAID}


def applied(one: Any) -> list[tuple[str, ...]]:
    return [
        (each["meter"], each["window"], each["limit"], each["used"], each["said_by"]) for each in one["applied_limits"]
    ]


def test_of_whom_nothing_is_said_nothing_is_told(gateway: Gateway) -> None:
    found = limits(gateway, "nobody")
    assert found == {**UNSAID, "user": "nobody", "updated_at": None, "applied_limits": [], "applied_lists": []}


def test_each_limit_is_told_with_who_says_so_and_how_it_stands(gateway: Gateway) -> None:
    every = guardrail(gateway, target="every_user", name="a dollar", limit=1, limit_reset="daily", requests_per_day=9)
    named = guardrail(gateway, target="user", target_id="a", name="slow", requests_per_day=5, ignored_providers=["x"])
    guardrail(gateway, target="organization", name="all", limit=500)
    say(gateway, "a", limits={"tokens_per_day": 7})
    gateway.add_record(user="a", cost=250_000_000_000)
    gateway.add_record(user="b", cost=250_000_000_000)
    found = limits(gateway, "a")
    assert applied(found) == [
        ("requests", "day", "5", "1", "slow"),
        ("tokens", "day", "7", "205", "the user's own limits"),
        ("cost", "day", "1", "0.25", "a dollar"),
    ]
    assert [one["guardrail"] for one in found["applied_limits"]] == [named, None, every]
    assert {(one["scope"], one["scope_id"]) for one in found["applied_limits"]} == {("user", "a")}
    assert [(one["guardrail"], one["ignored_providers"]) for one in found["applied_lists"]] == [(named, ["x"])]
    assert found["limits"]["tokens_per_day"] == "7"
    assert applied(limits(gateway, "b")) == [
        ("cost", "day", "1", "0.25", "a dollar"),
        ("requests", "day", "9", "1", "a dollar"),
    ]


def test_what_applies_is_what_limits_the_requests_of_a_key_that_says_nothing_itself(gateway: Gateway) -> None:
    guardrail(gateway, target="every_user", limit=1, requests_per_minute=3)
    say(gateway, "a", limits={"limit": 4, "limit_reset": "weekly"})
    gateway.add_record(user="a")
    path = f"/v1/guardrails/explain?api_key_hash={gateway.live_key.hash}&user=a"
    explained = exact(gateway.manage("GET", path).content)["data"]
    assert limits(gateway, "a")["applied_limits"] == explained["limits"]


def test_every_view_tells_the_same(gateway: Gateway) -> None:
    guardrail(gateway, target="every_user", name="a dollar", limit=1)
    gateway.add_record(user="a")
    gateway.add_record(user="b")
    said = say(gateway, "a", blocked=True, block_reason="the card was stolen", limits={"requests_per_day": 3})
    found = limits(gateway, "a")
    assert {name: found[name] for name in said} == said
    user = exact(gateway.manage("GET", "/v1/users/a").content)
    assert told(user) == told(found)
    assert told(exact(gateway.manage("GET", "/v1/users/?user=a").content)) == told(found)
    rows = {row["user"]: row for row in gateway.manage("GET", "/v1/users").json()["data"]}
    assert [rows["a"][name] for name in SAID[2:]] == [True, "the card was stolen", "2026-11-22T06:00:00.123456Z"]
    assert [rows["b"][name] for name in SAID[2:]] == [False, None, None]
    [blocked] = gateway.manage("GET", "/v1/users?blocked=true").json()["data"]
    assert blocked == rows["a"]


@pytest.mark.parametrize("user", ["", ".", "..", "a/limits", "limits", "me", "ü b", "a/b"])
def test_a_user_is_named_byte_for_byte(gateway: Gateway, user: str) -> None:
    say(gateway, user, block_reason=None, blocked=True)
    in_query = gateway.manage("GET", "/v1/users//limits", params={"user": user}).json()["data"]
    assert (in_query["user"], in_query["blocked"]) == (user, True)
    if user not in ("", ".", ".."):
        assert limits(gateway, user)["blocked"] is True
    gateway.add_record(user=user)
    shown = gateway.manage("GET", "/v1/users/", params={"user": user}).json()
    assert (shown["user"], shown["blocked"]) == (user, True)
    if user not in ("", ".", ".."):
        assert gateway.manage("GET", f"/v1/users/{quote(user, safe='')}").json()["blocked"] is True


@NEEDS_NO_STORE
@pytest.mark.parametrize(
    ("path", "status", "code", "param"),
    [
        ("/v1/users//limits", 400, "missing_required_parameter", "user"),
        ("/v1/users/a/limits?user=a", 400, "invalid_parameter", "user"),
        ("/v1/users/a/b/limits", 404, "not_found", None),
        ("/v1/users/%FF/limits", 400, "invalid_parameter", "user"),
        ("/v1/users/a/limits?q=a", 400, "unknown_parameter", "q"),
        ("/v1/users//limits?user=" + "x" * 1025, 400, "string_above_max_length", "user"),
        ("/v1/users?blocked=true&order_by=last_seen", 400, "invalid_parameter", "order_by"),
        ("/v1/users?blocked=maybe", 400, "invalid_parameter", "blocked"),
        ("/v1/users?blocked=true&limit=0", 400, "invalid_parameter", "limit"),
    ],
)
def test_what_is_wrong_is_named(gateway: Gateway, path: str, status: int, code: str, param: str | None) -> None:
    answer = gateway.manage("GET", path)
    assert (answer.status_code, failure(answer)["code"], failure(answer)["param"]) == (status, code, param)


def test_who_is_blocked_is_listed_by_name_also_who_was_never_seen(gateway: Gateway) -> None:
    for user in ("c", "b", "a", ""):
        say(gateway, user, blocked=True)
    say(gateway, "free", limits={"limit": 1})
    gateway.add_record(user="b", ago_us=3)
    gateway.add_record(user="free")

    def page(query: str) -> Any:
        answer = gateway.manage("GET", f"/v1/users?blocked=true&{query}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    rows = {row["user"]: row for row in page("order_by=name")["data"]}
    assert list(rows) == ["", "a", "b", "c"]
    assert (rows["b"]["first_seen"], rows["b"]["last_seen"]) == ("2026-11-22T06:00:00.123453Z",) * 2
    assert (rows["a"]["first_seen"], rows["a"]["last_seen"]) == (None, None)
    read, cursor = [], ""
    for more in (True, True, False):
        body = page(f"limit=2&order=desc&cursor={cursor}" if cursor else "limit=2&order=desc")
        read += [row["user"] for row in body["data"]]
        if not body["has_more"]:
            break
        cursor = body["next_cursor"]
        assert more
    assert read == ["c", "b", "a", ""]
    assert [row["user"] for row in page("q=a")["data"]] == ["a"]
    say(gateway, "c", blocked=False)
    assert [row["user"] for row in page("")["data"]] == ["", "a", "b"]


@pytest.mark.parametrize("role", Role)
def test_who_may_not_read_users_is_told_no_more_than_before(gateway: Gateway, role: Role) -> None:
    town = Town(gateway)
    say(gateway, "a", blocked=True, limits={"limit": 1})
    gateway.add_record(user="a", key=town.people[role].live_key)
    may = role is not Role.MEMBER
    shown = town.ask(role, "GET", "/v1/users/a").json()
    assert (told(shown) == HIDDEN) is not may
    [row] = town.ask(role, "GET", "/v1/users").json()["data"]
    assert row["blocked"] is (True if may else None)
    assert row["blocked_at"] == ("2026-11-22T06:00:00.123456Z" if may else None)


def test_a_key_for_requests_is_told_nothing_of_limits(gateway: Gateway) -> None:
    say(gateway, "a", blocked=True)
    for kind in (KeyKind.LIVE, KeyKind.TEST):
        plaintext, key = gateway.add_key("x", kind=kind, activity_scope=ActivityScope.ORGANIZATION)
        gateway.add_record(user="a", key=key)
        assert told(gateway.get("/v1/users/a", key=plaintext).json()) == HIDDEN
        assert {row["blocked"] for row in gateway.get("/v1/users", key=plaintext).json()["data"]} == {None}
        for path in ("/v1/users?blocked=true", "/v1/users/a/limits"):
            answer = gateway.get(path, key=plaintext)
            assert (answer.status_code, failure(answer)["code"]) == (403, "wrong_key_type")


def test_another_organizations_users_are_not_told(gateway: Gateway) -> None:
    town = Town(gateway)
    say(gateway, "a", blocked=True, limits={"limit": 1})
    key = town.foreigner.management
    assert gateway.ask("GET", "/v1/users/a/limits", key=key).json()["data"]["blocked"] is False
    assert gateway.ask("GET", "/v1/users?blocked=true", key=key).json()["data"] == []

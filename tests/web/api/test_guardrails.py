"""`/v1/guardrails` and `PATCH /v1/users/{user}`: made, shown, changed, explained, and refused where they do not fit."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from arouter.domain.guardrails import Guardrail, Lists, Target, UserRules
from arouter.domain.keys import KeyKind
from arouter.domain.limits import Budget, LimitReset, Limits
from arouter.domain.money import Picodollars
from tests.web.api.gateway import HOME, NEEDS_NO_STORE, Gateway


def create(gateway: Gateway, **body: Any) -> Any:
    answer = gateway.manage("POST", "/v1/guardrails", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def stored(gateway: Gateway, guardrail_id: str) -> Guardrail:
    found = gateway.run(gateway.store.directory.get_guardrail(HOME.organization_id, guardrail_id))
    assert found is not None
    return found


def refused(answer: Any, status: int = 400) -> tuple[str | None, str]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    return error["param"], error["code"]


FULL = {
    "target": "key",
    "name": "cap",
    "limit": 12.5,
    "limit_reset": "weekly",
    "requests_per_minute": 1,
    "requests_per_day": 2,
    "tokens_per_minute": 3,
    "tokens_per_day": 4,
    "concurrent_requests": 5,
    "allowed_models": ["a/b"],
    "ignored_models": [],
    "allowed_providers": ["openai"],
    "ignored_providers": ["groq"],
    "zero_data_retention": True,
    "disabled": True,
}


class TestGuardrails:
    def test_everything_can_be_said(self, gateway: Gateway) -> None:
        made = create(gateway, **FULL, target_id=gateway.live_key.hash)
        assert {name: made[name] for name in FULL} == FULL
        assert made["id"].startswith("grl_")
        assert (made["organization_id"], made["creator"], made["updated_at"]) == ("org_home", "mem_1", None)
        kept = stored(gateway, made["id"])
        assert (kept.target, kept.target_id) == (Target.KEY, gateway.live_key.hash)
        assert kept.limits == Limits(
            budget=Budget(limit=Picodollars(12_500_000_000_000), reset=LimitReset.WEEKLY),
            requests_per_minute=1,
            requests_per_day=2,
            tokens_per_minute=3,
            tokens_per_day=4,
            concurrent_requests=5,
        )
        assert kept.lists == Lists(
            allowed_models=("a/b",),
            ignored_models=(),
            allowed_providers=("openai",),
            ignored_providers=("groq",),
            zero_data_retention=True,
        )
        assert gateway.manage("GET", f"/v1/guardrails/{made['id']}").json()["data"] == made

    def test_nothing_needs_to_be_said(self, gateway: Gateway) -> None:
        made = create(gateway, target="every_user")
        assert (made["name"], made["target_id"], made["limit"]) == ("every user", None, None)

    def test_they_are_listed_newest_first(self, gateway: Gateway) -> None:
        ids = []
        for number in range(3):
            gateway.now_us += 1
            ids.append(create(gateway, target="organization", disabled=number == 1)["id"])
        listed = gateway.manage("GET", "/v1/guardrails?page_size=1").json()
        assert [one["id"] for one in listed["data"]] == [ids[2]]
        then = gateway.manage("GET", f"/v1/guardrails?page_token={listed['next_page_token']}").json()
        assert [one["id"] for one in then["data"]] == [ids[0]]
        everything = gateway.manage("GET", "/v1/guardrails?include_disabled=true").json()
        assert [one["id"] for one in everything["data"]] == ids[::-1]

    def test_absent_stays_and_null_clears(self, gateway: Gateway) -> None:
        made = create(gateway, **FULL, target_id=gateway.live_key.hash)
        path = f"/v1/guardrails/{made['id']}"
        gateway.now_us += 1
        renamed = gateway.manage("PATCH", path, json={"name": "other"}).json()["data"]
        assert {name: renamed[name] for name in made if name not in ("name", "updated_at")} == {
            name: made[name] for name in made if name not in ("name", "updated_at")
        }
        changed = gateway.manage("PATCH", path, json={"limit_usd": "0.1"}).json()["data"]
        assert (changed["limit"], changed["limit_reset"]) == (0.1, "weekly")
        changed = gateway.manage("PATCH", path, json={"limit_reset": None}).json()["data"]
        assert (changed["limit"], changed["limit_reset"]) == (0.1, None)
        cleared = gateway.manage(
            "PATCH",
            path,
            json={name: None for name in FULL if name not in ("target", "name", "zero_data_retention", "disabled")},
        ).json()["data"]
        assert stored(gateway, made["id"]).limits == Limits()
        assert stored(gateway, made["id"]).lists == Lists(zero_data_retention=True)
        assert cleared["limit"] is None

    def test_deleted_is_gone(self, gateway: Gateway) -> None:
        path = f"/v1/guardrails/{create(gateway, target='organization')['id']}"
        assert gateway.manage("DELETE", path).json() == {"data": {"deleted": True}}
        for method in ("GET", "PATCH", "DELETE"):
            assert refused(gateway.manage(method, path, content="{}"), 404) == ("id", "guardrail_not_found")

    @pytest.mark.parametrize(
        ("body", "param", "code"),
        [
            ({}, "target", "missing_required_parameter"),
            ({"target": "world"}, "target", "invalid_type"),
            ({"target": "key"}, "target_id", "missing_required_parameter"),
            ({"target": "key", "target_id": "no such hash"}, "target_id", "invalid_parameter"),
            ({"target": "workspace", "target_id": "ws_other"}, "target_id", "invalid_parameter"),
            ({"target": "organization", "target_id": "org_home"}, "target_id", "invalid_parameter"),
            ({"target": "every_user", "target_id": "u"}, "target_id", "invalid_parameter"),
            ({"target": "user", "target_id": "ü" * 513}, "target_id", "string_above_max_length"),
            ({"target": "organization", "name": " "}, "name", "invalid_parameter"),
            ({"target": "organization", "name": "x" * 257}, "name", "string_above_max_length"),
            ({"target": "organization", "limit": -1}, "limit", "invalid_parameter"),
            ({"target": "organization", "limit": 1, "limit_usd": 2}, "limit_usd", "invalid_parameter"),
            ({"target": "organization", "limit_reset": "daily"}, "limit_reset", "invalid_parameter"),
            ({"target": "organization", "limit_reset": "hourly"}, "limit_reset", "invalid_type"),
            ({"target": "organization", "requests_per_minute": -1}, "requests_per_minute", "invalid_type"),
            ({"target": "organization", "tokens_per_day": 1.5}, "tokens_per_day", "invalid_type"),
            ({"target": "organization", "allowed_models": "x"}, "allowed_models", "invalid_type"),
            ({"target": "organization", "requests_per_hour": 1}, "requests_per_hour", "unknown_parameter"),
        ],
    )
    @NEEDS_NO_STORE
    def test_what_does_not_fit_makes_none(self, gateway: Gateway, body: Any, param: str, code: str) -> None:
        assert refused(gateway.manage("POST", "/v1/guardrails", json=body)) == (param, code)
        assert gateway.manage("GET", "/v1/guardrails").json()["data"] == []

    @NEEDS_NO_STORE
    def test_only_a_management_key_of_the_organization_may(self, gateway: Gateway) -> None:
        made = create(gateway, target="organization")
        stranger, _ = gateway.add_key("stranger", kind=KeyKind.MANAGEMENT, organization_id="org_other")
        for method, path in (
            ("GET", "/v1/guardrails"),
            ("POST", "/v1/guardrails"),
            ("GET", f"/v1/guardrails/{made['id']}"),
            ("PATCH", f"/v1/guardrails/{made['id']}"),
            ("DELETE", f"/v1/guardrails/{made['id']}"),
            ("GET", f"/v1/guardrails/explain?api_key_hash={gateway.live_key.hash}"),
            ("PATCH", "/v1/users/x"),
            ("PATCH", "/v1/users?user=x"),
        ):
            assert refused(gateway.ask(method, path, key=gateway.live, content="{}"), 403)[1] == "wrong_key_type"
            if "{" not in path and made["id"] in path:
                answer = gateway.ask(method, path, key=stranger, content="{}")
                assert refused(answer, 404)[1] == "guardrail_not_found"
        assert gateway.ask("GET", "/v1/guardrails", key=stranger).json()["data"] == []
        path = f"/v1/guardrails/explain?api_key_hash={gateway.live_key.hash}"
        assert refused(gateway.ask("GET", path, key=stranger), 404)[1] == "key_not_found"


class TestExplaining:
    def explain(self, gateway: Gateway, query: str) -> Any:
        answer = gateway.manage("GET", f"/v1/guardrails/explain?{query}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def test_what_applies_why_and_how_it_stands(self, gateway: Gateway) -> None:
        wide = create(gateway, target="organization", limit=100)
        tight = create(gateway, target="organization", limit=10, name="tight", zero_data_retention=True)
        every = create(gateway, target="every_user", limit=1, limit_reset="daily", requests_per_day=50)
        create(gateway, target="every_user", limit=0, disabled=True)
        _, key = gateway.add_key("limited", rate_limit=Limits(requests_per_minute=7))
        gateway.add_record(key=key, user="ü/ x", cost=Picodollars(250_000_000_001))
        gateway.add_record(key=key, user="ü/ x", cost=None)
        told = self.explain(gateway, f"api_key_hash={key.hash}&user={quote('ü/ x', safe='')}")
        assert (told["api_key_hash"], told["user"], told["blocked"]) == (key.hash, "ü/ x", False)
        assert {(one["scope"], one["meter"], one["window"]): one for one in told["limits"]} == {
            ("organization", "cost", "lifetime"): {
                "guardrail": tight["id"],
                "said_by": "tight",
                "scope": "organization",
                "scope_id": "org_home",
                "meter": "cost",
                "window": "lifetime",
                "limit": 10,
                "used": 0.250000000001,
                "held": 0,
                "remaining": 9.749999999999,
                "resets_at": None,
            },
            ("key", "requests", "minute"): {
                "guardrail": None,
                "said_by": "the key's own limits",
                "scope": "key",
                "scope_id": key.hash,
                "meter": "requests",
                "window": "minute",
                "limit": 7,
                "used": 0,
                "held": 0,
                "remaining": 7,
                "resets_at": "2026-11-22T06:01:00.000000Z",
            },
            ("user", "cost", "day"): {
                "guardrail": every["id"],
                "said_by": "every user",
                "scope": "user",
                "scope_id": "ü/ x",
                "meter": "cost",
                "window": "day",
                "limit": 1,
                "used": 0.250000000001,
                "held": 0,
                "remaining": 0.749999999999,
                "resets_at": "2026-11-23T00:00:00.000000Z",
            },
            ("user", "requests", "day"): {
                "guardrail": every["id"],
                "said_by": "every user",
                "scope": "user",
                "scope_id": "ü/ x",
                "meter": "requests",
                "window": "day",
                "limit": 50,
                "used": 2,
                "held": 0,
                "remaining": 48,
                "resets_at": "2026-11-23T00:00:00.000000Z",
            },
        }
        assert [one["guardrail"] for one in told["lists"]] == [tight["id"]]
        assert told["lists"][0]["zero_data_retention"] is True
        assert wide["id"] not in str(told)

    def test_the_figure_is_the_summarys_to_the_last_digit(self, gateway: Gateway) -> None:
        create(gateway, target="every_user", limit=9_000_000)
        for number in range(20):
            gateway.add_record(user="u", cost=Picodollars(123_456_789_012_345_67 + number), ago_us=number * 10**11)
        answer = gateway.manage("GET", f"/v1/guardrails/explain?api_key_hash={gateway.live_key.hash}&user=u").content
        used = json.loads(answer, parse_float=str)["data"]["limits"][0]["used"]
        summary = gateway.manage("GET", "/v1/activity/summary?user=u").content
        assert used == json.loads(summary, parse_float=str)["totals"]["cost"]

    def test_key_is_another_name_and_nobody_is_a_user_too(self, gateway: Gateway) -> None:
        create(gateway, target="every_user", limit=1)
        assert self.explain(gateway, f"key={gateway.live_key.hash}")["limits"] == []
        assert len(self.explain(gateway, f"key={gateway.live_key.hash}&user=")["limits"]) == 1

    @NEEDS_NO_STORE
    def test_what_cannot_be_explained(self, gateway: Gateway) -> None:
        path = "/v1/guardrails/explain"
        assert refused(gateway.manage("GET", path)) == ("api_key_hash", "missing_required_parameter")
        assert refused(gateway.manage("GET", f"{path}?key=x&api_key_hash=y")) == ("api_key_hash", "invalid_parameter")
        assert refused(gateway.manage("GET", f"{path}?key=x"), 404) == ("key", "key_not_found")
        by_key = gateway.ask("GET", f"{path}?key={gateway.management}")
        assert refused(by_key) == ("api_key_hash", "missing_required_parameter")


class TestUsers:
    def rules(self, gateway: Gateway, user: str) -> UserRules | None:
        return gateway.run(gateway.store.directory.get_user_rules(HOME.organization_id, user))

    @pytest.mark.parametrize("user", ["user_1", "a/b", "ü x%2F", " ", "me/usage", "?&#"])
    def test_a_user_is_named_byte_for_byte(self, gateway: Gateway, user: str) -> None:
        answer = gateway.manage("PATCH", f"/v1/users/{quote(user, safe='')}", json={"blocked": True})
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["user"] == user
        found = self.rules(gateway, user)
        assert found is not None
        assert found.blocked
        assert found.blocked_at_us == gateway.now_us

    @pytest.mark.parametrize("user", ["", "a/b", ".", ".."])
    def test_any_name_fits_into_the_query(self, gateway: Gateway, user: str) -> None:
        answer = gateway.manage("PATCH", f"/v1/users?user={quote(user, safe='')}", json={"blocked": True})
        assert answer.json()["data"]["user"] == user
        assert self.rules(gateway, user) is not None

    def test_blocked_limited_and_free_again(self, gateway: Gateway) -> None:
        def patch(body: Any) -> Any:
            answer = gateway.manage("PATCH", "/v1/users/u", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()["data"]

        assert patch({}) == {
            "user": "u",
            "limits": None,
            "blocked": False,
            "block_reason": None,
            "blocked_at": None,
            "updated_at": None,
        }
        assert self.rules(gateway, "u") is None
        told = patch({"limits": {"limit": 2, "limit_reset": "monthly", "requests_per_minute": 5}})
        assert (told["limits"]["limit"], told["limits"]["requests_per_minute"]) == (2, 5)
        told = patch({"blocked": True, "block_reason": "fraud"})
        assert (told["blocked"], told["block_reason"], told["limits"]["limit"]) == (True, "fraud", 2)
        told = patch({"limits": None})
        assert (told["blocked"], told["block_reason"], told["limits"]) == (True, "fraud", None)
        told = patch({"blocked": False})
        assert (told["blocked"], told["block_reason"], told["blocked_at"]) == (False, None, None)

    @pytest.mark.parametrize(
        ("body", "param", "code"),
        [
            ({"blocked": None}, "blocked", "invalid_type"),
            ({"block_reason": "x"}, "block_reason", "invalid_parameter"),
            ({"blocked": True, "block_reason": "x" * 501}, "block_reason", "string_above_max_length"),
            ({"limits": {"limit": -1}}, "limits.limit", "invalid_parameter"),
            ({"limits": {"limits": 1}}, "limits", "invalid_type"),
            ({"limit": 1}, "limit", "unknown_parameter"),
        ],
    )
    @NEEDS_NO_STORE
    def test_what_does_not_fit_changes_nothing(self, gateway: Gateway, body: Any, param: str, code: str) -> None:
        assert refused(gateway.manage("PATCH", "/v1/users/u", json=body)) == (param, code)
        assert self.rules(gateway, "u") is None

    @NEEDS_NO_STORE
    def test_a_name_that_nobody_can_have(self, gateway: Gateway) -> None:
        assert refused(gateway.manage("PATCH", "/v1/users", json={})) == ("user", "missing_required_parameter")
        assert refused(gateway.manage("PATCH", f"/v1/users/{'x' * 1025}", json={}))[1] == "string_above_max_length"
        assert refused(gateway.manage("PATCH", "/v1/users/%ff", json={})) == ("user", "invalid_parameter")

"""`/v1/keys` and `/v1/key`: made once, shown without the secret, limits exact."""

from typing import Any

import pytest

from arouter.domain.keys import ActivityScope, KeyKind, LimitReset, UserPolicy, digest
from arouter.domain.limits import Budget, Limits
from arouter.domain.money import Picodollars
from tests.web.api.gateway import NEEDS_NO_STORE, Gateway, exact, failure

DAY = 24 * 3_600_000_000


def create(gateway: Gateway, body: str) -> Any:
    answer = gateway.manage("POST", "/v1/keys", content=body)
    assert answer.status_code == 201, answer.text
    return exact(answer.content)


def update(gateway: Gateway, key_hash: str, body: str) -> Any:
    answer = gateway.manage("PATCH", f"/v1/keys/{key_hash}", content=body)
    assert answer.status_code == 200, answer.text
    return exact(answer.content)["data"]


class TestMaking:
    def test_the_plaintext_is_shown_once(self, gateway: Gateway) -> None:
        made = create(gateway, '{"name": "prod"}')
        assert made["key"].startswith("lr_live_")
        assert made["data"]["hash"] == digest(made["key"])
        assert made["data"] == {
            "hash": digest(made["key"]),
            "name": "prod",
            "label": made["key"][:12] + "…" + made["key"][-4:],
            "key_type": "regular",
            "disabled": False,
            "limit": None,
            "limit_remaining": None,
            "limit_reset": None,
            "allowed_providers": None,
            "allowed_models": None,
            "user_policy": "optional",
            "activity_scope": "key",
            "rate_limit": None,
            "default_user_limits": None,
            "usage": "0",
            "usage_daily": "0",
            "usage_weekly": "0",
            "usage_monthly": "0",
            "organization_id": "org_home",
            "workspace_id": "ws_home",
            "creator": "mem_1",
            "created_at": "2026-11-22T06:00:00.123456Z",
            "updated_at": None,
            "expires_at": None,
            "previous_key_expires_at": None,
            "last_used_at": None,
        }
        shown = gateway.manage("GET", f"/v1/keys/{made['data']['hash']}")
        assert exact(shown.content) == {"data": made["data"]}
        assert made["key"] not in gateway.manage("GET", "/v1/keys").text

    def test_it_works_at_once(self, gateway: Gateway) -> None:
        assert gateway.get("/v1/key", key=create(gateway, '{"name": "prod"}')["key"]).status_code == 200

    def test_every_setting(self, gateway: Gateway) -> None:
        made = create(
            gateway,
            '{"name": "x", "limit": 10.5, "limit_reset": "monthly", "expires_at": "2027-01-01T00:00:00+01:00",'
            ' "allowed_providers": ["openai"], "allowed_models": ["gpt-5.4", "openai/gpt-5.4", "gpt-5.4"],'
            ' "user_policy": "required", "activity_scope": "workspace", "workspace_id": "ws_home", "key_type": "test"}',
        )
        assert made["key"].startswith("lr_test_")
        expected = {
            "key_type": "test",
            "limit": "10.5",
            "limit_remaining": "10.5",
            "limit_reset": "monthly",
            "expires_at": "2026-12-31T23:00:00.000000Z",
            "allowed_providers": ["openai"],
            "allowed_models": ["gpt-5.4", "openai/gpt-5.4"],
            "user_policy": "required",
            "activity_scope": "workspace",
            "workspace_id": "ws_home",
        }
        assert {name: made["data"][name] for name in expected} == expected

    def test_a_management_key_can_be_made(self, gateway: Gateway) -> None:
        made = create(gateway, '{"name": "boss 2", "key_type": "management"}')
        assert made["key"].startswith("lr_mgmt_")
        assert gateway.ask("GET", "/v1/keys", key=made["key"]).status_code == 200

    @pytest.mark.parametrize("name", ["limit", "limit_usd", "spending_limit"])
    @pytest.mark.parametrize(
        ("number", "shown"),
        [
            ("0", "0"),
            ("0.1", "0.1"),
            ("1e2", "100"),
            ("0.000000000001", "0.000000000001"),
            ("1234567.123456789012", "1234567.123456789012"),
            ("9223372.036854775807", "9223372.036854775807"),
            ("5.00", "5"),
            ('"12.50"', "12.5"),
        ],
    )
    def test_a_limit_is_read_exactly(self, gateway: Gateway, name: str, number: str, shown: str) -> None:
        assert create(gateway, f'{{"name": "x", "{name}": {number}}}')["data"]["limit"] == shown

    def test_aliases_that_agree_are_one(self, gateway: Gateway) -> None:
        made = create(gateway, '{"name": "x", "limit": 5, "limit_usd": 5.0}')
        assert made["data"]["limit"] == "5"

    @pytest.mark.parametrize(
        ("policy", "stored", "user"),
        [
            ("optional", UserPolicy.OPTIONAL, None),
            ("required", UserPolicy.REQUIRED, None),
            ("forbidden", UserPolicy.FORBIDDEN, None),
            ("signed", UserPolicy.SIGNED, None),
            ("fixed:user_1", UserPolicy.FIXED, "user_1"),
            ("fixed: a:b ", UserPolicy.FIXED, " a:b "),
            ("fixed:", UserPolicy.FIXED, ""),
        ],
    )
    def test_a_user_policy(self, gateway: Gateway, policy: str, stored: UserPolicy, user: str | None) -> None:
        made = create(gateway, f'{{"name": "x", "user_policy": "{policy}"}}')
        assert made["data"]["user_policy"] == policy
        key = gateway.stored_key(made["data"]["hash"])
        assert (key.user_policy, key.fixed_user) == (stored, user)

    @pytest.mark.parametrize("field", ["rate_limit", "default_user_limits", "enforce_zdr"])
    def test_null_asks_for_nothing(self, gateway: Gateway, field: str) -> None:
        create(gateway, f'{{"name": "x", "{field}": null}}')

    @pytest.mark.parametrize(
        ("body", "param", "code"),
        [
            ("", None, "invalid_json"),
            ("{", None, "invalid_json"),
            ("[]", None, "invalid_json"),
            ("null", None, "invalid_json"),
            ("{}", "name", "missing_required_parameter"),
            ('{"name": 5}', "name", "invalid_type"),
            ('{"name": null}', "name", "invalid_type"),
            ('{"name": " "}', "name", "invalid_parameter"),
            ('{"name": "' + "x" * 257 + '"}', "name", "string_above_max_length"),
            ('{"name": "x", "limits": 5}', "limits", "unknown_parameter"),
            ('{"name": "x", "disabled": true}', "disabled", "unknown_parameter"),
            ('{"name": "x", "limit": true}', "limit", "invalid_type"),
            ('{"name": "x", "limit": "ten"}', "limit", "invalid_type"),
            ('{"name": "x", "limit": -1}', "limit", "invalid_parameter"),
            ('{"name": "x", "limit": "NaN"}', "limit", "invalid_parameter"),
            ('{"name": "x", "limit": "Infinity"}', "limit", "invalid_parameter"),
            ('{"name": "x", "limit": 1e400}', "limit", "invalid_parameter"),
            ('{"name": "x", "limit": 9223372.036854775808}', "limit", "invalid_parameter"),
            ('{"name": "x", "limit": 0.0000000000001}', "limit", "invalid_parameter"),
            ('{"name": "x", "limit": 1e-999999}', "limit", "invalid_parameter"),
            ('{"name": "x", "limit": 1, "limit_usd": 2}', "limit_usd", "invalid_parameter"),
            ('{"name": "x", "limit_reset": "yearly"}', "limit_reset", "invalid_type"),
            ('{"name": "x", "expires_at": "soon"}', "expires_at", "invalid_parameter"),
            ('{"name": "x", "expires_at": "2020-01-01"}', "expires_at", "invalid_parameter"),
            ('{"name": "x", "allowed_models": []}', "allowed_models", "invalid_parameter"),
            ('{"name": "x", "allowed_models": [""]}', "allowed_models", "invalid_parameter"),
            ('{"name": "x", "allowed_models": "gpt"}', "allowed_models", "invalid_type"),
            ('{"name": "x", "allowed_models": ["a", 1]}', "allowed_models[1]", "invalid_type"),
            ('{"name": "x", "user_policy": "free"}', "user_policy", "invalid_parameter"),
            ('{"name": "x", "user_policy": "fixed:' + "ü" * 513 + '"}', "user_policy", "string_above_max_length"),
            ('{"name": "x", "activity_scope": "world"}', "activity_scope", "invalid_type"),
            ('{"name": "x", "workspace_id": "ws_other"}', "workspace_id", "invalid_parameter"),
            ('{"name": "x", "key_type": "admin"}', "key_type", "invalid_type"),
            ('{"name": "x", "rate_limit": 5}', "rate_limit", "invalid_type"),
            (
                '{"name": "x", "rate_limit": {"requests_per_minute": -1}}',
                "rate_limit.requests_per_minute",
                "invalid_type",
            ),
            ('{"name": "x", "rate_limit": {"requests_per_hour": 1}}', "rate_limit", "invalid_type"),
            ('{"name": "x", "rate_limit": {"limit": 1}}', "rate_limit", "invalid_type"),
            (
                '{"name": "x", "default_user_limits": {"limit_reset": "daily"}}',
                "default_user_limits.limit_reset",
                "invalid_parameter",
            ),
            (
                '{"name": "x", "default_user_limits": {"limit": 1e-13}}',
                "default_user_limits.limit",
                "invalid_parameter",
            ),
            ('{"name": "x", "enforce_zdr": false}', "enforce_zdr", "unsupported_parameter"),
        ],
    )
    @NEEDS_NO_STORE
    def test_what_does_not_fit_makes_no_key(self, gateway: Gateway, body: str, param: str | None, code: str) -> None:
        before = gateway.manage("GET", "/v1/keys").content
        answer = gateway.manage("POST", "/v1/keys", content=body)
        assert answer.status_code == 400
        error = failure(answer)
        assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
        assert gateway.manage("GET", "/v1/keys").content == before

    def test_a_misspelt_field_is_told_its_name(self, gateway: Gateway) -> None:
        answer = gateway.manage("POST", "/v1/keys", content='{"name": "x", "limit_usdd": 5}')
        assert "Did you mean `limit_usd`?" in failure(answer)["message"]

    def test_text_that_is_not_utf_8_is_refused(self, gateway: Gateway) -> None:
        answer = gateway.manage("POST", "/v1/keys", content=b'{"name": "\xff"}')
        assert failure(answer)["code"] == "invalid_json"

    def test_an_endless_body_is_413(self, gateway: Gateway) -> None:
        answer = gateway.manage("POST", "/v1/keys", content=b'{"name": "' + b"x" * 1024 * 1024 + b'"}')
        assert answer.status_code == 413
        assert failure(answer)["code"] == "request_too_large"


class TestSpending:
    """Windows begin at 00:00 UTC, on Monday, on the 1st; now is Sunday the 22nd, 06:00."""

    @pytest.fixture(autouse=True)
    def _requests(self, gateway: Gateway) -> None:
        for days, cost in ((0, 1), (1, 20), (7, 300), (22, 4000)):
            gateway.add_record(cost=cost, ago_us=days * DAY)
        gateway.add_record(cost=None)

    def test_usage_is_counted_in_its_windows(self, gateway: Gateway) -> None:
        data = exact(gateway.manage("GET", f"/v1/keys/{gateway.live_key.hash}").content)["data"]
        shown = [data[name] for name in ("usage_daily", "usage_weekly", "usage_monthly", "usage")]
        assert shown == ["0.000000000001", "0.000000000021", "0.000000000321", "0.000000004321"]

    @pytest.mark.parametrize(
        ("reset", "remaining"),
        [
            ("null", "0.999999995679"),
            ('"daily"', "0.999999999999"),
            ('"weekly"', "0.999999999979"),
            ('"monthly"', "0.999999999679"),
        ],
    )
    def test_what_remains_is_of_the_current_window(self, gateway: Gateway, reset: str, remaining: str) -> None:
        data = update(gateway, gateway.live_key.hash, f'{{"limit": 1, "limit_reset": {reset}}}')
        assert data["limit_remaining"] == remaining

    def test_nothing_remains_of_a_limit_that_was_passed(self, gateway: Gateway) -> None:
        data = update(gateway, gateway.live_key.hash, '{"limit": 0.000000000001}')
        assert (data["limit_remaining"], data["usage"]) == ("0", "0.000000004321")

    def test_the_key_sees_the_same_of_itself(self, gateway: Gateway) -> None:
        managed = exact(gateway.manage("GET", f"/v1/keys/{gateway.live_key.hash}").content)["data"]
        own = exact(gateway.get("/v1/key").content)["data"]
        assert {name: own[name] for name in managed if name != "rate_limit"} == {
            name: told for name, told in managed.items() if name != "rate_limit"
        }
        assert {name: own[name] for name in own if name not in managed} == {
            "byok_usage": "0",
            "byok_usage_daily": "0",
            "byok_usage_weekly": "0",
            "byok_usage_monthly": "0",
            "is_free_tier": False,
            "is_management_key": False,
            "is_provisioning_key": False,
            "include_byok_in_limit": True,
        }
        assert {name: told for name, told in own["rate_limit"].items() if told is not None} == {
            "requests": "-1",
            "interval": "",
            "note": "deprecated",
        }
        assert gateway.manage("GET", "/api/v1/key").json()["data"]["is_management_key"] is True


class TestLimits:
    def test_rates_and_limits_for_each_user(self, gateway: Gateway) -> None:
        made = create(
            gateway,
            '{"name": "x", "rate_limit": {"requests_per_minute": 5, "tokens_per_day": 0},'
            ' "default_user_limits": {"limit": "0.25", "limit_reset": "daily", "concurrent_requests": 2}}',
        )
        key = gateway.stored_key(made["data"]["hash"])
        assert key.rate_limit == Limits(requests_per_minute=5, tokens_per_day=0)
        assert key.default_user_limits == Limits(
            budget=Budget(limit=Picodollars(250_000_000_000), reset=LimitReset.DAILY), concurrent_requests=2
        )
        assert made["data"]["rate_limit"]["requests_per_minute"] == "5"
        assert made["data"]["default_user_limits"]["limit"] == "0.25"
        own = exact(gateway.get("/v1/key", key=made["key"]).content)["data"]["rate_limit"]
        assert (own["requests"], own["interval"], own["requests_per_minute"]) == ("5", "1m", "5")
        stays = update(gateway, key.hash, '{"name": "y"}')
        assert stays["rate_limit"] == made["data"]["rate_limit"]
        replaced = update(gateway, key.hash, '{"rate_limit": {"requests_per_day": 9}}')
        assert gateway.stored_key(key.hash).rate_limit == Limits(requests_per_day=9)
        assert replaced["default_user_limits"] == made["data"]["default_user_limits"]
        cleared = update(gateway, key.hash, '{"rate_limit": null, "default_user_limits": {}}')
        assert (cleared["rate_limit"], cleared["default_user_limits"]) == (None, None)


class TestChanging:
    def test_absent_stays_and_null_clears(self, gateway: Gateway) -> None:
        _, key = gateway.add_key(
            "full",
            limit=Picodollars(5),
            limit_reset=LimitReset.DAILY,
            expires_at_us=gateway.now_us + DAY,
            allowed_providers=("openai",),
            allowed_models=("gpt-5.4",),
            user_policy=UserPolicy.FIXED,
            fixed_user="u",
            activity_scope=ActivityScope.ORGANIZATION,
        )
        before = exact(gateway.manage("GET", f"/v1/keys/{key.hash}").content)["data"]
        gateway.now_us += 1
        after = update(gateway, key.hash, '{"name": "renamed"}')
        assert after == before | {"name": "renamed", "updated_at": "2026-11-22T06:00:00.123457Z"}
        cleared = update(
            gateway,
            key.hash,
            '{"limit": null, "limit_reset": null, "expires_at": null, "allowed_providers": null,'
            ' "allowed_models": null, "user_policy": null, "activity_scope": null}',
        )
        names = ("limit", "limit_remaining", "limit_reset", "expires_at", "allowed_providers", "allowed_models")
        assert [cleared[name] for name in names] == [None] * len(names)
        assert (cleared["user_policy"], cleared["activity_scope"]) == ("optional", "key")

    def test_a_disabled_key_is_worthless_at_once(self, gateway: Gateway) -> None:
        assert gateway.get("/v1/key").status_code == 200
        assert update(gateway, gateway.live_key.hash, '{"disabled": true}')["disabled"] is True
        assert gateway.get("/v1/key").status_code == 401
        update(gateway, gateway.live_key.hash, '{"disabled": false}')
        assert gateway.get("/v1/key").status_code == 200

    @pytest.mark.parametrize(
        "body", ['{"key_type": "management"}', '{"hash": "0"}', '{"disabled": null}', '{"name": ""}']
    )
    def test_some_things_cannot_be_changed(self, gateway: Gateway, body: str) -> None:
        answer = gateway.manage("PATCH", f"/v1/keys/{gateway.live_key.hash}", content=body)
        assert answer.status_code == 400
        assert failure(answer)["param"]


class TestLastUsed:
    def test_it_is_that_of_the_keys_last_record(self, gateway: Gateway) -> None:
        path = f"/v1/keys/{gateway.live_key.hash}"
        assert gateway.manage("GET", path).json()["data"]["last_used_at"] is None
        for ago_us in (9_000_000, 5_000_000, 7_000_000):
            gateway.add_record(ago_us=ago_us)
        [record] = gateway.get("/v1/activity?limit=1").json()["data"]
        shown = gateway.manage("GET", path).json()["data"]
        assert shown["last_used_at"] == record["created_at"] == "2026-11-22T05:59:55.123456Z"
        listed = {one["name"]: one["last_used_at"] for one in gateway.manage("GET", "/v1/keys").json()["data"]}
        assert listed == {"prod": shown["last_used_at"], "boss": None}
        assert gateway.get("/v1/key").json()["data"]["last_used_at"] == shown["last_used_at"]


class TestRotating:
    def test_history_stays_and_the_old_plaintext_is_worthless(self, gateway: Gateway) -> None:
        gateway.add_record(user="before")
        assert gateway.get("/v1/key").status_code == 200
        made = exact(gateway.manage("POST", f"/v1/keys/{gateway.live_key.hash}/rotate").content)
        assert made["data"]["hash"] == gateway.live_key.hash
        assert made["data"]["label"].endswith(made["key"][-4:])
        assert gateway.get("/v1/key").status_code == 401
        [record] = gateway.get("/v1/activity", key=made["key"]).json()["data"]
        assert record["user"] == "before"

    def test_the_old_plaintext_works_as_long_as_the_rotation_says(self, gateway: Gateway) -> None:
        path = f"/v1/keys/{gateway.live_key.hash}"
        gateway.add_record(user="before")
        answer = gateway.manage("POST", f"{path}/rotate", json={"overlap_seconds": 86_400})
        made = answer.json()
        assert answer.status_code == 200
        assert made["data"]["previous_key_expires_at"] == "2026-11-23T06:00:00.123456Z"
        assert made["data"]["expires_at"] is None
        assert gateway.manage("GET", path).json()["data"] == made["data"]
        shown = {
            plaintext: gateway.get("/v1/key", key=plaintext).json()["data"] for plaintext in self.both(gateway, made)
        }
        # One key: the same spending and limit; what the old plaintext is told besides is when it ends.
        assert shown[gateway.live] == {**shown[made["key"]], "expires_at": "2026-11-23T06:00:00.123456Z"}
        assert shown[gateway.live]["usage"] > 0
        gateway.now_us += 86_400 * 1_000_000
        ended = gateway.get("/v1/key")
        assert (ended.status_code, failure(ended)["code"]) == (401, "expired_api_key")
        assert gateway.get("/v1/key", key=made["key"]).status_code == 200

    def test_another_rotation_ends_what_the_first_one_left(self, gateway: Gateway) -> None:
        path = f"/v1/keys/{gateway.live_key.hash}/rotate"
        first = gateway.manage("POST", path, json={"overlap_seconds": 100}).json()["key"]
        second = gateway.manage("POST", path, json={"overlap_seconds": 100}).json()["key"]
        statuses = [gateway.get("/v1/key", key=key).status_code for key in (gateway.live, first, second)]
        assert statuses == [401, 200, 200]
        third = gateway.manage("POST", path, json={}).json()
        assert third["data"]["previous_key_expires_at"] is None
        assert [gateway.get("/v1/key", key=key).status_code for key in (first, second, third["key"])] == [401, 401, 200]

    @pytest.mark.parametrize("end", ["disable", "delete"])
    def test_what_ends_the_key_ends_both(self, gateway: Gateway, end: str) -> None:
        path = f"/v1/keys/{gateway.live_key.hash}"
        made = gateway.manage("POST", f"{path}/rotate", json={"overlap_seconds": 100}).json()
        if end == "disable":
            gateway.manage("PATCH", path, json={"disabled": True})
        else:
            gateway.manage("DELETE", path)
        assert [gateway.get("/v1/key", key=key).status_code for key in self.both(gateway, made)] == [401, 401]

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ('{"overlap_seconds": -1}', "overlap_seconds"),
            ('{"overlap_seconds": 2592001}', "overlap_seconds"),
            ('{"overlap_seconds": 1.5}', "overlap_seconds"),
            ('{"overlap": "24h"}', "overlap"),
        ],
    )
    def test_an_overlap_has_bounds(self, gateway: Gateway, body: str, param: str) -> None:
        answer = gateway.manage("POST", f"/v1/keys/{gateway.live_key.hash}/rotate", content=body)
        assert (answer.status_code, failure(answer)["param"]) == (400, param)
        assert gateway.get("/v1/key").status_code == 200

    @staticmethod
    def both(gateway: Gateway, made: dict[str, Any]) -> tuple[str, str]:
        return gateway.live, made["key"]


class TestDeleting:
    def test_the_key_is_gone_and_its_records_stay(self, gateway: Gateway) -> None:
        gateway.add_record(user="a")
        path = f"/v1/keys/{gateway.live_key.hash}"
        assert gateway.manage("DELETE", path).json() == {"data": {"deleted": True}}
        assert gateway.get("/v1/key").status_code == 401
        assert [gateway.manage(method, path).status_code for method in ("GET", "DELETE")] == [404, 404]
        [record] = gateway.manage("GET", "/v1/activity").json()["data"]
        assert (record["user"], record["api_key_name"]) == ("a", "prod")


class TestListing:
    @pytest.fixture(autouse=True)
    def _keys(self, gateway: Gateway) -> None:
        for number in range(5):
            gateway.add_key(str(number), disabled=number == 2)
        gateway.add_key("stranger", organization_id="org_other", workspace_id="ws_x")

    def names(self, gateway: Gateway, query: str) -> list[str]:
        return [key["name"] for key in gateway.manage("GET", f"/v1/keys?{query}").json()["data"]]

    def test_newest_first_and_only_ours(self, gateway: Gateway) -> None:
        assert self.names(gateway, "") == ["4", "3", "1", "0", "boss", "prod"]
        assert self.names(gateway, "include_disabled=true") == ["4", "3", "2", "1", "0", "boss", "prod"]
        assert self.names(gateway, "offset=4&page_size=1") == ["boss"]

    def test_pages_follow_each_other(self, gateway: Gateway) -> None:
        read, token = [], ""
        for _ in range(3):
            body = gateway.manage("GET", f"/v1/keys?page_size=2&page_token={token}").json()
            read += [key["name"] for key in body["data"]]
            token = body["next_page_token"]
        assert read == ["4", "3", "1", "0", "boss", "prod"]
        assert token is None

    @pytest.mark.parametrize(
        "query",
        ["page_size=0", "page_size=1001", "page_token=x", "page_token=LTE", "offset=-1", "offset=1&page_token=MQ"],
    )
    @NEEDS_NO_STORE
    def test_what_does_not_fit_is_refused(self, gateway: Gateway, query: str) -> None:
        assert gateway.manage("GET", f"/v1/keys?{query}").status_code == 400


class TestWhoMay:
    CALLS = (
        ("GET", "/v1/keys"),
        ("POST", "/v1/keys"),
        ("GET", "/v1/keys/{}"),
        ("PATCH", "/v1/keys/{}"),
        ("DELETE", "/v1/keys/{}"),
        ("POST", "/api/v1/keys/{}/rotate"),
    )

    @pytest.mark.parametrize("kind", [KeyKind.LIVE, KeyKind.TEST])
    @pytest.mark.parametrize(("method", "path"), CALLS)
    def test_only_management_keys(self, gateway: Gateway, kind: KeyKind, method: str, path: str) -> None:
        plaintext, key = gateway.add_key("x", kind=kind, activity_scope=ActivityScope.ORGANIZATION)
        answer = gateway.ask(method, path.format(key.hash), key=plaintext, content=b"{}")
        assert answer.status_code == 403
        error = failure(answer)
        assert (error["type"], error["code"]) == ("permission_error", "wrong_key_type")
        assert gateway.ask(method, path.format(key.hash)).status_code == 401

    @pytest.mark.parametrize(("method", "path"), [call for call in CALLS if "{}" in call[1]])
    def test_never_those_of_another_organization(self, gateway: Gateway, method: str, path: str) -> None:
        _, stranger = gateway.add_key("stranger", organization_id="org_other", workspace_id="ws_x")
        answer = gateway.manage(method, path.format(stranger.hash), content=b"{}")
        assert answer.status_code == 404
        assert failure(answer)["code"] == "key_not_found"
        assert gateway.stored_key(stranger.hash, "org_other") == stranger

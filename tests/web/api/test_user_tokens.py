"""`POST /v1/user_tokens` and what its tokens open: an end user's own figures, and nothing else."""

from typing import Any

import pytest

from arouter.domain.keys import ActivityScope, KeyKind, UserPolicy
from arouter.engine.user_tokens import Claims, sign, signing_key
from tests.web.api.gateway import HOME, NEEDS_NO_STORE, NOW_US, Gateway, exact, failure

HOUR = 3_600_000_000
DAY = 24 * HOUR
SECOND = 1_000_000


def minted(gateway: Gateway, user: str = "ann", *, key: str | None = None, **body: Any) -> Any:
    answer = gateway.ask(
        "POST", "/v1/user_tokens", key=gateway.live if key is None else key, json={"user": user, **body}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def own(gateway: Gateway, token: str, query: str = "") -> Any:
    answer = gateway.get(f"/v1/users/me/usage?{query}", key=token)
    assert answer.status_code == 200, answer.text
    return exact(answer.content)


def code(gateway: Gateway, token: str) -> str:
    answer = gateway.get("/v1/users/me/usage", key=token)
    assert answer.status_code == 401
    told: str = failure(answer)["code"]
    return told


# ---------------------------------------------------------------- minting


def test_a_token_is_made_for_a_user(gateway: Gateway) -> None:
    made = minted(gateway)
    assert made == {
        "object": "user_token",
        "id": made["id"],
        "user": "ann",
        "token": made["token"],
        "created_at": "2026-11-22T06:00:00.000000Z",
        "expires_at": "2026-11-22T06:15:00.000000Z",
        "expires_in": 900,
        "api_key_hash": gateway.live_key.hash,
    }
    assert made["id"].startswith("ut_")
    assert minted(gateway)["id"] != made["id"]


@pytest.mark.parametrize("user", ["", "ü", "a/b", "\x00", "x" * 1024, "\x01" * 1024, "🙂" * 256, "me"])
def test_a_user_is_any_text(gateway: Gateway, user: str) -> None:
    gateway.add_record(user=user)
    assert own(gateway, minted(gateway, user)["token"])["user"] == user


@NEEDS_NO_STORE
@pytest.mark.parametrize(
    ("body", "param", "error"),
    [
        ({}, "user", "missing_required_parameter"),
        ({"user": None}, "user", "invalid_type"),
        ({"user": 1}, "user", "invalid_type"),
        ({"user": "x" * 1025}, "user", "string_above_max_length"),
        ({"user": "x", "expires_in": 0}, "expires_in", "invalid_parameter"),
        ({"user": "x", "expires_in": 86_401}, "expires_in", "invalid_parameter"),
        ({"user": "x", "expires_in": "900"}, "expires_in", "invalid_type"),
        ({"user": "x", "scope": "all"}, "scope", "unknown_parameter"),
    ],
)
def test_a_wrong_field_is_named(gateway: Gateway, body: dict[str, Any], param: str, error: str) -> None:
    answer = gateway.ask("POST", "/v1/user_tokens", key=gateway.live, json=body)
    assert answer.status_code == 400
    assert (failure(answer)["param"], failure(answer)["code"]) == (param, error)


@pytest.mark.parametrize("kind", list(KeyKind))
def test_every_kind_of_key_mints(gateway: Gateway, kind: KeyKind) -> None:
    plaintext, key = gateway.add_key("minter", kind=kind)
    assert minted(gateway, key=plaintext)["api_key_hash"] == key.hash


@NEEDS_NO_STORE
@pytest.mark.parametrize(
    ("policy", "fixed_user", "refusal"),
    [
        (UserPolicy.OPTIONAL, None, None),
        (UserPolicy.REQUIRED, None, None),
        (UserPolicy.FORBIDDEN, None, "user_forbidden"),
        (UserPolicy.FIXED, "bob", "not_permitted"),
        (UserPolicy.FIXED, "ann", None),
        (UserPolicy.SIGNED, None, "not_permitted"),
    ],
)
def test_a_key_vouches_for_the_users_that_it_may_have(
    gateway: Gateway, policy: UserPolicy, fixed_user: str | None, refusal: str | None
) -> None:
    plaintext, _ = gateway.add_key("minter", user_policy=policy, fixed_user=fixed_user)
    answer = gateway.ask("POST", "/v1/user_tokens", key=plaintext, json={"user": "ann"})
    assert answer.status_code == (201 if refusal is None else 403)
    if refusal is not None:
        assert failure(answer)["code"] == refusal


# ---------------------------------------------------------------- one's own figures


def test_a_user_is_told_what_it_used(gateway: Gateway) -> None:
    gateway.add_record(user="ann", cost=3, ago_us=HOUR)
    gateway.add_record(user="ann", cost=4, ago_us=26 * HOUR, model="openai/other")
    gateway.add_record(user="bob", cost=5, ago_us=HOUR)
    body = own(gateway, minted(gateway)["token"], "start=2026-11-01&timezone=Europe/Berlin")
    assert list(body) == [
        *("object", "user", "start", "end", "totals", "this_month", "today", "days", "models", "limits", "remaining"),
        *("timezone", "currency", "as_of"),
    ]
    same = f"start={body['start']}&end={body['end']}&timezone=Europe/Berlin&user=ann"

    def summed(query: str) -> Any:
        return exact(gateway.get(f"/v1/activity/summary?{same}&{query}").content)

    assert body["totals"] == summed("")["totals"] == body["this_month"]
    assert body["today"]["cost"] == "0.000000000003"
    assert body["days"] == summed("group_by=day")["data"] != []
    assert body["models"] == summed("group_by=model")["data"] != []
    assert (body["limits"], body["remaining"]) == (None, None)
    text = gateway.get("/v1/users/me/usage", key=minted(gateway)["token"]).text
    for secret in ("bob", HOME.organization_id, HOME.workspace_id, gateway.live_key.hash, "prod"):
        assert secret not in text


def test_a_user_that_was_never_seen_used_nothing(gateway: Gateway) -> None:
    body = own(gateway, minted(gateway, "nobody")["token"])
    assert (body["totals"]["requests"], body["totals"]["cost"], body["days"], body["models"]) == ("0", "0", [], [])


def test_a_token_shows_what_its_key_sees(gateway: Gateway) -> None:
    _, other = gateway.add_key("other")
    wide, _ = gateway.add_key("wide", activity_scope=ActivityScope.ORGANIZATION)
    foreign, foreign_key = gateway.add_key("foreign", kind=KeyKind.MANAGEMENT, organization_id="org_b")
    gateway.add_record(user="ann")
    gateway.add_record(user="ann", key=other)
    gateway.add_record(user="ann", key=foreign_key)
    for plaintext, requests in ((None, "1"), (wide, "2"), (gateway.management, "2"), (foreign, "1")):
        token = minted(gateway, key=plaintext)["token"]
        assert own(gateway, token)["totals"]["requests"] == requests


@NEEDS_NO_STORE
@pytest.mark.parametrize("query", ["start=2025-01-01", "end=2028-01-01&start=2026-01-01"])
def test_the_range_has_a_limit(gateway: Gateway, query: str) -> None:
    token = minted(gateway)["token"]
    answer = gateway.get(f"/v1/users/me/usage?{query}", key=token)
    assert answer.status_code == 400
    assert failure(answer)["param"] == "start"
    assert gateway.get("/v1/users/me/usage?user=bob", key=token).status_code == 400


def test_a_key_is_no_token(gateway: Gateway) -> None:
    for key in (gateway.live, gateway.management):
        answer = gateway.get("/v1/users/me/usage", key=key)
        assert (answer.status_code, failure(answer)["code"]) == (403, "wrong_key_type")
    unknown = gateway.get("/v1/users/me/usage", key="lr_live_" + "0" * 48)
    assert (unknown.status_code, failure(unknown)["code"]) == (401, "invalid_api_key")
    none = gateway.ask("GET", "/v1/users/me/usage")
    assert (none.status_code, failure(none)["code"]) == (401, "missing_api_key")


# ---------------------------------------------------------------- its end


def test_it_ends_with_its_time(gateway: Gateway) -> None:
    token = minted(gateway, expires_in=60)["token"]
    gateway.now_us = NOW_US + 59 * SECOND
    assert own(gateway, token)["user"] == "ann"
    gateway.now_us = NOW_US + 60 * SECOND
    assert code(gateway, token) == "expired_user_token"


@pytest.mark.parametrize("end", ["delete", "disable", "rotate", "expire", "sign", "forbid", "fix"])
def test_it_ends_with_its_key(gateway: Gateway, end: str) -> None:
    plaintext, key = gateway.add_key("minter", expires_at_us=NOW_US + 10 * SECOND if end == "expire" else None)
    token = minted(gateway, key=plaintext)["token"]
    assert own(gateway, token)["user"] == "ann"
    path = f"/v1/keys/{key.hash}"
    if end == "delete":
        assert gateway.manage("DELETE", path).status_code == 200
    elif end == "rotate":
        assert gateway.manage("POST", f"{path}/rotate").status_code == 200
    elif end == "expire":
        gateway.now_us = NOW_US + 10 * SECOND
    else:
        change = {
            "disable": {"disabled": True},
            "sign": {"user_policy": "signed"},
            "forbid": {"user_policy": "forbidden"},
            "fix": {"user_policy": "fixed:bob"},
        }[end]
        assert gateway.manage("PATCH", path, json=change).status_code == 200
    # A token says no later end than its key's.
    assert code(gateway, token) == ("expired_user_token" if end == "expire" else "invalid_user_token")


def test_a_key_that_is_enabled_again_has_its_tokens_again(gateway: Gateway) -> None:
    plaintext, key = gateway.add_key("minter")
    token = minted(gateway, key=plaintext)["token"]
    for disabled in (True, False):
        assert gateway.manage("PATCH", f"/v1/keys/{key.hash}", json={"disabled": disabled}).status_code == 200
    assert own(gateway, token)["user"] == "ann"


# ---------------------------------------------------------------- forgeries


def forged(gateway: Gateway, secret: bytes = HOME.secret, **changes: Any) -> str:
    key = gateway.live_key
    said: dict[str, Any] = {
        "id": "ut_x",
        "user": "ann",
        "organization_id": key.organization_id,
        "key_hash": key.hash,
        "issued_at_s": NOW_US // SECOND,
        "expires_at_s": NOW_US // SECOND + 60,
        **changes,
    }
    return sign(Claims(**said), signing_key(secret, key.organization_id, key.hash, key.hash))


def test_what_another_database_signed_is_worth_nothing(gateway: Gateway) -> None:
    assert own(gateway, forged(gateway))["user"] == "ann"
    assert code(gateway, forged(gateway, bytes(31) + b"\x01")) == "invalid_user_token"


def test_a_token_of_one_key_names_no_other(gateway: Gateway) -> None:
    _, other = gateway.add_key("other")
    assert code(gateway, forged(gateway, key_hash=other.hash)) == "invalid_user_token"
    assert code(gateway, forged(gateway, organization_id="org_b")) == "invalid_user_token"
    assert code(gateway, forged(gateway, key_hash="nothing")) == "invalid_user_token"


@NEEDS_NO_STORE
@pytest.mark.parametrize("token", ["x", "a.b.c", "x" * 20_000, "é", "%00"])
def test_what_is_no_token_is_refused(gateway: Gateway, token: str) -> None:
    answer = gateway.ask("GET", "/v1/users/me/usage", headers={"Authorization": f"Bearer {token}".encode()})  # type: ignore[dict-item]
    assert (answer.status_code, failure(answer)["code"]) == (401, "invalid_user_token")

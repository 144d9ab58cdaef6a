"""`/v1/auth`: who signs in, who does not, and what a session may do and for how long."""

from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.keys import digest
from arouter.domain.roles import ALLOWED, Action, Role
from tests.web.api.gateway import BOSS, NEEDS_NO_STORE, VAULT, Gateway, failure
from tests.web.api.people import FOREIGN, PASSWORD, Town, code_of, enrolled, member, signed_in, with_password
from tests.web.api.test_members import invite
from tests.web.api.test_roles import CASES, Probe

HOUR_US = 3_600_000_000
ME = "/v1/auth/me"
SIGN_IN = "/v1/auth/sign-in"


@pytest.fixture
def gateway(gateway: Gateway) -> Gateway:
    """Whose boss has a password."""
    with_password(gateway, BOSS)
    return gateway


def attempt(gateway: Gateway, email: str = BOSS.email, password: str = PASSWORD, **more: str) -> Any:
    return gateway.ask("POST", SIGN_IN, json={"email": email, "password": password, **more})


# ---------------------------------------------------------------- sessions


def test_a_member_signs_in_works_and_signs_out(gateway: Gateway) -> None:
    answer = attempt(gateway, email=" BOSS@example.com ")
    assert answer.status_code == 201
    made = answer.json()
    assert made["token"].startswith("lr_sess_")
    assert made["member"]["id"] == BOSS.id
    assert made["data"] == {
        "id": made["data"]["id"],
        "current": True,
        "created_at": "2026-11-22T06:00:00.123456Z",
        "expires_at": "2026-11-22T18:00:00.123456Z",
        "seen_at": "2026-11-22T06:00:00.123456Z",
    }
    token = made["token"]
    key = gateway.ask("POST", "/v1/keys", key=token, json={"name": "x"}).json()["data"]
    assert (key["creator"], key["workspace_id"]) == (BOSS.id, "ws_home")
    assert gateway.ask("GET", "/v1/activity", key=token).status_code == 200
    me = gateway.ask("GET", ME, key=token).json()["data"]
    assert (me["member"], me["session"]) == (made["member"], made["data"])
    assert (me["totp"], me["recovery_codes_left"]) == (False, 0)
    assert gateway.ask("POST", "/v1/auth/sign-out", key=token).json() == {"data": {"deleted": True}}
    ended = gateway.ask("GET", "/v1/keys", key=token)
    assert (ended.status_code, failure(ended)["code"]) == (401, "session_expired")


@pytest.mark.parametrize(("idle_hours", "times", "alive"), [(1, 11, True), (1, 12, False), (2, 1, False)])
def test_a_session_lasts_twelve_hours_and_two_without_use(
    gateway: Gateway, idle_hours: int, times: int, alive: bool
) -> None:
    token = signed_in(gateway)
    for _ in range(times):
        gateway.now_us += idle_hours * HOUR_US
        status = gateway.ask("GET", ME, key=token).status_code
    assert (status == 200) is alive


def test_sessions_are_listed_and_ended_by_their_own_member_alone(gateway: Gateway) -> None:
    town = Town(gateway)
    other = town.people[Role.ADMIN].member
    with_password(gateway, other)
    first, second, theirs = signed_in(gateway), signed_in(gateway), signed_in(gateway, other)
    mine = gateway.ask("GET", "/v1/auth/sessions", key=second).json()["data"]
    assert sorted(one["current"] for one in mine) == [False, True]
    [old] = [one["id"] for one in mine if not one["current"]]
    refused = gateway.ask("DELETE", f"/v1/auth/sessions/{old}", key=theirs)
    assert (refused.status_code, failure(refused)["code"]) == (404, "session_not_found")
    assert gateway.ask("DELETE", f"/v1/auth/sessions/{old}", key=second).status_code == 200
    assert [gateway.ask("GET", ME, key=token).status_code for token in (first, second, theirs)] == [401, 200, 200]


@pytest.mark.parametrize("end", ["disabled", "removed"])
def test_a_session_ends_with_its_member(gateway: Gateway, end: str) -> None:
    one = Town(gateway).people[Role.MEMBER].member
    with_password(gateway, one)
    token = signed_in(gateway, one)
    path = f"/v1/members/{one.id}"
    done = (
        gateway.manage("PATCH", path, json={"disabled": True}) if end == "disabled" else gateway.manage("DELETE", path)
    )
    assert done.status_code == 200
    assert gateway.ask("GET", ME, key=token).status_code == 401
    assert failure(attempt(gateway, one.email))["code"] == "invalid_sign_in"


def test_a_token_is_stored_hashed_and_is_no_key(gateway: Gateway) -> None:
    token = signed_in(gateway)
    assert gateway.run(gateway.store.directory.find_session(token)) is None
    assert gateway.run(gateway.store.directory.find_session(digest(token))) is not None
    refused = gateway.ask("GET", "/v1/key", key=token)
    assert (refused.status_code, failure(refused)["code"]) == (403, "wrong_key_type")


@NEEDS_NO_STORE
def test_a_key_has_no_session(gateway: Gateway) -> None:
    for method, path in (("GET", ME), ("GET", "/v1/auth/sessions"), ("POST", "/v1/auth/sign-out")):
        answer = gateway.manage(method, path)
        assert (answer.status_code, failure(answer)["code"]) == (403, "session_required")


@NEEDS_NO_STORE
@pytest.mark.parametrize(("role", "probe", "place"), CASES)
def test_a_session_may_what_the_role_may(gateway: Gateway, role: Role, probe: Probe, place: str) -> None:
    town = Town(gateway)
    me = town.people[role]
    with_password(gateway, me.member)
    path = probe.path(town, me, place)
    answer = gateway.ask(probe.method, path, key=signed_in(gateway, me.member), json=probe.body)
    assert answer.status_code == probe.status(role, place), answer.text


@pytest.mark.parametrize("role", Role)
def test_a_session_sees_the_activity_of_its_role(gateway: Gateway, role: Role) -> None:
    town = Town(gateway)
    me = town.people[role]
    with_password(gateway, me.member)
    mine, theirs = gateway.add_record(key=me.live_key), gateway.add_record()
    seen = {one["id"] for one in gateway.ask("GET", "/v1/activity", key=signed_in(gateway, me.member)).json()["data"]}
    assert seen == {mine.opening.id, *([theirs.opening.id] if Action.READ_ACTIVITY in ALLOWED[role] else [])}


# ---------------------------------------------------------------- who is refused


def test_nobody_learns_whether_an_address_is_a_members(gateway: Gateway) -> None:
    quiet = member("quiet", Role.MEMBER)
    gateway.run(gateway.store.directory.add_member(quiet))
    answers = [
        attempt(gateway, password="wrong"),
        attempt(gateway, "nobody@example.com"),
        attempt(gateway, quiet.email),
        attempt(gateway, "", ""),
        attempt(gateway, "😀@example.com", "x" * 100_000),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("email", [BOSS.email, "nobody@example.com"])
def test_attempts_are_limited_whoever_has_the_address(gateway: Gateway, email: str) -> None:
    for _ in range(10):
        assert attempt(gateway, email, "wrong").status_code == 401
    refused = attempt(gateway, email)
    assert (refused.status_code, failure(refused)["code"]) == (429, "too_many_attempts")
    assert refused.headers["retry-after"] == "900"
    assert attempt(gateway, "another@example.com").status_code == 401
    gateway.now_us += HOUR_US // 4
    assert attempt(gateway, email).status_code == (201 if email == BOSS.email else 401)


def test_who_succeeds_begins_anew(gateway: Gateway) -> None:
    for _ in range(3):
        for _ in range(9):
            assert attempt(gateway, password="wrong").status_code == 401
        assert attempt(gateway).status_code == 201


def test_a_member_of_two_organizations_says_which(gateway: Gateway) -> None:
    town = Town(gateway)
    twin = replace(BOSS, id="mem_twin", organization_id=FOREIGN.id, created_at_us=BOSS.created_at_us + 1)
    gateway.run(gateway.store.directory.add_member(twin))
    with_password(gateway, twin)
    assert attempt(gateway).json()["member"]["organization_id"] == "org_home"
    there = attempt(gateway, organization_id=FOREIGN.id).json()
    assert there["member"]["id"] == "mem_twin"
    seen = gateway.ask("GET", "/v1/members", key=there["token"]).json()["data"]
    assert {one["organization_id"] for one in seen} == {FOREIGN.id}
    assert attempt(gateway, organization_id="org_x").status_code == 401
    assert town.people


# ---------------------------------------------------------------- passwords


def test_the_first_password_comes_with_the_invitation(gateway: Gateway) -> None:
    made = invite(gateway, email="ada@example.com")
    body = {"token": made["token"], "name": "Ada", "password": "short"}
    refused = gateway.ask("POST", "/v1/invitations/accept", json=body)
    assert (refused.status_code, failure(refused)["param"]) == (400, "password")
    assert "short" not in refused.text
    accepted = gateway.ask("POST", "/v1/invitations/accept", json={**body, "password": PASSWORD})
    assert accepted.status_code == 201
    assert attempt(gateway, "ada@example.com").status_code == 201


def test_a_password_is_changed_by_who_knows_it_and_every_session_ends(gateway: Gateway) -> None:
    token, other = signed_in(gateway), signed_in(gateway)
    path = "/v1/auth/password"
    wrong = gateway.ask("POST", path, key=token, json={"password": "x", "new_password": "another long one"})
    assert (wrong.status_code, failure(wrong)["code"]) == (401, "invalid_sign_in")
    short = gateway.ask("POST", path, key=token, json={"password": PASSWORD, "new_password": "short"})
    assert failure(short)["param"] == "new_password"
    done = gateway.ask("POST", path, key=token, json={"password": PASSWORD, "new_password": "another long one"})
    assert done.status_code == 200
    assert {gateway.ask("GET", ME, key=one).status_code for one in (token, other)} == {401}
    assert attempt(gateway).status_code == 401
    assert attempt(gateway, password="another long one").status_code == 201


# ---------------------------------------------------------------- codes


def test_a_code_is_asked_for_once_an_app_is_confirmed(gateway: Gateway) -> None:
    token = signed_in(gateway)
    begun = gateway.ask("POST", "/v1/auth/totp", key=token).json()["data"]
    assert begun["uri"].startswith("otpauth://totp/ARouter:boss%40example.com?")
    assert attempt(gateway).status_code == 201, "an app that is not confirmed asks for nothing"
    wrong = gateway.ask("POST", "/v1/auth/totp/confirm", key=token, json={"totp": "000000"})
    assert failure(wrong)["code"] == "invalid_totp"
    secret, codes = enrolled(gateway, token)
    assert len(set(codes)) == 10
    missing = attempt(gateway)
    assert (missing.status_code, failure(missing)["code"]) == (401, "totp_required")
    assert failure(attempt(gateway, password="wrong", totp=code_of(gateway, secret)))["code"] == "invalid_sign_in"
    gateway.now_us += 30_000_000
    assert attempt(gateway, totp=code_of(gateway, secret)).status_code == 201
    me = gateway.ask("GET", ME, key=token).json()["data"]
    assert (me["totp"], me["recovery_codes_left"]) == (True, 10)
    again = gateway.ask("POST", "/v1/auth/totp", key=token)
    assert (again.status_code, failure(again)["code"]) == (403, "totp_confirmed")


def test_a_code_is_worth_something_once(gateway: Gateway) -> None:
    secret, _ = enrolled(gateway, signed_in(gateway))
    assert failure(attempt(gateway, totp=code_of(gateway, secret)))["code"] == "invalid_totp", "it confirmed the app"
    gateway.now_us += 60_000_000
    assert attempt(gateway, totp=code_of(gateway, secret)).status_code == 201
    assert failure(attempt(gateway, totp=code_of(gateway, secret)))["code"] == "invalid_totp"
    assert failure(attempt(gateway, totp=code_of(gateway, secret, steps=-1)))["code"] == "invalid_totp", "an older one"
    gateway.now_us += 30_000_000
    assert attempt(gateway, totp=code_of(gateway, secret)).status_code == 201


def test_a_recovery_code_stands_for_a_code_once(gateway: Gateway) -> None:
    _, codes = enrolled(gateway, signed_in(gateway))
    token = signed_in(gateway, totp=codes[3].upper())
    assert failure(attempt(gateway, totp=codes[3]))["code"] == "invalid_totp"
    assert gateway.ask("GET", ME, key=token).json()["data"]["recovery_codes_left"] == 9
    assert signed_in(gateway, totp=codes[0])


def kept_secret(gateway: Gateway) -> str:
    login = gateway.run(gateway.store.directory.get_login(BOSS.organization_id, BOSS.id))
    assert login is not None
    assert login.totp_secret is not None
    return login.totp_secret


def keep_secret(gateway: Gateway, kept: str) -> None:
    keeping = gateway.store.directory.reseal_totp(
        BOSS.organization_id, BOSS.id, before=kept_secret(gateway), after=kept
    )
    assert gateway.run(keeping)


def test_the_secret_of_an_app_is_sealed_and_one_that_is_not_at_the_next_code(gateway: Gateway) -> None:
    secret, _ = enrolled(gateway, signed_in(gateway))
    assert kept_secret(gateway).startswith(f"sealed:{VAULT.first_key_id}:")
    keep_secret(gateway, secret)
    gateway.now_us += 30_000_000
    assert attempt(gateway, totp="000000").status_code == 401
    assert kept_secret(gateway) == secret, "a wrong code changes nothing"
    assert attempt(gateway, totp=code_of(gateway, secret)).status_code == 201
    assert kept_secret(gateway).startswith("sealed:")
    gateway.now_us += 30_000_000
    assert attempt(gateway, totp=code_of(gateway, secret)).status_code == 201


def test_without_a_key_encryption_key_the_secret_is_kept_as_it_is() -> None:
    with Gateway(vault=None) as gateway:
        with_password(gateway, BOSS)
        secret, _ = enrolled(gateway, signed_in(gateway))
        gateway.now_us += 30_000_000
        assert attempt(gateway, totp=code_of(gateway, secret)).status_code == 201
        assert kept_secret(gateway) == secret


def test_where_the_secret_cannot_be_read_that_is_said_and_a_recovery_code_is_taken(gateway: Gateway) -> None:
    secret, codes = enrolled(gateway, signed_in(gateway))
    keep_secret(gateway, "sealed:0123456789abcdef:AAAA")
    gateway.now_us += 30_000_000
    refused = attempt(gateway, totp=code_of(gateway, secret))
    assert (refused.status_code, failure(refused)["code"]) == (401, "invalid_totp")
    assert "security.key_encryption_key" in failure(refused)["message"]
    assert attempt(gateway, totp=codes[0]).status_code == 201


def test_wrong_codes_are_limited_as_wrong_passwords_are(gateway: Gateway) -> None:
    enrolled(gateway, signed_in(gateway))
    for _ in range(10):
        assert failure(attempt(gateway, totp="000000"))["code"] == "invalid_totp"
    assert attempt(gateway, totp="000000").status_code == 429


def test_an_app_is_removed_by_who_has_it(gateway: Gateway) -> None:
    token = signed_in(gateway)
    nothing = gateway.ask("POST", "/v1/auth/totp/remove", key=token, json={"totp": "000000"})
    assert (nothing.status_code, failure(nothing)["param"]) == (400, "totp")
    secret, _ = enrolled(gateway, token)
    wrong = gateway.ask("POST", "/v1/auth/totp/remove", key=token, json={"totp": "000000"})
    assert failure(wrong)["code"] == "invalid_totp"
    gateway.now_us += 30_000_000
    done = gateway.ask("POST", "/v1/auth/totp/remove", key=token, json={"totp": code_of(gateway, secret)})
    assert done.status_code == 200
    assert attempt(gateway).status_code == 201

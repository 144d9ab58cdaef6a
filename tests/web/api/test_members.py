"""`/v1/members` and `/v1/invitations`: asked, come, changed, gone; and always an admin."""

from typing import Any

import pytest

from arouter.domain.roles import Role
from tests.web.api.gateway import BOSS, NEEDS_NO_STORE, Gateway, failure
from tests.web.api.people import Town, member

DAY_US = 24 * 3_600_000_000
INVITATIONS = "/v1/invitations"


def invite(gateway: Gateway, **body: Any) -> Any:
    answer = gateway.manage("POST", INVITATIONS, json={"email": "Ada@Example.com", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def accept(gateway: Gateway, token: str, name: str = "Ada") -> Any:
    return gateway.ask("POST", f"{INVITATIONS}/accept", json={"token": token, "name": name})


def add(gateway: Gateway, who: str, role: Role, **changes: Any) -> str:
    """The path of a new member."""
    one = member(who, role, **changes)
    gateway.run(gateway.store.directory.add_member(one))
    return f"/v1/members/{one.id}"


# ---------------------------------------------------------------- invitations


def test_an_invitation_becomes_a_member(gateway: Gateway) -> None:
    made = invite(gateway, role="billing")
    shown = made["data"]
    assert shown["id"].startswith("inv_")
    assert shown == {
        "id": shown["id"],
        "email": "ada@example.com",
        "role": "billing",
        "workspace_ids": [],
        "state": "open",
        "organization_id": "org_home",
        "invited_by": "mem_1",
        "accepted_by": None,
        "created_at": "2026-11-22T06:00:00.123456Z",
        "expires_at": "2026-11-29T06:00:00.123456Z",
    }
    assert gateway.manage("GET", f"{INVITATIONS}/{shown['id']}").json() == {"data": shown}
    assert made["token"] not in gateway.manage("GET", INVITATIONS).text
    answer = accept(gateway, made["token"])
    assert answer.status_code == 201
    ada = answer.json()["data"]
    assert ada == {
        "id": ada["id"],
        "email": "ada@example.com",
        "name": "Ada",
        "role": "billing",
        "disabled": False,
        "workspace_ids": [],
        "organization_id": "org_home",
        "created_at": "2026-11-22T06:00:00.123456Z",
        "updated_at": None,
    }
    assert gateway.manage("GET", f"/v1/members/{ada['id']}").json() == {"data": ada}
    [after] = gateway.manage("GET", INVITATIONS).json()["data"]
    assert after == {**shown, "state": "accepted", "accepted_by": ada["id"]}


def test_a_token_that_was_used_withdrawn_or_is_too_old_is_worth_nothing(gateway: Gateway) -> None:
    used, withdrawn, old = (invite(gateway, email=f"{name}@example.com") for name in ("a", "b", "c"))
    assert accept(gateway, used["token"]).status_code == 201
    assert gateway.manage("DELETE", f"{INVITATIONS}/{withdrawn['data']['id']}").json() == {"data": {"deleted": True}}
    gateway.now_us += 7 * DAY_US
    refused = [accept(gateway, token) for token in (used["token"], withdrawn["token"], old["token"], "lr_join_x")]
    assert {answer.status_code for answer in refused} == {404}
    assert len({answer.content for answer in refused}) == 1
    assert failure(refused[0])["param"] == "token"
    states = {one["email"]: one["state"] for one in gateway.manage("GET", INVITATIONS).json()["data"]}
    assert states == {"a@example.com": "accepted", "c@example.com": "expired"}


def test_who_is_a_member_already_is_neither_invited_nor_let_in_again(gateway: Gateway) -> None:
    made = invite(gateway)
    add(gateway, "ada", Role.MEMBER)
    assert failure(gateway.manage("POST", INVITATIONS, json={"email": "ADA@example.com"}))["code"] == "already_a_member"
    assert failure(accept(gateway, made["token"]))["code"] == "already_a_member"
    assert gateway.manage("GET", f"{INVITATIONS}/{made['data']['id']}").json()["data"]["state"] == "open"


def test_a_member_of_another_organization_is_invited_like_anybody(gateway: Gateway) -> None:
    Town(gateway)
    made = invite(gateway, email="foreigner@example.com")
    assert accept(gateway, made["token"]).status_code == 201


@NEEDS_NO_STORE
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"email": "ada"}, "email"),
        ({"email": "a b@example.com"}, "email"),
        ({"email": f"{'a' * 250}@example.com"}, "email"),
        ({"email": "a@example.com", "role": "owner"}, "role"),
        ({"role": "admin"}, "email"),
    ],
)
def test_bad_invitations_are_named(gateway: Gateway, body: object, param: str) -> None:
    answer = gateway.manage("POST", INVITATIONS, json=body)
    assert (answer.status_code, failure(answer)["param"]) == (400, param)


# ---------------------------------------------------------------- members


def test_a_member_changes_name_and_role_and_keeps_the_address(gateway: Gateway) -> None:
    path = add(gateway, "ada", Role.MEMBER)
    changed = gateway.manage("PATCH", path, json={"name": " Ada L. ", "role": "billing"}).json()["data"]
    assert (changed["name"], changed["role"], changed["email"]) == ("Ada L.", "billing", "ada@example.com")
    assert failure(gateway.manage("PATCH", path, json={"email": "x@example.com"}))["code"] == "unknown_parameter"
    assert gateway.manage("GET", path).json()["data"] == changed


@pytest.mark.parametrize("change", [{"role": "member"}, {"disabled": True}, None])
def test_the_last_enabled_admin_stays(gateway: Gateway, change: dict[str, Any] | None) -> None:
    path = f"/v1/members/{BOSS.id}"
    add(gateway, "sleeper", Role.ADMIN, disabled=True)
    method = "DELETE" if change is None else "PATCH"
    refused = gateway.manage(method, path, json=change)
    assert (refused.status_code, failure(refused)["code"]) == (400, "last_admin")
    add(gateway, "second", Role.ADMIN)
    assert gateway.manage(method, path, json=change).status_code == 200


def test_members_are_listed_in_pages(gateway: Gateway) -> None:
    for name in ("ada", "bob"):
        add(gateway, name, Role.MEMBER)
    page = gateway.manage("GET", "/v1/members?page_size=2").json()
    rest = gateway.manage("GET", f"/v1/members?page_token={page['next_page_token']}").json()
    assert [len(page["data"]), len(rest["data"]), rest["next_page_token"]] == [2, 1, None]


def test_what_is_gone_is_not_there(gateway: Gateway) -> None:
    path = add(gateway, "ada", Role.MEMBER)
    assert gateway.manage("DELETE", path).json() == {"data": {"deleted": True}}
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert failure(gateway.manage(method, path, json=body))["code"] == "member_not_found"
    assert failure(gateway.manage("DELETE", f"{INVITATIONS}/inv_x"))["code"] == "invitation_not_found"

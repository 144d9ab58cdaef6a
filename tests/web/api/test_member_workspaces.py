"""The workspaces of a member: named by an invitation or later, where the member makes keys."""

from typing import Any

import pytest

from arouter.domain.keys import KeyKind
from arouter.domain.roles import Role
from tests.web.api.gateway import HOME, NEEDS_NO_STORE, Gateway, failure
from tests.web.api.people import FOREIGN_WORKSPACE, PASSWORD, Town, workspace


@pytest.fixture
def town(gateway: Gateway) -> Town:
    return Town(gateway)


def invited(town: Town, *workspace_ids: str, role: str = "member") -> Any:
    """The member that an invitation to these workspaces makes."""
    body = {"email": "new@example.com", "role": role, "workspace_ids": workspace_ids}
    made = town.gateway.manage("POST", "/v1/invitations", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["data"]["workspace_ids"] == [*dict.fromkeys(workspace_ids)]
    accepting = {"token": made.json()["token"], "name": "New", "password": PASSWORD}
    return town.gateway.ask("POST", "/v1/invitations/accept", json=accepting).json()["data"]


def test_who_accepts_is_in_the_workspaces_of_the_invitation(town: Town) -> None:
    member = invited(town, "ws_spare", "ws_spare")
    assert member["workspace_ids"] == ["ws_spare"]
    assert town.gateway.manage("GET", f"/v1/members/{member['id']}").json()["data"] == member


@NEEDS_NO_STORE
def test_an_invitation_that_names_none_is_to_every_workspace(town: Town) -> None:
    made = town.gateway.manage("POST", "/v1/invitations", json={"email": "new@example.com"}).json()
    assert made["data"]["workspace_ids"] == []


def test_a_member_makes_keys_in_own_workspaces_the_first_one_if_nothing_is_said(town: Town) -> None:
    gateway = town.gateway
    gateway.run(gateway.store.directory.add_workspace(workspace("ws_third", HOME.organization_id)))
    invited(town, "ws_spare", "ws_third")
    session = signed_in_new(gateway)
    made = gateway.ask("POST", "/v1/keys", key=session, json={"name": "x"}).json()["data"]
    assert made["workspace_id"] == "ws_spare"
    path = f"/v1/keys/{made['hash']}"
    for method, where in (("POST", "/v1/keys"), ("PATCH", path)):
        refused = gateway.ask(method, where, key=session, json={"name": "x", "workspace_id": HOME.workspace_id})
        assert (refused.status_code, failure(refused)["param"]) == (403, "workspace_id")
        own = gateway.ask(method, where, key=session, json={"name": "x", "workspace_id": "ws_third"})
        assert own.json()["data"]["workspace_id"] == "ws_third"
    assert gateway.ask("PATCH", path, key=session, json={"name": "y"}).status_code == 200


def test_so_does_a_management_key_of_the_member(town: Town) -> None:
    gateway, me = town.gateway, town.people[Role.MEMBER]
    assert town.ask(Role.MEMBER, "POST", "/v1/keys", json={"name": "x"}).json()["data"]["workspace_id"] == "ws_home"
    change = {"workspace_ids": ["ws_spare"]}
    changed = gateway.manage("PATCH", f"/v1/members/{me.member.id}", json=change)
    assert changed.json()["data"]["workspace_ids"] == ["ws_spare"]
    # The key itself is still in the first workspace: what it makes is where the member is.
    assert town.ask(Role.MEMBER, "POST", "/v1/keys", json={"name": "x"}).json()["data"]["workspace_id"] == "ws_spare"
    mine = f"/v1/keys/{me.live_key.hash}"
    assert town.ask(Role.MEMBER, "PATCH", mine, json={"name": "it may stay"}).status_code == 200
    assert gateway.manage("PATCH", f"/v1/members/{me.member.id}", json={"workspace_ids": []}).status_code == 200
    assert town.ask(Role.MEMBER, "POST", "/v1/keys", json={"name": "x"}).json()["data"]["workspace_id"] == "ws_home"


def test_an_admin_makes_keys_everywhere(town: Town) -> None:
    member = invited(town, "ws_spare", role="admin")
    plaintext, _ = town.gateway.add_key("a", kind=KeyKind.MANAGEMENT, creator=member["id"], workspace_id="ws_spare")
    for wanted in (HOME.workspace_id, "ws_spare"):
        made = town.gateway.ask("POST", "/v1/keys", key=plaintext, json={"name": "x", "workspace_id": wanted})
        assert made.json()["data"]["workspace_id"] == wanted


def test_a_workspace_that_somebody_is_in_is_archived_in_place_of_deleted(town: Town) -> None:
    invited(town, "ws_spare")
    gone = town.gateway.manage("DELETE", "/v1/workspaces/ws_spare").json()["data"]
    assert gone == {"deleted": False, "archived": True}
    refused = town.gateway.ask("POST", "/v1/keys", key=signed_in_new(town.gateway), json={"name": "x"})
    assert (refused.status_code, failure(refused)["param"]) == (400, "workspace_id")


@NEEDS_NO_STORE
@pytest.mark.parametrize(
    "wanted",
    [[FOREIGN_WORKSPACE.id], ["ws_none"], ["ws_spare", ""], ["ws_old"], [f"ws_{number}" for number in range(101)]],
)
def test_what_is_no_workspace_to_be_in_is_refused(town: Town, wanted: list[str]) -> None:
    gateway = town.gateway
    gateway.run(gateway.store.directory.add_workspace(workspace("ws_old", HOME.organization_id)))
    assert gateway.manage("PATCH", "/v1/workspaces/ws_old", json={"archived": True}).status_code == 200
    asked = {"email": "new@example.com", "workspace_ids": wanted}
    member = f"/v1/members/{town.people[Role.MEMBER].member.id}"
    for answer in (
        gateway.manage("POST", "/v1/invitations", json=asked),
        gateway.manage("PATCH", member, json={"workspace_ids": wanted}),
    ):
        assert (answer.status_code, failure(answer)["param"]) == (400, "workspace_ids")


def signed_in_new(gateway: Gateway) -> str:
    body = {"email": "new@example.com", "password": PASSWORD}
    return str(gateway.ask("POST", "/v1/auth/sign-in", json=body).json()["token"])

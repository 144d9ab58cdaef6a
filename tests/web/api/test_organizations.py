"""`/v1/organizations` and `/v1/workspaces`: made, renamed, archived, and what keys have to do with them."""

from typing import Any

import pytest

from arouter.domain.keys import KeyKind
from tests.web.api.gateway import HOME, NEEDS_NO_STORE, Gateway, failure

PATH = "/v1/workspaces"


def create(gateway: Gateway, name: str = "Research") -> Any:
    answer = gateway.manage("POST", PATH, json={"name": name})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def listed(gateway: Gateway, query: str = "") -> list[str]:
    return [one["name"] for one in gateway.manage("GET", f"{PATH}{query}").json()["data"]]


def test_the_own_organization_is_shown_and_renamed(gateway: Gateway) -> None:
    [shown] = gateway.manage("GET", "/v1/organizations").json()["data"]
    assert shown == {
        "id": "org_home",
        "name": "Default",
        "created_at": "2026-11-22T06:00:00.123456Z",
        "updated_at": None,
    }
    gateway.now_us += 1_000_000
    renamed = gateway.manage("PATCH", "/v1/organizations/org_home", json={"name": "  Müller & Co  "}).json()["data"]
    assert renamed == {**shown, "name": "Müller & Co", "updated_at": "2026-11-22T06:00:01.123456Z"}
    assert gateway.manage("GET", "/v1/organizations/org_home").json() == {"data": renamed}


def test_a_workspace_is_made_listed_and_renamed(gateway: Gateway) -> None:
    made = create(gateway)
    assert made.pop("id").startswith("ws_")
    assert made == {
        "name": "Research",
        "archived": False,
        "organization_id": "org_home",
        "created_at": "2026-11-22T06:00:00.123456Z",
        "updated_at": None,
    }
    assert sorted(listed(gateway)) == ["Default", "Research"]


def test_a_list_goes_on_page_by_page(gateway: Gateway) -> None:
    for number in range(3):
        gateway.now_us += 1
        create(gateway, str(number))
    names: list[str] = []
    token = ""
    while token is not None:
        page = gateway.manage("GET", f"{PATH}?page_size=3&page_token={token}").json()
        names += [one["name"] for one in page["data"]]
        token = page["next_page_token"]
    assert names == ["Default", "0", "1", "2"]


def test_a_workspace_that_nothing_names_is_deleted(gateway: Gateway) -> None:
    path = f"{PATH}/{create(gateway)['id']}"
    assert gateway.manage("DELETE", path).json() == {"data": {"deleted": True, "archived": False}}
    assert failure(gateway.manage("GET", path))["code"] == "workspace_not_found"
    assert gateway.manage("DELETE", path).status_code == 404


def test_a_workspace_with_a_key_is_archived_and_its_key_goes_on(gateway: Gateway) -> None:
    workspace = create(gateway)
    body = {"name": "x", "workspace_id": workspace["id"]}
    made = gateway.manage("POST", "/v1/keys", json=body).json()
    assert made["data"]["workspace_id"] == workspace["id"]
    path = f"{PATH}/{workspace['id']}"
    assert gateway.manage("DELETE", path).json() == {"data": {"deleted": False, "archived": True}}
    assert listed(gateway) == ["Default"]
    assert sorted(listed(gateway, "?include_archived=true")) == ["Default", "Research"]
    assert gateway.get("/v1/key", key=made["key"]).status_code == 200
    assert gateway.manage("PATCH", f"/v1/keys/{made['data']['hash']}", json={"name": "y"}).status_code == 200
    refused = failure(gateway.manage("POST", "/v1/keys", json=body))
    assert (refused["code"], refused["param"]) == ("invalid_parameter", "workspace_id")
    assert gateway.manage("PATCH", path, json={"archived": False}).json()["data"]["archived"] is False
    assert gateway.manage("POST", "/v1/keys", json=body).status_code == 201


def test_no_key_is_moved_into_an_archived_workspace(gateway: Gateway) -> None:
    workspace = create(gateway)
    path = f"/v1/keys/{gateway.live_key.hash}"
    assert gateway.manage("PATCH", path, json={"workspace_id": workspace["id"]}).status_code == 200
    gateway.manage("PATCH", path, json={"workspace_id": HOME.workspace_id})
    gateway.manage("PATCH", f"{PATH}/{workspace['id']}", json={"archived": True})
    assert failure(gateway.manage("PATCH", path, json={"workspace_id": workspace["id"]}))["param"] == "workspace_id"


def test_a_manager_of_an_archived_workspace_names_another_one(gateway: Gateway) -> None:
    workspace = create(gateway)
    manager, _ = gateway.add_key("boss", kind=KeyKind.MANAGEMENT, workspace_id=workspace["id"])
    gateway.manage("PATCH", f"{PATH}/{workspace['id']}", json={"archived": True})
    answer = gateway.ask("POST", "/v1/keys", key=manager, json={"name": "x"})
    assert failure(answer)["param"] == "workspace_id"
    there = {"name": "x", "workspace_id": HOME.workspace_id}
    assert gateway.ask("POST", "/v1/keys", key=manager, json=there).status_code == 201


def test_the_only_workspace_stays(gateway: Gateway) -> None:
    path = f"{PATH}/{HOME.workspace_id}"
    for method, body in (("DELETE", None), ("PATCH", {"archived": True})):
        answer = gateway.manage(method, path, json=body)
        assert (answer.status_code, failure(answer)["code"]) == (400, "last_workspace")
    create(gateway)
    assert gateway.manage("DELETE", path).json() == {"data": {"deleted": False, "archived": True}}


@NEEDS_NO_STORE
@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "name", "missing_required_parameter"),
        ({"name": " "}, "name", "invalid_parameter"),
        ({"name": "x" * 201}, "name", "invalid_parameter"),
        ({"name": "a\nb"}, "name", "invalid_parameter"),
        ({"name": 1}, "name", "invalid_type"),
        ({"name": "x", "nmae": 1}, "nmae", "unknown_parameter"),
    ],
)
def test_bad_input_is_named(gateway: Gateway, body: object, param: str, code: str) -> None:
    for method, path in (("POST", PATH), ("PATCH", "/v1/organizations/org_home")):
        error = failure(gateway.manage(method, path, json=body))
        assert (error["param"], error["code"]) == (param, code)


@NEEDS_NO_STORE
def test_a_live_key_manages_nothing(gateway: Gateway) -> None:
    for path in ("/v1/organizations", PATH, "/v1/members", "/v1/invitations"):
        answer = gateway.get(path)
        assert (answer.status_code, failure(answer)["code"]) == (403, "wrong_key_type")

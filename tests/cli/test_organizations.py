"""`arouter organizations`, `workspaces`, `members`, `invitations` and `audit`: what they do counts for the gateway."""

import csv
import io
import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.cli.conftest import Gateway
from tests.cli.process import arouter, misused, refused, succeeded, told


def asked(gateway: Gateway, method: str, path: str, key: str | None, body: object = None) -> tuple[int, Any]:
    """The status and the answer of the gateway."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    content = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(f"{gateway.url}{path}", content, headers, method=method)) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def test_an_organization_has_people_of_its_own_and_sees_nothing_of_the_first_one(gateway: Gateway) -> None:
    folder = gateway.folder
    made = told("organizations", "create", "--name", "Acme", cwd=folder)
    assert {one["name"] for one in told("organizations", "list", cwd=folder)} >= {"Acme", "Default"}
    status, answer = asked(gateway, "GET", "/v1/organizations", made["key"])
    assert (status, [one["id"] for one in answer["data"]]) == (200, [made["id"]])
    assert asked(gateway, "GET", "/v1/activity", made["key"])[1]["data"] == []
    of = ("--organization", made["id"])
    invited = told("invitations", "create", "--email", "ada@acme.example", "--role", "admin", *of, cwd=folder)
    accepting = {"token": invited["token"], "name": "Ada"}
    status, answer = asked(gateway, "POST", "/v1/invitations/accept", None, accepting)
    assert status == 201
    assert [one["id"] for one in told("members", "list", *of, cwd=folder)] == [answer["data"]["id"]]
    assert [one["state"] for one in told("invitations", "list", *of, cwd=folder)] == ["accepted"]
    renamed = told("organizations", "rename", made["id"], "--name", "Acme Inc.", cwd=folder)
    assert (renamed["id"], renamed["name"]) == (made["id"], "Acme Inc.")


def test_members_change_and_an_admin_stays(tmp_path: Path) -> None:
    succeeded("keys", "create", "--name", "x", cwd=tmp_path)
    ada = told("members", "add", "--email", "Ada@example.com", "--name", "Ada", "--role", "admin", cwd=tmp_path)["id"]
    bob = told("members", "add", "--email", "bob@example.com", "--name", "Bob", cwd=tmp_path)["id"]
    assert "this address" in refused(
        "members", "add", "--email", "bob@example.com", "--name", "B", cwd=tmp_path, code=2
    )
    assert "only enabled admin" in refused("members", "disable", ada, cwd=tmp_path, code=2)
    assert "only enabled admin" in refused("members", "delete", ada, cwd=tmp_path, code=2)
    assert "only enabled admin" in refused("members", "change", ada, "--role", "billing", cwd=tmp_path, code=2)
    assert told("members", "change", bob, "--role", "admin", "--name", "Rob", cwd=tmp_path)["role"] == "admin"
    place = told("workspaces", "create", "--name", "Research", cwd=tmp_path)["id"]
    assert told("members", "change", bob, "--workspace", place, cwd=tmp_path)["workspace_ids"] == [place]
    assert told("members", "change", bob, "--name", "Bo", cwd=tmp_path)["workspace_ids"] == [place]
    assert told("members", "change", bob, "--every-workspace", cwd=tmp_path)["workspace_ids"] == []
    assert "no workspace" in refused("members", "change", bob, "--workspace", "ws_none", cwd=tmp_path, code=2)
    asked = ("invitations", "create", "--email", "eve@example.com", "--workspace", place)
    assert told(*asked, cwd=tmp_path)["workspace_ids"] == [place]
    assert told("members", "disable", ada, cwd=tmp_path)["disabled"] is True
    assert told("members", "enable", ada, cwd=tmp_path)["disabled"] is False
    assert told("members", "delete", bob, cwd=tmp_path) == {"deleted": True, "id": bob}
    assert "no member" in refused("members", "delete", bob, cwd=tmp_path)
    assert [one["email"] for one in told("members", "list", cwd=tmp_path)] == ["ada@example.com"]


def test_workspaces_are_made_archived_and_restored(tmp_path: Path) -> None:
    succeeded("keys", "create", "--name", "x", cwd=tmp_path)
    [first] = told("workspaces", "list", cwd=tmp_path)
    assert "only workspace" in refused("workspaces", "archive", first["id"], cwd=tmp_path)
    second = told("workspaces", "create", "--name", "Research", cwd=tmp_path)["id"]
    made = told("keys", "create", "--name", "y", "--workspace", second, cwd=tmp_path)
    assert made["workspace_id"] == second
    assert told("workspaces", "rename", second, "--name", "R&D", cwd=tmp_path)["name"] == "R&D"
    assert told("workspaces", "archive", second, cwd=tmp_path)["archived"] is True
    assert "workspace_id" in refused("keys", "create", "--name", "z", "--workspace", second, cwd=tmp_path, code=2)
    assert told("workspaces", "restore", second, cwd=tmp_path)["archived"] is False
    assert "no workspace" in refused("workspaces", "restore", "ws_x", cwd=tmp_path)


def test_invitations_are_withdrawn(tmp_path: Path) -> None:
    succeeded("keys", "create", "--name", "x", cwd=tmp_path)
    text = succeeded("invitations", "create", "--email", "ada@example.com", cwd=tmp_path)
    assert text.startswith("lr_join_")
    [open_] = told("invitations", "list", cwd=tmp_path)
    assert (open_["role"], open_["state"], open_["invited_by"]) == ("member", "open", None)
    assert text.split()[0] not in succeeded("invitations", "list", cwd=tmp_path)
    assert "must be an e-mail address" in refused("invitations", "create", "--email", "ada", cwd=tmp_path, code=2)
    assert told("invitations", "delete", open_["id"], cwd=tmp_path)["deleted"] is True
    assert "no invitation" in refused("invitations", "delete", open_["id"], cwd=tmp_path)
    assert "no organization" in refused("invitations", "list", "--organization", "org_x", cwd=tmp_path)


def test_the_audit_log_tells_of_it_all_and_the_check_proves_it(tmp_path: Path) -> None:
    made = told("keys", "create", "--name", "x", cwd=tmp_path)
    told("keys", "disable", made["hash"], cwd=tmp_path)
    told("workspaces", "create", "--name", "Research", cwd=tmp_path)
    entries = told("audit", cwd=tmp_path)
    assert [entry["action"] for entry in entries] == [
        *("workspace.create", "key.update", "key.create", "workspace.create", "organization.create"),
    ]
    assert {entry["actor"] for entry in entries} == {"operator"}
    assert (entries[1]["before"]["disabled"], entries[1]["after"]["disabled"]) == (False, True)
    assert made["key"] not in json.dumps(entries)
    assert [e["no"] for e in told("audit", "--action", "key.update", "--target", made["hash"], cwd=tmp_path)] == [4]
    assert told("audit", "--start", "2999-01-01", cwd=tmp_path) == []
    assert told("audit", "--actor", "mem_x", cwd=tmp_path) == []
    assert len(told("audit", "--limit", "2", cwd=tmp_path)) == 2
    lines = succeeded("audit", "--format", "ndjson", cwd=tmp_path).splitlines()
    assert [json.loads(line) for line in lines] == entries
    rows = list(csv.DictReader(io.StringIO(succeeded("audit", "--format", "csv", cwd=tmp_path))))
    assert [int(row["no"]) for row in rows] == [5, 4, 3, 2, 1]
    assert "workspace.create" in succeeded("audit", cwd=tmp_path)
    assert told("db", "check", cwd=tmp_path)["problems"] == []
    assert "--start" in misused("audit", "--start", "yesterday")


def test_a_member_signs_in_with_the_password_that_the_operator_set(gateway: Gateway) -> None:
    folder = gateway.folder
    added = told("members", "add", "--email", "zoe@example.com", "--name", "Zoe", cwd=folder)
    done = arouter("members", "set-password", added["id"], "--json", cwd=folder, stdin="correct horse battery\n")
    assert json.loads(done.stdout) == {"password_set": True, "id": added["id"]}
    body = {"email": "zoe@example.com", "password": "correct horse battery"}
    status, answer = asked(gateway, "POST", "/v1/auth/sign-in", None, body)
    assert status == 201
    status, me = asked(gateway, "GET", "/v1/auth/me", answer["token"])
    assert (status, me["data"]["member"]["id"]) == (200, added["id"])
    env = {"NEW": "another long one"}
    succeeded("members", "set-password", added["id"], "--password-from", "NEW", cwd=folder, env=env)
    assert asked(gateway, "GET", "/v1/auth/me", answer["token"])[0] == 401
    assert asked(gateway, "POST", "/v1/auth/sign-in", None, {**body, "password": env["NEW"]})[0] == 201
    short = refused(
        "members", "set-password", added["id"], "--password-from", "NEW", cwd=folder, code=2, env={"NEW": "x"}
    )
    assert "from 12 to 256" in short
    assert "not set" in refused("members", "set-password", added["id"], "--password-from", "N", cwd=folder)
    assert "no member" in refused("members", "set-password", "mem_x", "--password-from", "NEW", cwd=folder, env=env)
    assert "no member with" in refused("members", "remove-totp", added["id"], cwd=folder)
    assert told("members", "delete", added["id"], cwd=folder)["deleted"] is True

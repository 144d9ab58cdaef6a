"""The audit log over HTTP: nothing that changes anything can be done without it."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from arouter.domain.audit import NO_HASH, Actor, ActorKind, AuditAction, AuditEntry, entry_hash
from arouter.engine import totp
from arouter.web.api.inference_docs import inference_paths
from arouter.wire.instants import read_instant
from tests.web.api.gateway import BOSS, NEEDS_NO_STORE, Gateway, failure
from tests.web.api.people import HASHED, PASSWORD, Town, code_of, signed_in, with_password
from tests.web.api.test_members import accept, invite

PATH = "/v1/audit"
SECRET = "sk-proj-sesame-1234567890-abcd"


def listed(gateway: Gateway, query: str = "") -> list[dict[str, Any]]:
    answer = gateway.manage("GET", f"{PATH}{query}")
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


@dataclass(frozen=True, kw_only=True)
class Done:
    """A request that changes something: its path and body, from what is made before it, and what is noted."""

    path: Callable[[Gateway], str]
    actions: tuple[str, ...]
    body: dict[str, Any] | None = None
    by_member: bool = False
    """By whoever has a token."""
    by_session: bool = False
    """By the boss, who has signed in."""


def _fixed(path: str) -> Callable[[Gateway], str]:
    return lambda gateway: path


def _made(path: str, **body: Any) -> Callable[[Gateway], str]:
    def make(gateway: Gateway) -> str:
        made = gateway.manage("POST", path, json=body).json()["data"]
        return f"{path}/{made.get('id') or made['hash']}"

    return make


def _member(gateway: Gateway) -> str:
    return f"/v1/members/{accept(gateway, invite(gateway)['token']).json()['data']['id']}"


def _session(gateway: Gateway) -> str:
    token = signed_in(gateway)
    return f"/v1/auth/sessions/{gateway.ask('GET', '/v1/auth/me', key=token).json()['data']['session']['id']}"


SECRET_OF_APP = totp.new_secret(bytes(20))


def _waiting(gateway: Gateway) -> str:
    gateway.run(gateway.store.directory.enrol_totp("org_home", BOSS.id, SECRET_OF_APP))
    return "/v1/auth/totp/confirm"


def _confirmed(gateway: Gateway) -> str:
    _waiting(gateway)
    confirming = gateway.store.directory.confirm_totp("org_home", BOSS.id, secret=SECRET_OF_APP, step=1, recovery=())
    assert gateway.run(confirming)
    return "/v1/auth/totp/remove"


KEY = _made("/v1/keys", name="x")
PROVIDER_KEY = _made("/v1/provider-keys", provider="openai", key=SECRET)
GUARDRAIL_BODY = {"name": "x", "target": "organization", "limit": 5}
GUARDRAIL = _made("/v1/guardrails", **GUARDRAIL_BODY)
WORKSPACE = _made("/v1/workspaces", name="x")
INVITATION = _made("/v1/invitations", email="x@example.com")

DONE: Mapping[str, Done] = {
    "POST /v1/keys": Done(path=_fixed("/v1/keys"), body={"name": "x"}, actions=("key.create",)),
    "PATCH /v1/keys/{hash}": Done(path=KEY, body={"name": "y"}, actions=("key.update",)),
    "DELETE /v1/keys/{hash}": Done(path=KEY, actions=("key.delete",)),
    "POST /v1/keys/{hash}/rotate": Done(path=lambda gateway: f"{KEY(gateway)}/rotate", actions=("key.rotate",)),
    "POST /v1/provider-keys": Done(
        path=_fixed("/v1/provider-keys"), body={"provider": "openai", "key": SECRET}, actions=("provider_key.create",)
    ),
    "PATCH /v1/provider-keys/{id}": Done(path=PROVIDER_KEY, body={"key": SECRET}, actions=("provider_key.update",)),
    "DELETE /v1/provider-keys/{id}": Done(path=PROVIDER_KEY, actions=("provider_key.delete",)),
    "POST /v1/guardrails": Done(path=_fixed("/v1/guardrails"), body=GUARDRAIL_BODY, actions=("guardrail.create",)),
    "PATCH /v1/guardrails/{id}": Done(path=GUARDRAIL, body={"disabled": True}, actions=("guardrail.update",)),
    "DELETE /v1/guardrails/{id}": Done(path=GUARDRAIL, actions=("guardrail.delete",)),
    "PATCH /v1/users": Done(path=_fixed("/v1/users?user="), body={"blocked": True}, actions=("user.update",)),
    "PATCH /v1/users/{user}": Done(path=_fixed("/v1/users/a%2Fb"), body={"blocked": True}, actions=("user.update",)),
    "PATCH /v1/organizations/{id}": Done(
        path=_fixed("/v1/organizations/org_home"), body={"name": "x"}, actions=("organization.update",)
    ),
    "POST /v1/credits": Done(
        path=_fixed("/v1/credits"), body={"amount": 1}, actions=("credit_pool.update", "credit.create")
    ),
    "PATCH /v1/credits": Done(path=_fixed("/v1/credits"), body={"enabled": True}, actions=("credit_pool.update",)),
    "POST /v1/workspaces": Done(path=_fixed("/v1/workspaces"), body={"name": "x"}, actions=("workspace.create",)),
    "PATCH /v1/workspaces/{id}": Done(path=WORKSPACE, body={"archived": True}, actions=("workspace.update",)),
    "DELETE /v1/workspaces/{id}": Done(path=WORKSPACE, actions=("workspace.delete",)),
    "PATCH /v1/members/{id}": Done(path=_member, body={"disabled": True}, actions=("member.update",)),
    "DELETE /v1/members/{id}": Done(path=_member, actions=("member.delete",)),
    "POST /v1/invitations": Done(
        path=_fixed("/v1/invitations"), body={"email": "x@example.com"}, actions=("invitation.create",)
    ),
    "DELETE /v1/invitations/{id}": Done(path=INVITATION, actions=("invitation.delete",)),
    "POST /v1/invitations/accept": Done(
        path=_fixed("/v1/invitations/accept"),
        body={"token": "token of inv_home", "name": "x"},
        actions=("invitation.accept", "member.create"),
        by_member=True,
    ),
    "POST /v1/auth/sign-in": Done(
        path=_fixed("/v1/auth/sign-in"),
        body={"email": BOSS.email, "password": PASSWORD},
        actions=("session.create",),
        by_session=True,
    ),
    "POST /v1/auth/sign-out": Done(path=_fixed("/v1/auth/sign-out"), actions=("session.delete",), by_session=True),
    "DELETE /v1/auth/sessions/{id}": Done(path=_session, actions=("session.delete",), by_session=True),
    "POST /v1/auth/password": Done(
        path=_fixed("/v1/auth/password"),
        body={"password": PASSWORD, "new_password": "another long one"},
        actions=("login.set_password",),
        by_session=True,
    ),
    "POST /v1/auth/totp": Done(path=_fixed("/v1/auth/totp"), actions=("login.enrol_totp",), by_session=True),
    "POST /v1/auth/totp/confirm": Done(
        path=_waiting, body={"totp": "…"}, actions=("login.confirm_totp",), by_session=True
    ),
    "POST /v1/auth/totp/remove": Done(
        path=_confirmed, body={"totp": "…"}, actions=("login.remove_totp",), by_session=True
    ),
}
"""Every route that changes something."""

ELSEWHERE = {
    "POST /v1/user_tokens": "it changes nothing: a token is written down nowhere",
    "POST /v1/auth/oidc/{name}/begin": "it changes nothing",
    "POST /v1/auth/oidc/{name}/complete": "tests/web/api/test_oidc.py",
}


def _changing_routes(gateway: Gateway) -> set[str]:
    document = gateway.ask("GET", "/openapi.json").json()
    return {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method != "get" and path not in inference_paths()
    }


@NEEDS_NO_STORE
def test_every_route_that_changes_something_is_tried_here(gateway: Gateway) -> None:
    assert _changing_routes(gateway) == {*DONE, *ELSEWHERE}


@pytest.mark.parametrize("route", DONE)
def test_every_change_is_noted_as_that_of_who_made_it(gateway: Gateway, route: str) -> None:
    done = DONE[route]
    Town(gateway)
    with_password(gateway, BOSS)
    key = signed_in(gateway) if done.by_session else gateway.management
    path = done.path(gateway)
    body = done.body
    if body is not None and "totp" in body:
        body = {"totp": code_of(gateway, SECRET_OF_APP)}
    before = len(listed(gateway, "?limit=1000"))
    method = route.partition(" ")[0]
    answer = gateway.ask(method, path, key=key, json=body, headers={"X-Request-Id": "req-of-test"})
    assert answer.status_code in (200, 201), answer.text
    assert answer.headers["x-request-id"] == "req-of-test"
    new = listed(gateway, "?limit=1000&order=asc")[before:]
    assert tuple(entry["action"] for entry in new) == done.actions
    assert {entry["request_id"] for entry in new} == {"req-of-test"}
    if done.by_member:
        assert {(entry["actor"], entry["actor_id"]) for entry in new} == {("member", answer.json()["data"]["id"])}
    elif done.by_session:
        assert {(entry["actor"], entry["actor_id"]) for entry in new} == {("member", BOSS.id)}
    else:
        assert {(entry["actor"], entry["actor_id"]) for entry in new} == {("key", gateway.management_key.hash)}
    assert not any(secret in json.dumps(new) for secret in (SECRET, SECRET_OF_APP, HASHED))


@pytest.mark.parametrize("route", DONE)
def test_what_is_refused_leaves_no_trace(gateway: Gateway, route: str) -> None:
    Town(gateway)
    with_password(gateway, BOSS)
    path = DONE[route].path(gateway)
    before = listed(gateway, "?limit=1000")
    answer = gateway.ask(route.partition(" ")[0], path, key=gateway.live, json={"nonsense": 1})
    assert answer.status_code in (400, 403)
    assert listed(gateway, "?limit=1000") == before


def test_an_entry_tells_what_was_and_what_is(gateway: Gateway) -> None:
    made = gateway.manage("POST", "/v1/keys", json={"name": "x", "limit": 5}).json()
    path = f"/v1/keys/{made['data']['hash']}"
    gateway.now_us += 1_000_000
    gateway.manage("PATCH", path, json={"name": "y"}, headers={"X-Request-Id": "bad id\n".strip() + "!"})
    entry = listed(gateway)[0]
    assert (entry["action"], entry["target_id"]) == ("key.update", made["data"]["hash"])
    assert entry["at"] == "2026-11-22T06:00:01.123456Z"
    assert (entry["before"]["name"], entry["after"]["name"]) == ("x", "y")
    assert entry["before"]["limit"] == 5 * 10**12
    assert entry["request_id"].startswith("req-")
    assert made["key"] not in json.dumps(listed(gateway))


def test_filters_and_pages(gateway: Gateway) -> None:
    path = KEY(gateway)
    gateway.now_us += 10_000_000
    gateway.manage("PATCH", path, json={"name": "y"})
    gateway.manage("POST", "/v1/workspaces", json={"name": "z"})
    key_hash = path.rpartition("/")[2]

    def actions(query: str) -> list[str]:
        return [entry["action"] for entry in listed(gateway, query)]

    assert actions(f"?target={key_hash}") == ["key.update", "key.create"]
    assert actions("?action=workspace.create&action=key.update") == [
        "workspace.create",
        "key.update",
        "workspace.create",
    ]
    assert actions("?actor=operator&order=asc")[:2] == ["organization.create", "workspace.create"]
    assert actions(f"?actor={gateway.management_key.hash}&limit=2") == ["workspace.create", "key.update"]
    assert actions("?start=2026-11-22T06:00:05Z&order=asc") == ["key.update", "workspace.create"]
    assert actions(f"?end=2026-11-22T06:00:05Z&target={key_hash}") == ["key.create"]
    every = [entry["no"] for entry in listed(gateway)]
    seen: list[int] = []
    cursor = None
    while True:
        page = gateway.manage("GET", f"{PATH}?limit=2" + (f"&cursor={cursor}" if cursor else "")).json()
        seen += [entry["no"] for entry in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == every == list(range(len(every), 0, -1))


def test_exports_hold_every_match_and_say_the_same(gateway: Gateway) -> None:
    directory = gateway.store.directory.acting(Actor(kind=ActorKind.MEMBER, id="=1"))
    for number in range(205):
        gateway.run(directory.add_key(replace(gateway.live_key, hash=f"{number:064x}"), secret=f"s{number}"))
    entries = listed(gateway, "?limit=1000")
    lines = gateway.manage("GET", f"{PATH}?format=ndjson")
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in lines.text.splitlines()] == entries
    assert len(gateway.manage("GET", f"{PATH}?format=ndjson&limit=203").text.splitlines()) == 203
    table = gateway.manage("GET", PATH, headers={"Accept": "text/csv"})
    assert table.headers["content-type"].startswith("text/csv; header=present")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["no"] for row in rows] == [str(entry["no"]) for entry in entries]
    assert [json.loads(row["after"]) for row in rows] == [entry["after"] for entry in entries]
    assert rows[0]["actor_id"] == "'=1", "a spreadsheet takes it for no formula"


def test_whoever_has_the_export_can_check_the_chain(gateway: Gateway) -> None:
    KEY(gateway)
    digest = NO_HASH
    lines = gateway.manage("GET", f"{PATH}?format=ndjson&order=asc").content.splitlines()
    for line in lines:
        raw = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        told = json.loads(line)
        entry = AuditEntry(
            organization_id="org_home",
            no=told["no"],
            at_us=read_instant(told["at"]),
            actor=Actor(kind=ActorKind(told["actor"]), id=told["actor_id"], request_id=told["request_id"]),
            action=AuditAction(told["action"]),
            target_id=told["target_id"],
            before=None if told["before"] is None else bytes(raw["before"]).decode(),
            after=None if told["after"] is None else bytes(raw["after"]).decode(),
            hash=bytes.fromhex(told["hash"]),
        )
        assert entry_hash(digest, entry) == entry.hash
        digest = entry.hash
    assert len(lines) > 3


def test_another_organization_has_another_log(gateway: Gateway) -> None:
    town = Town(gateway)
    theirs = gateway.ask("GET", f"{PATH}?order=asc", key=town.foreigner.management).json()["data"]
    assert [entry["no"] for entry in theirs] == list(range(1, len(theirs) + 1))
    assert "org_home" not in json.dumps(theirs)


@NEEDS_NO_STORE
@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("?cursor=x", "cursor"),
        ("?action=key.make", "action"),
        ("?limit=0", "limit"),
        ("?start=2026-01-02&end=2026-01-01", "end"),
        ("?order=up", "order"),
        ("?format=parquet", "format"),
        ("?actors=x", "actors"),
    ],
)
def test_bad_questions_are_named(gateway: Gateway, query: str, param: str) -> None:
    answer = gateway.manage("GET", f"{PATH}{query}")
    assert (answer.status_code, failure(answer)["param"]) == (400, param)

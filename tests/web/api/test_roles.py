"""Who may do what: every action, for every role, to one's own things, to others' and to another organization's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from arouter.domain.credits import CreditEntry, CreditKind
from arouter.domain.keys import ActivityScope
from arouter.domain.money import Picodollars
from arouter.domain.roles import ALLOWED, Action, Role
from tests.web.api.gateway import BOSS, HOME, NEEDS_NO_STORE, Gateway, failure
from tests.web.api.people import FOREIGN, FOREIGN_WORKSPACE, Person, Town

PLACES = ("own", "other", "foreign", "nothing")
"""Whose a thing is: made by who asks, by somebody else of the organization, of another organization; or there is none.
Where nothing belongs to a person, `own` and `other` are the organization's."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A request that needs an action, or for one's own things another one."""

    action: Action
    method: str
    path: Callable[[Town, Person, str], str]
    own: Action | None = None
    places: tuple[str, ...] = PLACES
    body: dict[str, Any] | None = None

    def status(self, role: Role, place: str) -> int:
        """What must come of it, from the table alone."""
        allowed = ALLOWED[role]
        if self.action not in allowed and (self.own is None or self.own not in allowed):
            return 403
        if place in ("foreign", "nothing"):
            return 404
        if place == "other" and self.action not in allowed:
            return 404
        makes = self.method == "POST" and self.body is not None
        return 201 if makes else 200


def _key(town: Town, asking: Person, place: str) -> str:
    hashes = {
        "own": asking.live_key.hash,
        "other": town.gateway.live_key.hash,
        "foreign": town.foreigner.live_key.hash,
        "nothing": "0" * 64,
    }
    return f"/v1/keys/{hashes[place]}"


def _rotation(town: Town, asking: Person, place: str) -> str:
    return f"{_key(town, asking, place)}/rotate"


def _at(prefix: str, home: str, foreign: str) -> Callable[[Town, Person, str], str]:
    ids = {"own": home, "other": home, "foreign": foreign, "nothing": "x_none"}
    return lambda town, asking, place: f"/v1/{prefix}/{ids[place]}"


def _generation(town: Town, asking: Person, place: str) -> str:
    keys = {"own": asking.live_key, "other": town.gateway.live_key, "foreign": town.foreigner.live_key}
    record_id = "gen-none" if place == "nothing" else town.gateway.add_record(key=keys[place]).opening.id
    return f"/v1/generation?id={record_id}"


def _explanation(town: Town, asking: Person, place: str) -> str:
    return f"/v1/guardrails/explain?api_key_hash={_key(town, asking, place).rpartition('/')[2]}"


def _credit(town: Town, asking: Person, place: str) -> str:
    """One of the home's, one of the foreign organization's."""
    if place == "nothing":
        return "/v1/credits/entries/crd_none"
    where = FOREIGN.id if place == "foreign" else HOME.organization_id
    entry = CreditEntry(
        id=f"crd_{where}",
        organization_id=where,
        created_at_us=1,
        kind=CreditKind.GIFT,
        amount=Picodollars(1),
        description="Gift",
        reference="once",
    )
    kept = town.gateway.run(town.gateway.store.directory.add_credit(entry, opening_id="-"))
    return f"/v1/credits/entries/{kept.id}"


def _list(path: str) -> Callable[[Town, Person, str], str]:
    return lambda town, asking, place: path


LIST = ("own",)
PROBES = (
    Probe(action=Action.READ_ORGANIZATION, method="GET", path=_list("/v1/organizations"), places=LIST),
    Probe(action=Action.READ_ORGANIZATION, method="GET", path=_at("organizations", "org_home", FOREIGN.id)),
    Probe(
        action=Action.WRITE_ORGANIZATION,
        method="PATCH",
        path=_at("organizations", "org_home", FOREIGN.id),
        body={"name": "X"},
    ),
    Probe(action=Action.READ_WORKSPACES, method="GET", path=_list("/v1/workspaces"), places=LIST),
    Probe(action=Action.READ_WORKSPACES, method="GET", path=_at("workspaces", "ws_home", FOREIGN_WORKSPACE.id)),
    Probe(
        action=Action.WRITE_WORKSPACES,
        method="POST",
        path=_list("/v1/workspaces"),
        places=LIST,
        body={"name": "X"},
    ),
    Probe(
        action=Action.WRITE_WORKSPACES,
        method="PATCH",
        path=_at("workspaces", "ws_home", FOREIGN_WORKSPACE.id),
        body={"name": "X"},
    ),
    Probe(
        action=Action.WRITE_WORKSPACES,
        method="DELETE",
        path=_at("workspaces", "ws_spare", FOREIGN_WORKSPACE.id),
        places=("own", "foreign", "nothing"),
    ),
    Probe(action=Action.READ_MEMBERS, method="GET", path=_list("/v1/members"), places=LIST),
    Probe(action=Action.READ_MEMBERS, method="GET", path=_at("members", BOSS.id, "mem_foreigner")),
    Probe(
        action=Action.WRITE_MEMBERS,
        method="PATCH",
        path=_at("members", BOSS.id, "mem_foreigner"),
        body={"name": "X"},
    ),
    Probe(
        action=Action.WRITE_MEMBERS,
        method="DELETE",
        path=_at("members", BOSS.id, "mem_foreigner"),
        places=("own", "foreign", "nothing"),
    ),
    Probe(action=Action.READ_INVITATIONS, method="GET", path=_list("/v1/invitations"), places=LIST),
    Probe(action=Action.READ_INVITATIONS, method="GET", path=_at("invitations", "inv_home", "inv_foreign")),
    Probe(
        action=Action.WRITE_INVITATIONS,
        method="POST",
        path=_list("/v1/invitations"),
        places=LIST,
        body={"email": "new@example.com"},
    ),
    Probe(
        action=Action.WRITE_INVITATIONS,
        method="DELETE",
        path=_at("invitations", "inv_home", "inv_foreign"),
        places=("own", "foreign", "nothing"),
    ),
    Probe(action=Action.READ_KEYS, own=Action.READ_OWN_KEYS, method="GET", path=_list("/v1/keys"), places=LIST),
    Probe(action=Action.READ_KEYS, own=Action.READ_OWN_KEYS, method="GET", path=_key),
    Probe(
        action=Action.WRITE_KEYS,
        own=Action.WRITE_OWN_KEYS,
        method="POST",
        path=_list("/v1/keys"),
        places=LIST,
        body={"name": "X"},
    ),
    Probe(action=Action.WRITE_KEYS, own=Action.WRITE_OWN_KEYS, method="PATCH", path=_key, body={"name": "X"}),
    Probe(action=Action.WRITE_KEYS, own=Action.WRITE_OWN_KEYS, method="POST", path=_rotation),
    Probe(action=Action.WRITE_KEYS, own=Action.WRITE_OWN_KEYS, method="DELETE", path=_key),
    Probe(action=Action.READ_PROVIDER_KEYS, method="GET", path=_list("/v1/provider-keys"), places=LIST),
    Probe(
        action=Action.READ_PROVIDER_KEYS,
        method="GET",
        path=_at("provider-keys", "pkey_none", "pkey_none"),
        places=("foreign", "nothing"),
    ),
    Probe(
        action=Action.WRITE_PROVIDER_KEYS,
        method="POST",
        path=_list("/v1/provider-keys"),
        places=LIST,
        body={"provider": "openai", "key": "sk-proj-1234567890"},
    ),
    Probe(
        action=Action.WRITE_PROVIDER_KEYS,
        method="DELETE",
        path=_at("provider-keys", "pkey_none", "pkey_none"),
        places=("foreign", "nothing"),
    ),
    Probe(action=Action.READ_GUARDRAILS, method="GET", path=_list("/v1/guardrails"), places=LIST),
    Probe(
        action=Action.READ_GUARDRAILS,
        method="GET",
        path=_at("guardrails", "guard_none", "guard_none"),
        places=("foreign", "nothing"),
    ),
    Probe(
        action=Action.WRITE_GUARDRAILS,
        method="POST",
        path=_list("/v1/guardrails"),
        places=LIST,
        body={"name": "X", "target": "organization"},
    ),
    Probe(
        action=Action.WRITE_GUARDRAILS,
        method="PATCH",
        path=_at("guardrails", "guard_none", "guard_none"),
        places=("foreign", "nothing"),
        body={"name": "X"},
    ),
    Probe(
        action=Action.WRITE_GUARDRAILS,
        method="DELETE",
        path=_at("guardrails", "guard_none", "guard_none"),
        places=("foreign", "nothing"),
    ),
    Probe(action=Action.READ_ACTIVITY, method="GET", path=_explanation),
    Probe(action=Action.READ_USERS, method="PATCH", path=_list("/v1/users/ada"), places=LIST, body={}),
    Probe(action=Action.READ_USERS, method="GET", path=_list("/v1/users/ada/limits"), places=LIST),
    Probe(action=Action.READ_USERS, method="GET", path=_list("/v1/users?blocked=true"), places=LIST),
    Probe(
        action=Action.WRITE_USERS,
        method="PATCH",
        path=_list("/v1/users/ada"),
        places=LIST,
        body={"blocked": True},
    ),
    Probe(
        action=Action.WRITE_USERS, method="PATCH", path=_list("/v1/users?user=a"), places=LIST, body={"blocked": True}
    ),
    Probe(action=Action.WRITE_CREDITS, method="POST", path=_list("/v1/credits"), places=LIST, body={"amount": 5}),
    Probe(action=Action.WRITE_CREDITS, method="PATCH", path=_list("/v1/credits"), places=LIST, body={"enabled": True}),
    Probe(action=Action.READ_BILLING, method="GET", path=_list("/v1/credits/entries"), places=LIST),
    Probe(action=Action.READ_BILLING, method="GET", path=_credit),
    Probe(action=Action.READ_AUDIT, method="GET", path=_list("/v1/audit"), places=LIST),
    Probe(action=Action.READ_ACTIVITY, own=Action.READ_OWN_ACTIVITY, method="GET", path=_generation),
)


@dataclass(frozen=True, kw_only=True)
class Telling:
    """A request that nobody needs an action for: what it answers tells more to who may do `action`."""

    action: Action
    path: str
    tells: Callable[[Any], bool]
    """Whether the answer, of the home organization, tells it."""


TELLINGS = (
    Telling(
        action=Action.READ_BILLING, path="/v1/credits", tells=lambda body: body["data"]["total_credits"] is not None
    ),
    Telling(action=Action.READ_BILLING, path="/v1/balance", tells=lambda body: body["balance"] is not None),
    *(
        Telling(
            action=Action.READ_BILLING,
            path=path,
            tells=lambda body: any(one["type"] == "credit" for one in body["transactions"]),
        )
        for path in ("/v1/transactions", "/v1/billing/transactions")
    ),
    Telling(action=Action.READ_USERS, path="/v1/users", tells=lambda body: body["data"][0]["blocked"] is True),
    Telling(action=Action.READ_USERS, path="/v1/users/ada", tells=lambda body: body["blocked"] is True),
    Telling(
        action=Action.READ_USERS,
        path="/v1/users/ada",
        tells=lambda body: bool(body["limits"] and body["applied_limits"]),
    ),
)

CASES = [
    pytest.param(role, probe, place, id=f"{role}-{probe.method}-{probe.action}-{number}-{place}")
    for number, probe in enumerate(PROBES)
    for role in Role
    for place in probe.places
]


@NEEDS_NO_STORE
@pytest.mark.parametrize(("role", "probe", "place"), CASES)
def test_the_table_is_what_is_allowed(gateway: Gateway, role: Role, probe: Probe, place: str) -> None:
    town = Town(gateway)
    path = probe.path(town, town.people[role], place)
    answer = town.ask(role, probe.method, path, json=probe.body)
    assert answer.status_code == probe.status(role, place), answer.text
    if answer.status_code == 403:
        assert failure(answer)["code"] == "not_permitted"


@pytest.mark.parametrize("telling", TELLINGS, ids=lambda telling: f"{telling.action}-{telling.path}")
def test_what_everybody_may_ask_tells_what_the_table_allows(telling: Telling) -> None:
    with Gateway() as gateway:
        town = Town(gateway)
        said = {"blocked": True, "limits": {"limit": 1}}
        assert gateway.manage("PATCH", "/v1/users/ada", json=said).status_code == 200
        assert gateway.manage("POST", "/v1/credits", json={"amount": 1}).status_code < 300
        for person in (*town.people.values(), town.foreigner):
            gateway.add_record(key=person.live_key, user="ada")
        for role in Role:
            answer = town.ask(role, "GET", telling.path)
            assert answer.status_code == 200
            assert telling.tells(answer.json()) == (telling.action in ALLOWED[role]), role
        # An admin, but of another organization.
        foreign = gateway.ask("GET", telling.path, key=town.foreigner.management)
        assert not telling.tells(foreign.json())


def test_every_action_is_probed() -> None:
    probed = {action for probe in PROBES for action in (probe.action, probe.own) if action is not None}
    assert probed | {telling.action for telling in TELLINGS} == set(Action)


@NEEDS_NO_STORE
@pytest.mark.parametrize("role", Role)
def test_another_organizations_thing_is_told_of_as_one_that_is_not_there(gateway: Gateway, role: Role) -> None:
    town = Town(gateway)
    for probe in PROBES:
        if "foreign" in probe.places:
            foreign, nothing = (
                town.ask(role, probe.method, probe.path(town, town.people[role], place), json=probe.body)
                for place in ("foreign", "nothing")
            )
            assert (foreign.status_code, foreign.content) == (nothing.status_code, nothing.content)


# ---------------------------------------------------------------- what is listed


@pytest.mark.parametrize("role", Role)
def test_lists_hold_what_a_role_may_see(gateway: Gateway, role: Role) -> None:
    town = Town(gateway)
    me = town.people[role]
    mine, theirs = gateway.add_record(key=me.live_key), gateway.add_record(key=gateway.live_key)
    foreign = gateway.add_record(key=town.foreigner.live_key)
    keys = {key["hash"] for key in town.ask(role, "GET", "/v1/keys").json()["data"]}
    records = {record["id"] for record in town.ask(role, "GET", "/v1/activity").json()["data"]}
    total = town.ask(role, "GET", "/v1/activity/summary").json()["totals"]["requests"]
    assert {me.live_key.hash, me.management_key.hash} <= keys
    assert (gateway.live_key.hash in keys) == (Action.READ_KEYS in ALLOWED[role])
    assert mine.opening.id in records
    assert (theirs.opening.id in records) == (Action.READ_ACTIVITY in ALLOWED[role])
    assert foreign.opening.id not in records
    assert town.foreigner.live_key.hash not in keys
    assert total == len(records)


def test_of_a_key_that_was_deleted_its_maker_still_sees_the_records(gateway: Gateway) -> None:
    town = Town(gateway)
    me = town.people[Role.MEMBER]
    record = gateway.add_record(key=me.live_key)
    assert town.ask(Role.MEMBER, "DELETE", f"/v1/keys/{me.live_key.hash}").status_code == 200
    assert [one["id"] for one in town.ask(Role.MEMBER, "GET", "/v1/activity").json()["data"]] == [record.opening.id]
    assert town.ask(Role.MEMBER, "GET", f"/v1/generation?id={record.opening.id}").status_code == 200


# ---------------------------------------------------------------- nobody rises by a key


@NEEDS_NO_STORE
def test_a_key_made_by_a_member_is_the_members_and_has_the_members_role(gateway: Gateway) -> None:
    town = Town(gateway)
    made = town.ask(Role.MEMBER, "POST", "/v1/keys", json={"name": "x", "key_type": "management"}).json()
    assert made["data"]["creator"] == "mem_a_member"
    assert gateway.ask("GET", "/v1/members", key=made["key"]).status_code == 200
    assert failure(gateway.ask("GET", "/v1/provider-keys", key=made["key"]))["code"] == "not_permitted"
    assert gateway.ask("GET", f"/v1/keys/{gateway.live_key.hash}", key=made["key"]).status_code == 404


@NEEDS_NO_STORE
@pytest.mark.parametrize("scope", [scope.value for scope in ActivityScope if scope is not ActivityScope.KEY])
def test_a_member_makes_no_key_that_sees_more_than_the_member(gateway: Gateway, scope: str) -> None:
    town = Town(gateway)
    mine = f"/v1/keys/{town.people[Role.MEMBER].live_key.hash}"
    for method, path in (("POST", "/v1/keys"), ("PATCH", mine)):
        answer = town.ask(Role.MEMBER, method, path, json={"name": "x", "activity_scope": scope})
        assert (answer.status_code, failure(answer)["param"]) == (403, "activity_scope")
        assert town.ask(Role.ADMIN, method, path, json={"name": "x", "activity_scope": scope}).status_code in (200, 201)
    kept = town.ask(Role.MEMBER, "PATCH", mine, json={"name": "y", "activity_scope": scope})
    assert kept.status_code == 200, "what an admin has set may stay"


# ---------------------------------------------------------------- keys die with their member


@pytest.mark.parametrize("end", ["disabled", "removed"])
def test_a_management_key_is_worth_nothing_without_its_member(gateway: Gateway, end: str) -> None:
    town = Town(gateway)
    me = town.people[Role.BILLING]
    path = f"/v1/members/{me.member.id}"
    assert gateway.ask("GET", "/v1/keys", key=me.management).status_code == 200
    if end == "disabled":
        assert gateway.manage("PATCH", path, json={"disabled": True}).status_code == 200
    else:
        assert gateway.manage("DELETE", path).status_code == 200
    refused = gateway.ask("GET", "/v1/keys", key=me.management)
    assert (refused.status_code, failure(refused)["code"]) == (401, "invalid_api_key")
    assert gateway.ask("GET", "/v1/key", key=me.management).status_code == 401
    assert gateway.get("/v1/key", key=me.live).status_code == 200, "keys for requests go on"
    if end == "disabled":
        gateway.manage("PATCH", path, json={"disabled": False})
        assert gateway.ask("GET", "/v1/keys", key=me.management).status_code == 200


def test_another_role_counts_at_once(gateway: Gateway) -> None:
    town = Town(gateway)
    path = f"/v1/members/{town.people[Role.MEMBER].member.id}"
    for role, status in (("billing", 403), ("admin", 201), ("member", 403)):
        assert gateway.manage("PATCH", path, json={"role": role}).status_code == 200
        answer = town.ask(Role.MEMBER, "POST", "/v1/workspaces", json={"name": "x"})
        assert answer.status_code == status


def test_a_key_that_nobody_made_acts_as_an_admin(gateway: Gateway) -> None:
    from_operator, _ = gateway.add_key("operator's", kind=gateway.management_key.kind, creator=None)
    assert gateway.ask("POST", "/v1/workspaces", key=from_operator, json={"name": "x"}).status_code == 201

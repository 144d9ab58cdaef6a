"""What every directory writes into its audit log, and that no change can be made without it."""

import json
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.adjustment import AdjustmentKind
from arouter.domain.audit import NO_HASH, OPERATOR, Actor, ActorKind, AuditEntry, AuditQuery, entry_hash
from arouter.domain.credits import CreditEntry, CreditKind
from arouter.domain.guardrails import Guardrail, Lists, Target, UserRules
from arouter.domain.limits import Limits
from arouter.domain.money import Picodollars
from arouter.domain.provider_keys import ProviderKey, Sealed
from arouter.domain.record import Status
from arouter.domain.roles import Role
from arouter.domain.sign_in import Session
from arouter.store.base import Directory, Home
from tests.conformance.backends import Backend
from tests.conformance.samples import adjust, adjustment, append, key, record
from tests.conformance.test_organizations import ORGANIZATIONS, WORKSPACES, invitation, member

SEALED = Sealed(key_id="kek-1", nonce=b"n" * 12, ciphertext=b"sesame")
PROVIDER_KEY = ProviderKey(
    id="pkey_1",
    organization_id="org_a",
    api_key_hash=None,
    provider="openai",
    name="prod",
    label="sk-…abcd",
    creator=None,
    created_at_us=1,
)
SESSION = Session(
    id="sess_1", organization_id="org_a", member_id="mem_ada", created_at_us=1, expires_at_us=100, seen_at_us=1
)
GUARDRAIL = Guardrail(
    id="guard_1",
    organization_id="org_a",
    name="everybody",
    target=Target.ORGANIZATION,
    target_id=None,
    limits=Limits(),
    lists=Lists(),
    disabled=False,
    creator=None,
    created_at_us=1,
)
CREDIT = CreditEntry(
    id="crd_1",
    organization_id="org_a",
    created_at_us=1,
    kind=CreditKind.TOP_UP,
    amount=Picodollars(1),
    description="Top-up",
)
SOMEBODY = Actor(kind=ActorKind.KEY, id="key-boss", request_id="req-7")


def entries(backend: Backend, organization_id: str = "org_a", **options: Any) -> list[AuditEntry]:
    query = AuditQuery(organization_id=organization_id, descending=options.pop("descending", False), **options)
    return list(backend.run(backend.directory.audit_page(query)))


def changes(directory: Directory) -> dict[str, tuple[Coroutine[Any, Any, Any], list[str]]]:
    """A call of every method that changes something, in an order in which each does, and what is noted of it."""
    spare = replace(WORKSPACES[0], id="ws_spare")
    return {
        "add_organization": (
            directory.add_organization(ORGANIZATIONS[0], WORKSPACES[0]),
            ["organization.create org_a", "workspace.create ws_a"],
        ),
        "replace_organization": (directory.replace_organization(ORGANIZATIONS[0]), ["organization.update org_a"]),
        "add_workspace": (directory.add_workspace(spare), ["workspace.create ws_spare"]),
        "replace_workspace": (directory.replace_workspace(spare), ["workspace.update ws_spare"]),
        "delete_workspace": (directory.delete_workspace("org_a", "ws_spare"), ["workspace.delete ws_spare"]),
        "add_member": (directory.add_member(member(role=Role.MEMBER)), ["member.create mem_ada"]),
        "replace_member": (directory.replace_member(member(name="Ada")), ["member.update mem_ada"]),
        "set_password": (directory.set_password("org_a", "mem_ada", "s3same"), ["login.set_password mem_ada"]),
        "enrol_totp": (directory.enrol_totp("org_a", "mem_ada", "s3same"), ["login.enrol_totp mem_ada"]),
        "confirm_totp": (
            directory.confirm_totp("org_a", "mem_ada", secret="s3same", step=1, recovery=["s3same"]),
            ["login.confirm_totp mem_ada"],
        ),
        "use_recovery_code": (
            directory.use_recovery_code("org_a", "mem_ada", "s3same"),
            ["login.use_recovery_code mem_ada"],
        ),
        "remove_totp": (directory.remove_totp("org_a", "mem_ada"), ["login.remove_totp mem_ada"]),
        "add_session": (directory.add_session(SESSION, secret="s3same"), ["session.create sess_1"]),
        "delete_session": (directory.delete_session("org_a", "mem_ada", "sess_1"), ["session.delete sess_1"]),
        "delete_member": (directory.delete_member("org_a", "mem_ada"), ["member.delete mem_ada"]),
        "add_invitation": (directory.add_invitation(invitation(), secret="s3same"), ["invitation.create inv_ada"]),
        "accept_invitation": (
            directory.accept_invitation("s3same", member("eve"), now_us=1),
            ["invitation.accept inv_ada", "member.create mem_eve"],
        ),
        "delete_invitation": (directory.delete_invitation("org_a", "inv_ada"), ["invitation.delete inv_ada"]),
        "add_first_keys": (
            directory.add_first_keys([(key("first"), "s3same3"), (key("second"), "s3same4")]),
            ["key.create key-first", "key.create key-second"],
        ),
        "add_key": (directory.add_key(key("prod"), secret="s3same"), ["key.create key-prod"]),
        "replace_key": (directory.replace_key(key("prod", disabled=True)), ["key.update key-prod"]),
        "rotate_key": (
            directory.rotate_key("org_a", "key-prod", secret="s3same2", label="lr_…", now_us=1),
            ["key.rotate key-prod"],
        ),
        "delete_key": (directory.delete_key("org_a", "key-prod", now_us=1), ["key.delete key-prod"]),
        "add_provider_key": (directory.add_provider_key(PROVIDER_KEY, SEALED), ["provider_key.create pkey_1"]),
        "replace_provider_key": (directory.replace_provider_key(PROVIDER_KEY), ["provider_key.update pkey_1"]),
        "reseal_provider_key": (
            directory.reseal_provider_key(PROVIDER_KEY, before=SEALED, after=replace(SEALED, key_id="kek-2")),
            ["provider_key.reseal pkey_1"],
        ),
        "delete_provider_key": (
            directory.delete_provider_key("org_a", "pkey_1"),
            ["provider_key.delete pkey_1"],
        ),
        "add_guardrail": (directory.add_guardrail(GUARDRAIL), ["guardrail.create guard_1"]),
        "replace_guardrail": (
            directory.replace_guardrail(replace(GUARDRAIL, disabled=True)),
            ["guardrail.update guard_1"],
        ),
        "delete_guardrail": (directory.delete_guardrail("org_a", "guard_1"), ["guardrail.delete guard_1"]),
        "put_user_rules": (
            directory.put_user_rules(UserRules(organization_id="org_a", user="jürgen", blocked=True)),
            ["user.update jürgen"],
        ),
        "add_credit": (
            directory.add_credit(CREDIT, opening_id="crd_0"),
            ["credit_pool.update org_a", "credit.create crd_1"],
        ),
        "switch_credits": (
            directory.switch_credits("org_a", enabled=False, opening_id="crd_0", now_us=1),
            ["credit_pool.update org_a"],
        ),
    }


def test_every_change_of_the_directory_is_noted_with_who_made_it(backend: Backend) -> None:
    for change, wanted in changes(backend.directory.acting(SOMEBODY)).values():
        before = len(entries(backend))
        assert backend.run(change) in (True, None, CREDIT)
        new = entries(backend)[before:]
        assert [f"{one.action} {one.target_id}" for one in new] == wanted
        assert {one.actor for one in new} == {SOMEBODY}


def test_no_method_that_changes_something_is_left_out() -> None:
    reading = (
        "get_",
        "list_",
        "find_",
        "audit_page",
        "changes_after",
        "last_changes",
        "members_with_",
        "sealed_",
        "every_",
        "provider_key_",
        "secrets_of",
        "label_keys",
        "user_rules_",
        "credit_account",
    )
    unnoted = {"home", "acting", "use_totp", "reseal_totp", "see_session", "begin_attempt", "forget_attempts"}
    methods = {name for name in dir(Directory) if not name.startswith("_") and not name.startswith(reading)}
    assert methods == {*NAMES, *unnoted}


NAMES = {
    *("add_organization", "replace_organization"),
    *("add_workspace", "replace_workspace", "delete_workspace"),
    *("add_member", "replace_member", "delete_member"),
    *("add_invitation", "accept_invitation", "delete_invitation"),
    *("add_first_keys", "add_key", "replace_key", "rotate_key", "delete_key"),
    *("set_password", "enrol_totp", "confirm_totp", "use_recovery_code", "remove_totp"),
    *("add_session", "delete_session"),
    *("add_guardrail", "replace_guardrail", "delete_guardrail", "put_user_rules"),
    *("add_credit", "switch_credits"),
    *("add_provider_key", "replace_provider_key", "reseal_provider_key", "delete_provider_key"),
}


def test_the_calls_above_are_all_of_them(backend: Backend) -> None:
    called = changes(backend.directory)
    assert called.keys() == NAMES
    for change, _ in called.values():
        change.close()


def test_no_secret_is_ever_noted(backend: Backend) -> None:
    for change, _ in changes(backend.directory).values():
        backend.run(change)
    told = "".join(f"{one.before}{one.after}" for one in entries(backend))
    assert "s3same" not in told
    assert "sesame" not in told
    assert "sk-…abcd" in told.encode().decode("unicode_escape")


def test_an_entry_says_what_was_and_what_is(backend: Backend) -> None:
    first, second = key("prod"), key("prod", name="live")
    backend.run(backend.directory.add_key(first, secret="s"))
    backend.run(backend.directory.replace_key(second))
    backend.run(backend.directory.delete_key("org_a", "key-prod", now_us=1))
    made, changed, gone = entries(backend)
    assert (made.before, gone.after) == (None, None)
    assert (made.after, changed.after) == (changed.before, gone.before)
    assert json.loads(made.after or "")["name"] == "prod"
    assert json.loads(changed.after or "")["name"] == "live"


def test_what_changes_nothing_is_not_noted(backend: Backend) -> None:
    assert not backend.run(backend.directory.replace_key(key("nobody")))
    assert not backend.run(backend.directory.delete_member("org_a", "mem_x"))
    backend.run(backend.directory.add_key(key("prod"), secret="s"))
    with pytest.raises(ValueError):
        backend.run(backend.directory.add_key(key("prod"), secret="t"))
    assert len(entries(backend)) == 1


def test_the_first_entries_are_those_of_the_home(backend: Backend) -> None:
    home = Home(organization_id="org_a", workspace_id="ws_a", secret=bytes(32))
    backend.run(backend.directory.home(home, now_us=1))
    backend.run(backend.directory.home(home, now_us=1))
    assert [one.action.value for one in entries(backend)] == ["organization.create", "workspace.create"]
    assert {one.actor for one in entries(backend)} == {OPERATOR}


def test_each_organization_has_a_chain_of_its_own(backend: Backend) -> None:
    for pair in zip(ORGANIZATIONS, WORKSPACES, strict=True):
        backend.run(backend.directory.add_organization(*pair))
    backend.clock.now_us -= 5
    backend.run(backend.directory.acting(SOMEBODY).replace_organization(ORGANIZATIONS[1]))
    backend.restart()
    backend.run(backend.directory.add_member(member(organization_id="org_b")))
    for name, count in (("org_a", 2), ("org_b", 4)):
        found = entries(backend, name)
        assert [one.no for one in found] == list(range(1, count + 1))
        assert {one.organization_id for one in found} == {name}
        digest = NO_HASH
        for one in found:
            assert entry_hash(digest, one) == one.hash
            digest = one.hash
        assert [one.at_us for one in found] == sorted(one.at_us for one in found)
    changed = replace(entries(backend)[1], after="{}")
    assert entry_hash(entries(backend)[0].hash, changed) != changed.hash


def test_a_page_takes_filters_and_goes_on_behind_a_number(backend: Backend) -> None:
    start_us = backend.clock.now_us
    for no, name in enumerate("abcd"):
        backend.clock.now_us = start_us + no
        directory = backend.directory.acting(SOMEBODY) if no % 2 else backend.directory
        backend.run(directory.add_key(key(name), secret=name))
    backend.run(backend.directory.replace_key(key("a", disabled=True)))

    def numbers(**options: Any) -> list[int]:
        return [one.no for one in entries(backend, **options)]

    assert numbers(descending=True, limit=2) == [5, 4]
    assert numbers(descending=True, limit=2, after_no=4) == [3, 2]
    assert numbers(limit=2, after_no=4) == [5]
    assert numbers(actors=("key-boss",)) == [2, 4]
    assert numbers(actors=("operator",)) == [1, 3, 5]
    assert numbers(actors=("operator", "key-boss"), actions=("key.update",)) == [5]
    assert numbers(targets=("key-a", "key-b")) == [1, 2, 5]
    assert numbers(start_us=start_us + 1, end_us=start_us + 3) == [2, 3]
    assert numbers(targets=("nothing",)) == []


def test_adjustments_are_noted_once_for_each_organization_and_transaction(backend: Backend) -> None:
    append(backend, record("gen-1"))
    append(backend, record("gen-2"))

    told: dict[str, Any] = {"kind": AdjustmentKind.CORRECTION, "reason": "a credit", "author": "ada"}
    for _ in range(2):
        adjust(backend, adjustment("adj-1", "gen-1", 5, **told))
    adjust(backend, adjustment("adj-2", "gen-1", 6, **told), adjustment("adj-3", "gen-2", 7, **told))
    first, second = entries(backend)
    assert (first.action.value, first.target_id, second.target_id) == ("record.adjust", "gen-1", None)
    assert json.loads(second.after or "") == {
        "adjustments": 2,
        "first": "adj-2",
        "last": "adj-3",
        "kinds": ["correction"],
        "authors": ["ada"],
        "reasons": ["a credit"],
    }


def test_a_workspace_that_something_names_is_not_deleted(backend: Backend) -> None:
    home = Home(organization_id="org_a", workspace_id="ws_a", secret=bytes(32))
    backend.run(backend.directory.home(home, now_us=1))
    for name in ("ws_key", "ws_record", "ws_rejected", "ws_empty"):
        backend.run(backend.directory.add_workspace(replace(WORKSPACES[0], id=name)))
    backend.run(backend.directory.add_key(key("k", workspace_id="ws_key"), secret="s"))
    backend.run(backend.directory.delete_key("org_a", "key-k", now_us=1))
    append(backend, record("gen-1", opened={"workspace_id": "ws_record"}))
    append(backend, record("gen-2", opened={"workspace_id": "ws_rejected"}, status=Status.REJECTED))
    deleted = {
        name: backend.run(backend.directory.delete_workspace("org_a", name))
        for name in ("ws_a", "ws_key", "ws_record", "ws_rejected", "ws_empty", "ws_unknown")
    }
    assert [name for name, done in deleted.items() if done] == ["ws_empty"]
    assert not backend.run(backend.directory.delete_workspace("org_b", "ws_a"))

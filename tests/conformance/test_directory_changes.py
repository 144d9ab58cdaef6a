"""What every directory tells of its changes, to whoever remembers some of it."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from arouter.domain.credits import CreditEntry, CreditKind
from arouter.domain.directory_changes import DirectoryChanges
from arouter.domain.money import Picodollars
from arouter.store.base import Directory
from tests.conformance.backends import Backend
from tests.conformance.samples import append, key, record
from tests.conformance.test_directory import HOME
from tests.conformance.test_guardrails import RULES, guardrail
from tests.conformance.test_organizations import NOW_US, ORGANIZATIONS, WORKSPACES, invitation, member
from tests.conformance.test_provider_keys import SEALED, provider_key
from tests.conformance.test_sign_in import session

CREDIT = CreditEntry(
    id="cred_1",
    organization_id="org_a",
    kind=CreditKind.TOP_UP,
    amount=Picodollars(10**12),
    created_at_us=NOW_US,
    description="",
)


@pytest.fixture
def there(backend: Backend) -> Backend:
    for pair in zip(ORGANIZATIONS, WORKSPACES, strict=True):
        backend.run(backend.directory.add_organization(*pair))
    backend.run(backend.directory.add_key(key("a"), secret="secret-a"))
    backend.run(backend.directory.add_member(member()))
    return backend


def after(backend: Backend, revision: int) -> DirectoryChanges:
    return backend.run(backend.directory.changes_after(revision))


def now(backend: Backend) -> int:
    return backend.run(backend.directory.last_changes()).revision


CHANGES: Sequence[tuple[str, str, Callable[[Directory], Coroutine[Any, Any, Any]]]] = (
    ("key.create", "key-b", lambda one: one.add_key(key("b"), secret="secret-b")),
    ("key.update", "key-a", lambda one: one.replace_key(key("a", name="other"))),
    ("key.rotate", "key-a", lambda one: one.rotate_key("org_a", "key-a", secret="t", label="", now_us=1)),
    ("key.delete", "key-a", lambda one: one.delete_key("org_a", "key-a", now_us=1)),
    ("provider_key.create", "pkey_a", lambda one: one.add_provider_key(provider_key(), SEALED)),
    ("guardrail.create", "grl_a", lambda one: one.add_guardrail(guardrail())),
    ("organization.update", "org_a", lambda one: one.replace_organization(ORGANIZATIONS[0])),
    ("workspace.update", "ws_a", lambda one: one.replace_workspace(WORKSPACES[0])),
    ("member.update", "mem_ada", lambda one: one.replace_member(member(disabled=True))),
    ("invitation.create", "inv_ada", lambda one: one.add_invitation(invitation(), secret="s")),
    ("login.set_password", "mem_ada", lambda one: one.set_password("org_a", "mem_ada", "other")),
    ("session.create", "sess_1", lambda one: one.add_session(session(), secret="s")),
)


def test_each_change_is_told_as_the_audit_log_has_it(there: Backend) -> None:
    before = now(there)
    for action, target_id, change in CHANGES:
        revision = now(there)
        there.run(change(there.directory))
        assert now(there) > revision
        told = after(there, revision)
        assert told == DirectoryChanges(revision=now(there), things=frozenset({(action, "org_a", target_id)}))
    there.restart()
    things = frozenset((action, "org_a", target_id) for action, target_id, _ in CHANGES)
    assert after(there, before) == DirectoryChanges(revision=now(there), things=things)


def test_a_payment_is_told_by_its_organization(there: Backend) -> None:
    directory = there.directory
    for change in (
        directory.add_credit(CREDIT, opening_id="cred_0"),
        directory.switch_credits("org_a", enabled=False, opening_id="cred_2", now_us=NOW_US),
    ):
        before = now(there)
        there.run(change)
        told = after(there, before)
        assert (told.credits(), told.keys(()), told.guardrails()) == (frozenset({"org_a"}), frozenset(), frozenset())


def test_nothing_is_told_where_nothing_changed(there: Backend) -> None:
    append(there, record("a"))
    there.run(there.directory.put_user_rules(RULES))
    assert not there.run(there.directory.delete_key("org_a", "key-none", now_us=1))
    assert after(there, now(there)) == DirectoryChanges(revision=now(there), things=frozenset())


def test_several_changes_are_told_together_from_each_revision_on(there: Backend) -> None:
    revisions = [now(there)]
    for name in "bcd":
        there.run(there.directory.add_key(key(name), secret=f"secret-{name}"))
        revisions.append(now(there))
    told = [after(there, revision).keys(()) for revision in revisions]
    assert told == [{"key-b", "key-c", "key-d"}, {"key-c", "key-d"}, {"key-d"}, frozenset()]


def test_a_change_of_several_things_at_once_tells_all_of_them(there: Backend) -> None:
    before = now(there)
    first = [(key("x", organization_id="org_b"), "secret-x"), (key("y", organization_id="org_b"), "secret-y")]
    assert there.run(there.directory.add_first_keys(first))
    assert after(there, before).things == frozenset(
        {("key.create", "org_b", "key-x"), ("key.create", "org_b", "key-y")}
    )


def test_of_a_revision_that_is_not_there_yet_anything_may_have_changed(there: Backend) -> None:
    assert after(there, now(there) + 1) == DirectoryChanges(revision=now(there), things=None)


def test_an_empty_directory_has_no_changes(backend: Backend) -> None:
    assert after(backend, 0) == DirectoryChanges(revision=0, things=frozenset())
    backend.run(backend.directory.home(HOME, now_us=1))
    assert after(backend, 0).things == frozenset(
        {("organization.create", "org_a", "org_a"), ("workspace.create", "org_a", "ws_a")}
    )

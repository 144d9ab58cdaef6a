"""What every directory does with organizations, workspaces, members and invitations."""

from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.organizations import Invitation, LastAdmin, Member, Organization, Workspace
from arouter.domain.roles import Role
from tests.conformance.backends import Backend

NOW_US = 1_790_000_000_000_000
ORGANIZATIONS = [Organization(id=f"org_{name}", name=f"{name} Ltd", created_at_us=NOW_US) for name in "ab"]
WORKSPACES = [
    Workspace(id=f"ws_{name}", organization_id=f"org_{name}", name="Wörk", created_at_us=NOW_US) for name in "ab"
]


def member(who: str = "ada", **changes: Any) -> Member:
    plain = Member(
        id=f"mem_{who}",
        organization_id="org_a",
        email=f"{who}@example.com",
        name=who,
        role=Role.MEMBER,
        created_at_us=NOW_US,
    )
    return replace(plain, **changes)


def invitation(name: str = "ada", **changes: Any) -> Invitation:
    plain = Invitation(
        id=f"inv_{name}",
        organization_id="org_a",
        email=f"{name}@example.com",
        role=Role.BILLING,
        created_at_us=NOW_US,
        expires_at_us=NOW_US + 10,
        invited_by="mem_boss",
    )
    return replace(plain, **changes)


@pytest.fixture
def there(backend: Backend) -> Backend:
    """Two organizations with a workspace each."""
    for pair in zip(ORGANIZATIONS, WORKSPACES, strict=True):
        backend.run(backend.directory.add_organization(*pair))
    return backend


# ---------------------------------------------------------------- organizations and workspaces


def test_an_organization_comes_with_a_workspace_and_is_read_back(there: Backend) -> None:
    there.restart()
    assert there.run(there.directory.get_organization("org_a")) == ORGANIZATIONS[0]
    assert there.run(there.directory.get_workspace("org_a", "ws_a")) == WORKSPACES[0]
    listed = there.run(there.directory.list_organizations())
    assert [one.id for one in listed if one.id in ("org_a", "org_b")] == ["org_a", "org_b"]
    assert there.run(there.directory.get_organization("org_c")) is None


def test_an_organization_is_added_wholly_or_not_at_all(there: Backend) -> None:
    fresh = replace(ORGANIZATIONS[0], id="org_c")
    with pytest.raises(ValueError):
        there.run(there.directory.add_organization(fresh, WORKSPACES[0]))
    with pytest.raises(ValueError):
        there.run(there.directory.add_organization(ORGANIZATIONS[0], replace(WORKSPACES[0], id="ws_c")))
    assert there.run(there.directory.get_organization("org_c")) is None
    assert there.run(there.directory.get_workspace("org_a", "ws_c")) is None


def test_an_organization_changes_its_name_and_nothing_else(there: Backend) -> None:
    renamed = replace(ORGANIZATIONS[0], name="A Inc.", updated_at_us=NOW_US + 1)
    assert there.run(there.directory.replace_organization(replace(renamed, created_at_us=1)))
    assert there.run(there.directory.get_organization("org_a")) == renamed
    assert not there.run(there.directory.replace_organization(replace(renamed, id="org_c")))


def test_an_archived_workspace_is_there_and_not_listed(there: Backend) -> None:
    second = replace(WORKSPACES[0], id="ws_a2", created_at_us=NOW_US + 1)
    there.run(there.directory.add_workspace(second))
    archived = replace(WORKSPACES[0], archived=True, name="old", updated_at_us=NOW_US + 2)
    assert there.run(there.directory.replace_workspace(archived))
    assert there.run(there.directory.list_workspaces("org_a")) == (second,)
    assert there.run(there.directory.list_workspaces("org_a", include_archived=True)) == (archived, second)
    assert there.run(there.directory.list_workspaces("org_a", include_archived=True, offset=1, limit=5)) == (second,)
    assert there.run(there.directory.get_workspace("org_a", "ws_a")) == archived


def test_a_workspace_is_added_once(there: Backend) -> None:
    with pytest.raises(ValueError):
        there.run(there.directory.add_workspace(replace(WORKSPACES[0], name="other")))
    assert there.run(there.directory.get_workspace("org_a", "ws_a")) == WORKSPACES[0]


def test_of_another_organization_nothing_is_there(there: Backend) -> None:
    directory = there.directory
    there.run(directory.add_member(member(role=Role.ADMIN)))
    there.run(directory.add_invitation(invitation("eve"), secret="s"))
    assert there.run(directory.get_workspace("org_b", "ws_a")) is None
    assert there.run(directory.get_member("org_b", "mem_ada")) is None
    assert there.run(directory.get_invitation("org_b", "inv_eve")) is None
    assert there.run(directory.list_workspaces("org_b")) == (WORKSPACES[1],)
    assert there.run(directory.list_members("org_b")) == ()
    assert there.run(directory.list_invitations("org_b")) == ()
    assert not there.run(directory.replace_workspace(replace(WORKSPACES[0], organization_id="org_b", name="x")))
    assert not there.run(directory.replace_member(member(organization_id="org_b")))
    assert not there.run(directory.delete_member("org_b", "mem_ada"))
    assert not there.run(directory.delete_invitation("org_b", "inv_eve"))
    assert not there.run(directory.accept_invitation("s", member("eve", organization_id="org_b"), now_us=NOW_US))


# ---------------------------------------------------------------- members


def test_members_are_listed_in_the_order_of_their_coming(there: Backend) -> None:
    ada, bob = member(), member("bob", created_at_us=NOW_US - 1, role=Role.ADMIN, disabled=True)
    there.run(there.directory.add_member(ada))
    there.run(there.directory.add_member(bob))
    there.restart()
    assert there.run(there.directory.list_members("org_a")) == (bob, ada)
    assert there.run(there.directory.list_members("org_a", offset=1)) == (ada,)
    assert there.run(there.directory.get_member("org_a", "mem_bob")) == bob


def test_an_address_is_taken_once_in_an_organization_and_may_be_in_several(there: Backend) -> None:
    there.run(there.directory.add_member(member()))
    with pytest.raises(ValueError):
        there.run(there.directory.add_member(member("bob", email="ada@example.com")))
    with pytest.raises(ValueError):
        there.run(there.directory.add_member(member("ada", email="other@example.com")))
    elsewhere = member("ada2", organization_id="org_b", email="ada@example.com", created_at_us=NOW_US + 1)
    there.run(there.directory.add_member(elsewhere))
    assert there.run(there.directory.members_with_email("ada@example.com")) == (member(), elsewhere)


def test_a_member_keeps_the_address(there: Backend) -> None:
    there.run(there.directory.add_member(member()))
    changed = member(name="Ada L.", role=Role.BILLING, disabled=True, updated_at_us=NOW_US + 1)
    assert there.run(there.directory.replace_member(replace(changed, email="x@example.com", created_at_us=1)))
    assert there.run(there.directory.get_member("org_a", "mem_ada")) == changed
    assert not there.run(there.directory.replace_member(member("nobody")))


@pytest.mark.parametrize("change", [{"role": Role.MEMBER}, {"disabled": True}])
def test_one_admin_always_stays(there: Backend, change: dict[str, Any]) -> None:
    ada, bob = member(role=Role.ADMIN), member("bob", role=Role.ADMIN)
    directory = there.directory
    for one in (ada, bob, member("eve", role=Role.ADMIN, disabled=True), member("zed", organization_id="org_b")):
        there.run(directory.add_member(one))
    assert there.run(directory.replace_member(replace(bob, **change)))
    with pytest.raises(LastAdmin):
        there.run(directory.replace_member(replace(ada, **change)))
    with pytest.raises(LastAdmin):
        there.run(directory.delete_member("org_a", "mem_ada"))
    assert there.run(directory.get_member("org_a", "mem_ada")) == ada
    assert there.run(directory.replace_member(replace(ada, name="Ada")))
    assert there.run(directory.delete_member("org_a", "mem_bob"))
    assert there.run(directory.delete_member("org_a", "mem_eve"))
    assert not there.run(directory.delete_member("org_a", "mem_eve"))


# ---------------------------------------------------------------- invitations


def test_an_invitation_makes_one_member_once(there: Backend) -> None:
    directory = there.directory
    there.run(directory.add_invitation(invitation(), secret="s"))
    there.restart()
    directory = there.directory
    assert there.run(directory.find_invitation("s")) == invitation()
    assert there.run(directory.find_invitation("other")) is None
    ada = member(role=Role.BILLING)
    assert there.run(directory.accept_invitation("s", ada, now_us=NOW_US + 9))
    assert there.run(directory.get_member("org_a", "mem_ada")) == ada
    assert there.run(directory.find_invitation("s")) == invitation(accepted_by="mem_ada")
    assert not there.run(directory.accept_invitation("s", member("eve"), now_us=NOW_US + 9))
    assert there.run(directory.get_member("org_a", "mem_eve")) is None


def test_an_invitation_that_has_expired_makes_nobody(there: Backend) -> None:
    there.run(there.directory.add_invitation(invitation(), secret="s"))
    assert not there.run(there.directory.accept_invitation("s", member(), now_us=NOW_US + 10))
    assert not there.run(there.directory.accept_invitation("unknown", member(), now_us=NOW_US))
    assert there.run(there.directory.list_members("org_a")) == ()


def test_an_invitation_whose_member_cannot_be_is_still_open(there: Backend) -> None:
    there.run(there.directory.add_member(member()))
    there.run(there.directory.add_invitation(invitation(), secret="s"))
    with pytest.raises(ValueError):
        there.run(there.directory.accept_invitation("s", member("eve", email="ada@example.com"), now_us=NOW_US))
    assert there.run(there.directory.find_invitation("s")) == invitation()


def test_an_invitation_that_is_withdrawn_is_worth_nothing(there: Backend) -> None:
    there.run(there.directory.add_invitation(invitation(), secret="s"))
    later = invitation("eve", created_at_us=NOW_US + 1)
    there.run(there.directory.add_invitation(later, secret="t"))
    with pytest.raises(ValueError):
        there.run(there.directory.add_invitation(invitation("bob"), secret="s"))
    assert there.run(there.directory.list_invitations("org_a")) == (later, invitation())
    assert there.run(there.directory.delete_invitation("org_a", "inv_ada"))
    assert not there.run(there.directory.delete_invitation("org_a", "inv_ada"))
    assert there.run(there.directory.find_invitation("s")) is None
    assert not there.run(there.directory.accept_invitation("s", member(), now_us=NOW_US))


def test_every_change_raises_the_revision(there: Backend) -> None:
    directory = there.directory
    there.run(directory.add_invitation(invitation(), secret="s"))
    seen = {there.run(directory.last_changes()).revision}
    for change in (
        directory.replace_organization(ORGANIZATIONS[0]),
        directory.replace_workspace(WORKSPACES[0]),
        directory.accept_invitation("s", member(), now_us=NOW_US),
        directory.replace_member(member(disabled=True)),
        directory.delete_member("org_a", "mem_ada"),
        directory.delete_invitation("org_a", "inv_ada"),
    ):
        assert there.run(change)
        seen.add(there.run(directory.last_changes()).revision)
    assert len(seen) == 7


def test_the_workspaces_of_an_invitation_become_those_of_the_member(there: Backend) -> None:
    directory = there.directory
    asked = invitation(workspace_ids=("ws_b", "ws_a"))
    there.run(directory.add_invitation(asked, secret="s"))
    there.restart()
    directory = there.directory
    assert there.run(directory.find_invitation("s")) == asked
    made = member(workspace_ids=asked.workspace_ids)
    assert there.run(directory.accept_invitation("s", made, now_us=NOW_US))
    assert there.run(directory.get_member("org_a", "mem_ada")) == made
    assert there.run(directory.list_members("org_a"))[-1] == made
    for changed in (member(workspace_ids=("ws_a",)), member()):
        assert there.run(directory.replace_member(changed))
        assert there.run(directory.get_member("org_a", "mem_ada")) == changed


def test_a_workspace_that_somebody_is_in_or_invited_to_is_not_deleted(there: Backend) -> None:
    directory = there.directory
    for name in ("ws_x", "ws_y"):
        there.run(directory.add_workspace(replace(WORKSPACES[0], id=name)))
    there.run(directory.add_invitation(invitation(workspace_ids=("ws_x", "ws_y")), secret="s"))
    assert not there.run(directory.delete_workspace("org_a", "ws_x"))
    assert there.run(directory.accept_invitation("s", member(workspace_ids=("ws_x",)), now_us=NOW_US))
    assert there.run(directory.delete_workspace("org_a", "ws_y"))
    assert not there.run(directory.delete_workspace("org_a", "ws_x"))
    assert there.run(directory.replace_member(member()))
    assert there.run(directory.delete_workspace("org_a", "ws_x"))

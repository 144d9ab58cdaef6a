"""Names, addresses, and what a role may do."""

import pytest

from arouter.domain.organizations import Invitation, checked_email, checked_name
from arouter.domain.roles import ALLOWED, Action, Role, allows


@pytest.mark.parametrize(("text", "kept"), [(" Ada ", "Ada"), ("Zoë 用户", "Zoë 用户"), ("x" * 200, "x" * 200)])
def test_a_name_is_kept_without_space_around_it(text: str, kept: str) -> None:
    assert checked_name(text) == kept


@pytest.mark.parametrize(
    ("text", "wrong"), [("", "empty"), ("  ", "empty"), ("x" * 201, "200"), ("a\nb", "control"), ("\x00", "control")]
)
def test_what_is_no_name_says_why(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        checked_name(text)


def test_an_address_is_kept_in_lower_case() -> None:
    assert checked_email(" Ada@Example.COM ") == "ada@example.com"


@pytest.mark.parametrize("text", ["", "ada", "@example.com", "ada@", "a b@example.com", "a\n@example.com", "a@b" * 99])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        checked_email(text)


def test_an_admin_may_everything_and_nobody_may_more() -> None:
    assert ALLOWED[Role.ADMIN] == frozenset(Action)
    assert set(ALLOWED) == set(Role)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_only_an_admin_changes_what_belongs_to_all(role: Role) -> None:
    changing = {action for action in Action if action.endswith(".write")}
    assert changing
    assert not changing & ALLOWED[role]


def test_who_pays_reads_and_changes_nothing() -> None:
    assert not any("write" in action for action in ALLOWED[Role.BILLING])
    assert allows(Role.BILLING, Action.READ_ACTIVITY)
    assert not allows(Role.MEMBER, Action.READ_ACTIVITY)
    assert allows(Role.MEMBER, Action.WRITE_OWN_KEYS)


def test_an_invitation_is_open_until_it_expires_or_is_accepted() -> None:
    told = {"id": "inv_1", "organization_id": "org_a", "email": "a@b", "role": Role.MEMBER, "created_at_us": 0}
    fresh = Invitation(**told, expires_at_us=10)  # type: ignore[arg-type]
    assert fresh.is_open(9)
    assert not fresh.is_open(10)
    assert not Invitation(**told, expires_at_us=10, accepted_by="mem_1").is_open(0)  # type: ignore[arg-type]

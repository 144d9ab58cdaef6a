"""What is asked of organizations and the people in them, checked. What cannot be is an InvalidRequest."""

from collections.abc import Iterable

from arouter.domain.errors import InvalidRequest
from arouter.domain.ids import named_id
from arouter.domain.organizations import (
    ID_BYTES,
    INVITATION_BYTES,
    INVITATION_LIFE_US,
    INVITATION_PREFIX,
    INVITATION_TOKEN_PREFIX,
    MEMBER_PREFIX,
    MOST_WORKSPACES,
    Invitation,
    Member,
    checked_email,
    checked_name,
)
from arouter.domain.roles import Role
from arouter.domain.sign_in import checked_password
from arouter.store.organizations import Organizations
from arouter.web.api.parameters import invalid
from arouter.wire.nearest import quoted


def read_name(text: str) -> str:
    """A name as it is kept. InvalidRequest for one that cannot be."""
    try:
        return checked_name(text)
    except ValueError as exc:
        raise invalid("name", str(exc)) from exc


def read_password(text: str, param: str) -> str:
    """A password that can be one. InvalidRequest, without repeating it, for another."""
    try:
        return checked_password(text)
    except ValueError as exc:
        raise invalid(param, str(exc)) from exc


def new_invitation(
    *,
    organization_id: str,
    email: str,
    role: Role,
    workspace_ids: tuple[str, ...],
    invited_by: str | None,
    now_us: int,
    entropy: bytes,
) -> tuple[Invitation, str]:
    """An invitation and its token, from random bytes for the id and the token."""
    invitation = Invitation(
        id=named_id(INVITATION_PREFIX, entropy[:ID_BYTES]),
        organization_id=organization_id,
        email=email,
        role=role,
        workspace_ids=workspace_ids,
        created_at_us=now_us,
        expires_at_us=now_us + INVITATION_LIFE_US,
        invited_by=invited_by,
    )
    return invitation, f"{INVITATION_TOKEN_PREFIX}{entropy[ID_BYTES : ID_BYTES + INVITATION_BYTES].hex()}"


def invited_member(invitation: Invitation, name: str, *, now_us: int, entropy: bytes) -> Member:
    """The member that an invitation makes, from random bytes for the id."""
    return Member(
        id=named_id(MEMBER_PREFIX, entropy),
        organization_id=invitation.organization_id,
        email=invitation.email,
        name=name,
        role=invitation.role,
        workspace_ids=invitation.workspace_ids,
        created_at_us=now_us,
    )


async def read_workspaces(directory: Organizations, organization_id: str, ids: Iterable[str]) -> tuple[str, ...]:
    """The workspaces that a member is to be in, each once. InvalidRequest for one that no key can be made in."""
    wanted = tuple(dict.fromkeys(ids))
    if len(wanted) > MOST_WORKSPACES:
        raise invalid("workspace_ids", f"must hold at most {MOST_WORKSPACES} workspaces; none stands for every one")
    for one in wanted:
        found = await directory.get_workspace(organization_id, one)
        if found is None:
            raise invalid("workspace_ids", f"names no workspace of this organization: `{quoted(one)}`")
        if found.archived:
            raise invalid("workspace_ids", f"names an archived workspace: `{quoted(one)}`")
    return wanted


def read_email(text: str) -> str:
    """An address as it is kept. InvalidRequest for what is none."""
    try:
        return checked_email(text)
    except ValueError as exc:
        raise invalid("email", str(exc)) from exc


def last_admin() -> InvalidRequest:
    """An organization without an admin could not be managed by its people."""
    return InvalidRequest(
        "This member is the only enabled admin of the organization. Make another member an admin first.",
        code="last_admin",
        param="id",
    )


def already_a_member() -> InvalidRequest:
    """An address is a member's once in an organization."""
    return InvalidRequest(
        "There is a member with this address in the organization.", code="already_a_member", param="email"
    )

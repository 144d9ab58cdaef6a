"""What is asked of organizations and the people in them, checked. What cannot be is an InvalidRequest."""

from arouter.domain.errors import InvalidRequest
from arouter.domain.ids import named_id
from arouter.domain.organizations import (
    ID_BYTES,
    INVITATION_BYTES,
    INVITATION_LIFE_US,
    INVITATION_PREFIX,
    INVITATION_TOKEN_PREFIX,
    Invitation,
    checked_email,
    checked_name,
)
from arouter.domain.roles import Role
from arouter.domain.sign_in import checked_password
from arouter.web.api.parameters import invalid


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
    *, organization_id: str, email: str, role: Role, invited_by: str | None, now_us: int, entropy: bytes
) -> tuple[Invitation, str]:
    """An invitation and its token, from random bytes for the id and the token."""
    invitation = Invitation(
        id=named_id(INVITATION_PREFIX, entropy[:ID_BYTES]),
        organization_id=organization_id,
        email=email,
        role=role,
        created_at_us=now_us,
        expires_at_us=now_us + INVITATION_LIFE_US,
        invited_by=invited_by,
    )
    return invitation, f"{INVITATION_TOKEN_PREFIX}{entropy[ID_BYTES : ID_BYTES + INVITATION_BYTES].hex()}"


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

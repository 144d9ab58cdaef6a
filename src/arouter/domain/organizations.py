"""Organizations, and the workspaces and people in them. Times are microseconds since the epoch."""

from dataclasses import dataclass

from arouter.domain.roles import Role

ORGANIZATION_PREFIX, WORKSPACE_PREFIX, MEMBER_PREFIX, INVITATION_PREFIX = "org", "ws", "mem", "inv"
ID_BYTES = 12
MOST_NAME = 200
"""Characters of a name."""
MOST_WORKSPACES = 100
"""That a member is in, if not in every one."""
MOST_EMAIL = 254
"""Characters of an address, as mail servers have it."""
INVITATION_LIFE_US = 7 * 24 * 3_600_000_000
INVITATION_TOKEN_PREFIX = "lr_join_"  # noqa: S105 - public
INVITATION_BYTES = 24
"""Random bytes of an invitation's token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """Whose ledger it is. Nothing of one organization can be seen from another."""

    id: str
    name: str
    created_at_us: int
    updated_at_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A team or a product within an organization. Every key is in one."""

    id: str
    organization_id: str
    name: str
    created_at_us: int
    updated_at_us: int | None = None
    archived: bool = False
    """No key is made in it any more. It is never deleted, because records name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person in an organization."""

    id: str
    organization_id: str
    email: str
    """In lower case; no two members of an organization have the same."""
    name: str
    role: Role
    created_at_us: int
    updated_at_us: int | None = None
    disabled: bool = False
    """May do nothing, and the management keys made by them neither."""
    workspace_ids: tuple[str, ...] = ()
    """Where the member makes keys, the first one if nothing else is said; empty: in every workspace. Who may change all
    keys of the organization may so everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What makes a member of whoever has its token."""

    id: str
    organization_id: str
    email: str
    role: Role
    created_at_us: int
    expires_at_us: int
    invited_by: str | None = None
    """The member; None for the operator."""
    accepted_by: str | None = None
    """The member that it made; then it is worth nothing any more."""
    workspace_ids: tuple[str, ...] = ()
    """Those that the member will be in; empty: every one."""

    def is_open(self, now_us: int) -> bool:
        """Whether it can still be accepted."""
        return self.accepted_by is None and now_us < self.expires_at_us


class LastAdmin(ValueError):
    """Nobody would be left to manage the organization."""


def checked_name(text: str) -> str:
    """A name as it is kept: without space around it. ValueError says what is wrong."""
    name = text.strip()
    if not name:
        raise ValueError("must not be empty")
    if len(name) > MOST_NAME:
        raise ValueError(f"must have at most {MOST_NAME} characters")
    if not name.isprintable():
        raise ValueError("must not hold control characters")
    return name


def checked_email(text: str) -> str:
    """An address as it is kept: in lower case. ValueError says what is wrong.

    Whether anybody reads mail there is not for a program to say; the form is only what sign-in needs.
    """
    email = text.strip().lower()
    name, at, host = email.rpartition("@")
    if not (name and at and host) or any(char.isspace() or not char.isprintable() for char in email):
        raise ValueError("must be an e-mail address, such as ada@example.com")
    if len(email) > MOST_EMAIL:
        raise ValueError(f"must have at most {MOST_EMAIL} characters")
    return email

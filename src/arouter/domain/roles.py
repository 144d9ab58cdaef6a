"""What the people of an organization may do: one table, from which the code decides and the docs are made."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What a member of an organization is."""

    ADMIN = "admin"
    MEMBER = "member"
    BILLING = "billing"


class Action(StrEnum):
    """What can be done in an organization. `own`: to the keys that the member made, and what was asked with them."""

    READ_ORGANIZATION = "organization.read"
    WRITE_ORGANIZATION = "organization.write"
    READ_WORKSPACES = "workspaces.read"
    WRITE_WORKSPACES = "workspaces.write"
    READ_MEMBERS = "members.read"
    WRITE_MEMBERS = "members.write"
    READ_INVITATIONS = "invitations.read"
    WRITE_INVITATIONS = "invitations.write"
    READ_OWN_KEYS = "keys.read_own"
    WRITE_OWN_KEYS = "keys.write_own"
    READ_KEYS = "keys.read"
    WRITE_KEYS = "keys.write"
    READ_PROVIDER_KEYS = "provider_keys.read"
    WRITE_PROVIDER_KEYS = "provider_keys.write"
    READ_OWN_ACTIVITY = "activity.read_own"
    READ_ACTIVITY = "activity.read"
    READ_USERS = "users.read"
    WRITE_USERS = "users.write"
    READ_GUARDRAILS = "guardrails.read"
    WRITE_GUARDRAILS = "guardrails.write"
    READ_BILLING = "billing.read"
    WRITE_CREDITS = "credits.write"
    READ_AUDIT = "audit.read"


ALLOWED: Mapping[Role, frozenset[Action]] = MappingProxyType(
    {
        Role.ADMIN: frozenset(Action),
        Role.MEMBER: frozenset(
            {
                Action.READ_ORGANIZATION,
                Action.READ_WORKSPACES,
                Action.READ_MEMBERS,
                Action.READ_OWN_KEYS,
                Action.WRITE_OWN_KEYS,
                Action.READ_OWN_ACTIVITY,
                Action.READ_GUARDRAILS,
            }
        ),
        Role.BILLING: frozenset(
            {
                Action.READ_ORGANIZATION,
                Action.READ_WORKSPACES,
                Action.READ_MEMBERS,
                Action.READ_KEYS,
                Action.READ_OWN_KEYS,
                Action.READ_ACTIVITY,
                Action.READ_OWN_ACTIVITY,
                Action.READ_USERS,
                Action.READ_GUARDRAILS,
                Action.READ_BILLING,
            }
        ),
    }
)


def allows(role: Role, action: Action) -> bool:
    """Whether a member with this role may do it."""
    return action in ALLOWED[role]

"""Organizations, workspaces, members and invitations as JSON.

A field that is absent is `msgspec.UNSET`, which is not null.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from arouter.domain.organizations import Invitation, Member, Organization, Workspace
from arouter.wire.instants import write_instant

RoleName = Literal["admin", "member", "billing"]


class UpdateOrganization(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change."""

    name: str


class OrganizationObject(msgspec.Struct, frozen=True, kw_only=True):
    """Whose ledger it is."""

    id: str
    name: str
    created_at: str
    updated_at: str | None


class OrganizationAnswer(msgspec.Struct, frozen=True):
    data: OrganizationObject


class OrganizationList(msgspec.Struct, frozen=True):
    data: list[OrganizationObject]
    next_page_token: str | None


class CreateWorkspace(msgspec.Struct, frozen=True, kw_only=True):
    """A new workspace."""

    name: str


class UpdateWorkspace(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change. Absent fields stay as they are."""

    name: str | UnsetType = UNSET
    archived: bool | UnsetType = UNSET


class WorkspaceObject(msgspec.Struct, frozen=True, kw_only=True):
    """A team or a product. No key is made in an archived one any more."""

    id: str
    name: str
    archived: bool
    organization_id: str
    created_at: str
    updated_at: str | None


class WorkspaceAnswer(msgspec.Struct, frozen=True):
    data: WorkspaceObject


class WorkspaceList(msgspec.Struct, frozen=True):
    data: list[WorkspaceObject]
    next_page_token: str | None


class WorkspaceGone(msgspec.Struct, frozen=True, kw_only=True):
    """One that keys or records name is archived; it cannot be deleted."""

    deleted: bool
    archived: bool


class WorkspaceGoneAnswer(msgspec.Struct, frozen=True):
    data: WorkspaceGone


class UpdateMember(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change. Absent fields stay as they are."""

    name: str | UnsetType = UNSET
    role: RoleName | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    workspace_ids: tuple[str, ...] | UnsetType = UNSET


class MemberObject(msgspec.Struct, frozen=True, kw_only=True):
    """A person in the organization. `workspace_ids` are those that the person is in; empty: every one."""

    id: str
    email: str
    name: str
    role: RoleName
    disabled: bool
    workspace_ids: tuple[str, ...]
    organization_id: str
    created_at: str
    updated_at: str | None


class MemberAnswer(msgspec.Struct, frozen=True):
    data: MemberObject


class MemberList(msgspec.Struct, frozen=True):
    data: list[MemberObject]
    next_page_token: str | None


class CreateInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """Who is to become a member, of which workspaces; empty: of every one."""

    email: str
    role: RoleName = "member"
    workspace_ids: tuple[str, ...] = ()


class InvitationObject(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation; never its token. `state` is `open`, `accepted` or `expired`."""

    id: str
    email: str
    role: RoleName
    workspace_ids: tuple[str, ...]
    state: Literal["open", "accepted", "expired"]
    organization_id: str
    invited_by: str | None
    accepted_by: str | None
    created_at: str
    expires_at: str


class InvitationAnswer(msgspec.Struct, frozen=True):
    data: InvitationObject


class InvitationMade(msgspec.Struct, frozen=True):
    """`token` makes a member of whoever has it. It is shown this once and stored nowhere."""

    data: InvitationObject
    token: str


class InvitationList(msgspec.Struct, frozen=True):
    data: list[InvitationObject]
    next_page_token: str | None


class AcceptInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """The token of an invitation, and how the new member is called; with a password the member can sign in."""

    token: str
    name: str
    password: str | UnsetType = UNSET


def organization_object(one: Organization) -> OrganizationObject:
    return OrganizationObject(
        id=one.id, name=one.name, created_at=write_instant(one.created_at_us), updated_at=_instant(one.updated_at_us)
    )


def workspace_object(one: Workspace) -> WorkspaceObject:
    return WorkspaceObject(
        id=one.id,
        name=one.name,
        archived=one.archived,
        organization_id=one.organization_id,
        created_at=write_instant(one.created_at_us),
        updated_at=_instant(one.updated_at_us),
    )


def member_object(one: Member) -> MemberObject:
    return MemberObject(
        id=one.id,
        email=one.email,
        name=one.name,
        role=one.role.value,
        disabled=one.disabled,
        workspace_ids=one.workspace_ids,
        organization_id=one.organization_id,
        created_at=write_instant(one.created_at_us),
        updated_at=_instant(one.updated_at_us),
    )


def invitation_object(one: Invitation, now_us: int) -> InvitationObject:
    return InvitationObject(
        id=one.id,
        email=one.email,
        role=one.role.value,
        workspace_ids=one.workspace_ids,
        state="accepted" if one.accepted_by is not None else "open" if one.is_open(now_us) else "expired",
        organization_id=one.organization_id,
        invited_by=one.invited_by,
        accepted_by=one.accepted_by,
        created_at=write_instant(one.created_at_us),
        expires_at=write_instant(one.expires_at_us),
    )


def encode_organization(one: Organization) -> bytes:
    return msgspec.json.encode(OrganizationAnswer(organization_object(one)))


def encode_organizations(some: Sequence[Organization], next_page_token: str | None) -> bytes:
    return msgspec.json.encode(OrganizationList([organization_object(one) for one in some], next_page_token))


def encode_workspace(one: Workspace) -> bytes:
    return msgspec.json.encode(WorkspaceAnswer(workspace_object(one)))


def encode_workspaces(some: Sequence[Workspace], next_page_token: str | None) -> bytes:
    return msgspec.json.encode(WorkspaceList([workspace_object(one) for one in some], next_page_token))


def encode_workspace_gone(*, deleted: bool) -> bytes:
    return msgspec.json.encode(WorkspaceGoneAnswer(WorkspaceGone(deleted=deleted, archived=not deleted)))


def encode_member(one: Member) -> bytes:
    return msgspec.json.encode(MemberAnswer(member_object(one)))


def encode_members(some: Sequence[Member], next_page_token: str | None) -> bytes:
    return msgspec.json.encode(MemberList([member_object(one) for one in some], next_page_token))


def encode_invitation(one: Invitation, now_us: int) -> bytes:
    return msgspec.json.encode(InvitationAnswer(invitation_object(one, now_us)))


def encode_invitation_made(one: Invitation, token: str, now_us: int) -> bytes:
    return msgspec.json.encode(InvitationMade(invitation_object(one, now_us), token))


def encode_invitations(some: Sequence[Invitation], next_page_token: str | None, now_us: int) -> bytes:
    return msgspec.json.encode(InvitationList([invitation_object(one, now_us) for one in some], next_page_token))


def _instant(at_us: int | None) -> str | None:
    return None if at_us is None else write_instant(at_us)

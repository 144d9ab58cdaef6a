"""`Organizations` over dictionaries: part of the reference backend."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from arouter.domain.audit import AuditAction
from arouter.domain.organizations import Invitation, LastAdmin, Member, Organization, Workspace
from arouter.domain.roles import Role
from arouter.store.memory_audit import MemoryAudit, Trail

Thing = Organization | Workspace | Member | Invitation


@dataclass(slots=True)
class Structure:
    """What would be on disk, each by its id."""

    organizations: dict[str, Organization] = field(default_factory=dict)
    workspaces: dict[str, Workspace] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    invitations: dict[str, Invitation] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of an invitation's token, to its id."""


class MemoryOrganizations(MemoryAudit):
    """As simple as it can be said."""

    def __init__(self, structure: Structure, trail: Trail) -> None:
        MemoryAudit.__init__(self, trail)
        self._structure = structure

    async def add_organization(self, organization: Organization, workspace: Workspace) -> None:
        data = self._structure
        if organization.id in data.organizations or workspace.id in data.workspaces:
            raise ValueError("there is such an organization or workspace already")
        data.organizations[organization.id] = organization
        data.workspaces[workspace.id] = workspace
        self._changed(AuditAction.CREATE_ORGANIZATION, None, organization)
        self._changed(AuditAction.CREATE_WORKSPACE, None, workspace)

    async def get_organization(self, organization_id: str) -> Organization | None:
        return self._structure.organizations.get(organization_id)

    async def list_organizations(self, *, offset: int = 0, limit: int = 100) -> Sequence[Organization]:
        every = sorted(self._structure.organizations.values(), key=lambda one: (one.created_at_us, one.id))
        return tuple(every[offset : offset + limit])

    async def replace_organization(self, organization: Organization) -> bool:
        before = self._structure.organizations.get(organization.id)
        if before is None:
            return False
        after = replace(before, name=organization.name, updated_at_us=organization.updated_at_us)
        self._structure.organizations[organization.id] = after
        self._changed(AuditAction.UPDATE_ORGANIZATION, before, after)
        return True

    async def add_workspace(self, workspace: Workspace) -> None:
        data = self._structure
        if workspace.id in data.workspaces:
            raise ValueError("there is such a workspace already")
        data.workspaces[workspace.id] = workspace
        self._changed(AuditAction.CREATE_WORKSPACE, None, workspace)

    async def get_workspace(self, organization_id: str, workspace_id: str) -> Workspace | None:
        found = self._structure.workspaces.get(workspace_id)
        return found if found is not None and found.organization_id == organization_id else None

    async def list_workspaces(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_archived: bool = False
    ) -> Sequence[Workspace]:
        every = [
            one
            for one in self._structure.workspaces.values()
            if one.organization_id == organization_id and (include_archived or not one.archived)
        ]
        every.sort(key=lambda one: (one.created_at_us, one.id))
        return tuple(every[offset : offset + limit])

    async def replace_workspace(self, workspace: Workspace) -> bool:
        before = await self.get_workspace(workspace.organization_id, workspace.id)
        if before is None:
            return False
        after = replace(before, name=workspace.name, archived=workspace.archived, updated_at_us=workspace.updated_at_us)
        self._structure.workspaces[workspace.id] = after
        self._changed(AuditAction.UPDATE_WORKSPACE, before, after)
        return True

    async def _forget_workspace(self, organization_id: str, workspace_id: str) -> bool:
        workspace = await self.get_workspace(organization_id, workspace_id)
        if workspace is None:
            return False
        del self._structure.workspaces[workspace_id]
        self._changed(AuditAction.DELETE_WORKSPACE, workspace, None)
        return True

    async def add_member(self, member: Member) -> None:
        self._check_new(member)
        self._structure.members[member.id] = member
        self._changed(AuditAction.CREATE_MEMBER, None, member)

    async def get_member(self, organization_id: str, member_id: str) -> Member | None:
        found = self._structure.members.get(member_id)
        return found if found is not None and found.organization_id == organization_id else None

    async def list_members(self, organization_id: str, *, offset: int = 0, limit: int = 100) -> Sequence[Member]:
        return tuple(self._members(organization_id)[offset : offset + limit])

    async def members_with_email(self, email: str) -> Sequence[Member]:
        found = [one for one in self._structure.members.values() if one.email == email]
        return tuple(sorted(found, key=lambda one: (one.created_at_us, one.id)))

    async def replace_member(self, member: Member) -> bool:
        before = await self.get_member(member.organization_id, member.id)
        if before is None:
            return False
        if member.disabled or member.role is not Role.ADMIN:
            self._check_admin_stays(before)
        after = replace(
            before,
            name=member.name,
            role=member.role,
            disabled=member.disabled,
            workspace_ids=member.workspace_ids,
            updated_at_us=member.updated_at_us,
        )
        self._structure.members[member.id] = after
        self._changed(AuditAction.UPDATE_MEMBER, before, after)
        return True

    async def delete_member(self, organization_id: str, member_id: str) -> bool:
        member = await self.get_member(organization_id, member_id)
        if member is None:
            return False
        self._check_admin_stays(member)
        del self._structure.members[member_id]
        self._changed(AuditAction.DELETE_MEMBER, member, None)
        return True

    async def add_invitation(self, invitation: Invitation, *, secret: str) -> None:
        if invitation.id in self._structure.invitations or secret in self._structure.tokens:
            raise ValueError("there is such an invitation already")
        self._structure.invitations[invitation.id] = invitation
        self._structure.tokens[secret] = invitation.id
        self._changed(AuditAction.CREATE_INVITATION, None, invitation)

    async def get_invitation(self, organization_id: str, invitation_id: str) -> Invitation | None:
        found = self._structure.invitations.get(invitation_id)
        return found if found is not None and found.organization_id == organization_id else None

    async def list_invitations(
        self, organization_id: str, *, offset: int = 0, limit: int = 100
    ) -> Sequence[Invitation]:
        every = [one for one in self._structure.invitations.values() if one.organization_id == organization_id]
        every.sort(key=lambda one: (one.created_at_us, one.id), reverse=True)
        return tuple(every[offset : offset + limit])

    async def find_invitation(self, secret: str) -> Invitation | None:
        invitation_id = self._structure.tokens.get(secret)
        return None if invitation_id is None else self._structure.invitations[invitation_id]

    async def accept_invitation(self, secret: str, member: Member, *, now_us: int, password: str | None = None) -> bool:
        invitation = await self.find_invitation(secret)
        if invitation is None or not invitation.is_open(now_us) or invitation.organization_id != member.organization_id:
            return False
        self._check_new(member)
        accepted = replace(invitation, accepted_by=member.id)
        self._structure.invitations[invitation.id] = accepted
        self._changed(AuditAction.ACCEPT_INVITATION, invitation, accepted)
        await self.add_member(member)
        if password is not None:
            self._keep_password(member, password)
        return True

    async def delete_invitation(self, organization_id: str, invitation_id: str) -> bool:
        invitation = await self.get_invitation(organization_id, invitation_id)
        if invitation is None:
            return False
        del self._structure.invitations[invitation_id]
        self._structure.tokens = {secret: one for secret, one in self._structure.tokens.items() if one != invitation_id}
        self._changed(AuditAction.DELETE_INVITATION, invitation, None)
        return True

    def _keep_password(self, member: Member, password: str) -> None:
        """The part that signs in does."""
        raise NotImplementedError

    def _check_new(self, member: Member) -> None:
        if member.id in self._structure.members:
            raise ValueError("there is such a member already")
        if any(one.email == member.email for one in self._members(member.organization_id)):
            raise ValueError("there is a member with this address already")

    def _changed(self, action: AuditAction, before: Thing | None, after: Thing | None) -> None:
        one = after or before
        assert one is not None
        organization_id = one.id if isinstance(one, Organization) else one.organization_id
        self._note(action, organization_id, one.id, before, after)

    def _members(self, organization_id: str) -> list[Member]:
        every = [one for one in self._structure.members.values() if one.organization_id == organization_id]
        return sorted(every, key=lambda one: (one.created_at_us, one.id))

    def _check_admin_stays(self, member: Member) -> None:
        """If `member` is an enabled admin, there must be another one."""
        if member.role is not Role.ADMIN or member.disabled:
            return
        others = (one for one in self._members(member.organization_id) if one.id != member.id)
        if not any(one.role is Role.ADMIN and not one.disabled for one in others):
            raise LastAdmin("the organization would have no admin")

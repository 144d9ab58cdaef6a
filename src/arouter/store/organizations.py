"""What a directory does with organizations, workspaces, members and invitations."""

from collections.abc import Sequence
from typing import Protocol

from arouter.domain.organizations import Invitation, Member, Organization, Workspace


class Organizations(Protocol):
    """Every read and change names the organization: what belongs to another one is not there."""

    async def add_organization(self, organization: Organization, workspace: Workspace) -> None:
        """A new one with its first workspace. ValueError if an id is taken."""

    async def get_organization(self, organization_id: str) -> Organization | None:
        """The organization of that id."""

    async def list_organizations(self, *, offset: int = 0, limit: int = 100) -> Sequence[Organization]:
        """All of them, oldest first."""

    async def replace_organization(self, organization: Organization) -> bool:
        """Store its name; False if there is none with its id."""

    async def add_workspace(self, workspace: Workspace) -> None:
        """A new one, in an organization that there is. ValueError if its id is taken."""

    async def get_workspace(self, organization_id: str, workspace_id: str) -> Workspace | None:
        """The workspace of that id in the organization, archived or not."""

    async def list_workspaces(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_archived: bool = False
    ) -> Sequence[Workspace]:
        """Oldest first."""

    async def replace_workspace(self, workspace: Workspace) -> bool:
        """Store its name and whether it is archived; False if there is none with its id."""

    async def delete_workspace(self, organization_id: str, workspace_id: str) -> bool:
        """Forget a workspace that nothing names. False if a key, a record, a member, an invitation that is not accepted
        or the home does, or there is none."""

    async def add_member(self, member: Member) -> None:
        """A new one. ValueError if the id, or the address in this organization, is taken."""

    async def get_member(self, organization_id: str, member_id: str) -> Member | None:
        """The member of that id in the organization."""

    async def list_members(self, organization_id: str, *, offset: int = 0, limit: int = 100) -> Sequence[Member]:
        """Oldest first."""

    async def members_with_email(self, email: str) -> Sequence[Member]:
        """Of every organization, oldest first: the same person may be in several."""

    async def replace_member(self, member: Member) -> bool:
        """Store name, role, workspaces and whether disabled; False if there is none with its id.

        LastAdmin if it is the only enabled admin of the organization, and would be no more.
        """

    async def delete_member(self, organization_id: str, member_id: str) -> bool:
        """Forget the member; keys and records keep the id. False if there is none. LastAdmin as above."""

    async def add_invitation(self, invitation: Invitation, *, secret: str) -> None:
        """A new one. `secret` is the SHA-256 of its token. ValueError if the id or the secret is taken."""

    async def get_invitation(self, organization_id: str, invitation_id: str) -> Invitation | None:
        """The invitation of that id in the organization."""

    async def list_invitations(
        self, organization_id: str, *, offset: int = 0, limit: int = 100
    ) -> Sequence[Invitation]:
        """Newest first, accepted ones too."""

    async def find_invitation(self, secret: str) -> Invitation | None:
        """The invitation whose token has this SHA-256."""

    async def accept_invitation(self, secret: str, member: Member, *, now_us: int, password: str | None = None) -> bool:
        """Make `member`, and note with the invitation that it did, in one transaction; `password` is a hash to keep.

        False if there is no invitation with this secret that is open: it is accepted once. ValueError as `add_member`.
        """

    async def delete_invitation(self, organization_id: str, invitation_id: str) -> bool:
        """Its token is worthless at once. False if there is none."""

"""`Organizations` in PostgreSQL."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from arouter.domain.audit import AuditAction
from arouter.domain.organizations import Invitation, LastAdmin, Member, Organization, Workspace
from arouter.domain.roles import Role
from arouter.store.directory_rows import Row, columns_of, read_one, to_json, values_of
from arouter.store.postgres.changes import Change, PostgresChanges, Statement, reading
from arouter.store.postgres.sign_in import forgetting, setting_password
from arouter.store.postgres.statements import queries, statement

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from arouter.store.postgres.connection import Connection

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")

_AREA = "organizations"


class PostgresOrganizations(PostgresChanges):
    """As the parts of the directory do."""

    async def add_organization(self, organization: Organization, workspace: Workspace) -> None:
        await self._change(creating(organization, workspace), adding(organization), adding(workspace))

    async def get_organization(self, organization_id: str) -> Organization | None:
        return await self._first(*_asking(Organization, "get_organization"), organization_id)

    async def list_organizations(self, *, offset: int = 0, limit: int = 100) -> Sequence[Organization]:
        return await self._all(*_asking(Organization, "list_organizations"), limit, offset)

    async def replace_organization(self, organization: Organization) -> bool:
        values = (organization.id, organization.name, organization.updated_at_us)
        change = _of(AuditAction.UPDATE_ORGANIZATION, organization)
        return await self._change(change, (queries(_AREA)["replace_organization"], values))

    async def add_workspace(self, workspace: Workspace) -> None:
        await self._change(_of(AuditAction.CREATE_WORKSPACE, workspace), adding(workspace))

    async def get_workspace(self, organization_id: str, workspace_id: str) -> Workspace | None:
        return await self._first(*_asking(Workspace, "get_workspace"), organization_id, workspace_id)

    async def list_workspaces(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_archived: bool = False
    ) -> Sequence[Workspace]:
        asking = _asking(Workspace, "list_workspaces")
        return await self._all(*asking, organization_id, include_archived, limit, offset)

    async def replace_workspace(self, workspace: Workspace) -> bool:
        place = (workspace.organization_id, workspace.id)
        changeable = (workspace.name, workspace.archived, workspace.updated_at_us)
        change = _of(AuditAction.UPDATE_WORKSPACE, workspace)
        return await self._change(change, (queries(_AREA)["replace_workspace"], (*place, *changeable)))

    async def delete_workspace(self, organization_id: str, workspace_id: str) -> bool:
        change = _changing(AuditAction.DELETE_WORKSPACE, Workspace, organization_id, workspace_id)
        return await self._change(change, (queries(_AREA)["delete_workspace"], (organization_id, workspace_id)))

    async def add_member(self, member: Member) -> None:
        await self._change(_of(AuditAction.CREATE_MEMBER, member), adding(member))

    async def get_member(self, organization_id: str, member_id: str) -> Member | None:
        return await self._first(*_asking(Member, "get_member"), organization_id, member_id)

    async def list_members(self, organization_id: str, *, offset: int = 0, limit: int = 100) -> Sequence[Member]:
        return await self._all(*_asking(Member, "list_members"), organization_id, limit, offset)

    async def members_with_email(self, email: str) -> Sequence[Member]:
        return await self._all(*_asking(Member, "members_with_email"), email)

    async def replace_member(self, member: Member) -> bool:
        place = (member.organization_id, member.id)
        workspaces = to_json(member.workspace_ids)
        changeable = (member.name, member.role.value, member.disabled, workspaces, member.updated_at_us)
        stays_admin = member.role is Role.ADMIN and not member.disabled
        return await self._change(
            _of(AuditAction.UPDATE_MEMBER, member),
            (queries(_AREA)["replace_member"], (*place, *changeable)),
            first=None if stays_admin else lambda connection: _check_admin_stays(connection, *place),
        )

    async def delete_member(self, organization_id: str, member_id: str) -> bool:
        place = (organization_id, member_id)
        return await self._change(
            _changing(AuditAction.DELETE_MEMBER, Member, *place),
            (queries(_AREA)["delete_member"], place),
            *forgetting(member_id),
            first=lambda connection: _check_admin_stays(connection, *place),
        )

    async def add_invitation(self, invitation: Invitation, *, secret: str) -> None:
        sql = statement(_AREA, "add_invitation", columns_of(Invitation), behind=1)
        await self._change(_of(AuditAction.CREATE_INVITATION, invitation), (sql, (secret, *values_of(invitation))))

    async def get_invitation(self, organization_id: str, invitation_id: str) -> Invitation | None:
        return await self._first(*_asking(Invitation, "get_invitation"), organization_id, invitation_id)

    async def list_invitations(
        self, organization_id: str, *, offset: int = 0, limit: int = 100
    ) -> Sequence[Invitation]:
        return await self._all(*_asking(Invitation, "list_invitations"), organization_id, limit, offset)

    async def find_invitation(self, secret: str) -> Invitation | None:
        return await self._first(*_asking(Invitation, "find_invitation"), secret)

    async def accept_invitation(self, secret: str, member: Member, *, now_us: int, password: str | None = None) -> bool:
        invitation = await self.find_invitation(secret)
        if invitation is None:
            return False
        changes = (_of(AuditAction.ACCEPT_INVITATION, invitation), _of(AuditAction.CREATE_MEMBER, member))
        accepting = (queries(_AREA)["accept_invitation"], (secret, member.organization_id, member.id, now_us))
        more = () if password is None else (setting_password(member.organization_id, member.id, password),)
        return await self._change(changes, accepting, adding(member), *more)

    async def delete_invitation(self, organization_id: str, invitation_id: str) -> bool:
        place = (organization_id, invitation_id)
        change = _changing(AuditAction.DELETE_INVITATION, Invitation, *place)
        return await self._change(change, (queries(_AREA)["delete_invitation"], place))


def adding(one: Organization | Workspace | Member) -> Statement:
    """The statement that adds it."""
    form = type(one)
    return statement(_AREA, f"add_{form.__name__.lower()}", columns_of(form)), values_of(one)


def creating(organization: Organization, workspace: Workspace) -> tuple[Change, Change]:
    """An organization comes with a workspace."""
    return _of(AuditAction.CREATE_ORGANIZATION, organization), _of(AuditAction.CREATE_WORKSPACE, workspace)


def _asking(form: type[T], name: str) -> tuple[Callable[[Row], T], str]:
    """How a row is read, and the statement over the columns of `form`."""
    return partial(read_one, form), statement(_AREA, name, columns_of(form))


def _of(action: AuditAction, one: Organization | Workspace | Member | Invitation) -> Change:
    organization_id = one.id if isinstance(one, Organization) else one.organization_id
    return _changing(action, type(one), organization_id, one.id)


def _changing(action: AuditAction, form: "type[DataclassInstance]", organization_id: str, target_id: str) -> Change:
    place = (organization_id,) if form is Organization else (organization_id, target_id)
    read = reading(*_asking(form, f"get_{form.__name__.lower()}"), *place)
    return Change(action=action, organization_id=organization_id, target_id=target_id, read=read)


async def _check_admin_stays(connection: "Connection", organization_id: str, member_id: str) -> None:
    """LastAdmin if that member is an enabled admin, and no other one is."""
    member = await reading(*_asking(Member, "get_member"), organization_id, member_id)(connection)
    if member is not None and member.role is Role.ADMIN and not member.disabled:
        others = await connection.fetchval(queries(_AREA)["other_admins"], organization_id, member_id)
        if not others:
            raise LastAdmin("the organization would have no admin")

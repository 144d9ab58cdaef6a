"""`Organizations` in SQLite."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import apsw

from arouter.domain.audit import AuditAction
from arouter.domain.organizations import Invitation, LastAdmin, Member, Organization, Workspace
from arouter.domain.roles import Role
from arouter.store.directory_rows import Value, columns_of, read_one, to_json, values_of
from arouter.store.queries import parse_queries, read_sql
from arouter.store.sqlite.changes import Change, SqliteChanges, Statement
from arouter.store.sqlite.sign_in import forgetting, setting_password
from arouter.store.sqlite.statements import ENGINE

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")


@cache
def statements() -> Mapping[str, str]:
    """Those of `sql/sqlite/organizations.sql`."""
    return parse_queries(read_sql(ENGINE, "organizations.sql"))


def filled(name: str, form: type[T]) -> str:
    """A statement over the columns of `form`, which are its fields."""
    names = columns_of(form)
    return statements()[name].format(columns=", ".join(names), places=", ".join("?" * len(names)))


class SqliteOrganizations(SqliteChanges):
    """As the parts of the directory do."""

    async def add_organization(self, organization: Organization, workspace: Workspace) -> None:
        await self._change(creating(organization, workspace), adding(organization), adding(workspace))

    async def get_organization(self, organization_id: str) -> Organization | None:
        return await self._first(Organization, "get_organization", organization_id)

    async def list_organizations(self, *, offset: int = 0, limit: int = 100) -> Sequence[Organization]:
        return await self._every(Organization, "list_organizations", limit, offset)

    async def replace_organization(self, organization: Organization) -> bool:
        values = (organization.name, organization.updated_at_us, organization.id)
        change = _of(AuditAction.UPDATE_ORGANIZATION, organization)
        return await self._change(change, (statements()["replace_organization"], values))

    async def add_workspace(self, workspace: Workspace) -> None:
        await self._change(_of(AuditAction.CREATE_WORKSPACE, workspace), adding(workspace))

    async def get_workspace(self, organization_id: str, workspace_id: str) -> Workspace | None:
        return await self._first(Workspace, "get_workspace", organization_id, workspace_id)

    async def list_workspaces(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_archived: bool = False
    ) -> Sequence[Workspace]:
        return await self._every(Workspace, "list_workspaces", organization_id, int(include_archived), limit, offset)

    async def replace_workspace(self, workspace: Workspace) -> bool:
        changeable = (workspace.name, int(workspace.archived), workspace.updated_at_us)
        place = (workspace.organization_id, workspace.id)
        change = _of(AuditAction.UPDATE_WORKSPACE, workspace)
        return await self._change(change, (statements()["replace_workspace"], (*changeable, *place)))

    async def delete_workspace(self, organization_id: str, workspace_id: str) -> bool:
        change = _changing(AuditAction.DELETE_WORKSPACE, Workspace, organization_id, workspace_id)
        return await self._change(change, (statements()["delete_workspace"], (organization_id, workspace_id)))

    async def add_member(self, member: Member) -> None:
        await self._change(_of(AuditAction.CREATE_MEMBER, member), adding(member))

    async def get_member(self, organization_id: str, member_id: str) -> Member | None:
        return await self._first(Member, "get_member", organization_id, member_id)

    async def list_members(self, organization_id: str, *, offset: int = 0, limit: int = 100) -> Sequence[Member]:
        return await self._every(Member, "list_members", organization_id, limit, offset)

    async def members_with_email(self, email: str) -> Sequence[Member]:
        return await self._every(Member, "members_with_email", email)

    async def replace_member(self, member: Member) -> bool:
        changeable = (
            member.name,
            member.role.value,
            member.disabled,
            to_json(member.workspace_ids),
            member.updated_at_us,
        )
        place = (member.organization_id, member.id)
        stays_admin = member.role is Role.ADMIN and not member.disabled
        return await self._change(
            _of(AuditAction.UPDATE_MEMBER, member),
            (statements()["replace_member"], (*changeable, *place)),
            first=None if stays_admin else lambda connection: _check_admin_stays(connection, *place),
        )

    async def delete_member(self, organization_id: str, member_id: str) -> bool:
        place = (organization_id, member_id)
        return await self._change(
            _changing(AuditAction.DELETE_MEMBER, Member, *place),
            (statements()["delete_member"], place),
            *forgetting(member_id),
            first=lambda connection: _check_admin_stays(connection, *place),
        )

    async def add_invitation(self, invitation: Invitation, *, secret: str) -> None:
        sql, values = adding(invitation)
        await self._change(_of(AuditAction.CREATE_INVITATION, invitation), (sql, (*values, secret)))

    async def get_invitation(self, organization_id: str, invitation_id: str) -> Invitation | None:
        return await self._first(Invitation, "get_invitation", organization_id, invitation_id)

    async def list_invitations(
        self, organization_id: str, *, offset: int = 0, limit: int = 100
    ) -> Sequence[Invitation]:
        return await self._every(Invitation, "list_invitations", organization_id, limit, offset)

    async def find_invitation(self, secret: str) -> Invitation | None:
        return await self._first(Invitation, "find_invitation", secret)

    async def accept_invitation(self, secret: str, member: Member, *, now_us: int, password: str | None = None) -> bool:
        place = (member.id, secret, member.organization_id, now_us)
        invitation = await self.find_invitation(secret)
        if invitation is None:
            return False
        changes = (_of(AuditAction.ACCEPT_INVITATION, invitation), _of(AuditAction.CREATE_MEMBER, member))
        accepting = (statements()["accept_invitation"], place)
        more = () if password is None else (setting_password(member.organization_id, member.id, password),)
        return await self._change(changes, accepting, adding(member), *more)

    async def delete_invitation(self, organization_id: str, invitation_id: str) -> bool:
        place = (organization_id, invitation_id)
        change = _changing(AuditAction.DELETE_INVITATION, Invitation, *place)
        return await self._change(change, (statements()["delete_invitation"], place))

    async def _first(self, form: type[T], name: str, *parameters: Value) -> T | None:
        found = await self._every(form, name, *parameters)
        return found[0] if found else None

    async def _every(self, form: type[T], name: str, *parameters: Value) -> Sequence[T]:
        sql = filled(name, form)
        return await self._readers.read(
            lambda connection: tuple(read_one(form, row) for row in connection.execute(sql, parameters).fetchall()),
            apart=True,
        )


def adding(one: Organization | Workspace | Member | Invitation) -> Statement:
    """The statement that adds it. What makes its constraints fail is a ValueError of the writer's."""
    return filled(f"add_{type(one).__name__.lower()}", type(one)), values_of(one)


def creating(organization: Organization, workspace: Workspace) -> tuple[Change, Change]:
    """An organization comes with a workspace."""
    return _of(AuditAction.CREATE_ORGANIZATION, organization), _of(AuditAction.CREATE_WORKSPACE, workspace)


def _of(action: AuditAction, one: Organization | Workspace | Member | Invitation) -> Change:
    organization_id = one.id if isinstance(one, Organization) else one.organization_id
    return _changing(action, type(one), organization_id, one.id)


def _changing(action: AuditAction, form: type[T], organization_id: str, target_id: str) -> Change:
    place = (organization_id,) if form is Organization else (organization_id, target_id)

    def read(connection: apsw.Connection) -> T | None:
        row = connection.execute(filled(f"get_{form.__name__.lower()}", form), place).fetchone()
        return None if row is None else read_one(form, row)

    return Change(action=action, organization_id=organization_id, target_id=target_id, read=read)


def _check_admin_stays(connection: apsw.Connection, organization_id: str, member_id: str) -> None:
    """LastAdmin if that member is an enabled admin, and no other one is."""
    row = connection.execute(filled("get_member", Member), (organization_id, member_id)).fetchone()
    if row is None:
        return
    member = read_one(Member, row)
    if member.role is Role.ADMIN and not member.disabled:
        others = connection.execute(statements()["other_admins"], (organization_id, member_id)).get
        if not others:
            raise LastAdmin("the organization would have no admin")

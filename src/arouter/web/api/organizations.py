"""`/v1/organizations` and `/v1/workspaces`: the own organization, and what it is divided into."""

from dataclasses import replace

from fastapi import Request, Response

from arouter.domain.errors import InvalidRequest, NotFound
from arouter.domain.ids import named_id
from arouter.domain.organizations import ID_BYTES, WORKSPACE_PREFIX, Organization, Workspace
from arouter.domain.principals import Principal
from arouter.domain.roles import Action
from arouter.web.api.body import read_struct
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.paging import page_parameters, read_page
from arouter.web.api.parameters import Parameter, Parameters
from arouter.web.api.people_settings import read_name
from arouter.web.api.services import ApiServices
from arouter.wire.organizations_json import (
    CreateWorkspace,
    OrganizationAnswer,
    OrganizationList,
    UpdateOrganization,
    UpdateWorkspace,
    WorkspaceAnswer,
    WorkspaceGoneAnswer,
    WorkspaceList,
    encode_organization,
    encode_organizations,
    encode_workspace,
    encode_workspace_gone,
    encode_workspaces,
)

ORGANIZATIONS, WORKSPACES = "Organizations", "Workspaces"
WORKSPACE_PARAMETERS = (
    *page_parameters("workspaces"),
    Parameter(
        name="include_archived",
        schema={"type": "boolean", "default": False},
        description="Archived workspaces as well.",
    ),
)
_LIST, _CHANGE, _ONE = (400, 401, 403), (400, 401, 403), (400, 401, 403, 404)


class OrganizationsApi:
    """Shows and renames the organization; makes, changes and archives its workspaces."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/organizations",
                handler=self.organizations,
                operation_id="listOrganizations",
                summary="The organization of who asks",
                tag=ORGANIZATIONS,
                answers={JSON: OrganizationList},
                errors=_LIST,
            ),
            Endpoint(
                method="GET",
                path="/organizations/{id}",
                handler=self.organization,
                operation_id="getOrganization",
                summary="The same by its id",
                tag=ORGANIZATIONS,
                answers={JSON: OrganizationAnswer},
                errors=_ONE,
            ),
            Endpoint(
                method="PATCH",
                path="/organizations/{id}",
                handler=self.update_organization,
                operation_id="updateOrganization",
                summary="Rename the organization",
                tag=ORGANIZATIONS,
                body=UpdateOrganization,
                answers={JSON: OrganizationAnswer},
                errors=_ONE,
            ),
            *self._of_workspaces(),
        )

    def _of_workspaces(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/workspaces",
                handler=self.workspaces,
                operation_id="listWorkspaces",
                summary="The organization's workspaces, oldest first",
                tag=WORKSPACES,
                parameters=WORKSPACE_PARAMETERS,
                answers={JSON: WorkspaceList},
                errors=_LIST,
            ),
            Endpoint(
                method="POST",
                path="/workspaces",
                handler=self.create_workspace,
                operation_id="createWorkspace",
                summary="Make a workspace",
                tag=WORKSPACES,
                body=CreateWorkspace,
                answers={JSON: WorkspaceAnswer},
                status=201,
                errors=_CHANGE,
            ),
            Endpoint(
                method="GET",
                path="/workspaces/{id}",
                handler=self.workspace,
                operation_id="getWorkspace",
                summary="One workspace",
                tag=WORKSPACES,
                answers={JSON: WorkspaceAnswer},
                errors=_ONE,
            ),
            Endpoint(
                method="PATCH",
                path="/workspaces/{id}",
                handler=self.update_workspace,
                operation_id="updateWorkspace",
                summary="Rename or archive a workspace",
                tag=WORKSPACES,
                body=UpdateWorkspace,
                answers={JSON: WorkspaceAnswer},
                errors=_ONE,
            ),
            Endpoint(
                method="DELETE",
                path="/workspaces/{id}",
                handler=self.delete_workspace,
                operation_id="deleteWorkspace",
                summary="Delete a workspace, or archive one that keys or records name",
                tag=WORKSPACES,
                answers={JSON: WorkspaceGoneAnswer},
                errors=_ONE,
            ),
        )

    # ---------------------------------------------------------------- the organization

    async def organizations(self, request: Request) -> Response:
        """A list of one: nobody sees another one."""
        manager = await self._services.manager(request, Action.READ_ORGANIZATION)
        Parameters(request.scope["query_string"], ())
        found = await self._services.directory.get_organization(manager.organization_id)
        return answer_json(encode_organizations(() if found is None else (found,), None))

    async def organization(self, request: Request) -> Response:
        """By its id."""
        manager = await self._services.manager(request, Action.READ_ORGANIZATION)
        Parameters(request.scope["query_string"], ())
        return answer_json(encode_organization(await self._own(manager, request)))

    async def update_organization(self, request: Request) -> Response:
        """Its name is all that can change."""
        manager = await self._services.manager(request, Action.WRITE_ORGANIZATION)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, UpdateOrganization)
        organization = await self._own(manager, request)
        changed = replace(organization, name=read_name(wanted.name), updated_at_us=self._services.now_us())
        if not await self._services.noting(manager, request).replace_organization(changed):
            raise _no_organization()
        await self._services.directory_changed()
        return answer_json(encode_organization(changed))

    async def _own(self, manager: Principal, request: Request) -> Organization:
        found = None
        if request.path_params["id"] == manager.organization_id:
            found = await self._services.directory.get_organization(manager.organization_id)
        if found is None:
            raise _no_organization()
        return found

    # ---------------------------------------------------------------- workspaces

    async def workspaces(self, request: Request) -> Response:
        """Pages follow each other by `next_page_token`, which is null on the last."""
        manager = await self._services.manager(request, Action.READ_WORKSPACES)
        parameters = Parameters(request.scope["query_string"], WORKSPACE_PARAMETERS)
        page = read_page(parameters)
        found = await self._services.directory.list_workspaces(
            manager.organization_id,
            offset=page.offset,
            limit=page.size + 1,
            include_archived=parameters.flag("include_archived"),
        )
        shown, token = page.cut(found)
        return answer_json(encode_workspaces(shown, token))

    async def create_workspace(self, request: Request) -> Response:
        """Keys can be made in it from now on."""
        manager = await self._services.manager(request, Action.WRITE_WORKSPACES)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, CreateWorkspace)
        workspace = Workspace(
            id=named_id(WORKSPACE_PREFIX, self._services.entropy(ID_BYTES)),
            organization_id=manager.organization_id,
            name=read_name(wanted.name),
            created_at_us=self._services.now_us(),
        )
        await self._services.noting(manager, request).add_workspace(workspace)
        await self._services.directory_changed()
        return answer_json(encode_workspace(workspace), 201)

    async def workspace(self, request: Request) -> Response:
        """Archived or not."""
        manager = await self._services.manager(request, Action.READ_WORKSPACES)
        Parameters(request.scope["query_string"], ())
        return answer_json(encode_workspace(await self._named(manager, request)))

    async def update_workspace(self, request: Request) -> Response:
        """Keys of an archived workspace go on; new ones are refused."""
        manager = await self._services.manager(request, Action.WRITE_WORKSPACES)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, UpdateWorkspace)
        workspace = await self._named(manager, request)
        changed = replace(
            workspace,
            name=read_name(wanted.name) if isinstance(wanted.name, str) else workspace.name,
            archived=wanted.archived if isinstance(wanted.archived, bool) else workspace.archived,
            updated_at_us=self._services.now_us(),
        )
        await self._replace(manager, request, workspace, changed)
        return answer_json(encode_workspace(changed))

    async def delete_workspace(self, request: Request) -> Response:
        """What records name stays, so that they can be read; such a workspace is archived."""
        manager = await self._services.manager(request, Action.WRITE_WORKSPACES)
        Parameters(request.scope["query_string"], ())
        workspace = await self._named(manager, request)
        await self._check_not_last(workspace)
        deleted = await self._services.noting(manager, request).delete_workspace(manager.organization_id, workspace.id)
        if deleted:
            await self._services.directory_changed()
        else:
            changed = replace(workspace, archived=True, updated_at_us=self._services.now_us())
            await self._replace(manager, request, workspace, changed)
        return answer_json(encode_workspace_gone(deleted=deleted))

    async def _replace(self, manager: Principal, request: Request, before: Workspace, after: Workspace) -> None:
        if after.archived:
            await self._check_not_last(before)
        if not await self._services.noting(manager, request).replace_workspace(after):
            raise _no_workspace()
        await self._services.directory_changed()

    async def _check_not_last(self, workspace: Workspace) -> None:
        there = await self._services.directory.list_workspaces(workspace.organization_id, limit=2)
        if [one.id for one in there] == [workspace.id]:
            raise InvalidRequest(
                "This is the organization's only workspace. Make another one first.", code="last_workspace", param="id"
            )

    async def _named(self, manager: Principal, request: Request) -> Workspace:
        found = await self._services.directory.get_workspace(manager.organization_id, request.path_params["id"])
        if found is None:
            raise _no_workspace()
        return found


def _no_organization() -> NotFound:
    return NotFound("There is no organization with this id.", code="organization_not_found", param="id")


def _no_workspace() -> NotFound:
    return NotFound("There is no workspace with this id in the organization.", code="workspace_not_found", param="id")

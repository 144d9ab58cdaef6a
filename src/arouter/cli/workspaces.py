"""`arouter workspaces`."""

import asyncio
import secrets
from dataclasses import replace
from typing import Annotated, Any

import typer

from arouter.cli.options import Config, Json, application
from arouter.cli.output import Failure
from arouter.cli.people import PAGE, Id, OrganizationId, every, in_organization, settings_of, tell, tell_every
from arouter.domain.ids import named_id
from arouter.domain.organizations import ID_BYTES, WORKSPACE_PREFIX, Workspace
from arouter.engine.clock import SystemClock
from arouter.store.stores import Store
from arouter.web.api.people_settings import read_name
from arouter.wire.organizations_json import WorkspaceObject, workspace_object

app = application(help="Make, rename and archive an organization's workspaces.", no_args_is_help=True)

Name = Annotated[str, typer.Option(metavar="NAME", help="What it is called.", show_default=False)]


@app.command()
def create(name: Name, config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:
    """Make a workspace."""

    async def work(store: Store, organization_id: str) -> WorkspaceObject:
        workspace = Workspace(
            id=named_id(WORKSPACE_PREFIX, secrets.token_bytes(ID_BYTES)),
            organization_id=organization_id,
            name=read_name(name),
            created_at_us=SystemClock().now_us(),
        )
        await store.directory.add_workspace(workspace)
        return workspace_object(workspace)

    tell(asyncio.run(in_organization(settings_of(config), organization, work)), json=json)


@app.command("list")
def list_(config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:
    """All of them, oldest first, archived ones included."""

    async def work(store: Store, organization_id: str) -> list[WorkspaceObject]:
        found = await every(
            lambda offset: store.directory.list_workspaces(
                organization_id, offset=offset, limit=PAGE, include_archived=True
            )
        )
        return [workspace_object(one) for one in found]

    shown = asyncio.run(in_organization(settings_of(config), organization, work))
    tell_every(shown, ("id", "name", "archived", "created_at"), json=json)


@app.command()
def rename(
    id: Id,  # noqa: A002 - the command line's own word
    name: Name,
    config: Config = None,
    organization: OrganizationId = None,
    json: Json = False,
) -> None:
    """Call it otherwise."""
    _change(id, config, organization, json=json, name=read_name(name))


@app.command()
def archive(id: Id, config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:  # noqa: A002
    """Let no keys be made in it any more. Those that are there go on."""
    _change(id, config, organization, json=json, archived=True)


@app.command()
def restore(id: Id, config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:  # noqa: A002
    """Let keys be made in it again."""
    _change(id, config, organization, json=json, archived=False)


def _change(workspace_id: str, config: Config, organization: str | None, *, json: bool, **changes: Any) -> None:
    async def work(store: Store, organization_id: str) -> WorkspaceObject:
        found = await store.directory.get_workspace(organization_id, workspace_id)
        if found is None:
            raise Failure(f"there is no workspace {workspace_id!r}; `arouter workspaces list` shows them")
        if changes.get("archived"):
            there = await store.directory.list_workspaces(organization_id, limit=2)
            if [one.id for one in there] == [workspace_id]:
                raise Failure("this is the organization's only workspace; make another one first")
        changed = replace(found, **changes, updated_at_us=SystemClock().now_us())
        await store.directory.replace_workspace(changed)
        return workspace_object(changed)

    tell(asyncio.run(in_organization(settings_of(config), organization, work)), json=json)

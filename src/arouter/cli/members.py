"""`arouter members`."""

import asyncio
import secrets
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from arouter.cli.options import Config, Json, application
from arouter.cli.output import Failure, stdout, write_json
from arouter.cli.people import (
    PAGE,
    Id,
    OrganizationId,
    Workspaces,
    every,
    in_organization,
    settings_of,
    tell,
    tell_every,
)
from arouter.domain.ids import named_id
from arouter.domain.organizations import ID_BYTES, MEMBER_PREFIX, LastAdmin, Member
from arouter.domain.roles import Role
from arouter.engine.clock import SystemClock
from arouter.engine.passwords import hash_now
from arouter.settings import variable as environment_variable
from arouter.store.stores import Store
from arouter.web.api.people_settings import (
    already_a_member,
    last_admin,
    read_email,
    read_name,
    read_password,
    read_workspaces,
)
from arouter.wire.organizations_json import MemberObject, member_object

app = application(help="Add, show, change and remove an organization's members.", no_args_is_help=True)

Email = Annotated[str, typer.Option(metavar="E", help="The e-mail address.", show_default=False)]
OneRole = Annotated[Role, typer.Option(help="What the member may do.")]


@app.command()
def add(
    email: Email,
    name: Annotated[str, typer.Option(metavar="NAME", help="What the member is called.", show_default=False)],
    role: OneRole = Role.MEMBER,
    workspace: Workspaces = None,
    config: Config = None,
    organization: OrganizationId = None,
    json: Json = False,
) -> None:
    """Make a member without an invitation: the first admin of an organization, for one."""

    async def work(store: Store, organization_id: str) -> MemberObject:
        member = Member(
            id=named_id(MEMBER_PREFIX, secrets.token_bytes(ID_BYTES)),
            organization_id=organization_id,
            email=read_email(email),
            name=read_name(name),
            role=role,
            workspace_ids=await read_workspaces(store.directory, organization_id, workspace or ()),
            created_at_us=SystemClock().now_us(),
        )
        try:
            await store.directory.add_member(member)
        except ValueError as exc:
            raise already_a_member() from exc
        return member_object(member)

    tell(asyncio.run(in_organization(settings_of(config), organization, work)), json=json)


@app.command("list")
def list_(config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:
    """All of them, oldest first."""

    async def work(store: Store, organization_id: str) -> list[MemberObject]:
        found = await every(lambda offset: store.directory.list_members(organization_id, offset=offset, limit=PAGE))
        return [member_object(one) for one in found]

    shown = asyncio.run(in_organization(settings_of(config), organization, work))
    tell_every(shown, ("id", "email", "name", "role", "disabled", "created_at"), json=json)


@app.command()
def change(
    id: Id,  # noqa: A002 - the command line's own word
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Another name.", show_default=False)] = None,
    role: Annotated[Role | None, typer.Option(help="Another role.", show_default=False)] = None,
    workspace: Workspaces = None,
    every_workspace: Annotated[
        bool, typer.Option("--every-workspace", help="From now on the member is in all of them.")
    ] = False,
    config: Config = None,
    organization: OrganizationId = None,
    json: Json = False,
) -> None:
    """Give a member another name or role, or other workspaces in place of those before."""
    if every_workspace and workspace:
        raise typer.BadParameter("a member is in every workspace or in some", param_hint="--every-workspace")
    ids = [] if every_workspace else workspace
    changes: dict[str, Any] = {} if name is None else {"name": read_name(name)}
    changes |= {} if role is None else {"role": role}
    _change(id, config, organization, workspace_ids=ids, json=json, **changes)


@app.command()
def disable(id: Id, config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:  # noqa: A002
    """Let a member, and the management keys that the member made, do nothing from now on."""
    _change(id, config, organization, json=json, disabled=True)


@app.command()
def enable(id: Id, config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:  # noqa: A002
    """Let a member act again."""
    _change(id, config, organization, json=json, disabled=False)


@app.command()
def delete(id: Id, config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:  # noqa: A002
    """Remove a member. Keys that the member made for requests go on."""

    async def work(store: Store, organization_id: str) -> None:
        try:
            if not await store.directory.delete_member(organization_id, id):
                raise _nobody(id)
        except LastAdmin as exc:
            raise last_admin() from exc

    asyncio.run(in_organization(settings_of(config), organization, work))
    if json:
        write_json({"deleted": True, "id": id})
    else:
        stdout().print(f"Removed {id}.", markup=False)


@app.command("set-password")
def set_password(
    id: Id,  # noqa: A002
    password_from: Annotated[
        str | None,
        typer.Option(
            metavar="VARIABLE",
            help="The environment variable that holds it. Default: it is asked for, or read from standard input.",
            show_default=False,
        ),
    ] = None,
    config: Config = None,
    organization: OrganizationId = None,
    json: Json = False,
) -> None:
    """Give a member a password to sign in with. Every session of the member ends."""
    settings = settings_of(config)
    hashed = hash_now(read_password(_password(password_from), "password"))

    async def work(store: Store, organization_id: str) -> None:
        if not await store.directory.set_password(organization_id, id, hashed):
            raise _nobody(id)

    asyncio.run(in_organization(settings, organization, work))
    if json:
        write_json({"password_set": True, "id": id})
    else:
        stdout().print(f"{id} signs in with it from now on.", markup=False)


@app.command("remove-totp")
def remove_totp(
    id: Id,  # noqa: A002
    config: Config = None,
    organization: OrganizationId = None,
    json: Json = False,
) -> None:
    """Ask a member for codes of an authenticator app no more: for one who lost it and every recovery code."""

    async def work(store: Store, organization_id: str) -> None:
        if not await store.directory.remove_totp(organization_id, id):
            raise Failure(f"{id!r} is no member with an authenticator app; `arouter members list` shows all members")

    asyncio.run(in_organization(settings_of(config), organization, work))
    if json:
        write_json({"totp_removed": True, "id": id})
    else:
        stdout().print(f"{id} signs in without codes from now on.", markup=False)


def _password(variable: str | None) -> str:
    """It is never an argument, which every process of the machine could read."""
    if variable is not None:
        return environment_variable(variable)
    if sys.stdin.isatty():
        typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return typed
    return sys.stdin.readline().rstrip("\r\n")


def _change(
    member_id: str,
    config: Config,
    organization: str | None,
    *,
    workspace_ids: Sequence[str] | None = None,
    json: bool,
    **changes: Any,
) -> None:
    async def work(store: Store, organization_id: str) -> MemberObject:
        found = await store.directory.get_member(organization_id, member_id)
        if found is None:
            raise _nobody(member_id)
        if workspace_ids is not None:
            changes["workspace_ids"] = await read_workspaces(store.directory, organization_id, workspace_ids)
        changed = replace(found, **changes, updated_at_us=SystemClock().now_us())
        try:
            await store.directory.replace_member(changed)
        except LastAdmin as exc:
            raise last_admin() from exc
        return member_object(changed)

    tell(asyncio.run(in_organization(settings_of(config), organization, work)), json=json)


def _nobody(member_id: str) -> Failure:
    return Failure(f"there is no member {member_id!r}; `arouter members list` shows them")

"""`arouter invitations`."""

import asyncio
import secrets
from typing import Annotated

import msgspec
import typer

from arouter.cli.options import Config, Json, application
from arouter.cli.output import Failure, stdout, write_json
from arouter.cli.people import PAGE, Id, OrganizationId, Workspaces, every, in_organization, settings_of, tell_every
from arouter.domain.keys import digest
from arouter.domain.organizations import ID_BYTES, INVITATION_BYTES
from arouter.domain.roles import Role
from arouter.engine.clock import SystemClock
from arouter.store.stores import Store
from arouter.web.api.people_settings import already_a_member, new_invitation, read_email, read_workspaces
from arouter.wire.organizations_json import InvitationObject, invitation_object

app = application(help="Invite people into an organization.", no_args_is_help=True)


@app.command()
def create(
    email: Annotated[str, typer.Option(metavar="E", help="Whom it is for.", show_default=False)],
    role: Annotated[Role, typer.Option(help="What the member may do.")] = Role.MEMBER,
    workspace: Workspaces = None,
    config: Config = None,
    organization: OrganizationId = None,
    json: Json = False,
) -> None:
    """Invite somebody, for seven days. The token is shown this once; no mail is sent."""

    async def work(store: Store, organization_id: str) -> tuple[InvitationObject, str]:
        now_us = SystemClock().now_us()
        address = read_email(email)
        known = await store.directory.members_with_email(address)
        if any(one.organization_id == organization_id for one in known):
            raise already_a_member()
        invitation, token = new_invitation(
            organization_id=organization_id,
            email=address,
            role=role,
            workspace_ids=await read_workspaces(store.directory, organization_id, workspace or ()),
            invited_by=None,
            now_us=now_us,
            entropy=secrets.token_bytes(ID_BYTES + INVITATION_BYTES),
        )
        await store.directory.add_invitation(invitation, secret=digest(token))
        return invitation_object(invitation, now_us), token

    shown, token = asyncio.run(in_organization(settings_of(config), organization, work))
    if json:
        write_json({**msgspec.structs.asdict(shown), "token": token})
        return
    out = stdout()
    out.print(token, soft_wrap=True, markup=False)
    out.print(f"{shown.id}. The token is shown this once: give it to {shown.email}.", soft_wrap=True, markup=False)


@app.command("list")
def list_(config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:
    """All of them, newest first, accepted and expired ones included."""

    async def work(store: Store, organization_id: str) -> list[InvitationObject]:
        found = await every(lambda offset: store.directory.list_invitations(organization_id, offset=offset, limit=PAGE))
        return [invitation_object(one, SystemClock().now_us()) for one in found]

    shown = asyncio.run(in_organization(settings_of(config), organization, work))
    tell_every(shown, ("id", "email", "role", "state", "expires_at"), json=json)


@app.command()
def delete(id: Id, config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:  # noqa: A002
    """Withdraw one. Its token is worthless at once."""

    async def work(store: Store, organization_id: str) -> None:
        if not await store.directory.delete_invitation(organization_id, id):
            raise Failure(f"there is no invitation {id!r}; `arouter invitations list` shows them")

    asyncio.run(in_organization(settings_of(config), organization, work))
    if json:
        write_json({"deleted": True, "id": id})
    else:
        stdout().print(f"Withdrew {id}.", markup=False)

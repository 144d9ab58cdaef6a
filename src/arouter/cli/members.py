"""`arouter members`."""

import asyncio
import secrets
from dataclasses import replace
from typing import Annotated, Any

import typer

from arouter.cli.options import Config, Json, application
from arouter.cli.output import Failure, stdout, write_json
from arouter.cli.people import PAGE, Id, OrganizationId, every, in_organization, settings_of, tell, tell_every
from arouter.domain.ids import named_id
from arouter.domain.organizations import ID_BYTES, MEMBER_PREFIX, LastAdmin, Member
from arouter.domain.roles import Role
from arouter.engine.clock import SystemClock
from arouter.store.sqlite import SqliteStore
from arouter.web.api.people_settings import already_a_member, last_admin, read_email, read_name
from arouter.wire.organizations_json import MemberObject, member_object

app = application(help="Add, show, change and remove an organization's members.", no_args_is_help=True)

Email = Annotated[str, typer.Option(metavar="E", help="The e-mail address.", show_default=False)]
OneRole = Annotated[Role, typer.Option(help="What the member may do.")]


@app.command()
def add(
    email: Email,
    name: Annotated[str, typer.Option(metavar="NAME", help="What the member is called.", show_default=False)],
    role: OneRole = Role.MEMBER,
    config: Config = None,
    organization: OrganizationId = None,
    json: Json = False,
) -> None:
    """Make a member without an invitation: the first admin of an organization, for one."""

    async def work(store: SqliteStore, organization_id: str) -> MemberObject:
        member = Member(
            id=named_id(MEMBER_PREFIX, secrets.token_bytes(ID_BYTES)),
            organization_id=organization_id,
            email=read_email(email),
            name=read_name(name),
            role=role,
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

    async def work(store: SqliteStore, organization_id: str) -> list[MemberObject]:
        found = await every(lambda offset: store.directory.list_members(organization_id, offset=offset, limit=PAGE))
        return [member_object(one) for one in found]

    shown = asyncio.run(in_organization(settings_of(config), organization, work))
    tell_every(shown, ("id", "email", "name", "role", "disabled", "created_at"), json=json)


@app.command()
def change(
    id: Id,  # noqa: A002 - the command line's own word
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Another name.", show_default=False)] = None,
    role: Annotated[Role | None, typer.Option(help="Another role.", show_default=False)] = None,
    config: Config = None,
    organization: OrganizationId = None,
    json: Json = False,
) -> None:
    """Give a member another name or role."""
    changes: dict[str, Any] = {} if name is None else {"name": read_name(name)}
    _change(id, config, organization, json=json, **changes, **({} if role is None else {"role": role}))


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

    async def work(store: SqliteStore, organization_id: str) -> None:
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


def _change(member_id: str, config: Config, organization: str | None, *, json: bool, **changes: Any) -> None:
    async def work(store: SqliteStore, organization_id: str) -> MemberObject:
        found = await store.directory.get_member(organization_id, member_id)
        if found is None:
            raise _nobody(member_id)
        changed = replace(found, **changes, updated_at_us=SystemClock().now_us())
        try:
            await store.directory.replace_member(changed)
        except LastAdmin as exc:
            raise last_admin() from exc
        return member_object(changed)

    tell(asyncio.run(in_organization(settings_of(config), organization, work)), json=json)


def _nobody(member_id: str) -> Failure:
    return Failure(f"there is no member {member_id!r}; `arouter members list` shows them")

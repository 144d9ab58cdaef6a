"""`arouter organizations`."""

import asyncio
import secrets
from dataclasses import replace
from typing import Annotated

import msgspec
import typer

from arouter.cli.database import opened
from arouter.cli.options import Config, Json, application
from arouter.cli.output import Failure, stdout, write_json
from arouter.cli.people import PAGE, Id, every, settings_of, tell, tell_every
from arouter.domain.ids import named_id
from arouter.domain.keys import KeyKind
from arouter.domain.organizations import ID_BYTES, ORGANIZATION_PREFIX, WORKSPACE_PREFIX
from arouter.engine.clock import SystemClock
from arouter.settings import Settings, load
from arouter.store.base import Home, first_of
from arouter.web.api.people_settings import read_name
from arouter.wire.organizations_json import OrganizationObject, organization_object
from arouter.wiring.storage import make_key

app = application(
    help="Make and rename organizations, each with a ledger that no other one sees.", no_args_is_help=True
)

Name = Annotated[str, typer.Option(metavar="NAME", help="What it is called.", show_default=False)]


@app.command()
def create(name: Name, config: Config = None, json: Json = False) -> None:
    """Make an organization with a workspace. Its first management key is shown this once."""
    shown, workspace_id, plaintext = asyncio.run(_create(load(config), read_name(name)))
    if json:
        write_json({**msgspec.structs.asdict(shown), "workspace_id": workspace_id, "key": plaintext})
        return
    out = stdout()
    out.print(plaintext, soft_wrap=True, markup=False)
    out.print(
        f"organization {shown.id}, workspace {workspace_id}. The key is shown this once and stored nowhere: "
        "keep it now.",
        soft_wrap=True,
    )


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """All of them, oldest first."""
    tell_every(asyncio.run(_list(settings_of(config))), ("id", "name", "created_at"), json=json)


@app.command()
def rename(id: Id, name: Name, config: Config = None, json: Json = False) -> None:  # noqa: A002
    """Call it otherwise."""
    tell(asyncio.run(_rename(settings_of(config), id, read_name(name))), json=json)


async def _create(settings: Settings, name: str) -> tuple[OrganizationObject, str, str]:
    now_us = SystemClock().now_us()
    async with opened(settings) as (store, _):
        place = Home(
            organization_id=named_id(ORGANIZATION_PREFIX, secrets.token_bytes(ID_BYTES)),
            workspace_id=named_id(WORKSPACE_PREFIX, secrets.token_bytes(ID_BYTES)),
            secret=b"",
        )
        organization, workspace = first_of(place, now_us)
        organization = replace(organization, name=name)
        key, plaintext = make_key(place, KeyKind.MANAGEMENT, "management", now_us=now_us)
        await store.directory.add_organization(organization, workspace)
        await store.directory.add_key(key, secret=key.hash)
    return organization_object(organization), workspace.id, plaintext


async def _list(settings: Settings) -> list[OrganizationObject]:
    async with opened(settings) as (store, _):
        found = await every(lambda offset: store.directory.list_organizations(offset=offset, limit=PAGE))
        return [organization_object(one) for one in found]


async def _rename(settings: Settings, organization_id: str, name: str) -> OrganizationObject:
    async with opened(settings) as (store, _):
        found = await store.directory.get_organization(organization_id)
        if found is None:
            raise Failure(f"there is no organization {organization_id!r}; `arouter organizations list` shows them")
        changed = replace(found, name=name, updated_at_us=SystemClock().now_us())
        await store.directory.replace_organization(changed)
        return organization_object(changed)

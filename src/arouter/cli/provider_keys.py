"""`arouter provider-keys`."""

import asyncio
import secrets
import sys
from typing import Annotated

import typer
from msgspec import UNSET

from arouter.cli.database import opened, require_database
from arouter.cli.options import Config, Json, application
from arouter.cli.output import Failure, stdout, table, tell, visible, write_json
from arouter.domain.provider_keys import ID_BYTES, Unreadable
from arouter.engine.app_secrets import AppSecrets
from arouter.engine.clock import SystemClock
from arouter.engine.own_keys import Vault
from arouter.settings import Settings, load, variable
from arouter.store.stores import Store
from arouter.web.api.provider_key_settings import changed_provider_key, new_provider_key, no_such_api_key
from arouter.wire.provider_keys_json import (
    CreateProviderKey,
    ProviderKeyObject,
    UpdateProviderKey,
    provider_key_object,
)
from arouter.wiring.own_keys import own_providers
from arouter.wiring.vault import required_vault

_PAGE = 1000

app = application(help="Keep your organization's own keys for providers, encrypted.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The id, as `list` shows it.", show_default=False)]


# ---------------------------------------------------------------- commands


@app.command()
def create(
    provider: Annotated[str, typer.Option(metavar="P", help="Whose key it is, such as openai.", show_default=False)],
    config: Config = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What it is for. Default: the provider's name.", show_default=False),
    ] = None,
    secret_from: Annotated[
        str | None,
        typer.Option(
            metavar="VARIABLE",
            help="The environment variable that holds the secret. Default: it is read from standard input.",
            show_default=False,
        ),
    ] = None,
    for_key: Annotated[
        str | None,
        typer.Option(
            metavar="HASH",
            help="Only for requests with the key of this hash, of those that clients send. Default: all.",
            show_default=False,
        ),
    ] = None,
    fallback: Annotated[
        bool, typer.Option("--fallback", help="When it fails, ask again with the operator's key.")
    ] = False,
    json: Json = False,
) -> None:
    """Store a key. Its secret is encrypted, and never shown again."""
    settings = load(config)
    vault = required_vault(settings)
    wanted = CreateProviderKey(
        provider=provider,
        key=_read_secret(secret_from),
        name=UNSET if name is None else name,
        api_key_hash=for_key,
        byok_fallback=fallback,
    )
    tell(asyncio.run(_create(settings, vault, wanted)), json=json)


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """All of them, newest first, disabled ones included."""
    shown = asyncio.run(_list(_settings(config)))
    if json:
        write_json(shown)
        return
    lines = table(("Id", "Provider", "Name", "Key", "For", "State", "Created"))
    for one in shown:
        lines.add_row(
            one.id,
            one.provider,
            visible(one.name),
            one.label,
            "everybody" if one.api_key_hash is None else one.api_key_hash,
            "disabled" if one.disabled else "enabled",
            one.created_at[:19],
        )
    stdout().print(lines)


@app.command()
def disable(id: Id, config: Config = None, json: Json = False) -> None:  # noqa: A002 - the command line's own word
    """Ask with it no more from now on."""
    tell(asyncio.run(_switch(_settings(config), id, disabled=True)), json=json)


@app.command()
def enable(id: Id, config: Config = None, json: Json = False) -> None:  # noqa: A002
    """Ask with it again."""
    tell(asyncio.run(_switch(_settings(config), id, disabled=False)), json=json)


@app.command()
def delete(id: Id, config: Config = None, json: Json = False) -> None:  # noqa: A002
    """Forget it and its secret."""
    asyncio.run(_delete(_settings(config), id))
    if json:
        write_json({"deleted": True, "id": id})
    else:
        stdout().print(f"Deleted {id}.", markup=False)


@app.command()
def reseal(config: Config = None, json: Json = False) -> None:
    """Encrypt what older key-encryption keys encrypted with the first one, so that the older ones can go.

    The secrets of members' authenticator apps too, also those that are not encrypted yet.
    """
    settings = _settings(config)
    resealed, unreadable = asyncio.run(_reseal(settings, required_vault(settings)))
    if json:
        write_json({"resealed": resealed, "unreadable": unreadable})
    else:
        stdout().print(f"{resealed} encrypted anew.")
    if unreadable:
        raise Failure(f"cannot be read, and stay as they are: {', '.join(unreadable)}")


# ---------------------------------------------------------------- work


def _settings(config: Config) -> Settings:
    """Of a database that is there."""
    settings = load(config)
    require_database(settings)
    return settings


def _read_secret(name: str | None) -> str:
    """Never from the arguments, which every process of the machine may read."""
    if name is not None:
        return variable(name)
    if sys.stdin.isatty():
        return str(typer.prompt("Key", hide_input=True, err=True))
    return sys.stdin.readline().strip()


async def _create(settings: Settings, vault: Vault, wanted: CreateProviderKey) -> ProviderKeyObject:
    async with opened(settings) as (store, home):
        key = new_provider_key(
            wanted,
            own_providers(settings),
            organization_id=home.organization_id,
            creator=None,
            now_us=SystemClock().now_us(),
            entropy=secrets.token_bytes(ID_BYTES),
        )
        bound_to = key.api_key_hash
        if bound_to is not None and await store.directory.get_key(home.organization_id, bound_to) is None:
            raise no_such_api_key()
        await store.directory.add_provider_key(key, vault.seal(wanted.key, key))
        return provider_key_object(key)


async def _list(settings: Settings) -> list[ProviderKeyObject]:
    every: list[ProviderKeyObject] = []
    async with opened(settings) as (store, home):
        while True:
            page = await store.directory.list_provider_keys(home.organization_id, offset=len(every), limit=_PAGE)
            every.extend(map(provider_key_object, page))
            if len(page) < _PAGE:
                return every


async def _switch(settings: Settings, wanted: str, *, disabled: bool) -> ProviderKeyObject:
    async with opened(settings) as (store, home):
        key = await store.directory.get_provider_key(home.organization_id, wanted)
        if key is None:
            raise _no_such_key(wanted)
        changed = changed_provider_key(key, UpdateProviderKey(disabled=disabled), now_us=SystemClock().now_us())
        if not await store.directory.replace_provider_key(changed):
            raise _no_such_key(wanted)
        return provider_key_object(changed)


async def _delete(settings: Settings, wanted: str) -> None:
    async with opened(settings) as (store, home):
        if not await store.directory.delete_provider_key(home.organization_id, wanted):
            raise _no_such_key(wanted)


async def _reseal(settings: Settings, vault: Vault) -> tuple[int, list[str]]:
    """How many were sealed anew, and the ids of those (or of their members) that cannot be read; of everybody."""
    resealed = 0
    unreadable: list[str] = []
    async with opened(settings) as (store, _):
        after_id = ""
        while page := await store.directory.every_provider_key(after_id=after_id, limit=_PAGE):
            for key, before in page:
                try:
                    after = vault.resealed(before, key)
                except Unreadable:
                    unreadable.append(key.id)
                    continue
                if after is not None:
                    resealed += await store.directory.reseal_provider_key(key, before=before, after=after)
            after_id = page[-1][0].id
        apps = await _reseal_apps(store, AppSecrets(vault), unreadable)
    return resealed + apps, unreadable


async def _reseal_apps(store: Store, secrets: AppSecrets, unreadable: list[str]) -> int:
    """Of authenticator apps: how many were sealed anew. `unreadable` gets the others' members."""
    resealed, after_id = 0, ""
    while page := await store.directory.every_totp(after_id=after_id, limit=_PAGE):
        for login in page:
            before, place = login.totp_secret, (login.organization_id, login.member_id)
            assert before is not None
            try:
                after = secrets.renewed(before, *place)
            except Unreadable:
                unreadable.append(login.member_id)
                continue
            if after is not None:
                resealed += await store.directory.reseal_totp(*place, before=before, after=after)
        after_id = page[-1].member_id
    return resealed


def _no_such_key(wanted: str) -> Failure:
    return Failure(f"there is no provider key {wanted!r}; `arouter provider-keys list` shows them")

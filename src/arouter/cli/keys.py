"""`arouter keys`."""

import asyncio
import dataclasses
import secrets
import sys
from typing import Annotated

import msgspec
import typer
from msgspec import UNSET

from arouter.cli.database import opened, require_database
from arouter.cli.limit_options import (
    ConcurrentRequests,
    Limit,
    RequestsPerDay,
    RequestsPerMinute,
    Reset,
    TokensPerDay,
    TokensPerMinute,
    read_dollars,
)
from arouter.cli.options import Config, Json, application, read_duration
from arouter.cli.output import Failure, stdout, table, tell, visible, write_json
from arouter.cli.people import every
from arouter.domain.errors import InvalidRequest
from arouter.domain.keys import (
    ENTROPY_BYTES,
    LONGEST_OVERLAP_S,
    ActivityScope,
    Key,
    KeyKind,
    digest,
    masked,
    new_plaintext,
)
from arouter.domain.windows import windows_at
from arouter.engine.clock import SystemClock
from arouter.settings import Settings, load
from arouter.store.base import Home
from arouter.store.stores import Store
from arouter.web.api.key_settings import checked_name, with_settings
from arouter.wire.keys_json import KeyObject, KeySettings, Spent, key_object
from arouter.wire.limits_json import RateLimit
from arouter.wiring.storage import make_key

SHORTEST_PREFIX = 6
_PAGE = 1000
_SHOWN_OF_A_HASH = 12
_NOTHING_SPENT = Spent(total=0, daily=0, weekly=0, monthly=0)

app = application(help="Make and manage the keys that clients send.", no_args_is_help=True)

Hash = Annotated[
    str,
    typer.Argument(
        metavar="HASH", help=f"The key's hash, or its first characters, at least {SHORTEST_PREFIX}.", show_default=False
    ),
]


# ---------------------------------------------------------------- commands


@app.command()
def create(
    name: Annotated[str, typer.Option(metavar="NAME", help="What it is for.", show_default=False)],
    config: Config = None,
    management: Annotated[
        bool, typer.Option("--management", help="A key that manages keys and reads all activity, and never infers.")
    ] = False,
    test: Annotated[
        bool, typer.Option("--test", help="A key that reaches the sandbox alone: it cannot spend.")
    ] = False,
    user_policy: Annotated[
        str | None,
        typer.Option(
            metavar="P",
            help="What requests must say of their user: optional, required, forbidden, signed or fixed:USER.",
            show_default=False,
        ),
    ] = None,
    limit: Limit = None,
    limit_reset: Reset = None,
    requests_per_minute: RequestsPerMinute = None,
    requests_per_day: RequestsPerDay = None,
    tokens_per_minute: TokensPerMinute = None,
    tokens_per_day: TokensPerDay = None,
    concurrent_requests: ConcurrentRequests = None,
    expires_at: Annotated[
        str | None,
        typer.Option(metavar="T", help="When it ends: RFC 3339, a date or Unix seconds.", show_default=False),
    ] = None,
    activity_scope: Annotated[
        ActivityScope | None, typer.Option(help="Whose records it may read. Default: its own.", show_default=False)
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The workspace it belongs to. Default: the first one.", show_default=False),
    ] = None,
    allowed_model: Annotated[
        list[str] | None, typer.Option(metavar="M", help="Only this model. Repeatable.", show_default=False)
    ] = None,
    allowed_provider: Annotated[
        list[str] | None, typer.Option(metavar="P", help="Only this provider. Repeatable.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Make a key. Its plaintext is shown this once."""
    if management and test:
        raise typer.BadParameter("a key is either a management key or a test key")
    kind = KeyKind.MANAGEMENT if management else KeyKind.TEST if test else KeyKind.LIVE
    wanted = KeySettings(
        limit=UNSET if limit is None else read_dollars(limit),
        limit_reset=UNSET if limit_reset is None else limit_reset.value,
        rate_limit=RateLimit(
            requests_per_minute=requests_per_minute,
            requests_per_day=requests_per_day,
            tokens_per_minute=tokens_per_minute,
            tokens_per_day=tokens_per_day,
            concurrent_requests=concurrent_requests,
        ),
        expires_at=UNSET if expires_at is None else expires_at,
        allowed_models=tuple(allowed_model) if allowed_model else UNSET,
        allowed_providers=tuple(allowed_provider) if allowed_provider else UNSET,
        user_policy=UNSET if user_policy is None else user_policy,
        activity_scope=UNSET if activity_scope is None else activity_scope.value,
        workspace_id=UNSET if workspace is None else workspace,
    )
    key, plaintext = asyncio.run(_create(load(config), kind, name, wanted))
    _tell_plaintext(key_object(key, _NOTHING_SPENT), plaintext, json=json)


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """All keys, newest first, disabled ones included."""
    shown = asyncio.run(_list(_settings(config)))
    if json:
        write_json(shown)
        return
    columns = ("Hash", "Name", "Type", "Key", "State", "Limit", "Spent", "Created", "Last used")
    lines = table(columns, numbers=("Limit", "Spent"))
    for one in shown:
        lines.add_row(
            one.hash[:_SHOWN_OF_A_HASH],
            visible(one.name),
            one.key_type,
            one.label,
            "disabled" if one.disabled else "enabled",
            _limit(one),
            _dollars(one.usage),
            one.created_at[:19],
            "never" if one.last_used_at is None else one.last_used_at[:19],
        )
    stdout().print(lines)


@app.command()
def show(hash: Hash, config: Config = None, json: Json = False) -> None:  # noqa: A002 - the command line's own word
    """One key, what it may do and what it has spent."""
    tell(asyncio.run(_show(_settings(config), hash)), json=json)


@app.command()
def disable(hash: Hash, config: Config = None, json: Json = False) -> None:  # noqa: A002
    """Refuse the key's requests from now on."""
    tell(asyncio.run(_switch(_settings(config), hash, disabled=True)), json=json)


@app.command()
def enable(hash: Hash, config: Config = None, json: Json = False) -> None:  # noqa: A002
    """Take the key's requests again."""
    tell(asyncio.run(_switch(_settings(config), hash, disabled=False)), json=json)


@app.command()
def rotate(
    hash: Hash,  # noqa: A002
    config: Config = None,
    overlap: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="For how long the old plaintext works as well, up to 30 days: 24h, 90m, 7d, 30s. Default: not at all.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Give the key another plaintext. The old one is worthless at once, or after --overlap; all else stays."""
    overlap_s = 0 if overlap is None else read_duration(overlap, "--overlap", most_s=LONGEST_OVERLAP_S)
    shown, plaintext = asyncio.run(_rotate(_settings(config), hash, overlap_s))
    _tell_plaintext(shown, plaintext, json=json)
    if not json and shown.previous_key_expires_at is not None:
        stdout().print(f"The old one works until {shown.previous_key_expires_at}.", soft_wrap=True)


@app.command()
def delete(
    hash: Hash,  # noqa: A002
    config: Config = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, on a terminal, whether this is meant.")] = False,
    json: Json = False,
) -> None:
    """Forget the key for good. What it did stays in the activity, under its name."""
    settings = _settings(config)
    if not yes and sys.stdin.isatty() and sys.stdout.isatty():
        found = asyncio.run(_show(settings, hash))
        typer.confirm(f"Delete {found.label} ({found.hash[:_SHOWN_OF_A_HASH]})?", abort=True)
    deleted = asyncio.run(_delete(settings, hash))
    if json:
        write_json({"deleted": True, "hash": deleted})
    else:
        stdout().print(f"Deleted {deleted}.")


# ---------------------------------------------------------------- work


def _settings(config: Config) -> Settings:
    """Of a database that is there."""
    settings = load(config)
    require_database(settings)
    return settings


async def _create(settings: Settings, kind: KeyKind, name: str, wanted: KeySettings) -> tuple[Key, str]:
    now_us = SystemClock().now_us()
    async with opened(settings) as (store, home):
        blank, plaintext = make_key(home, kind, checked_name(name), now_us=now_us)
        there = await every(
            lambda offset: store.directory.list_workspaces(home.organization_id, offset=offset, limit=_PAGE)
        )
        key = with_settings(blank, wanted, workspace_ids=[one.id for one in there])
        if key.expires_at_us is not None and key.expires_at_us <= now_us:
            raise InvalidRequest("`expires_at` lies in the past.", param="expires_at")
        await store.directory.add_key(key, secret=key.hash)
    return key, plaintext


async def _list(settings: Settings) -> list[KeyObject]:
    async with opened(settings) as (store, home):
        keys = await every_key(store, home)
        last_used = await store.ledger.last_used([key.hash for key in keys])
        return [key_object(key, await _spent_by(store, key, last_used.get(key.hash))) for key in keys]


async def _show(settings: Settings, wanted: str) -> KeyObject:
    async with opened(settings) as (store, home):
        key = await find_key(store, home, wanted)
        return key_object(key, await _spent(store, key))


async def _switch(settings: Settings, wanted: str, *, disabled: bool) -> KeyObject:
    async with opened(settings) as (store, home):
        key = await find_key(store, home, wanted)
        changed = dataclasses.replace(key, disabled=disabled, updated_at_us=SystemClock().now_us())
        _require(await store.directory.replace_key(changed), key)
        return key_object(changed, await _spent(store, changed))


async def _rotate(settings: Settings, wanted: str, overlap_s: int) -> tuple[KeyObject, str]:
    now_us = SystemClock().now_us()
    async with opened(settings) as (store, home):
        key = await find_key(store, home, wanted)
        plaintext = new_plaintext(key.kind, secrets.token_bytes(ENTROPY_BYTES))
        rotated = await store.directory.rotate_key(
            home.organization_id,
            key.hash,
            secret=digest(plaintext),
            label=masked(plaintext),
            now_us=now_us,
            previous_expires_at_us=now_us + overlap_s * 1_000_000 if overlap_s else None,
        )
        _require(rotated, key)
        key = await find_key(store, home, key.hash)
        return key_object(key, await _spent(store, key)), plaintext


async def _delete(settings: Settings, wanted: str) -> str:
    async with opened(settings) as (store, home):
        key = await find_key(store, home, wanted)
        _require(await store.directory.delete_key(home.organization_id, key.hash, now_us=SystemClock().now_us()), key)
        return key.hash


async def every_key(store: Store, home: Home) -> list[Key]:
    every: list[Key] = []
    while True:
        page = await store.directory.list_keys(home.organization_id, offset=len(every), limit=_PAGE)
        every.extend(page)
        if len(page) < _PAGE:
            return every


async def find_key(store: Store, home: Home, wanted: str) -> Key:
    """The key of that hash or prefix of one."""
    exact = await store.directory.get_key(home.organization_id, wanted)
    if exact is not None:
        return exact
    if len(wanted) < SHORTEST_PREFIX:
        raise Failure(f"{wanted!r} is too short; give at least {SHORTEST_PREFIX} characters of the hash")
    found = [key for key in await every_key(store, home) if key.hash.startswith(wanted.lower())]
    if not found:
        raise Failure(f"no key's hash begins with {wanted!r}; `arouter keys list` shows them")
    if len(found) > 1:
        candidates = ", ".join(f"{key.hash} ({key.name!r})" for key in found)
        raise Failure(f"{wanted!r} is ambiguous; give more of one of {candidates}")
    return found[0]


async def _spent(store: Store, key: Key) -> Spent:
    last_used = await store.ledger.last_used([key.hash])
    return await _spent_by(store, key, last_used.get(key.hash))


async def _spent_by(store: Store, key: Key, last_used_us: int | None) -> Spent:
    windows = windows_at(SystemClock().now_us())
    spending = await store.ledger.spending(
        key.hash, day_us=windows.day_us, week_us=windows.week_us, month_us=windows.month_us
    )
    return Spent(
        total=spending.total,
        daily=spending.daily,
        weekly=spending.weekly,
        monthly=spending.monthly,
        last_used_us=last_used_us,
    )


def _require(done: bool, key: Key) -> None:
    if not done:
        raise Failure(f"the key {key.hash} was deleted meanwhile; `arouter keys list` shows those that are there")


# ---------------------------------------------------------------- telling


def _tell_plaintext(shown: KeyObject, plaintext: str, *, json: bool) -> None:
    if json:
        write_json({"key": plaintext, **msgspec.structs.asdict(shown)})
        return
    out = stdout()
    out.print(plaintext, soft_wrap=True, markup=False)
    out.print(f"hash {shown.hash}. The key is shown this once and stored nowhere: keep it now.", soft_wrap=True)


def _limit(one: KeyObject) -> str:
    if one.limit is None:
        return "none"
    return _dollars(one.limit) + (f" {one.limit_reset}" if one.limit_reset is not None else "")


def _dollars(amount: msgspec.Raw) -> str:
    return bytes(amount).decode()

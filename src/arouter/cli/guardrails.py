"""`arouter guardrails`."""

import asyncio
import secrets
from dataclasses import replace
from typing import Annotated, Any

import typer
from msgspec import UNSET

from arouter.cli.database import opened, require_database
from arouter.cli.keys import find_key
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
from arouter.cli.options import Config, Json, application
from arouter.cli.output import Failure, as_text, stdout, table, tell, visible, write_json
from arouter.domain.guardrails import ID_BYTES, Target
from arouter.engine.clock import SystemClock
from arouter.engine.estimates import Estimates
from arouter.engine.guardian import Guardian
from arouter.engine.leasing import Leasing
from arouter.engine.tasks import Tasks
from arouter.settings import Settings, load
from arouter.store.stores import Store
from arouter.web.api.explaining import explanation
from arouter.web.api.limit_settings import changed_guardrail, new_guardrail
from arouter.wire.guardrails_json import (
    CreateGuardrail,
    Explanation,
    GuardrailObject,
    LimitStanding,
    UpdateGuardrail,
    guardrail_object,
)

_PAGE = 1000

app = application(
    help="Limit the organization, workspaces, members, keys and end users: budgets, rates, models, providers.",
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The id, as `list` shows it.", show_default=False)]
AllowedModels = Annotated[
    list[str] | None, typer.Option(metavar="M", help="Only this model. Repeatable.", show_default=False)
]
IgnoredModels = Annotated[
    list[str] | None, typer.Option(metavar="M", help="Not this model. Repeatable.", show_default=False)
]
AllowedProviders = Annotated[
    list[str] | None, typer.Option(metavar="P", help="Only this provider. Repeatable.", show_default=False)
]
IgnoredProviders = Annotated[
    list[str] | None, typer.Option(metavar="P", help="Not this provider. Repeatable.", show_default=False)
]
CLEARABLE = (
    *("limit", "limit_reset", "requests_per_minute", "requests_per_day", "tokens_per_minute", "tokens_per_day"),
    *("concurrent_requests", "allowed_models", "ignored_models", "allowed_providers", "ignored_providers"),
)
"""The fields of a guardrail that can say nothing."""


# ---------------------------------------------------------------- commands


@app.command()
def create(
    target: Annotated[Target, typer.Option(help="Whom it is for.", show_default=False)],
    config: Config = None,
    target_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Which workspace, member, key (its hash) or user it is for.", show_default=False
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What it is called.", show_default=False)] = None,
    limit: Limit = None,
    limit_reset: Reset = None,
    requests_per_minute: RequestsPerMinute = None,
    requests_per_day: RequestsPerDay = None,
    tokens_per_minute: TokensPerMinute = None,
    tokens_per_day: TokensPerDay = None,
    concurrent_requests: ConcurrentRequests = None,
    allowed_model: AllowedModels = None,
    ignored_model: IgnoredModels = None,
    allowed_provider: AllowedProviders = None,
    ignored_provider: IgnoredProviders = None,
    zero_data_retention: Annotated[
        bool, typer.Option("--zero-data-retention", help="Only providers that keep nothing at all.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a guardrail. A running gateway follows it within a second."""
    wanted = CreateGuardrail(
        target=target.value,
        target_id=UNSET if target_id is None else target_id,
        name=UNSET if name is None else name,
        limit=UNSET if limit is None else read_dollars(limit),
        limit_reset=UNSET if limit_reset is None else limit_reset.value,
        requests_per_minute=requests_per_minute,
        requests_per_day=requests_per_day,
        tokens_per_minute=tokens_per_minute,
        tokens_per_day=tokens_per_day,
        concurrent_requests=concurrent_requests,
        allowed_models=tuple(allowed_model) if allowed_model else None,
        ignored_models=tuple(ignored_model) if ignored_model else None,
        allowed_providers=tuple(allowed_provider) if allowed_provider else None,
        ignored_providers=tuple(ignored_provider) if ignored_provider else None,
        zero_data_retention=zero_data_retention,
    )
    tell(asyncio.run(_create(_settings(config), wanted)), json=json)


@app.command()
def update(
    id: Id,  # noqa: A002 - the command line's own word
    config: Config = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Another name.", show_default=False)] = None,
    limit: Limit = None,
    limit_reset: Reset = None,
    requests_per_minute: RequestsPerMinute = None,
    requests_per_day: RequestsPerDay = None,
    tokens_per_minute: TokensPerMinute = None,
    tokens_per_day: TokensPerDay = None,
    concurrent_requests: ConcurrentRequests = None,
    allowed_model: AllowedModels = None,
    ignored_model: IgnoredModels = None,
    allowed_provider: AllowedProviders = None,
    ignored_provider: IgnoredProviders = None,
    zero_data_retention: Annotated[
        bool | None,
        typer.Option(
            "--zero-data-retention/--any-data-retention",
            help="Whether only providers that keep nothing at all are asked.",
            show_default=False,
        ),
    ] = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD", help=f"Say nothing of it: {', '.join(CLEARABLE)}. Repeatable.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Change a guardrail. What is not said stays as it is; a list is replaced as a whole."""
    said: dict[str, Any] = {
        "name": name,
        "limit": None if limit is None else read_dollars(limit),
        "limit_reset": None if limit_reset is None else limit_reset.value,
        "requests_per_minute": requests_per_minute,
        "requests_per_day": requests_per_day,
        "tokens_per_minute": tokens_per_minute,
        "tokens_per_day": tokens_per_day,
        "concurrent_requests": concurrent_requests,
        "allowed_models": tuple(allowed_model) if allowed_model else None,
        "ignored_models": tuple(ignored_model) if ignored_model else None,
        "allowed_providers": tuple(allowed_provider) if allowed_provider else None,
        "ignored_providers": tuple(ignored_provider) if ignored_provider else None,
        "zero_data_retention": zero_data_retention,
    }
    changes = {field: value for field, value in said.items() if value is not None}
    for field in clear or ():
        if field not in CLEARABLE or field in changes:
            known = f"must be one of {', '.join(CLEARABLE)}, and not be set at the same time"
            raise typer.BadParameter(known, param_hint="--clear")
    if not changes and not clear:
        raise typer.BadParameter("say what is to change, as in --limit 5 or --clear limit", param_hint="update")
    changes |= dict.fromkeys(clear or ())
    wanted = UpdateGuardrail(**changes)
    tell(asyncio.run(_update(_settings(config), id, wanted)), json=json)


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """All of them, newest first, disabled ones included."""
    shown = asyncio.run(_list(_settings(config)))
    if json:
        write_json(shown)
        return
    lines = table(("Id", "Name", "Target", "For", "Budget", "Rates", "Lists", "State"))
    for one in shown:
        lines.add_row(
            one.id,
            visible(one.name),
            one.target.replace("_", " "),
            "" if one.target_id is None else visible(one.target_id),
            _budget(one),
            _rates(one),
            _lists(one),
            "disabled" if one.disabled else "enabled",
        )
    stdout().print(lines)


@app.command()
def disable(id: Id, config: Config = None, json: Json = False) -> None:  # noqa: A002 - the command line's own word
    """Let it hold no more."""
    tell(asyncio.run(_update(_settings(config), id, UpdateGuardrail(disabled=True))), json=json)


@app.command()
def enable(id: Id, config: Config = None, json: Json = False) -> None:  # noqa: A002
    """Let it hold again."""
    tell(asyncio.run(_update(_settings(config), id, UpdateGuardrail(disabled=False))), json=json)


@app.command()
def delete(id: Id, config: Config = None, json: Json = False) -> None:  # noqa: A002
    """Forget it."""
    asyncio.run(_delete(_settings(config), id))
    if json:
        write_json({"deleted": True, "id": id})
    else:
        stdout().print(f"Deleted {id}.", markup=False)


@app.command()
def explain(
    key: Annotated[
        str, typer.Option(metavar="HASH", help="The key, by its hash or the first characters.", show_default=False)
    ],
    config: Config = None,
    user: Annotated[
        str | None, typer.Option(metavar="USER", help="The end user, byte for byte. Default: nobody.")
    ] = None,
    json: Json = False,
) -> None:
    """What limits the requests of a key for a user, who says so, and how each limit stands."""
    shown = asyncio.run(_explain(_settings(config), key, user))
    if json:
        write_json(shown)
        return
    out = stdout()
    if shown.blocked:
        out.print("This user is blocked: every request is refused.")
    lines = table(
        ("Limit on", "Of", "Window", "Limit", "Used", "Held", "Left", "Starts again", "Says"),
        numbers=("Limit", "Used", "Held", "Left"),
    )
    for one in shown.limits:
        figures = (_figure(one, name) for name in ("limit", "used", "held", "remaining"))
        resets_at = "never" if one.resets_at is None else one.resets_at[:19]
        lines.add_row(one.meter, one.scope, one.window, *figures, resets_at, visible(one.said_by))
    out.print(lines)


# ---------------------------------------------------------------- work


def _settings(config: Config) -> Settings:
    """Of a database that is there."""
    settings = load(config)
    require_database(settings)
    return settings


async def _create(settings: Settings, wanted: CreateGuardrail) -> GuardrailObject:
    async with opened(settings) as (store, home):
        guardrail = new_guardrail(
            wanted,
            organization_id=home.organization_id,
            creator=None,
            now_us=SystemClock().now_us(),
            entropy=secrets.token_bytes(ID_BYTES),
        )
        if guardrail.target is Target.KEY and guardrail.target_id is not None:
            key = await find_key(store, home, guardrail.target_id)
            guardrail = replace(guardrail, target_id=key.hash)
        await store.directory.add_guardrail(guardrail)
        return guardrail_object(guardrail)


async def _list(settings: Settings) -> list[GuardrailObject]:
    every: list[GuardrailObject] = []
    async with opened(settings) as (store, home):
        while True:
            page = await store.directory.list_guardrails(home.organization_id, offset=len(every), limit=_PAGE)
            every.extend(map(guardrail_object, page))
            if len(page) < _PAGE:
                return every


async def _update(settings: Settings, wanted: str, changes: UpdateGuardrail) -> GuardrailObject:
    async with opened(settings) as (store, home):
        found = await store.directory.get_guardrail(home.organization_id, wanted)
        if found is None:
            raise _no_such_guardrail(wanted)
        changed = changed_guardrail(found, changes, now_us=SystemClock().now_us())
        if not await store.directory.replace_guardrail(changed):
            raise _no_such_guardrail(wanted)
        return guardrail_object(changed)


async def _delete(settings: Settings, wanted: str) -> None:
    async with opened(settings) as (store, home):
        if not await store.directory.delete_guardrail(home.organization_id, wanted):
            raise _no_such_guardrail(wanted)


async def _explain(settings: Settings, wanted: str, user: str | None) -> Explanation:
    async with opened(settings) as (store, home):
        key = await find_key(store, home, wanted)
        return await explanation(await looking(store), key, user, now_us=SystemClock().now_us())


async def looking(store: Store) -> Guardian:
    """One that only looks at what limits requests, and how it stands."""
    leasing = Leasing(store.counters, now_us=SystemClock().now_us, tasks=Tasks(_failed))
    guardian = Guardian(store.directory, leasing, Estimates(_no_card))
    await guardian.refresh()
    return guardian


def _no_card(*_: object, **__: object) -> None:
    """Nothing is priced here."""


def _failed(name: str, failure: BaseException) -> None:
    raise failure


def _no_such_guardrail(wanted: str) -> Failure:
    return Failure(f"there is no guardrail {wanted!r}; `arouter guardrails list` shows them")


# ---------------------------------------------------------------- telling


def _figure(standing: LimitStanding, name: str) -> str:
    text = as_text(getattr(standing, name))
    return "" if text is None else text


def _budget(one: GuardrailObject) -> str:
    if one.limit is None:
        return ""
    return bytes(one.limit).decode() + (f" {one.limit_reset}" if one.limit_reset is not None else "")


def _rates(one: GuardrailObject) -> str:
    stated = (
        (one.requests_per_minute, "requests/min"),
        (one.requests_per_day, "requests/day"),
        (one.tokens_per_minute, "tokens/min"),
        (one.tokens_per_day, "tokens/day"),
        (one.concurrent_requests, "at once"),
    )
    return ", ".join(f"{number} {unit}" for number, unit in stated if number is not None)


def _lists(one: GuardrailObject) -> str:
    stated = (
        ("only", one.allowed_models),
        ("not", one.ignored_models),
        ("only", one.allowed_providers),
        ("not", one.ignored_providers),
    )
    told = [f"{word} {' '.join(names)}" for word, names in stated if names is not None]
    return ", ".join([*told, *(["keeps nothing"] if one.zero_data_retention else [])])

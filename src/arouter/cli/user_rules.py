"""`arouter users block`, `unblock` and `limit`."""

import asyncio
from decimal import Decimal
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
from arouter.cli.options import Config, Json
from arouter.cli.output import facts, stdout, visible, write_json
from arouter.domain.guardrails import UserRules
from arouter.engine.clock import SystemClock
from arouter.settings import load
from arouter.web.api.limit_settings import changed_user, checked_user
from arouter.wire.guardrails_json import UpdateUser, UserRulesObject, user_rules_object
from arouter.wire.limits_json import AllLimits

User = Annotated[str, typer.Argument(metavar="USER", help="The end user, byte for byte.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands to those of `arouter users`."""
    app.command()(block)
    app.command()(unblock)
    app.command()(limit)


def block(
    user: User,
    config: Config = None,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; told to whoever is refused.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Refuse the user's requests from now on."""
    _change(config, user, UpdateUser(blocked=True, block_reason=reason), json=json)


def unblock(user: User, config: Config = None, json: Json = False) -> None:
    """Take the user's requests again."""
    _change(config, user, UpdateUser(blocked=False), json=json)


def limit(
    user: User,
    config: Config = None,
    limit: Limit = None,
    limit_reset: Reset = None,
    requests_per_minute: RequestsPerMinute = None,
    requests_per_day: RequestsPerDay = None,
    tokens_per_minute: TokensPerMinute = None,
    tokens_per_day: TokensPerDay = None,
    concurrent_requests: ConcurrentRequests = None,
    json: Json = False,
) -> None:
    """Give the user limits of its own, in place of those it had. Without any, what is said of every user applies."""
    amount: Decimal | msgspec.UnsetType = UNSET if limit is None else read_dollars(limit)
    limits = AllLimits(
        limit=amount,
        limit_reset=None if limit_reset is None else limit_reset.value,
        requests_per_minute=requests_per_minute,
        requests_per_day=requests_per_day,
        tokens_per_minute=tokens_per_minute,
        tokens_per_day=tokens_per_day,
        concurrent_requests=concurrent_requests,
    )
    _change(config, user, UpdateUser(limits=limits), json=json)


def _change(config: Config, user: str, wanted: UpdateUser, *, json: bool) -> None:
    shown = asyncio.run(_changed(config, checked_user("user", user), wanted))
    if json:
        write_json(shown)
        return
    limits = {} if shown.limits is None else msgspec.structs.asdict(shown.limits)
    stated = {name: bytes(one).decode() if isinstance(one, msgspec.Raw) else str(one) for name, one in limits.items()}
    pairs = {
        "user": visible(shown.user),
        **{name.replace("_", " "): text for name, text in stated.items() if text != "None"},
        "blocked": "yes" if shown.blocked else "no",
        "reason": visible(shown.block_reason),
    }
    stdout().print(facts(pairs.items()))


async def _changed(config: Config, user: str, wanted: UpdateUser) -> UserRulesObject:
    settings = load(config)
    require_database(settings)
    async with opened(settings) as (store, home):
        known = await store.directory.get_user_rules(home.organization_id, user)
        if known is None:
            known = UserRules(organization_id=home.organization_id, user=user)
        changed = changed_user(known, wanted, now_us=SystemClock().now_us())
        await store.directory.put_user_rules(changed)
        return user_rules_object(changed)

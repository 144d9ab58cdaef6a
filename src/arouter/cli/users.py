"""`arouter users`: who uses what, and tokens for them."""

import asyncio
import secrets
from typing import Annotated, Literal, cast
from zoneinfo import ZoneInfo

import typer

from arouter.cli.database import opened, require_database
from arouter.cli.filter_options import read_options
from arouter.cli.guardrails import looking
from arouter.cli.keys import every_key, find_key
from arouter.cli.options import Config, Json, application, read_zone
from arouter.cli.output import Failure, stderr, stdout, write_json
from arouter.cli.user_rules import register
from arouter.cli.user_tables import high_usage_table, seen_table, user_tables
from arouter.domain.activity import Filters, Scope
from arouter.domain.high_usage import MEASURES, HighUsage
from arouter.domain.keys import Key, KeyKind, UserPolicy
from arouter.domain.users import UserCursor, UserOrder, UsersQuery
from arouter.engine.admission import check_user
from arouter.engine.clock import SystemClock
from arouter.settings import Settings, load
from arouter.store.base import Home
from arouter.store.stores import Store
from arouter.web.api.explaining import user_limits
from arouter.web.api.high_users import HighUsageQuery, read_high_usage
from arouter.web.api.ranges import Range, whole_range
from arouter.web.api.user_report import Question, report
from arouter.web.user_tokens import DEFAULT_LIFETIME_S, MOST_LIFETIME_S, UserTokens
from arouter.wire.high_usage import high_usage_answer
from arouter.wire.instants import write_instant
from arouter.wire.users_json import UserAnswer, UserList, UserToken, blocked_list, user_list

_INSTANT = "RFC 3339, a date, or Unix seconds"

app = application(
    help="Who uses what, one by one and in order; what is said of users, and tokens for them.", no_args_is_help=True
)
register(app)

User = Annotated[str, typer.Argument(metavar="USER", help="The user, byte for byte.", show_default=False)]
Start = Annotated[
    str | None,
    typer.Option(metavar="T", help=f"From then on: {_INSTANT}. Default: 30 days before the end.", show_default=False),
]
End = Annotated[
    str | None, typer.Option(metavar="T", help=f"Before then: {_INSTANT}. Default: now.", show_default=False)
]
Zone = Annotated[str, typer.Option(metavar="ZONE", help="Where days begin: an IANA name.")]
Measure = Literal["cost", "tokens", "requests"]


# ---------------------------------------------------------------- commands


@app.command("list")
def list_(
    config: Config = None,
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="TEXT", help="Users whose name begins so.", show_default=False)
    ] = "",
    order_by: Annotated[UserOrder, typer.Option(help="By the last request, the first one, or the name.")] = (
        UserOrder.LAST_SEEN
    ),
    reverse: Annotated[
        bool,
        typer.Option("--reverse", help="Longest ago first, or the last name. Default: the latest, the first name."),
    ] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="How many users.")] = 100,
    blocked: Annotated[
        bool, typer.Option("--blocked", help="Only users that are blocked, by name, also those that were never seen.")
    ] = False,
    json: Json = False,
) -> None:
    """Users, and when each was seen first and last."""
    if blocked:
        page = asyncio.run(_list_blocked(_settings(config), prefix, limit, reverse=reverse))
    else:
        page = asyncio.run(_list(_settings(config), prefix, order_by, limit, reverse=reverse))
    if json:
        write_json(page.data)
        return
    stdout().print(seen_table(page.data))
    if page.has_more:
        stderr().print("There are more; --limit shows them.")


@app.command()
def top(
    config: Config = None,
    order_by: Annotated[str, typer.Option(metavar="NAME", help=f"{', '.join(MEASURES)}.")] = "cost",
    start: Start = None,
    end: End = None,
    timezone: Zone = "UTC",
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Users; the others are added up in one row.")] = 20,
    json: Json = False,
) -> None:
    """Who uses most, beside the range before; and how few make how much."""
    if order_by not in MEASURES:
        raise typer.BadParameter(f"must be one of {', '.join(MEASURES)}", param_hint="--order-by")
    measure = cast(Measure, order_by)
    now_us = SystemClock().now_us()
    zone = read_zone(timezone)
    settings = _settings(config)
    wanted = _read_range(start, end, zone, now_us)
    found = asyncio.run(_top(settings, wanted, measure, limit))
    if json:
        write_json(
            high_usage_answer(
                found,
                measure,
                range_us=(wanted.start_us, wanted.end_us),
                before_us=(wanted.before.start_us, wanted.before.end_us),
                as_of_us=now_us if found.as_of_us is None else min(now_us, found.as_of_us),
            )
        )
    else:
        stdout().print(high_usage_table(found, measure))


@app.command()
def show(
    user: User,
    config: Config = None,
    start: Start = None,
    end: End = None,
    timezone: Zone = "UTC",
    json: Json = False,
) -> None:
    """One user: totals, its standing in a range, models, keys, and where its month is heading."""
    now_us = SystemClock().now_us()
    zone = read_zone(timezone)
    settings = _settings(config)
    found = asyncio.run(_show(settings, _text(user), zone, _read_range(start, end, zone, now_us), now_us))
    if json:
        write_json(found)
        return
    for one in user_tables(found):
        stdout().print(one)


@app.command()
def token(
    user: User,
    config: Config = None,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="HASH",
            help="The key that vouches, by its hash or the beginning of it. Default: the newest management key, else "
            "the newest live one.",
            show_default=False,
        ),
    ] = None,
    expires_in: Annotated[
        int, typer.Option(metavar="S", min=1, max=MOST_LIFETIME_S, help="For how many seconds it holds.")
    ] = DEFAULT_LIFETIME_S,
    json: Json = False,
) -> None:
    """Sign a token for a user; it is shown this once. It ends with its time, or with the key."""
    made = asyncio.run(_token(_settings(config), _text(user), key, expires_in))
    if json:
        write_json(made)
        return
    # Alone on standard output, so that a script can take it as it is.
    stdout().print(made.token, soft_wrap=True, markup=False)
    stderr().print(f"Until {made.expires_at}, by the key {made.api_key_hash[:12]}….", soft_wrap=True, markup=False)


# ---------------------------------------------------------------- work


async def _list(settings: Settings, prefix: str, order: UserOrder, limit: int, *, reverse: bool) -> UserList:
    async with opened(settings) as (store, home):
        page = await store.ledger.list_users(
            UsersQuery(
                scope=Scope(organization_id=home.organization_id),
                prefix=_text(prefix),
                order=order,
                descending=(order is not UserOrder.NAME) != reverse,
                limit=limit,
            )
        )
        names = [span.user for span in page.users]
        return user_list(page, await store.directory.user_rules_of(home.organization_id, names))


async def _list_blocked(settings: Settings, prefix: str, limit: int, *, reverse: bool) -> UserList:
    async with opened(settings) as (store, home):
        found = await store.directory.list_blocked_users(
            home.organization_id, prefix=_text(prefix), descending=reverse, limit=limit + 1
        )
        scope, shown = Scope(organization_id=home.organization_id), found[:limit]
        seen = [(rules, await store.ledger.user_span(scope, rules.user)) for rules in shown]
        return blocked_list(seen, UserCursor(at_us=0, user=shown[-1].user) if len(found) > limit else None)


async def _top(settings: Settings, wanted: Range, measure: Measure, limit: int) -> HighUsage:
    async with opened(settings) as (store, home):
        query = HighUsageQuery(
            scope=Scope(organization_id=home.organization_id),
            filters=Filters(),
            wanted=wanted,
            order_by=measure,
            limit=limit,
        )
        return await read_high_usage(store.ledger, query)


async def _show(settings: Settings, user: str, zone: ZoneInfo, wanted: Range, now_us: int) -> UserAnswer:
    async with opened(settings) as (store, home):
        scope = Scope(organization_id=home.organization_id)
        span = await store.ledger.user_span(scope, user)
        if span is None:
            raise Failure(f"no request ever named the user {user!r}; `arouter users list` shows those that were named")
        question = Question(scope=scope, user=user, zone=zone, now_us=now_us)
        limits = await user_limits(await looking(store), home.organization_id, user, now_us=now_us)
        return await report(store.ledger, store.directory, question, span, wanted, limits)


async def _token(settings: Settings, user: str, key_hash: str | None, lifetime_s: int) -> UserToken:
    check_user(user)
    clock = SystemClock()
    async with opened(settings) as (store, home):
        key = await _vouching_key(store, home, key_hash, clock.now_us())
        tokens = UserTokens(store.directory, secret=home.secret, now_us=clock.now_us, entropy=secrets.token_bytes)
        text, claims = await tokens.mint(key, user, lifetime_s=lifetime_s)
    return UserToken(
        id=claims.id,
        user=claims.user,
        token=text,
        created_at=write_instant(claims.issued_at_s * 1_000_000),
        expires_at=write_instant(claims.expires_at_s * 1_000_000),
        expires_in=lifetime_s,
        api_key_hash=claims.key_hash,
    )


async def _vouching_key(store: Store, home: Home, wanted: str | None, now_us: int) -> Key:
    """The key of a hash, or the newest that can vouch for anybody."""
    if wanted is not None:
        key = await find_key(store, home, wanted)
        if not _is_valid(key, now_us):
            raise Failure("this key is disabled or has expired: its tokens would be worth nothing")
        return key
    able = [
        key
        for key in await every_key(store, home)
        if _is_valid(key, now_us) and key.user_policy in (UserPolicy.OPTIONAL, UserPolicy.REQUIRED)
    ]
    for kind in (KeyKind.MANAGEMENT, KeyKind.LIVE):
        for key in able:
            if key.kind is kind:
                return key
    raise Failure("no key can vouch for a user; `arouter keys create` makes one")


def _is_valid(key: Key, now_us: int) -> bool:
    return not key.disabled and (key.expires_at_us is None or key.expires_at_us > now_us)


# ---------------------------------------------------------------- reading the options


def _settings(config: Config) -> Settings:
    settings = load(config)
    require_database(settings)
    return settings


def _read_range(start: str | None, end: str | None, zone: ZoneInfo, now_us: int) -> Range:
    filters = read_options(zone=zone, start=start, end=end)
    return whole_range(filters.start_us, filters.end_us, now_us=now_us)


def _text(argument: str) -> str:
    """An argument as UTF-8; its bytes, where the shell's are something else, are no user's name."""
    try:
        argument.encode()
    except UnicodeEncodeError as exc:
        raise typer.BadParameter("a user's name is UTF-8", param_hint="USER") from exc
    return argument

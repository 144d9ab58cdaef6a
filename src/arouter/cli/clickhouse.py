"""`arouter clickhouse`: the copy of the ledger in ClickHouse, made, followed and looked at."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from arouter.cli.database import opened, require_database
from arouter.cli.options import Config, Json, application
from arouter.cli.output import Failure, facts, stderr, stdout, write_json
from arouter.cli.progress import progress_bar
from arouter.domain.activity import Dimension, Scope, SummaryQuery
from arouter.domain.organizations import Organization
from arouter.engine.clock import SystemClock
from arouter.settings import Settings, load
from arouter.store.clickhouse.connections import Connections, CopyGone
from arouter.store.clickhouse.copier import Copier, State
from arouter.store.clickhouse.reader import ClickHouseReader
from arouter.store.clickhouse.schema import Tables, create_statements
from arouter.store.clickhouse.upgrade import lacking
from arouter.store.clickhouse.upgrade import upgrade as bring_up
from arouter.store.feed import BEGINNING, ForeignPosition
from arouter.store.routed import FOREIGN
from arouter.store.stores import Database
from arouter.wiring.clickhouse import copy_address, copy_place

_PAGE = 1_000

app = application(help="Look after the copy of the ledger in ClickHouse.", no_args_is_help=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Status:
    url: str
    database: str
    cluster: str | None
    tables: str | None
    """None without a copy."""
    as_of_us: int | None
    """Nothing that was written before is missing."""
    behind: int
    """Records and adjustments that the copy lacks."""
    lacking: tuple[str, ...]
    """Sums that this version reads, and an older one did not make: `upgrade` makes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copied:
    copied: int
    """Records and adjustments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    """An organization whose sums are not the ledger's."""

    organization_id: str
    organization: str
    days: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upgraded:
    made: tuple[str, ...]
    """What was lacking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    organizations: int
    records: int
    equal: bool
    differences: tuple[_Difference, ...]


# ---------------------------------------------------------------- commands


@app.command()
def status(config: Config = None, json: Json = False) -> None:
    """Where the copy is, and how far it has come."""
    found = asyncio.run(_with(load(config), _status))
    if json:
        write_json(found)
        return
    lag = "" if found.as_of_us is None else f"{max(0, SystemClock().now_us() - found.as_of_us) / 1_000_000:,.1f} s ago"
    stdout().print(
        facts(
            (
                ("ClickHouse", found.url),
                ("Database", found.database if found.cluster is None else f"{found.database} on {found.cluster}"),
                ("Copy", "there is none yet" if found.tables is None else found.tables),
                ("Last copied", lag or "nothing"),
                ("Behind", f"{found.behind:,} records and adjustments"),
                ("Sums", "some are lacking: `arouter clickhouse upgrade`" if found.lacking else "all are there"),
            )
        )
    )


@app.command()
def copy(config: Config = None, json: Json = False) -> None:
    """Bring the copy up to date. A gateway does so by itself, every second."""
    _tell(asyncio.run(_with(load(config), lambda parts: _copy(parts, anew=False))), json=json)


@app.command()
def rebuild(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Drop the copy, and make it anew from the ledger. The ledger answers meanwhile, and nothing is lost."""
    settings = load(config)
    if not yes and not typer.confirm("The copy will be dropped and made anew. Go on?", err=True):
        raise typer.Exit(1)
    _tell(asyncio.run(_with(settings, lambda parts: _copy(parts, anew=True))), json=json)


@app.command()
def upgrade(config: Config = None, json: Json = False) -> None:
    """Make the sums that an older version's copy lacks, without which it answers alike, only slower.

    It is used meanwhile.
    """
    found = asyncio.run(_with(load(config), _upgrade))
    if json:
        write_json(found)
    else:
        stdout().print(f"Made: {', '.join(found.made)}." if found.made else "Nothing was lacking.")


@app.command()
def check(config: Config = None, json: Json = False) -> None:
    """Compare every organization's sums of every day with the ledger's, to the last digit.

    Best while nothing is recorded.
    """
    found = asyncio.run(_with(load(config), _compare))
    if json:
        write_json(found)
    else:
        for one in found.differences:
            named = f"{one.organization} ({one.organization_id})"
            for day in one.days:
                stdout().print(f"{named}: {day} differs.", soft_wrap=True, markup=False)
        stdout().print(
            f"{found.records:,} records of {found.organizations:,} organizations: "
            + ("all sums are equal." if found.equal else "sums differ.")
        )
    if not found.equal:
        raise typer.Exit(1)


@app.command()
def schema(config: Config = None, json: Json = False) -> None:
    """Print the statements that make the tables, as the settings say: for one server or a cluster."""
    statements = create_statements(Tables(place=copy_place(load(config)), generation=1))
    if json:
        write_json(statements)
        return
    for sql in statements:
        stdout().print(f"{sql};\n", soft_wrap=True, markup=False)


# ---------------------------------------------------------------- work


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    settings: Settings
    store: Database
    connections: Connections
    copier: Copier


@asynccontextmanager
async def _parts(settings: Settings) -> AsyncIterator[_Parts]:
    place, address = copy_place(settings), copy_address(settings)
    require_database(settings)
    async with opened(settings) as (store, _):
        connections = Connections(address, threads=1)
        try:
            yield _Parts(
                settings=settings,
                store=store,
                connections=connections,
                copier=Copier(connections, place, store.feed),
            )
        finally:
            await asyncio.get_running_loop().run_in_executor(None, connections.close)


async def _with(settings: Settings, work: Callable[[_Parts], Any]) -> Any:
    async with _parts(settings) as parts:
        try:
            return await work(parts)
        except ForeignPosition as exc:
            raise Failure(FOREIGN) from exc


async def _status(parts: _Parts) -> _Status:
    told = parts.settings.clickhouse
    state: State | None = None
    try:
        state = await parts.copier.state()
    except CopyGone:
        state = None
    position = BEGINNING if state is None else state.position
    await parts.store.feed.after(position, limit=1)  # ForeignPosition if the copy is of another ledger
    return _Status(
        url=told.url,
        database=told.database,
        cluster=told.cluster or None,
        tables=None if state is None else ", ".join(sorted(state.tables.names)),
        as_of_us=None if state is None else state.as_of_us,
        behind=await parts.store.feed.size_after(position),
        lacking=() if state is None else tuple(await lacking(parts.connections, state.tables)),
    )


async def _copy(parts: _Parts, *, anew: bool) -> _Copied:
    state = await (parts.copier.make_anew() if anew else parts.copier.prepare())
    copied = 0
    with progress_bar() as progress:
        task = progress.add_task("records", total=await parts.store.feed.size_after(state.position))

        def on_copied(size: int) -> None:
            nonlocal copied
            copied += size
            progress.advance(task, size)

        while await parts.copier.step(on_copied) is not None:
            pass
    await parts.copier.forget_expired()
    return _Copied(copied=copied)


async def _upgrade(parts: _Parts) -> _Upgraded:
    try:
        state = await parts.copier.state()
    except CopyGone as exc:
        raise Failure("There is no copy yet: `arouter clickhouse copy` makes one.") from exc
    with stderr().status("ClickHouse adds up"):
        made = await bring_up(parts.connections, state.tables)
    return _Upgraded(made=tuple(made))


async def _compare(parts: _Parts) -> _Comparison:
    with progress_bar() as progress:
        position = (await parts.copier.prepare()).position
        copying = progress.add_task("records", total=await parts.store.feed.size_after(position))
        while await parts.copier.step(lambda size: progress.advance(copying, size)) is not None:
            pass
        progress.remove_task(copying)
        organizations = await _organizations(parts.store)
        comparing = progress.add_task("organizations", total=len(organizations))
        reader = ClickHouseReader(parts.connections, parts.copier, parts.store.directory)
        records = 0
        differences = []
        for organization in organizations:
            counted, difference = await _compare_one(parts, reader, organization)
            records += counted
            if difference is not None:
                differences.append(difference)
            progress.advance(comparing)
    return _Comparison(
        organizations=len(organizations), records=records, equal=not differences, differences=tuple(differences)
    )


async def _compare_one(
    parts: _Parts, reader: ClickHouseReader, organization: Organization
) -> tuple[int, _Difference | None]:
    """How many records the organization has, and what differs."""
    query = SummaryQuery(scope=Scope(organization_id=organization.id), group_by=(Dimension.DAY,))
    (copied,) = await reader.summaries(await reader.state(), [query])
    kept = await parts.store.ledger.summary(query)
    records = kept.totals.requests
    if replace(copied, as_of_us=kept.as_of_us) == kept:
        return records, None
    mine, theirs = ({row.group[0]: row.totals for row in one.rows} for one in (kept, copied))
    days = sorted(str(day) for day in mine.keys() | theirs.keys() if mine.get(day) != theirs.get(day))
    return records, _Difference(organization_id=organization.id, organization=organization.name, days=tuple(days))


async def _organizations(store: Database) -> list[Organization]:
    """All of them, each once: one that is made meanwhile moves the others."""
    found: dict[str, Organization] = {}
    offset = 0
    while page := await store.directory.list_organizations(offset=offset, limit=_PAGE):
        found |= {one.id: one for one in page}
        offset += len(page)
    return [*found.values()]


def _tell(found: _Copied, *, json: bool) -> None:
    if json:
        write_json(found)
    else:
        stdout().print(f"{found.copied:,} records and adjustments copied.")

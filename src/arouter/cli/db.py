"""`arouter db`: the database itself. Every command works while a gateway runs on it."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import TaskProgressColumn

from arouter.cli.database import opened, opened_file, require_database, require_file
from arouter.cli.journal import journal, said, told, waiting_of
from arouter.cli.moving import copy
from arouter.cli.options import Config, Json, application
from arouter.cli.output import Failure, facts, stderr, stdout, write_json
from arouter.cli.progress import progress_bar
from arouter.engine.clock import SystemClock
from arouter.jobs.folding import Folding
from arouter.jobs.housekeeping import DAY_US
from arouter.settings import Settings, load
from arouter.store.base import CheckReport
from arouter.store.migrate import migrations
from arouter.store.sqlite.connections import connect_reader, schema_version, storage_errors
from arouter.store.sqlite.folded import AnalyticsMissing, is_installed
from arouter.store.sqlite.sealing import Sealed
from arouter.store.stores import DatabaseStatus, Expired, SqliteStatus
from arouter.wiring.storage import database_name, database_path, postgres_version

app = application(help="Look after the database.", no_args_is_help=True)

retention = application(help="How long records are kept.")
app.add_typer(retention, name="retention")
app.command()(journal)

_PLACE = {"sqlite": "path", "postgres": "url"}
"""What the place of a database is called in JSON."""
_DUMP = "`pg_dump` copies it while everything goes on"
_SEALS = "it keeps records in partitions of months, and there is nothing to seal"
_FOLDS = "it reads summaries from its own sums, and there is nothing to fold"
_SEAL_AFTER_DAYS = 7


# ---------------------------------------------------------------- commands


@app.command()
def migrate(config: Config = None, json: Json = False) -> None:
    """Make the database, or bring it to the schema of this version. Every start does so, too."""
    settings = load(config)
    name = database_name(settings)
    before = _version(settings)
    asyncio.run(_touch(settings))
    after = _version(settings)
    if json:
        write_json({_PLACE[_engine(settings)]: name, "schema_version": after, "from_schema_version": before})
    elif before == after:
        stdout().print(f"{name} is at schema version {after}: nothing to do.", soft_wrap=True, markup=False)
    else:
        stdout().print(f"{name} went from schema version {before} to {after}.", soft_wrap=True, markup=False)


@app.command()
def status(config: Config = None, json: Json = False) -> None:
    """Where it is, how large, and how many records it holds."""
    settings = load(config)
    require_database(settings)
    pending = len(migrations(_engine(settings))) - _version(settings)
    if pending > 0:
        raise Failure(
            f"{database_name(settings)} lacks {pending} migrations of this version; `arouter db migrate` applies them"
        )
    found = asyncio.run(_status(settings))
    waiting = waiting_of(settings)
    if json:
        write_json(found if waiting is None else {**asdict(found), "journal": told(waiting)})
        return
    stdout().print(
        facts(
            (
                *_facts(found),
                ("Records", f"{found.records:,}"),
                ("Running", f"{found.open_records:,}"),
                *(() if waiting is None else (("In the journal", said(waiting)),)),
            )
        )
    )


@app.command()
def check(config: Config = None, json: Json = False) -> None:
    """Prove that the file is sound, that no record was altered, and that every sum equals its records."""
    settings = load(config)
    require_database(settings)
    with stderr().status("Reading every record"):
        report = asyncio.run(_check(settings))
    if json:
        write_json(report)
    else:
        for problem in report.problems:
            stdout().print(problem, soft_wrap=True, markup=False)
        stdout().print(
            f"{report.records:,} records, {report.open_records:,} running requests: "
            + (f"{len(report.problems)} problems." if report.problems else "no problems.")
        )
    if report.problems:
        raise typer.Exit(1)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; it must not exist.", show_default=False)],
    config: Config = None,
    json: Json = False,
) -> None:
    """Copy the database as it is at this moment, while everything goes on."""
    settings = load(config)
    require_file(settings, instead=_DUMP)
    if file.exists():
        raise Failure(f"{file} exists; give the copy another name")
    asyncio.run(_back_up(settings, file))
    size = file.stat().st_size
    if json:
        write_json({"path": str(file), "size": size})
    else:
        stdout().print(f"{size:,} bytes in {file}.", soft_wrap=True, markup=False)


app.command()(copy)


@app.command()
def seal(
    older_than_days: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Seal days that ended at least so many days ago. Default: storage.seal_after_days, else 7.",
            show_default=False,
        ),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Keep past days of records in columns, in about half the room. Needs the extra analytics."""
    settings = load(config)
    require_file(settings, instead=_SEALS)
    after_days = settings.storage.seal_after_days if older_than_days is None else older_than_days
    sealed = asyncio.run(_seal(settings, _SEAL_AFTER_DAYS if after_days is None else after_days))
    if sealed is None:
        raise Failure("another process seals days of this database at the moment")
    if json:
        write_json(sealed)
    else:
        stdout().print(f"{sealed.days:,} days with {sealed.records:,} records sealed.")


# ---------------------------------------------------------------- retention


@retention.callback(invoke_without_command=True)
def show_retention(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """How long records are kept. Sums are kept for ever."""
    if context.invoked_subcommand is None:
        settings = load(config)
        require_database(settings)
        own = asyncio.run(_retention(settings))
        default = settings.storage.retention_days
        if json:
            write_json({"default_days": default, "organization_days": own})
        else:
            shown = "as set in the settings" if own is None else _kept(own)
            stdout().print(facts((("Settings", _kept(default)), ("Organization", shown))))


@retention.command("set")
def set_retention(
    days: Annotated[str, typer.Argument(metavar="DAYS", help="How many days, or `default` for as the settings say.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Keep the organization's records for so many days, whatever the settings say."""
    settings = load(config)
    require_database(settings)
    if days != "default" and not (days.isascii() and days.isdecimal() and int(days) > 0):
        raise Failure(f"DAYS is a whole number above 0, or `default`; not {days!r}")
    chosen = None if days == "default" else int(days)
    asyncio.run(_set_retention(settings, chosen))
    if json:
        write_json({"default_days": settings.storage.retention_days, "organization_days": chosen})
    else:
        stdout().print(
            "Records are kept as the settings say." if chosen is None else f"Records are kept {_kept(chosen)}."
        )


@retention.command("apply")
def apply_retention(
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Delete now the records whose time is over. A gateway does so by itself."""
    settings = load(config)
    require_database(settings)
    if not yes and not typer.confirm("Records whose time is over will be deleted for good. Go on?", err=True):
        raise typer.Exit(1)
    expired, partitions = asyncio.run(_expire(settings))
    if expired is None:
        raise Failure("another process seals or deletes days of this database at the moment")
    if json:
        write_json({"days": expired.days, "records": expired.records, "partitions": partitions})
    else:
        stdout().print(f"{expired.days:,} days with {expired.records:,} records deleted.")
        if partitions:
            stdout().print(f"{partitions:,} empty partitions dropped.")


@app.command()
def fold(
    anew: Annotated[bool, typer.Option("--anew", help="Make all of them again.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make the columns of closed days that summaries are read from. A gateway does so by itself, once a minute."""
    settings = load(config)
    require_file(settings, instead=_FOLDS)
    if not is_installed():
        raise Failure(str(AnalyticsMissing()))
    with stderr().status("Folding days"):
        folded = asyncio.run(_fold(settings, anew=anew))
    if json:
        write_json({"days": folded})
    else:
        stdout().print(f"{folded:,} days folded." if folded else "Nothing to fold.")


# ---------------------------------------------------------------- work


async def _seal(settings: Settings, after_days: int) -> Sealed | None:
    before_us = SystemClock().now_us() - after_days * DAY_US
    async with opened_file(settings) as (store, _):
        total = sum(day.records for day in await store.archive.unsealed(before_us=before_us))
        with progress_bar(TaskProgressColumn()) as progress:
            task = progress.add_task("records", total=total)
            return await store.archive.seal(
                before_us=before_us, on_progress=lambda records: progress.advance(task, records)
            )


async def _retention(settings: Settings) -> int | None:
    async with opened(settings) as (store, home):
        return await store.retention.retention_days(home.organization_id)


async def _set_retention(settings: Settings, days: int | None) -> None:
    async with opened(settings) as (store, home):
        await store.retention.set_retention_days(home.organization_id, days)


async def _expire(settings: Settings) -> tuple[Expired | None, int]:
    """What was deleted, and how many partitions have become empty and were dropped."""
    now_us = SystemClock().now_us()
    async with opened(settings) as (store, _):
        expired = await store.retention.expire(default_days=settings.storage.retention_days, now_us=now_us)
        if expired is None or store.partitions is None:
            return expired, 0
        return expired, await store.partitions.drop_empty(now_us=now_us)


def _kept(days: int | None) -> str:
    return "for ever" if days is None else f"for {days:,} days"


def _engine(settings: Settings) -> str:
    return "postgres" if database_path(settings) is None else "sqlite"


def _facts(found: DatabaseStatus) -> Iterator[tuple[str, str]]:
    if isinstance(found, SqliteStatus):
        yield "Database", found.path
        yield "Size", f"{found.size:,} bytes, and {found.wal_size:,} not yet merged into it"
        yield "Schema", f"version {found.schema_version}"
        yield "SQLite", found.sqlite_version
    else:
        yield "Database", found.url
        yield "Size", f"{found.size:,} bytes"
        yield "Schema", f"version {found.schema_version}"
        yield "PostgreSQL", found.postgresql_version
        yield "Gateways", f"{found.gateways:,}"


def _version(settings: Settings) -> int:
    """The schema version of the database, without changing it; 0 if there is none."""
    path = database_path(settings)
    if path is None:
        return asyncio.run(postgres_version(settings))
    if not path.exists():
        return 0
    with storage_errors():
        connection = connect_reader(str(path))
        try:
            return schema_version(connection)
        finally:
            connection.close()


async def _touch(settings: Settings) -> None:
    async with opened(settings):
        pass


async def _status(settings: Settings) -> DatabaseStatus:
    async with opened(settings) as (store, _):
        return await store.status()


async def _fold(settings: Settings, *, anew: bool) -> int:
    clock = SystemClock()
    async with opened_file(settings) as (store, _):
        if anew:
            await store.unfold_all()
        return await Folding(store, now_us=clock.now_us, between_s=0).once()


async def _check(settings: Settings) -> CheckReport:
    async with opened(settings) as (store, _):
        return await store.ledger.check()


async def _back_up(settings: Settings, target: Path) -> None:
    """Under another name until it is whole."""
    partial = target.with_name(f"{target.name}.partial")
    _remove(partial)
    try:
        async with opened_file(settings) as (store, _):
            with progress_bar(TaskProgressColumn()) as progress:
                task = progress.add_task("pages", total=None)
                await store.backup(str(partial), lambda done, pages: progress.update(task, completed=done, total=pages))
        _rename(partial, target)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _rename(path: Path, target: Path) -> None:
    path.rename(target)

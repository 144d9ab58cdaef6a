"""`arouter activity`: the records of the organization, and sums over them."""

import asyncio
import os
import pwd
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from arouter.cli.corrections import UNKNOWN, correct_record, history_report, look_up, read_cost, read_text
from arouter.cli.database import count_records, existing_path, opened
from arouter.cli.export import ENCODINGS, Format, destination, write_records
from arouter.cli.filter_options import read_options
from arouter.cli.options import Config, Json, application
from arouter.cli.output import stderr, stdout, write_json
from arouter.cli.summary_table import summary_table
from arouter.domain.activity import (
    METRICS,
    MOST_DIMENSIONS,
    SUMMED_METRICS,
    ActivityQuery,
    Dimension,
    Filters,
    Order,
    Scope,
    Summary,
    SummaryQuery,
)
from arouter.domain.ranking import default_order
from arouter.domain.record import Status
from arouter.engine.clock import SystemClock
from arouter.settings import Settings, load
from arouter.store.buckets import time_zone
from arouter.wire.adjustments_json import RecordHistory
from arouter.wire.summary import encode_summary, whole

app = application(help="Read the activity, one record for every request, and correct its costs.", no_args_is_help=True)

_INSTANT = "RFC 3339, a date, or Unix seconds"

Users = Annotated[
    list[str] | None,
    typer.Option("--user", metavar="U", help="Requests of this user, byte for byte. Repeatable.", show_default=False),
]
Unattributed = Annotated[bool, typer.Option("--unattributed", help="Requests without a user.")]
Start = Annotated[str | None, typer.Option(metavar="T", help=f"Created at or after: {_INSTANT}.", show_default=False)]
End = Annotated[str | None, typer.Option(metavar="T", help=f"Created before: {_INSTANT}.", show_default=False)]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="M", help="The model, routed to or asked for. Repeatable.", show_default=False),
]
Providers = Annotated[
    list[str] | None,
    typer.Option("--provider", metavar="P", help="The provider that answered. Repeatable.", show_default=False),
]
Statuses = Annotated[
    list[Status] | None, typer.Option("--status", help="How the request ended. Repeatable.", show_default=False)
]
Keys = Annotated[
    list[str] | None,
    typer.Option("--api-key-hash", metavar="H", help="The hash of its key. Repeatable.", show_default=False),
]
Endpoints = Annotated[
    list[str] | None,
    typer.Option("--endpoint", metavar="E", help="The path that was called. Repeatable.", show_default=False),
]
Sessions = Annotated[
    list[str] | None,
    typer.Option(
        "--session-id", metavar="S", help="The session that the client named. Repeatable.", show_default=False
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="T", help="A tag that the client gave. Repeatable.", show_default=False),
]
RecordId = Annotated[str, typer.Argument(metavar="ID", help="The record's id: gen-….", show_default=False)]


# ---------------------------------------------------------------- commands


@app.command()
def export(
    config: Config = None,
    user: Users = None,
    unattributed: Unattributed = False,
    start: Start = None,
    end: End = None,
    updated_since: Annotated[
        str | None, typer.Option(metavar="T", help="Written or re-priced at or after.", show_default=False)
    ] = None,
    model: Models = None,
    provider: Providers = None,
    status: Statuses = None,
    api_key_hash: Keys = None,
    endpoint: Endpoints = None,
    session_id: Sessions = None,
    tag: Tags = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="By rising time.")] = False,
    form: Annotated[
        Format | None, typer.Option("--format", help="Default: csv. parquet is not supported yet.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write. Default: standard output.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Write every record that matches, newest first, up to the moment of the call."""
    chosen = _read_format(form, json=json)
    settings = load(config)
    existing_path(settings)
    filters = read_options(
        user=user,
        unattributed=unattributed,
        start=start,
        end=end,
        updated_since=updated_since,
        model=model,
        provider=provider,
        status=status,
        api_key_hash=api_key_hash,
        endpoint=endpoint,
        session_id=session_id,
        tag=tag,
    )
    written = asyncio.run(_export(settings, filters, chosen, output, descending=not oldest_first))
    if output is not None:
        stderr().print(f"{written:,} records in {output}.", soft_wrap=True, markup=False)


@app.command()
def summary(
    config: Config = None,
    group_by: Annotated[
        list[Dimension] | None,
        typer.Option(help=f"Up to {MOST_DIMENSIONS}, repeated. Default: everything in one row.", show_default=False),
    ] = None,
    user: Users = None,
    unattributed: Unattributed = False,
    start: Start = None,
    end: End = None,
    model: Models = None,
    provider: Providers = None,
    status: Statuses = None,
    api_key_hash: Keys = None,
    endpoint: Endpoints = None,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Where days begin: an IANA name.")] = "UTC",
    order_by: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A metric or a dimension. Default: cost, or the time.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Groups; the others are added up in one row.")] = 100,
    json: Json = False,
) -> None:
    """Exact sums: requests, tokens and cost, by user, model, day and more."""
    dimensions = tuple(group_by or ())
    if len(dimensions) > MOST_DIMENSIONS or len(set(dimensions)) < len(dimensions):
        raise typer.BadParameter(f"give up to {MOST_DIMENSIONS} different dimensions", param_hint="--group-by")
    order = _read_order(order_by, dimensions)
    try:
        zone = time_zone(timezone)
    except ValueError as exc:
        raise typer.BadParameter(f"there is no time zone {timezone!r}", param_hint="--timezone") from exc
    settings = load(config)
    existing_path(settings)
    filters = read_options(
        zone=zone,
        user=user,
        unattributed=unattributed,
        start=start,
        end=end,
        model=model,
        provider=provider,
        status=status,
        api_key_hash=api_key_hash,
        endpoint=endpoint,
    )
    found = asyncio.run(_summarize(settings, filters, dimensions, timezone, order, limit))
    if not dimensions:
        found = whole(found)
    if json:
        sys.stdout.buffer.write(encode_summary(found, dimensions, SUMMED_METRICS) + b"\n")
        sys.stdout.buffer.flush()
    else:
        stdout().print(summary_table(found, dimensions))


@app.command()
def show(record_id: RecordId, config: Config = None, json: Json = False) -> None:
    """One record, its attempts, and every adjustment of its cost."""
    settings = load(config)
    existing_path(settings)
    _tell(asyncio.run(look_up(settings, record_id)), json=json)


@app.command()
def correct(
    record_id: RecordId,
    cost: Annotated[
        str,
        typer.Option(
            metavar="USD",
            help=f"What it costs from now on, in dollars, exactly; or {UNKNOWN}. Not a difference.",
            show_default=False,
        ),
    ],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for whoever asks later.", show_default=False)],
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who says so. Default: your login name.", show_default=False)
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """State another cost for a record: a credit, a provider's invoice.

    The record stays as it is; the correction is written beside it, and every view and every sum goes by it. To take
    it back, correct again. Re-pricing leaves a corrected record alone.
    """
    amount = read_cost(cost)
    reason = read_text(reason, "--reason")
    author = _login_name() if by is None else read_text(by, "--by")
    settings = load(config)
    existing_path(settings)
    _tell(asyncio.run(correct_record(settings, record_id, amount, reason=reason, author=author)), json=json)


# ---------------------------------------------------------------- work


async def _export(settings: Settings, filters: Filters, form: Format, output: Path | None, *, descending: bool) -> int:
    now_us = SystemClock().now_us()
    # What begins meanwhile is the next export's: otherwise this one might never come to its end.
    end_us = now_us + 1 if filters.end_us is None else min(filters.end_us, now_us + 1)
    async with opened(settings) as (store, home):
        scope = Scope(organization_id=home.organization_id)
        query = ActivityQuery(scope=scope, filters=replace(filters, end_us=end_us), descending=descending)
        with destination(output) as target, _progress(to_file=output is not None) as progress:
            total = None if progress.disable else await count_records(store, query)
            task = progress.add_task("records", total=total)
            return await write_records(
                store.ledger, query, ENCODINGS[form], target, lambda records: progress.advance(task, records)
            )


async def _summarize(
    settings: Settings, filters: Filters, dimensions: tuple[Dimension, ...], timezone: str, order: Order, limit: int
) -> Summary:
    async with opened(settings) as (store, home):
        scope = Scope(organization_id=home.organization_id)
        return await store.ledger.summary(
            SummaryQuery(scope=scope, filters=filters, group_by=dimensions, timezone=timezone, order=order, limit=limit)
        )


def _tell(history: RecordHistory, *, json: bool) -> None:
    if json:
        write_json(history)
    else:
        stdout().print(history_report(history))


def _login_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _progress(*, to_file: bool) -> Progress:
    """A bar on the terminal, unless the records themselves go there."""
    shown = sys.stderr.isatty() and (to_file or not sys.stdout.isatty())
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=stderr(),
        transient=True,
        disable=not shown,
    )


# ---------------------------------------------------------------- reading the options


def _read_format(form: Format | None, *, json: bool) -> Format:
    if json and form not in (None, Format.JSON):
        raise typer.BadParameter("--json and another --format exclude each other", param_hint="--format")
    if form is Format.PARQUET:
        raise typer.BadParameter("parquet is not supported yet; use csv, ndjson or json", param_hint="--format")
    if form is None:
        return Format.JSON if json else Format.CSV
    return form


def _read_order(name: str | None, dimensions: tuple[Dimension, ...]) -> Order:
    if name is None:
        return default_order(dimensions)
    known = (*METRICS, *dimensions)
    if name not in known:
        raise typer.BadParameter(f"must be one of {', '.join(known)}", param_hint="--order-by")
    return Order(by=name, descending=name in METRICS)

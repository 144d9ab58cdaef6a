"""`arouter activity`: the records of the organization, and sums over them."""

import asyncio
import os
import pwd
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn, Progress, ProgressColumn, Task
from rich.text import Text

from arouter.cli.corrections import UNKNOWN, correct_record, history_report, look_up, read_cost, read_text
from arouter.cli.database import count_records, opened, require_database
from arouter.cli.export import (
    CAN_GO_ON,
    Compression,
    Export,
    Format,
    Written,
    give_memory_back,
    write_to_file,
    write_to_output,
)
from arouter.cli.filter_options import parameters_of, read_options
from arouter.cli.options import Config, Json, application, read_zone
from arouter.cli.output import Failure, stderr, stdout, write_json
from arouter.cli.progress import progress_bar
from arouter.cli.report import DEFAULT_TITLE, write_report
from arouter.cli.summary_table import summary_table
from arouter.domain.activity import (
    MOST_DIMENSIONS,
    ActivityQuery,
    Dimension,
    Filters,
    Scope,
    Summary,
    SummaryQuery,
)
from arouter.domain.errors import ARouterError, InvalidRequest
from arouter.domain.record import Status
from arouter.domain.report import DEFAULT_LIMIT
from arouter.domain.report import MOST_LIMIT as MOST_ROWS
from arouter.engine.clock import SystemClock
from arouter.engine.comparison import Comparison
from arouter.settings import Settings, load
from arouter.web.api.summary_query import MOST_LIMIT, answer, read_summary_query, shown_metrics, wants_comparison
from arouter.web.api.summary_query import PARAMETERS as SUMMARY_PARAMETERS
from arouter.wire.adjustments_json import RecordHistory
from arouter.wire.instants import read_instant
from arouter.wire.summary import encode_summary

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
        Format | None,
        typer.Option("--format", help="Default: csv. focus has the sums of days, by rising time.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where to write; it is there when it is whole. Default: standard output.",
            show_default=False,
        ),
    ] = None,
    compress: Annotated[
        Compression | None, typer.Option(help="Not for parquet, which is by itself.", show_default=False)
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="T", help=f"Written at or before: {_INSTANT}. Default: now.", show_default=False),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with a csv or ndjson file that was cut; the others begin anew."),
    ] = False,
    json: Annotated[
        bool,
        typer.Option("--json", help="With --output, tell what was written as JSON; else the same as --format json."),
    ] = False,
) -> None:
    """Write every record that matches, newest first, up to the moment of the call."""
    chosen = _read_format(form, output, compress, json=json, resume=resume)
    until_us = _read_until(until)
    settings = load(config)
    require_database(settings)
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
    filters = replace(filters, written_until_us=until_us)
    descending = not oldest_first and chosen is not Format.FOCUS
    give_memory_back()
    written = asyncio.run(_export(settings, filters, chosen, compress, output, descending=descending, resume=resume))
    if written is None:
        return
    if json:
        write_json(written)
    else:
        stderr().print(f"{written.records:,} records in {output}.", soft_wrap=True, markup=False)


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
    session_id: Sessions = None,
    tag: Tags = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help="What to tell; repeated. Default: all but latency_ms_p50 and latency_ms_p95.",
            show_default=False,
        ),
    ] = None,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Where days begin: an IANA name.")] = "UTC",
    order_by: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A metric or a dimension. Default: cost, or the time.", show_default=False),
    ] = None,
    order: Annotated[
        str | None, typer.Option(metavar="asc|desc", help="Default: desc for a metric.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Groups; the others are added up in one row.")] = 100,
    compare: Annotated[
        str | None,
        typer.Option(metavar="previous", help="With the range before, of equal length.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Exact sums: requests, tokens and cost, by user, model, day and more."""
    parameters = parameters_of(
        SUMMARY_PARAMETERS,
        group_by=[one.value for one in group_by or ()],
        metrics=metric,
        user=user,
        unattributed=unattributed,
        start=start,
        end=end,
        model=model,
        provider=provider,
        status=status,
        api_key_hash=api_key_hash,
        endpoint=endpoint,
        session_id=session_id,
        tag=tag,
        timezone=timezone,
        order_by=order_by,
        order=order,
        limit=min(limit, MOST_LIMIT),
        compare=compare,
    )
    try:
        query, is_compared = read_summary_query(parameters, Scope(organization_id="")), wants_comparison(parameters)
    except InvalidRequest as exc:
        hint = None if exc.param is None else f"--{exc.param.replace('_', '-')}"
        raise typer.BadParameter(exc.message, param_hint=hint) from exc
    settings = load(config)
    require_database(settings)
    found, before = asyncio.run(_summarize(settings, query, is_compared=is_compared))
    if json:
        sys.stdout.buffer.write(encode_summary(found, query.group_by, shown_metrics(query), before) + b"\n")
        sys.stdout.buffer.flush()
    else:
        stdout().print(summary_table(found, query, before))


@app.command()
def report(
    config: Config = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to write it: a PDF, or by its ending .html or .json.", show_default=False
        ),
    ] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="What stands above it.")] = DEFAULT_TITLE,
    user: Users = None,
    unattributed: Unattributed = False,
    start: Start = None,
    end: End = None,
    model: Models = None,
    provider: Providers = None,
    status: Statuses = None,
    api_key_hash: Keys = None,
    endpoint: Endpoints = None,
    session_id: Sessions = None,
    tag: Tags = None,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Where days begin: an IANA name.")] = "UTC",
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=MOST_ROWS, help="Users, models and keys listed; the others add up.")
    ] = DEFAULT_LIMIT,
    json: Annotated[bool, typer.Option("--json", help="Print the data behind it as one JSON value.")] = False,
) -> None:
    """Write a PDF or a page of spend, tokens and requests over time and by user, model, key and creator.

    Without a range it is on the last 30 days. The PDF needs the extra `report`.
    """
    if out is None and not json:
        raise typer.BadParameter("say where to write it, or give --json", param_hint="--out")
    zone = read_zone(timezone)
    settings = load(config)
    require_database(settings)
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
        session_id=session_id,
        tag=tag,
    )
    write_report(settings, filters, title=title, timezone=timezone, limit=limit, out=out, json=json)


@app.command()
def show(record_id: RecordId, config: Config = None, json: Json = False) -> None:
    """One record, its attempts, and every adjustment of its cost."""
    settings = load(config)
    require_database(settings)
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
    require_database(settings)
    _tell(asyncio.run(correct_record(settings, record_id, amount, reason=reason, author=author)), json=json)


# ---------------------------------------------------------------- work


async def _export(
    settings: Settings,
    filters: Filters,
    form: Format,
    compression: Compression | None,
    output: Path | None,
    *,
    descending: bool,
    resume: bool,
) -> Written | None:
    async with opened(settings) as (store, home):
        asked_us, written_us = filters.written_until_us, await store.ledger.written_until()
        now_us = SystemClock().now_us() if written_us is None else written_us
        until_us = now_us if asked_us is None else min(asked_us, now_us)
        scope = Scope(organization_id=home.organization_id)
        query = ActivityQuery(scope=scope, filters=filters, descending=descending)
        export = Export(query=query, form=form, compression=compression).of(until_us)
        with _progress(to_file=output is not None) as progress:
            total = None if progress.disable else await count_records(store, query)
            task = progress.add_task("records", total=total)

            def on_records(records: int) -> None:
                progress.advance(task, records)

            if output is None:
                await write_to_output(store.ledger, export, on_records)
                return None
            try:
                return await write_to_file(
                    store.ledger, export, output, on_records, resume=resume, until_given=asked_us is not None
                )
            except (ARouterError, OSError) as problem:
                if form not in CAN_GO_ON:
                    raise
                raise Failure(f"{problem}; {output}.partial is kept, and --resume goes on with it") from problem


async def _summarize(
    settings: Settings, query: SummaryQuery, *, is_compared: bool
) -> tuple[Summary, Comparison | None]:
    """As much as it takes: who may read the file may wait."""
    async with opened(settings) as (store, home):
        scoped = replace(query, scope=Scope(organization_id=home.organization_id))
        return await answer(store.ledger, scoped, is_compared=is_compared, now_us=SystemClock().now_us())


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


class _Speed(ProgressColumn):
    """Records a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f} records/s")


def _progress(*, to_file: bool) -> Progress:
    """A bar on the terminal, unless the records themselves go there."""
    return progress_bar(MofNCompleteColumn(), _Speed(), shown=to_file or not sys.stdout.isatty())


# ---------------------------------------------------------------- reading the options


def _read_format(
    form: Format | None, output: Path | None, compress: Compression | None, *, json: bool, resume: bool
) -> Format:
    if json and output is None and form not in (None, Format.JSON):
        raise typer.BadParameter("--json and another --format exclude each other", param_hint="--format")
    if form is None:
        form = Format.JSON if json and output is None else Format.CSV
    if form is Format.PARQUET and compress is not None:
        raise typer.BadParameter("parquet is compressed by itself", param_hint="--compress")
    if resume and output is None:
        raise typer.BadParameter("only a file can be gone on with: give --output", param_hint="--resume")
    if form is Format.PARQUET and output is None and sys.stdout.isatty():
        raise typer.BadParameter("parquet is not for a terminal: give --output", param_hint="--format")
    return form


def _read_until(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return read_instant(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--until") from exc

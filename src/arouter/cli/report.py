"""A report on the activity of the whole organization, read from the database and written to a file."""

import asyncio
import sys
from pathlib import Path

import typer

from arouter import __version__
from arouter.cli.database import opened
from arouter.cli.output import stderr
from arouter.cli.whole_file import whole_file
from arouter.domain.activity import Filters, Scope
from arouter.domain.report import Report
from arouter.engine.clock import SystemClock
from arouter.engine.reporting import Asked, read_report
from arouter.settings import Settings
from arouter.wire.report.forms import FORMS, renderer
from arouter.wiring.report_fonts import report_fonts

DEFAULT_TITLE = "Activity report"


def write_report(
    settings: Settings, filters: Filters, *, title: str, timezone: str, limit: int, out: Path | None, json: bool
) -> None:
    """To `out`, in the form that its ending names, and with `json` to standard output as well."""
    write = None if out is None else renderer(_form(out), report_fonts(settings))
    report = asyncio.run(_read(settings, filters, title=title, timezone=timezone, limit=limit))
    if out is not None and write is not None:
        with whole_file(out) as target:
            target.write(write(report))
        stderr().print(f"{report.totals.requests:,} requests in {out}.", soft_wrap=True, markup=False)
    if json:
        sys.stdout.buffer.write(renderer("json")(report) + b"\n")
        sys.stdout.buffer.flush()


async def _read(settings: Settings, filters: Filters, *, title: str, timezone: str, limit: int) -> Report:
    now_us = SystemClock().now_us()
    async with opened(settings) as (store, home):
        asked = Asked(
            title=title,
            scope=Scope(organization_id=home.organization_id),
            filters=filters,
            timezone=timezone,
            limit=limit,
            made_by=f"ARouter {__version__}, arouter activity report",
        )
        try:
            return await read_report(store.directory, store.ledger, asked, now_us=now_us)
        except ValueError as exc:
            raise typer.BadParameter(str(exc), param_hint="--end") from exc


def _form(out: Path) -> str:
    """A PDF, unless the ending names another form."""
    ending = out.suffix.removeprefix(".").lower()
    return ending if ending in FORMS else "pdf"

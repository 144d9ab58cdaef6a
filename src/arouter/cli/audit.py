"""`arouter audit`."""

import asyncio
import sys
from dataclasses import replace
from datetime import UTC
from enum import StrEnum
from typing import Annotated

import typer

from arouter.cli.options import Config, application
from arouter.cli.output import stdout, table, visible, write_json
from arouter.cli.people import PAGE, OrganizationId, in_organization, settings_of
from arouter.domain.audit import AuditAction, AuditEntry, AuditQuery
from arouter.store.stores import Store
from arouter.wire.audit_json import audit_object, encode_audit_header, encode_audit_lines, encode_audit_rows
from arouter.wire.instants import read_instant, write_instant

app = application(help="Show who changed what.")

_SHOWN_OF_AN_ID = 24
_LAST = 50


class Format(StrEnum):
    """What is printed."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


@app.command()
def audit(
    actor: Annotated[
        list[str] | None,
        typer.Option(metavar="A", help="A key's hash, a member's id, or operator. Repeatable.", show_default=False),
    ] = None,
    action: Annotated[
        list[AuditAction] | None,
        typer.Option(metavar="ACTION", help="What was done, such as key.create. Repeatable.", show_default=False),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="What it was done to. Repeatable.", show_default=False)
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="T", help="At or after: RFC 3339, a date or Unix seconds.", show_default=False)
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="T", help="Before.", show_default=False)] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help=f"How many, the newest. Default: {_LAST} in a table, else all.", show_default=False
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="How they are printed.")] = Format.TABLE,  # noqa: A002
    config: Config = None,
    organization: OrganizationId = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Entries of the audit log, newest first. `arouter db check` proves that none was altered."""
    form = Format.JSON if json else format
    query = AuditQuery(
        organization_id="",
        actors=tuple(actor or ()),
        actions=tuple(one.value for one in action or ()),
        targets=tuple(target or ()),
        start_us=_instant(start, "--start"),
        end_us=_instant(end, "--end"),
    )
    most = _LAST if limit is None and form is Format.TABLE else limit

    async def work(store: Store, organization_id: str) -> list[AuditEntry]:
        found: list[AuditEntry] = []
        asked = replace(query, organization_id=organization_id)
        while True:
            size = PAGE if most is None else min(PAGE, most - len(found))
            page = await store.directory.audit_page(replace(asked, limit=size))
            found += page
            if len(page) < size or len(found) == most:
                return found
            asked = replace(asked, after_no=page[-1].no)

    _tell(asyncio.run(in_organization(settings_of(config), organization, work)), form)


def _tell(entries: list[AuditEntry], form: Format) -> None:
    if form is Format.JSON:
        write_json([audit_object(entry) for entry in entries])
    elif form is Format.TABLE:
        lines = table(("No", "At", "Who", "Did", "To"), numbers=("No",))
        for entry in entries:
            who = entry.actor.kind.value if entry.actor.id is None else f"{entry.actor.kind} {_short(entry.actor.id)}"
            lines.add_row(
                str(entry.no),
                write_instant(entry.at_us)[:19],
                visible(who),
                entry.action.value,
                visible(None if entry.target_id is None else _short(entry.target_id)),
            )
        stdout().print(lines)
    else:
        content = encode_audit_lines(entries)
        if form is Format.CSV:
            content = encode_audit_header() + encode_audit_rows(entries)
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_OF_AN_ID + 8 else f"{text[:_SHOWN_OF_AN_ID]}…"


def _instant(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        return read_instant(text, UTC)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint=option) from exc

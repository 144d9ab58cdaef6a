"""`arouter db journal`: what waits on this machine for a database that is, or was, away. It needs no database."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from arouter.cli.options import Config, Json
from arouter.cli.output import Failure, facts, stdout, write_json
from arouter.settings import Settings, load
from arouter.store.journal.looking import Waiting, everything_set_aside, look
from arouter.wiring.storage import journal_folder


def journal(
    set_aside: Annotated[
        bool,
        typer.Option("--set-aside", help="Write the records that the database refused for good, a JSON line each."),
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """What waits in the journals of this machine while the database is away."""
    settings = load(config)
    folder = _folder(settings)
    if set_aside:
        for one in everything_set_aside(folder):
            line = {
                "id": one.id,
                "at": _instant(one.at_us),
                "reason": one.reason,
                "record": msgspec.Raw(one.body.encode()),
            }
            sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        return
    waiting = look(folder)
    if json:
        write_json({"path": str(folder), **told(waiting)})
    else:
        stdout().print(facts((("Journal", str(folder)), ("Waiting", said(waiting)))))


def told(waiting: Waiting) -> dict[str, object]:
    """For machines."""
    return {
        "journals": waiting.journals,
        "unreadable": waiting.unreadable,
        "records": waiting.records,
        "oldest_at": None if waiting.oldest_us is None else _instant(waiting.oldest_us),
        "running": waiting.openings,
        "set_aside": waiting.set_aside,
        "size": waiting.bytes,
    }


def said(waiting: Waiting) -> str:
    """For people."""
    parts = [f"{waiting.records:,} records"]
    if waiting.oldest_us is not None:
        parts[0] += f", the first since {_instant(waiting.oldest_us)}"
    if waiting.set_aside:
        parts.append(f"{waiting.set_aside:,} that the database refused for good")
    if waiting.unreadable:
        parts.append(f"{waiting.unreadable:,} journals that cannot be read")
    return "; ".join(parts)


def waiting_of(settings: Settings) -> Waiting | None:
    """What waits for the database of the settings; None if it has no journal."""
    folder = journal_folder(settings)
    return None if folder is None else look(folder)


def _folder(settings: Settings) -> Path:
    folder = journal_folder(settings)
    if folder is None:
        raise Failure("there is no journal: storage.url is a file, or storage.outage_limit_s is 0")
    return folder


def _instant(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

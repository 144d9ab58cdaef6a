"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from arouter.store.buckets import time_zone

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The configuration file. Default: $AROUTER_CONFIG, else ./arouter.toml if it is there.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value, and nothing else.")]
Host = Annotated[
    str | None, typer.Option(metavar="H", help="The address to listen on. Default: as configured.", show_default=False)
]
Port = Annotated[
    int | None,
    typer.Option(
        metavar="P",
        min=0,
        max=65535,
        help="The port to listen on; 0 for any free one. Default: as configured.",
        show_default=False,
    ),
]


def application(**arguments: Any) -> typer.Typer:
    """A Typer application in the manner of this command line."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, **arguments)


def read_zone(name: str) -> ZoneInfo:
    """The time zone that `--timezone` names."""
    try:
        return time_zone(name)
    except ValueError as exc:
        raise typer.BadParameter(f"there is no time zone {name!r}", param_hint="--timezone") from exc

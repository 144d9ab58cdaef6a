"""Options that several commands share."""

import re
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


_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def application(**arguments: Any) -> typer.Typer:
    """A Typer application in the manner of this command line."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, **arguments)


def read_duration(text: str, option: str, *, most_s: int) -> int:
    """`90s`, `90m`, `24h` or `7d` as seconds. BadParameter if `text` is none, or longer than `most_s`."""
    match = _DURATION.fullmatch(text)
    seconds = None if match is None else int(match[1]) * _SECONDS[match[2]]
    if seconds is None or not 0 < seconds <= most_s:
        raise typer.BadParameter(
            f"{text!r} is not a time such as 90s, 90m, 24h or 7d, of up to {most_s // _SECONDS['d']} days",
            param_hint=option,
        )
    return seconds


def read_zone(name: str) -> ZoneInfo:
    """The time zone that `--timezone` names."""
    try:
        return time_zone(name)
    except ValueError as exc:
        raise typer.BadParameter(f"there is no time zone {name!r}", param_hint="--timezone") from exc

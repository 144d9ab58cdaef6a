"""The command line: parses, calls, prints. One module a command group; `app` is all of it."""

import sys
from typing import Annotated

import typer

from arouter import __version__
from arouter.cli.commands import Commands
from arouter.cli.options import application
from arouter.cli.output import Failure, complain
from arouter.domain.errors import ARouterError, InvalidRequest
from arouter.settings import SettingsError

app = application(cls=Commands, no_args_is_help=True)

_FAILED, _MISUSED = 1, 2


def _tell_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"arouter {__version__}\n")
        raise typer.Exit


@app.callback()
def arouter(
    version: Annotated[
        bool, typer.Option("--version", help="Tell the version.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """A self-hosted LLM gateway that remembers what each of your users used, and what it cost."""


def main() -> None:
    """Run the command that the arguments name. Exits 0 on success, 1 on failure, 2 on wrong usage."""
    try:
        app(prog_name="arouter")
    except InvalidRequest as problem:
        complain(problem)
        sys.exit(_MISUSED)
    except (Failure, SettingsError, ARouterError, OSError) as problem:
        complain(problem)
        sys.exit(_FAILED)

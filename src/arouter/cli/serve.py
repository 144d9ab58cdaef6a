"""`arouter serve`."""

import dataclasses
import errno
import shlex
import signal
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from arouter import __version__
from arouter.cli.options import Config, Host, Json, Port, application
from arouter.cli.output import Failure, facts, stdout, write_json
from arouter.engine.admission import SANDBOX
from arouter.providers.vendors import VENDORS
from arouter.settings import Settings, load
from arouter.web.dashboard.page import PATH
from arouter.wiring.started import FirstKeys, Started
from arouter.wiring.storage import database_name
from arouter.wiring.supervisor import WorkersFailed
from arouter.wiring.workers import run

app = application()

EXAMPLE_USER = "user_12345"
_EXAMPLE_MODEL = "sandbox/sandbox-echo"
_MOST_REMEDIES = 3


@app.command()
def serve(
    config: Config = None,
    host: Host = None,
    port: Port = None,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes. Default: as configured.")] = None,
    json: Json = False,
) -> None:
    """Run the gateway until a signal says stop."""

    def read() -> Settings:
        settings = with_address(load(config), host, port)
        if workers is None:
            return settings
        return dataclasses.replace(settings, server=dataclasses.replace(settings.server, workers=workers))

    settings = read()
    telling = partial(_tell, settings, json=json)
    run_gateway(settings, lambda: run(settings, on_ready=telling, reload=read))


def with_address(settings: Settings, host: str | None, port: int | None) -> Settings:
    """`settings` with what the command line says of the address."""
    server = settings.server
    return dataclasses.replace(
        settings,
        server=dataclasses.replace(
            server, host=server.host if host is None else host, port=server.port if port is None else port
        ),
    )


def run_gateway(settings: Settings, serving: Callable[[], bool]) -> None:
    """Run what serves until a signal; Failure if it cannot start, which `serving` tells as False or as an error.

    To be told to stop, and to have stopped, is success.
    """
    # The web server ends in good order and then repeats the signal: what it stands for has been done by then.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    address = f"{settings.server.host}:{settings.server.port}"
    try:
        started = serving()
    except KeyboardInterrupt:
        return
    except socket.gaierror as exc:
        raise Failure(f"cannot listen on {address}: {exc.strerror}; set --host to an address of this machine") from exc
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise Failure(f"{address} is taken; choose another --port, or 0 for any free one") from exc
        raise Failure(f"cannot listen on {address}: {exc.strerror}; choose another --host or --port") from exc
    except WorkersFailed as exc:
        raise Failure(str(exc)) from exc
    if not started:
        raise Failure("the gateway did not start; the lines above say why")


def told(settings: Settings, started: Started) -> dict[str, object]:
    """What programs are told when it is ready."""
    ready: dict[str, object] = {"url": started.url}
    keys = started.first_keys
    if keys is not None:
        ready |= {"live_key": keys.live, "management_key": keys.management}
    return ready | {
        "providers": list(started.providers),
        "database": database_name(settings),
        "interrupted": started.interrupted,
    }


def curl_lines(url: str, key: str, model: str) -> tuple[str, str]:
    """A request as a user, and that user's activity. `key` may be a variable of the shell."""
    body = f'{{"model": "{model}", "user": "{EXAMPLE_USER}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    bearer = f'-H "Authorization: Bearer {key}"'
    ask = f"curl {url}/v1/chat/completions {bearer} -H 'Content-Type: application/json' -d {shlex.quote(body)}"
    return ask, f"curl '{url}/v1/activity?user={EXAMPLE_USER}' {bearer}"


def tell_keys(out: Console, keys: FirstKeys) -> None:
    out.print("The database had no keys; these were made, and are shown this once:", style="bold")
    out.print(facts((("  live", keys.live), ("  management", keys.management))), soft_wrap=True)
    out.print()


def _tell(settings: Settings, started: Started, *, json: bool) -> None:
    if json:
        write_json(told(settings, started))
        return
    url = started.url
    out = stdout()
    out.print(Text.assemble(("ARouter ", "bold"), f"{__version__} listens on ", (url, "bold cyan")), soft_wrap=True)
    out.print()
    database = database_name(settings)
    off = _remedies(started)
    lines = [("Database", database), ("Providers", ", ".join(started.providers) if started.providers else "none")]
    if off:
        lines.append(("", off))
    lines += [("Dashboard", f"{url}{PATH}"), ("Reference", f"{url}/docs")]
    out.print(facts(lines), soft_wrap=True)
    out.print()
    if started.interrupted:
        out.print(
            f"An earlier process left {started.interrupted:,} requests open; the activity has them as interrupted.",
            style="yellow",
            soft_wrap=True,
        )
        out.print()
    if started.first_keys is not None:
        tell_keys(out, started.first_keys)
    else:
        out.print("The database is set up already: its first keys were shown by whoever made them.", soft_wrap=True)
        out.print()
    out.print("A request as a user, and what that user has used so far:", style="bold")
    key = "$AROUTER_KEY" if started.first_keys is None else started.first_keys.live
    for line in curl_lines(url, key, _model(started.providers)):
        out.print(line, soft_wrap=True, markup=False)


def _model(providers: tuple[str, ...]) -> str:
    if SANDBOX in providers or not providers:
        return _EXAMPLE_MODEL
    return f"{providers[0]}/MODEL"


def _remedies(started: Started) -> str:
    """How to have more providers, in one line."""
    missing: Mapping[str, str] = {
        vendor.name: vendor.key_variables[0]
        for vendor in VENDORS
        if vendor.key_variables and vendor.name not in started.providers
    }
    if not missing:
        return ""
    named = ", ".join(list(missing.values())[:_MOST_REMEDIES])
    return f"Others are off until they have a key: {named}, … `arouter config check` tells of each."

"""`arouter serve`."""

import dataclasses
import errno
import shlex
import signal
import socket
from collections.abc import Mapping
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
from arouter.wiring.gateway import Gateway
from arouter.wiring.server import OnReady
from arouter.wiring.server import serve as run
from arouter.wiring.storage import FirstKeys, database_path

app = application()

EXAMPLE_USER = "user_12345"
_EXAMPLE_MODEL = "sandbox/sandbox-echo"
_MOST_REMEDIES = 3


@app.command()
def serve(
    config: Config = None,
    host: Host = None,
    port: Port = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes. More than one is not supported yet.")
    ] = None,
    json: Json = False,
) -> None:
    """Run the gateway until a signal says stop."""
    settings = with_address(load(config), host, port)
    if workers is not None:
        settings = dataclasses.replace(settings, server=dataclasses.replace(settings.server, workers=workers))
    run_gateway(settings, lambda gateway, url: _tell(gateway, url, json=json))


def with_address(settings: Settings, host: str | None, port: int | None) -> Settings:
    """`settings` with what the command line says of the address."""
    server = settings.server
    return dataclasses.replace(
        settings,
        server=dataclasses.replace(
            server, host=server.host if host is None else host, port=server.port if port is None else port
        ),
    )


def run_gateway(settings: Settings, on_ready: OnReady) -> None:
    """Serve until a signal; Failure if it cannot start. To be told to stop, and to have stopped, is success."""
    # The web server ends in good order and then repeats the signal: what it stands for has been done by then.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    address = f"{settings.server.host}:{settings.server.port}"
    try:
        started = run(settings, on_ready=on_ready)
    except KeyboardInterrupt:
        return
    except socket.gaierror as exc:
        raise Failure(f"cannot listen on {address}: {exc.strerror}; set --host to an address of this machine") from exc
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise Failure(f"{address} is taken; choose another --port, or 0 for any free one") from exc
        raise Failure(f"cannot listen on {address}: {exc.strerror}; choose another --host or --port") from exc
    if not started:
        raise Failure("the gateway did not start; the lines above say why")


def told(gateway: Gateway, url: str) -> dict[str, object]:
    """What programs are told when it is ready."""
    ready: dict[str, object] = {"url": url}
    keys = gateway.first_keys
    if keys is not None:
        ready |= {"live_key": keys.live, "management_key": keys.management}
    return ready | {
        "providers": list(gateway.providers),
        "database": str(database_path(gateway.settings)),
        "interrupted": gateway.interrupted,
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


def _tell(gateway: Gateway, url: str, *, json: bool) -> None:
    if json:
        write_json(told(gateway, url))
        return
    out = stdout()
    out.print(Text.assemble(("ARouter ", "bold"), f"{__version__} listens on ", (url, "bold cyan")), soft_wrap=True)
    out.print()
    path = database_path(gateway.settings)
    off = _remedies(gateway)
    lines = [("Database", str(path)), ("Providers", ", ".join(gateway.providers) if gateway.providers else "none")]
    if off:
        lines.append(("", off))
    lines += [("Dashboard", f"{url}{PATH}"), ("Reference", f"{url}/docs")]
    out.print(facts(lines), soft_wrap=True)
    out.print()
    if gateway.interrupted:
        out.print(
            f"An earlier process left {gateway.interrupted:,} requests open; the activity has them as interrupted.",
            style="yellow",
            soft_wrap=True,
        )
        out.print()
    if gateway.first_keys is not None:
        tell_keys(out, gateway.first_keys)
    out.print("A request as a user, and what that user has used so far:", style="bold")
    key = "$AROUTER_KEY" if gateway.first_keys is None else gateway.first_keys.live
    for line in curl_lines(url, key, _model(gateway.providers)):
        out.print(line, soft_wrap=True, markup=False)


def _model(providers: tuple[str, ...]) -> str:
    if SANDBOX in providers or not providers:
        return _EXAMPLE_MODEL
    return f"{providers[0]}/MODEL"


def _remedies(gateway: Gateway) -> str:
    """How to have more providers, in one line."""
    missing: Mapping[str, str] = {
        vendor.name: vendor.key_variables[0]
        for vendor in VENDORS
        if vendor.key_variables and vendor.name not in gateway.providers
    }
    if not missing:
        return ""
    named = ", ".join(list(missing.values())[:_MOST_REMEDIES])
    return f"Others are off until they have a key: {named}, … `arouter config check` tells of each."

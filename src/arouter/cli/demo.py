"""`arouter demo`."""

import asyncio
import dataclasses
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.text import Text

from arouter.cli.demo_client import DemoClient
from arouter.cli.demo_screen import read_usage, show_live, usage_table
from arouter.cli.demo_traffic import PRICES, Traffic
from arouter.cli.options import Config, Host, Json, Port, application
from arouter.cli.output import Failure, complain, stdout, write_json
from arouter.cli.serve import curl_lines, run_gateway, told, with_address
from arouter.domain.errors import UpstreamFailed
from arouter.domain.keys import KeyKind
from arouter.engine.admission import SANDBOX
from arouter.engine.clock import SystemClock
from arouter.engine.tasks import Tasks
from arouter.settings import Provider, Settings, load
from arouter.web.dashboard.page import PATH
from arouter.wiring.gateway import Gateway
from arouter.wiring.server import serve
from arouter.wiring.started import FirstKeys
from arouter.wiring.storage import SQLITE, find_home, make_key

app = application()

_REQUESTS_BEFORE_A_LOOK = 20
_PAUSE_S = 0.25


@app.command()
def demo(
    config: Config = None,
    host: Host = None,
    port: Port = None,
    database: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep the database there. Default: it ends with the demo.", show_default=False
        ),
    ] = None,
    rate: Annotated[float, typer.Option(metavar="N", min=0.1, max=50, help="Requests per second.")] = 3.0,
    requests: Annotated[int, typer.Option(metavar="N", min=0, help="Requests altogether.")] = 20_000,
    json: Json = False,
) -> None:
    """Run the gateway with the sandbox, pretend users and pretend prices, and a page to look at."""
    settings = with_address(load(config), host, port)
    with tempfile.TemporaryDirectory(prefix="arouter-demo-") as folder:
        file = Path(folder) / "demo.db" if database is None else database.resolve()
        show = _Demo(per_second=rate, most=requests, json=json)
        pretended = _pretending(settings, file)
        run_gateway(pretended, lambda: serve(pretended, on_ready=show.begin))


def _pretending(settings: Settings, database: Path) -> Settings:
    """Only the sandbox, with prices: whatever is configured, nothing is spent."""
    return dataclasses.replace(
        settings,
        storage=dataclasses.replace(settings.storage, url=f"{SQLITE}{database}", ledger_url=""),
        log=dataclasses.replace(settings.log, level="error"),
        providers={SANDBOX: Provider(enabled=True)},
        prices=PRICES,
    )


class _Demo:
    """What happens once the gateway answers."""

    def __init__(self, *, per_second: float, most: int, json: bool) -> None:
        self._per_second = per_second
        self._most = most
        self._json = json
        self._tasks = Tasks(_complain)

    def begin(self, gateway: Gateway, url: str) -> None:
        self._tasks.start("the demo", self._run(gateway, url))

    async def _run(self, gateway: Gateway, url: str) -> None:
        keys = await _keys(gateway)
        client = DemoClient(url)
        page = f"{url}{PATH}#key={keys.management}"
        if self._json:
            write_json(
                told(gateway.settings, gateway.started(url))
                | {"live_key": keys.live, "management_key": keys.management, "dashboard": page}
            )
        traffic = Traffic(client, keys.live, self._tasks, per_second=self._per_second, most=self._most)
        self._tasks.start("the demo's traffic", traffic.run())
        with suppress(UpstreamFailed):  # the gateway has been told to stop
            if not self._json:
                await _tell(stdout(), client, keys, url, page)


async def _tell(out: Console, client: DemoClient, keys: FirstKeys, url: str, page: str) -> None:
    out.print(Text("ARouter's demo: a pretend provider, pretend users and pretend prices.", style="bold"))
    out.print()
    # Not below the live table, which would break the lines that are there to be copied.
    for line in curl_lines(url, keys.live, "sandbox/sandbox-echo"):
        out.print(line, soft_wrap=True, markup=False)
    out.print()
    where = _where(url, page)
    if out.is_terminal:
        await show_live(out, client, keys.management, where)
        return
    usage = await read_usage(client, keys.management)
    while usage.totals.requests < _REQUESTS_BEFORE_A_LOOK:
        await asyncio.sleep(_PAUSE_S)
        usage = await read_usage(client, keys.management)
    out.print(usage_table(usage))
    out.print(where, soft_wrap=True)


def _where(url: str, page: str) -> Group:
    """What else to look at."""
    return Group(
        Text.assemble(("Page       ", "bold"), (page, "cyan")),
        Text.assemble(("Reference  ", "bold"), (f"{url}/docs", "cyan")),
    )


async def _keys(gateway: Gateway) -> FirstKeys:
    """Those of a new database, or new ones, since nobody can tell what the old ones were."""
    if gateway.first_keys is not None:
        return gateway.first_keys
    clock = SystemClock()
    home = await find_home(gateway.store, clock)
    test, test_plaintext = make_key(home, KeyKind.TEST, "demo", now_us=clock.now_us())
    management, management_plaintext = make_key(home, KeyKind.MANAGEMENT, "demo", now_us=clock.now_us())
    await gateway.store.directory.add_key(test, secret=test.hash)
    await gateway.store.directory.add_key(management, secret=management.hash)
    return FirstKeys(live=test_plaintext, management=management_plaintext)


def _complain(name: str, failure: BaseException) -> None:
    complain(Failure(f"{name} failed: {failure}"))

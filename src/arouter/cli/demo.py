"""`arouter demo`."""

import asyncio
import dataclasses
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.text import Text

from arouter.cli.database import opened
from arouter.cli.demo_client import DemoClient
from arouter.cli.demo_history import History, Wanted, add_history, history_lines
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
from arouter.store.stores import without_password
from arouter.web.dashboard.page import PATH
from arouter.wiring.gateway import Gateway
from arouter.wiring.server import serve
from arouter.wiring.started import FirstKeys
from arouter.wiring.storage import POSTGRES, SQLITE, find_home, make_key

app = application()

_REQUESTS_BEFORE_A_LOOK = 20
_PAUSE_S = 0.25


DAYS, USERS, RECORDS, SEED = 90, 500, 50_000, 1
"""Of a history of which nothing else is said."""


def _of_history(text: str, default: int, *, least: int = 1, most: int) -> Any:
    """An option that has a meaning with --history only."""
    return typer.Option(
        metavar="N", min=least, max=most, help=f"{text} Default: {default}. With --history.", show_default=False
    )


@app.command()
def demo(
    config: Config = None,
    host: Host = None,
    port: Port = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Keep the database there; may be a postgresql:// URL. Default: it ends with the demo.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[float, typer.Option(metavar="N", min=0.1, max=50, help="Requests per second.")] = 3.0,
    requests: Annotated[int, typer.Option(metavar="N", min=0, help="Requests altogether.")] = 20_000,
    history: Annotated[bool, typer.Option("--history", help="Begin with a pretend past.")] = False,
    days: Annotated[int | None, _of_history("Days that the past has.", DAYS, most=3_650)] = None,
    users: Annotated[int | None, _of_history("Users that it has.", USERS, most=1_000_000)] = None,
    records: Annotated[int | None, _of_history("Records that it has.", RECORDS, most=10_000_000)] = None,
    seed: Annotated[int | None, _of_history("Another one makes other users.", SEED, least=0, most=2**31)] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Add the past to a database that has real records.")] = False,
    json: Json = False,
) -> None:
    """Run the gateway with the sandbox, pretend users and pretend prices, and a page to look at."""
    settings = with_address(load(config), host, port)
    wanted = _wanted(history, days=days, users=users, records=records, seed=seed)
    with tempfile.TemporaryDirectory(prefix="arouter-demo-") as folder:
        pretended = _pretending(settings, _url(database or str(Path(folder) / "demo.db")))
        past = None if wanted is None else asyncio.run(_add(pretended, wanted, sure=yes))
        show = _Demo(per_second=rate, most=requests, past=past, json=json)
        run_gateway(pretended, lambda: serve(pretended, on_ready=show.begin))


def _url(database: str) -> str:
    return database if database.startswith(POSTGRES) else f"{SQLITE}{Path(database).resolve()}"


def _pretending(settings: Settings, url: str) -> Settings:
    """Only the sandbox, with prices: whatever is configured, nothing is spent."""
    sealing = None if url.startswith(POSTGRES) else settings.storage.seal_after_days
    return dataclasses.replace(
        settings,
        storage=dataclasses.replace(settings.storage, url=url, ledger_url="", seal_after_days=sealing),
        log=dataclasses.replace(settings.log, level="error"),
        providers={SANDBOX: Provider(enabled=True)},
        prices=PRICES,
    )


def _wanted(asked: bool, **numbers: int | None) -> Wanted | None:
    """What history is asked for, if any."""
    stray = next((name for name, number in numbers.items() if number is not None), None)
    if not asked and stray is not None:
        raise typer.BadParameter(f"--{stray} has a meaning with --history only")
    stated = {name: number for name, number in numbers.items() if number is not None}
    return Wanted(**{"days": DAYS, "users": USERS, "records": RECORDS, "seed": SEED, **stated}) if asked else None


async def _add(settings: Settings, wanted: Wanted, *, sure: bool) -> History:
    async with opened(settings) as (store, home):
        now_us = SystemClock().now_us()
        return await add_history(settings, store, home, wanted, now_us=now_us, sure=sure)


class _Demo:
    """What happens once the gateway answers."""

    def __init__(self, *, per_second: float, most: int, past: History | None, json: bool) -> None:
        self._per_second = per_second
        self._most = most
        self._past = past
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
                | ({} if self._past is None else {"history": self._past})
            )
        traffic = Traffic(client, keys.live, self._tasks, per_second=self._per_second, most=self._most)
        self._tasks.start("the demo's traffic", traffic.run())
        with suppress(UpstreamFailed):  # the gateway has been told to stop
            if not self._json:
                out = stdout()
                _greet(out, keys, url)
                if self._past is not None:
                    _tell_history(out, self._past, without_password(gateway.settings.storage.url), keys, url)
                await _tell(out, client, keys, url, page)


def _greet(out: Console, keys: FirstKeys, url: str) -> None:
    out.print(Text("ARouter's demo: a pretend provider, pretend users and pretend prices.", style="bold"))
    out.print()
    # Not below the live table, which would break the lines that are there to be copied.
    for line in curl_lines(url, keys.live, "sandbox/sandbox-echo"):
        out.print(line, soft_wrap=True, markup=False)
    out.print()


def _tell_history(out: Console, past: History, database: str, keys: FirstKeys, url: str) -> None:
    """What there is, and what to look at."""
    added = f"{past.added:,} of them new" if past.added else "there already"
    out.print(Text(f"{past.records:,} records of a pretend past ({added}), {past.start[:10]} to {past.end[:10]}."))
    out.print()
    for line in history_lines(past, database, keys.management, url):
        out.print(line, soft_wrap=True, markup=False)
    out.print()


async def _tell(out: Console, client: DemoClient, keys: FirstKeys, url: str, page: str) -> None:
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

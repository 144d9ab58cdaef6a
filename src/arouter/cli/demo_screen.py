"""What the demo shows in the terminal: who used how much, asked from the gateway's own API each second."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from arouter.cli.demo_client import DemoClient
from arouter.cli.output import visible

SUMMARY_PATH = "/v1/activity/summary?group_by=user&limit=20"
_BAR_WIDTH = 24
_REFRESH_S = 1.0


class Sums(msgspec.Struct, frozen=True):
    """As the API tells them; the cost keeps its exact digits."""

    requests: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal
    user: str | None = None


class Usage(msgspec.Struct, frozen=True):
    data: Sequence[Sums]
    totals: Sums


async def read_usage(client: DemoClient, key: str) -> Usage:
    """The summary by user. UpstreamFailed if the gateway is not there any more."""
    return msgspec.json.decode(await client.get(key, SUMMARY_PATH), type=Usage)


async def show_live(out: Console, client: DemoClient, key: str, below: RenderableType) -> None:
    """Redraw until cancelled."""
    with Live(console=out, auto_refresh=False, transient=False) as live:
        while True:
            usage = await read_usage(client, key)
            live.update(Group(usage_table(usage), Text(), below), refresh=True)
            await asyncio.sleep(_REFRESH_S)


def usage_table(usage: Usage) -> Table:
    """A row for each user, the dearest first, and the sums."""
    made = Table(
        title="Usage by user",
        title_justify="left",
        title_style="bold",
        caption=f"GET {SUMMARY_PATH}",
        caption_justify="left",
        header_style="bold",
        border_style="dim",
        show_footer=True,
    )
    totals = usage.totals
    made.add_column("User", footer="Total", overflow="fold", min_width=18)
    for name, total in (
        ("Requests", f"{totals.requests:,}"),
        ("Errors", f"{totals.errors:,}"),
        ("Prompt", f"{totals.prompt_tokens:,}"),
        ("Completion", f"{totals.completion_tokens:,}"),
        ("Cost, $", _dollars(totals.cost)),
    ):
        made.add_column(name, footer=total, justify="right", no_wrap=True)
    made.add_column("Share", min_width=_BAR_WIDTH)
    dearest = max((row.cost for row in usage.data), default=Decimal(0))
    for row in usage.data:
        made.add_row(
            visible(row.user),
            f"{row.requests:,}",
            Text(f"{row.errors:,}", style="red" if row.errors else "dim"),
            f"{row.prompt_tokens:,}",
            f"{row.completion_tokens:,}",
            _dollars(row.cost),
            _bar(row.cost, dearest),
        )
    return made


def _bar(cost: Decimal, dearest: Decimal) -> ProgressBar:
    share = int(cost * 1000 / dearest) if dearest else 0
    return ProgressBar(total=1000, completed=share, width=_BAR_WIDTH, complete_style="cyan", finished_style="cyan")


def _dollars(amount: Decimal) -> str:
    return f"{amount:,.6f}"

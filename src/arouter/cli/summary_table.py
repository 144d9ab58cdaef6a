"""A summary of the activity as a table for people."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from arouter.cli.output import table, visible
from arouter.domain.activity import PERCENTILES, Dimension, Summary, SummaryQuery, Totals
from arouter.domain.money import in_line
from arouter.domain.ranking import value_of
from arouter.engine.comparison import Comparison

_NUMBERS = ("Requests", "Errors", "Prompt", "Completion", "Tokens", "Users", "Cost, $")
_BEFORE = "Before, $"


def summary_table(summary: Summary, query: SummaryQuery, before: Comparison | None = None) -> Table:
    """A row for each group, one for what a limit cut off, and one with the sums; with percentiles if they were asked
    for, and with the cost of the range before if it is compared."""
    totals, other, group_by = summary.totals, summary.other, query.group_by
    percentiles = [name for name in PERCENTILES if name in query.metrics]
    numbers = (*_NUMBERS, *(_percentile_title(name) for name in percentiles), *([_BEFORE] if before else []))
    made = table((*(_title(one.value) for one in group_by), *numbers), numbers=numbers)
    every = [row.totals for row in summary.rows]
    if other is not None:
        every.append(other.totals)
    *costs, total = in_line([one.cost for one in (*every, totals)])
    costs_before, total_before = _costs_before(before)
    for place, row in enumerate(summary.rows):
        made.add_row(
            *(visible(value) for value in row.group),
            *_cells(row.totals, row.totals.users, costs[place]),
            *_latencies(row.totals, percentiles),
            *costs_before[place : place + 1],
        )
    if other is not None:
        named = _named(f"{other.groups:,} others", group_by, "italic")
        made.add_row(*named, *_cells(other.totals, other.users, costs[-1]))
    if group_by:
        made.add_section()
        made.add_row(
            *_named("Total", group_by, ""),
            *_cells(totals, totals.users, total),
            *_latencies(totals, percentiles),
            *total_before,
            style="bold",
        )
    made.caption = _missing(totals)
    made.caption_justify = "left"
    return made


def _cells(totals: Totals, users: int | None, cost: str) -> list[str]:
    counts = (
        totals.requests,
        totals.errors,
        totals.prompt_tokens,
        totals.completion_tokens,
        totals.total_tokens,
    )
    return [*(f"{count:,}" for count in counts), "" if users is None else f"{users:,}", cost]


def _latencies(totals: Totals, percentiles: Sequence[str]) -> list[str]:
    values = [value_of(name, totals) for name in percentiles]
    return ["" if value is None else f"{value:,.1f}" for value in values]


def _costs_before(before: Comparison | None) -> tuple[list[str], list[str]]:
    """Of each row, and of all; empty where nothing is compared or there was no such time."""
    if before is None:
        return [], []
    known = [one.cost for one in before.rows if one is not None]
    *texts, total = in_line([*known, before.totals.cost])
    left = iter(texts)
    return ["" if one is None else next(left) for one in before.rows], [total]


def _named(text: str, group_by: Sequence[Dimension], style: str) -> list[Text]:
    return [Text(text, style=style), *(Text() for _ in group_by[1:])]


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _percentile_title(name: str) -> str:
    return f"{name.removeprefix('latency_ms_')}, ms"


def _missing(totals: Totals) -> str | None:
    """What the sums do not hold."""
    told = [
        f"{count:,} requests {what}"
        for count, what in (
            (totals.requests_without_usage, "reported no usage: their tokens are unknown."),
            (totals.requests_without_price, "have no known price: their cost is not in the sum."),
        )
        if count
    ]
    return " ".join(told) or None

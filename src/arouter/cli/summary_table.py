"""A summary of the activity as a table for people."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from arouter.cli.output import dollars_in_line, table, visible
from arouter.domain.activity import Dimension, Summary, Totals

_NUMBERS = ("Requests", "Errors", "Prompt", "Completion", "Tokens", "Users", "Cost, $")


def summary_table(summary: Summary, group_by: Sequence[Dimension]) -> Table:
    """A row for each group, one for what a limit cut off, and one with the sums."""
    totals, other = summary.totals, summary.other
    made = table((*(_title(one.value) for one in group_by), *_NUMBERS), numbers=_NUMBERS)
    every = [row.totals for row in summary.rows]
    if other is not None:
        every.append(other.totals)
    *costs, total = dollars_in_line([one.cost for one in (*every, totals)])
    for row, cost in zip(summary.rows, costs, strict=False):
        made.add_row(*(visible(value) for value in row.group), *_cells(row.totals, row.totals.users, cost))
    if other is not None:
        named = _named(f"{other.groups:,} others", group_by, "italic")
        made.add_row(*named, *_cells(other.totals, other.users, costs[-1]))
    if group_by:
        made.add_section()
        made.add_row(*_named("Total", group_by, ""), *_cells(totals, totals.users, total), style="bold")
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


def _named(text: str, group_by: Sequence[Dimension], style: str) -> list[Text]:
    return [Text(text, style=style), *(Text() for _ in group_by[1:])]


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


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

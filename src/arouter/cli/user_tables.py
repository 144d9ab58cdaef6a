"""Users as tables for people."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

from rich.table import Table
from rich.text import Text

from arouter.cli.output import as_text, facts, table, visible
from arouter.domain.high_usage import HighUsage, Usage
from arouter.domain.money import in_line
from arouter.wire.summary import Metrics
from arouter.wire.users_json import UserAnswer, UserListed

_NUMBERS = ("Requests", "Errors", "Prompt", "Completion", "Tokens", "Cost, $")


def seen_table(users: Sequence[UserListed]) -> Table:
    """When each was seen, and who is blocked."""
    made = table(("User", "First seen", "Last seen", "Blocked since", "Reason"))
    for one in users:
        seen = ["never" if at is None else at[:19] for at in (one.first_seen, one.last_seen)]
        since = "" if one.blocked_at is None else one.blocked_at[:19]
        made.add_row(visible(one.user), *seen, since, "" if one.block_reason is None else visible(one.block_reason))
    return made


def _limits(found: UserAnswer) -> Iterator[tuple[str, Text | str]]:
    """Whether it is blocked, and what limits it."""
    if found.blocked_at is not None:
        since = f"since {found.blocked_at[:19]}"
        yield (
            "Blocked",
            since if found.block_reason is None else Text.assemble(since, ": ", visible(found.block_reason)),
        )
    for one in found.applied_limits or ():
        used, limit = (as_text(figure) for figure in (one.used, one.limit))
        what = {"cost": "dollars", "concurrent": "requests at once"}.get(one.meter, one.meter)
        window = "" if one.window == "lifetime" else f" in the {one.window}"
        yield "Limit", Text.assemble(f"{used} of {limit} {what}{window}: ", visible(one.said_by))


def high_usage_table(found: HighUsage, measure: str) -> Table:
    """A row for each user, one for requests without one, one for the others, and one with the sums."""
    numbers = ("Rank", "Requests", "Tokens", "Cost, $", "Share", "Before", "Change")
    made = table(("Rank", "User", *numbers[1:]), numbers=numbers)
    rows: list[tuple[str, Text, Usage]] = [(str(one.rank), visible(one.user), one.usage) for one in found.users]
    if found.unattributed is not None:
        rows.append(("", visible(None), found.unattributed))
    if found.other is not None:
        others = f"{found.other.totals.users:,} others"
        rows.append(("", Text(others, style="italic"), found.other))
    rows.append(("", Text("Total", style="bold"), found.everything))
    costs = in_line([usage.totals.cost for *_, usage in rows])
    trends = _trends([usage for *_, usage in rows], measure)
    for (rank, name, usage), cost, (before, change) in zip(rows, costs, trends, strict=True):
        if usage is found.everything:
            made.add_section()
        totals = usage.totals
        made.add_row(
            rank, name, f"{totals.requests:,}", f"{totals.total_tokens:,}", cost, _percent(usage.share), before, change
        )
    made.caption = _concentration(found)
    made.caption_justify = "left"
    return made


def user_tables(found: UserAnswer) -> Iterator[Table]:
    """All that is known of one user."""
    standing = found.range
    told: list[tuple[str, Text | str]] = [
        ("User", visible(found.user)),
        ("First seen", found.first_seen[:19]),
        ("Last seen", found.last_seen[:19]),
        ("Range", f"{standing.start[:19]} to {standing.end[:19]}"),
        *_limits(found),
    ]
    if standing.rank is not None:
        told.append(("Rank by cost", f"{standing.rank:,} of {standing.of_users:,}"))
    if found.projection is not None:
        one = found.projection
        told.append(
            (
                "This month",
                f"${_plain(one.cost)}, and in {one.confidence:.0%} of cases from ${_plain(one.low)} to "
                f"${_plain(one.high)}, if it goes on as the last {one.days} days",
            )
        )
    yield facts(told)
    sums = table(("", *_NUMBERS), numbers=_NUMBERS)
    rows = (
        ("All time", found.totals.all_time),
        ("This month", found.totals.this_month),
        ("Today", found.totals.today),
        ("Range", found.range),
    )
    for name, metrics in rows:
        sums.add_row(name, *_cells(metrics))
    yield sums
    models = table(("Model", *_NUMBERS), numbers=_NUMBERS)
    for model in found.models:
        models.add_row(visible(model.model), *_cells(model))
    yield models
    keys = table(("Key", "Hash", *_NUMBERS), numbers=_NUMBERS)
    for key in found.keys:
        keys.add_row(visible(key.api_key_name), key.api_key_hash[:12], *_cells(key))
    yield keys


def _cells(metrics: Metrics) -> list[str]:
    counts = (
        metrics.requests,
        metrics.errors,
        metrics.prompt_tokens,
        metrics.completion_tokens,
        metrics.total_tokens,
    )
    return [*(f"{count:,}" for count in counts), _plain(metrics.cost)]


def _plain(amount: object) -> str:
    """The exact digits of an amount that is written as JSON."""
    return f"{Decimal(bytes(amount).decode()):,f}"  # type: ignore[call-overload]  # a msgspec.Raw


def _trends(usages: Sequence[Usage], measure: str) -> list[tuple[str, str]]:
    """What was before and what came to it, as columns."""
    if measure != "cost":
        return [(f"{usage.previous:,}", f"{usage.change:+,}") for usage in usages]
    before = in_line([usage.previous for usage in usages])
    changes = in_line([usage.change for usage in usages])
    return [
        (amount, change if usage.change < 0 else f"+{change}")
        for usage, amount, change in zip(usages, before, changes, strict=True)
    ]


def _percent(share: Fraction | None) -> str:
    return "" if share is None else f"{float(share):.1%}"


def _concentration(found: HighUsage) -> str | None:
    told = found.concentration
    if told.users_of_half is None:
        return None
    shares = ", ".join(f"the first {top.percent} % ({top.users:,}) make {_percent(top.share)}" for top in told.tops)
    return f"Of the cost of {told.users:,} users {shares}; {told.users_of_half:,} make half."

"""The tables and charts of a report: which rows and columns they have, and what stands in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from arouter.domain.activity import Totals
from arouter.domain.ranking import mean_latency_ms
from arouter.domain.report import Listed, Listing, Period, Report, weeks
from arouter.wire.report import words
from arouter.wire.report.marks import BEFORE, LIGHT, MAIN, MIDDLE, WRONG, Font, visible
from arouter.wire.report.plot import Chart, Layer, day_labels, month_labels, week_labels
from arouter.wire.report.tables import Cell, Column, Table, money_cells

Naming = Callable[[Listed], Cell]
"""How a group is called."""

DAYS_IN_A_TABLE = 62
"""More days are told by month."""
DAYS_IN_A_CHART = 120
"""More days are drawn by week."""


def _cell(value: int | None) -> Cell:
    return Cell(text=words.UNKNOWN if value is None else words.count(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A chart, and its colours with what they stand for."""

    title: str
    chart: Chart
    key: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table under a heading."""

    title: str
    table: Table
    note: str = ""


def charts(report: Report) -> Sequence[Drawn]:
    """The first one is wide."""
    step = f"by {plotted(report).name}"
    return (
        Drawn(
            title=f"Spend {step}",
            chart=spend_chart(report),
            key=((MAIN, "this range"), (BEFORE, "the range before")),
        ),
        Drawn(title=f"Requests {step}", chart=requests_chart(report), key=((MAIN, "answered"), (WRONG, "errors"))),
        Drawn(
            title=f"Tokens {step}",
            chart=tokens_chart(report),
            key=((MAIN, "completion"), (MIDDLE, "prompt"), (LIGHT, "cached")),
        ),
    )


def sections(report: Report, font: Font) -> Sequence[Section]:
    """In their order."""
    missing = words.missing(report.totals.requests_without_usage, report.totals.requests_without_price)
    _, daily = tabled(report)
    return (
        Section(title="Totals", table=totals_table(report), note=missing),
        Section(title="Users", table=by_user(report, font), note=_USERS),
        Section(title="Models", table=by_model(report, font)),
        Section(title="Keys", table=by_key(report, font)),
        Section(title="Creators of keys", table=by_creator(report, font)),
        Section(title="How requests ended", table=by_status(report)),
        Section(title="Day by day" if daily else "Month by month", table=over_time(report)),
    )


_USERS = "Users are as the applications name them. Requests without a user are a row of their own."


# ---------------------------------------------------------------- over time


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What time is cut into."""

    name: str
    periods: Sequence[Period]
    labels: Sequence[tuple[int, str]]


def plotted(report: Report) -> Steps:
    """The bars of a chart."""
    if report.days is None:
        return Steps(name="month", periods=report.months, labels=month_labels(report.months))
    if len(report.days) > DAYS_IN_A_CHART:
        by_week = weeks(report.days)
        return Steps(name="week", periods=by_week, labels=week_labels(by_week))
    return Steps(name="day", periods=report.days, labels=day_labels(report.days))


def tabled(report: Report) -> tuple[Sequence[Period], bool]:
    """The rows, and whether they are days."""
    if report.days is not None and len(report.days) <= DAYS_IN_A_TABLE:
        return report.days, True
    return report.months, False


def spend_chart(report: Report) -> Chart:
    steps = plotted(report)
    return Chart(
        layers=[Layer(values=[each.totals.cost for each in steps.periods], colour=MAIN)],
        before=[None if each.before is None else each.before.cost for each in steps.periods],
        labels=steps.labels,
        tell=words.axis_dollars,
        nothing="Nothing was spent",
    )


def requests_chart(report: Report) -> Chart:
    steps = plotted(report)
    return Chart(
        layers=[
            Layer(values=[each.totals.requests - each.totals.errors for each in steps.periods], colour=MAIN),
            Layer(values=[each.totals.errors for each in steps.periods], colour=WRONG),
        ],
        labels=steps.labels,
        tell=words.axis_count,
        nothing="No requests",
    )


def tokens_chart(report: Report) -> Chart:
    steps = plotted(report)
    return Chart(
        layers=[
            Layer(values=[each.totals.completion_tokens for each in steps.periods], colour=MAIN),
            Layer(
                values=[each.totals.prompt_tokens - each.totals.cached_tokens for each in steps.periods], colour=MIDDLE
            ),
            Layer(values=[each.totals.cached_tokens for each in steps.periods], colour=LIGHT),
        ],
        labels=steps.labels,
        tell=words.axis_count,
        nothing="No tokens",
    )


def over_time(report: Report) -> Table:
    """A row for each day or month."""
    periods, daily = tabled(report)
    totals = [each.totals for each in periods]
    before = [each.before for each in periods]
    costs = money_cells([*(each.cost for each in totals), report.totals.cost])
    costs_before = money_cells([*(0 if each is None else each.cost for each in before), report.before.cost])
    return Table(
        columns=[
            Column(
                title="Day" if daily else "Month",
                cells=[
                    Cell(text=words.day_with_weekday(each.start) if daily else words.month(each.start))
                    for each in periods
                ],
            ),
            Column(title="Requests", cells=[_cell(each.requests) for each in totals]),
            Column(title="Errors", cells=[_cell(each.errors) for each in totals]),
            Column(title="Tokens", cells=[_cell(each.total_tokens) for each in totals]),
            Column(title="Users", cells=[_cell(each.users) for each in totals]),
            Column(
                title="Spend before, $",
                cells=[
                    Cell(text=words.UNKNOWN) if period is None else cell
                    for period, cell in zip(before, costs_before, strict=False)
                ],
            ),
            Column(title="Spend, $", cells=costs[:-1]),
        ],
        totals=[
            Cell(text="Total"),
            *map(
                _cell, (report.totals.requests, report.totals.errors, report.totals.total_tokens, report.totals.users)
            ),
            costs_before[-1],
            costs[-1],
        ],
    )


def totals_table(report: Report) -> Table:
    """Every total, beside that of the range before."""
    now, before = report.totals, report.before
    names = (
        ("Requests", "requests"),
        ("Errors", "errors"),
        ("Prompt tokens", "prompt_tokens"),
        ("\u2003of which cached", "cached_tokens"),
        ("Completion tokens", "completion_tokens"),
        ("\u2003of which reasoning", "reasoning_tokens"),
        ("All tokens", "total_tokens"),
        ("Users", "users"),
        ("Requests without usage", "requests_without_usage"),
        ("Requests without a price", "requests_without_price"),
    )
    pairs = [(getattr(now, field), getattr(before, field)) for _, field in names]
    cost, cost_before = money_cells([now.cost, before.cost])
    return Table(
        columns=[
            Column(
                title="", cells=[Cell(text="Spend, $"), *(Cell(text=name) for name, _ in names), Cell(text=_LATENCY)]
            ),
            Column(title="This range", cells=[cost, *(_cell(value) for value, _ in pairs), _latency(now)]),
            Column(title="Before", cells=[cost_before, *(_cell(value) for _, value in pairs), _latency(before)]),
            Column(
                title="Change",
                cells=[Cell(text=words.change(*pair)) for pair in ((now.cost, before.cost), *pairs)] + [Cell(text="")],
            ),
        ]
    )


_LATENCY = "Mean latency, ms"


def _latency(totals: Totals) -> Cell:
    mean_ms = mean_latency_ms(totals)
    return Cell(text=words.UNKNOWN if mean_ms is None else f"{mean_ms:,.1f}")


# ---------------------------------------------------------------- by group


def grouped(title: str, listing: Listing, totals: Totals, naming: Naming, *, users: bool) -> Table:
    """A row for each group, one for the rest, and the totals. The share is that of the spend, or of the tokens or the
    requests where nothing was spent."""
    parts = [row.totals for row in listing.rows]
    names = [naming(row) for row in listing.rows]
    counts = [row.users for row in listing.rows]
    if listing.rest is not None:
        parts.append(listing.rest.totals)
        names.append(
            Cell(text=f"{listing.rest.groups:,} other{'s' if listing.rest.groups > 1 else ''}", is_said_by_us=True)
        )
        counts.append(listing.rest.users)
    what, measure = _shared(totals)
    whole = measure(totals)
    costs = money_cells([*(each.cost for each in parts), totals.cost])
    columns = [
        (Column(title=title, cells=names), Cell(text="Total")),
        (Column(title="Requests", cells=[_cell(each.requests) for each in parts]), _cell(totals.requests)),
        (Column(title="Errors", cells=[_cell(each.errors) for each in parts]), _cell(totals.errors)),
        (Column(title="Tokens", cells=[_cell(each.total_tokens) for each in parts]), _cell(totals.total_tokens)),
        (
            Column(title="Cached", cells=[_cached(each) for each in parts]),
            _cached(totals),
        ),
        (Column(title="Users", cells=[_cell(each) for each in counts]), _cell(totals.users)),
        (
            Column(
                title=f"Share of {what}",
                cells=[Cell(text=words.share(measure(each), whole)) for each in parts],
                bars=[measure(each) / whole if whole else None for each in parts],
            ),
            Cell(text=words.share(whole, whole)),
        ),
        (Column(title="Spend, $", cells=costs[:-1]), costs[-1]),
    ]
    shown = [each for each in columns if users or each[0].title != "Users"]
    return Table(columns=[column for column, _ in shown], totals=[total for _, total in shown])


def _shared(totals: Totals) -> tuple[str, Callable[[Totals], int]]:
    if totals.cost:
        return "spend", lambda each: each.cost
    if totals.total_tokens:
        return "tokens", lambda each: each.total_tokens
    return "requests", lambda each: each.requests


def _cached(totals: Totals) -> Cell:
    """The cached part of the prompt tokens."""
    return Cell(text=words.share(totals.cached_tokens, totals.prompt_tokens))


def by_model(report: Report, font: Font) -> Table:
    return grouped("Model", report.models, report.totals, _naming("never routed", font), users=True)


def by_key(report: Report, font: Font) -> Table:
    def name(row: Listed) -> Cell:
        label = "" if row.value is None else row.value[:8]
        if row.creator is not None:
            label = f"{label} · {visible(row.creator, font)}"
        if row.name:
            return Cell(text=visible(row.name, font), more=label)
        return Cell(text="without a name", more=label, is_said_by_us=True)

    return grouped("Key", report.keys, report.totals, name, users=True)


def by_creator(report: Report, font: Font) -> Table:
    return grouped("Creator", report.creators, report.totals, _naming("nobody named", font), users=False)


def by_user(report: Report, font: Font) -> Table:
    return grouped("User", report.users, report.totals, _naming("no user", font), users=False)


def by_status(report: Report) -> Table:
    def name(row: Listed) -> Cell:
        status = row.value or ""
        return Cell(text=status, more=words.STATUSES.get(status, ""))

    return grouped("Status", report.statuses, report.totals, name, users=False)


def _naming(none: str, font: Font) -> Naming:
    def name(row: Listed) -> Cell:
        if row.value is None:
            return Cell(text=none, is_said_by_us=True)
        if not row.value:
            return Cell(text="empty text", more='""', is_said_by_us=True)
        return Cell(text=visible(row.value, font))

    return name

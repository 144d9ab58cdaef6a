"""What stands in a report's tables and charts."""

from dataclasses import replace

import pytest

from arouter.domain.activity import Totals
from arouter.domain.money import Picodollars, in_line
from arouter.domain.report import Report
from arouter.wire.report import contents
from arouter.wire.report.tables import Cell, Table, money_cells
from tests.wire.report_samples import sample
from tests.wire.test_report_words import FONT


def row(table: Table, number: int) -> dict[str, str]:
    return {column.title: _whole(column.cells[number]) for column in table.columns}


def sums(table: Table) -> dict[str, str]:
    return {column.title: _whole(cell) for column, cell in zip(table.columns, table.totals, strict=True)}


def _whole(cell: Cell) -> str:
    return cell.text + cell.more


def test_a_group_has_its_figures_and_its_shares() -> None:
    totals = Totals(
        requests=4,
        errors=1,
        prompt_tokens=200,
        cached_tokens=50,
        completion_tokens=800,
        total_tokens=1000,
        cost=Picodollars(3 * 10**12),
        users=2,
    )
    report = sample(days=1, users=["ada"])
    listing = replace(report.users, rows=(replace(report.users.rows[0], totals=totals),), rest=None)
    whole = replace(totals, cost=Picodollars(4 * 10**12), requests=8)
    shown = contents.by_user(replace(report, users=listing, totals=whole), FONT)
    assert row(shown, 0) == {
        "User": "ada",
        "Requests": "4",
        "Errors": "1",
        "Tokens": "1,000",
        "Cached": "25.0%",
        "Share of spend": "75.0%",
        "Spend, $": "3.00",
    }
    assert sums(shown)["Requests"] == "8"
    assert sums(shown)["Share of spend"] == "100.0%"
    assert sums(shown)["Spend, $"] == "4.00"
    (bars,) = [column.bars for column in shown.columns if column.bars]
    assert bars == [0.75]


@pytest.mark.parametrize(
    ("totals", "title", "share"),
    [
        (Totals(total_tokens=10, requests=2), "Share of tokens", "50.0%"),
        (Totals(requests=20), "Share of requests", "5.0%"),
        (Totals(), "Share of requests", "–"),
    ],
)
def test_where_nothing_was_spent_the_share_is_another(totals: Totals, title: str, share: str) -> None:
    report = sample(days=1, users=["ada"])
    one = replace(report.users.rows[0], totals=Totals(total_tokens=5, requests=1))
    listing = replace(report.users, rows=(one,), rest=None)
    assert row(contents.by_user(replace(report, users=listing, totals=totals), FONT), 0)[title] == share


def test_days_stand_beside_those_before_and_add_up() -> None:
    report = sample(days=4, days_before=3)
    table = contents.over_time(report)
    assert report.days is not None
    assert [row(table, number)["Day"] for number in range(table.rows)] == [
        "Thu 1 Oct 2026",
        "Fri 2 Oct 2026",
        "Sat 3 Oct 2026",
        "Sun 4 Oct 2026",
    ]
    assert row(table, 3)["Spend before, $"] == "–"
    costs = in_line([*(day.totals.cost for day in report.days), report.totals.cost])
    assert [row(table, number)["Spend, $"] for number in range(4)] == costs[:-1]
    assert sums(table)["Spend, $"] == costs[-1]
    before = [day.before.cost for day in report.days if day.before is not None]
    costs_before = in_line([*before, report.before.cost])
    assert [row(table, number)["Spend before, $"] for number in range(3)] == costs_before[:-1]
    assert sums(table)["Spend before, $"] == costs_before[-1] != costs[-1]


def test_digits_beyond_the_cents_matter_less_among_dollars() -> None:
    assert money_cells([5 * 10**12, 10**9]) == [Cell(text="5.00", more="0"), Cell(text="0.00", more="1")]
    assert money_cells([10**12 - 10**9, 10**9]) == [Cell(text="0.999"), Cell(text="0.001")]
    assert money_cells([0]) == [Cell(text="0.00")]


def test_totals_stand_beside_those_before() -> None:
    report = sample(days=4, days_before=3)
    table = contents.totals_table(report)
    named = {row(table, number)[""].strip(): row(table, number) for number in range(table.rows)}
    for name, field in (
        ("Requests", "requests"),
        ("of which cached", "cached_tokens"),
        ("of which reasoning", "reasoning_tokens"),
        ("All tokens", "total_tokens"),
        ("Requests without a price", "requests_without_price"),
    ):
        assert named[name]["This range"] == f"{getattr(report.totals, field):,}"
        assert named[name]["Before"] == f"{getattr(report.before, field):,}"
    assert named["Spend, $"]["This range"] == in_line([report.totals.cost, report.before.cost])[0]
    assert named["Mean latency, ms"]["This range"] == "812.4"


def test_the_layers_of_a_chart_are_parts_of_the_whole() -> None:
    report = sample(days=20)
    assert report.days is not None
    spend, requests, tokens = (drawn.chart for drawn in contents.charts(report))
    for chart, field in ((spend, "cost"), (requests, "requests"), (tokens, "total_tokens")):
        bars = [sum(parts) for parts in zip(*(layer.values for layer in chart.layers), strict=True)]
        assert bars == [getattr(day.totals, field) for day in report.days]
    assert list(requests.layers[1].values) == [day.totals.errors for day in report.days]
    assert list(tokens.layers[2].values) == [day.totals.cached_tokens for day in report.days]
    assert list(spend.before) == [day.before.cost for day in report.days if day.before is not None]


@pytest.mark.parametrize(
    ("days", "drawn", "told"),
    [(1, "day", "Day"), (62, "day", "Day"), (63, "day", "Month"), (120, "day", "Month"), (121, "week", "Month"),
     (400, "week", "Month"), (401, "month", "Month")],
)  # fmt: skip
def test_longer_ranges_are_told_in_larger_steps(days: int, drawn: str, told: str) -> None:
    report: Report = sample(days=days)
    assert contents.plotted(report).name == drawn
    assert contents.over_time(report).columns[0].title == told
    assert sum(period.totals.cost for period in contents.plotted(report).periods) == report.totals.cost


def test_a_key_is_named_with_its_hash_and_its_creator() -> None:
    report = sample()
    cells = contents.by_key(report, FONT).columns[0].cells
    assert [(cell.text, cell.more) for cell in cells] == [
        ("prod", r"4f2a91c0 · mem_ada"),
        ("batch", r"9b07e2f4 · mem_ada"),
        ("staging", r"c1d85a3e · mem_grace"),
        ("demo", "07ab44d1"),
    ]
    nameless = replace(report.keys.rows[0], name="", creator=None)
    renamed = replace(report, keys=replace(report.keys, rows=(nameless,)))
    assert contents.by_key(renamed, FONT).columns[0].cells[0] == Cell(
        text="without a name", more="4f2a91c0", is_said_by_us=True
    )

"""The figures of a run on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.cases import CASES
from bench.figures import Figures
from bench.goals import goals
from bench.guardrails import Guarded, lines
from bench.report import FLOOR, Count, Line


def show(console: Console, figures: Figures) -> None:
    """All of it."""
    _costs(console, figures)
    _latency(console, figures)
    _memory(console, figures)
    _guarded(console, figures)
    for name, about in figures.peers.items():
        console.print(f"{name}: does {about.does}; records {about.records}.", highlight=False)
    for name, count in figures.counts.items():
        console.print(sentence(name, count), highlight=False, markup=False)
    for goal in goals(figures):
        verdict = "met" if goal.met else "NOT MET"
        console.print(
            f"{verdict}: {goal.text}: {goal.value:.2f} {goal.unit}, at most {goal.at_most:g}", highlight=False
        )


def _costs(console: Console, figures: Figures) -> None:
    table = Table(title="CPU of the peer's process tree; medians", title_justify="left")
    for name in ("case", "peer"):
        table.add_column(name)
    for name in (
        *("CPU µs", "least–most", "system", f"× {FLOOR}", "each second", "busy", "load", "p50 ms", "p99 ms"),
        *("gap p99", "gap most", "lag", "MB"),
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for case in CASES:
        of_case = [line for line in figures.lines if line.case == case.name]
        floor = figures.line(case.name, FLOOR)
        for at, line in enumerate(of_case):
            title = f"{case.name}: {case.what}; a {case.unit}" if at == 0 else ""
            table.add_row(title, line.peer, *cells(line, floor))
        table.add_section()
    console.print(table)


def cells(line: Line, floor: Line | None) -> Sequence[str]:
    """One line's figures as text."""
    return [
        f"{line.cpu_us:,.1f}",
        f"{line.cpu_us_least:,.1f}–{line.cpu_us_most:,.1f}",
        f"{line.system_share:.0%}",
        f"{line.cpu_us / floor.cpu_us:.1f}" if floor is not None else "",
        f"{line.per_second:,.0f}",
        f"{line.busy:.0%}",
        f"{line.load_busy:.0%}",
        *(_number(value) for value in (line.p50_ms, line.p99_ms, line.gap_p99_ms, line.gap_most_ms, line.lag_most_ms)),
        f"{line.memory_mb:.0f}",
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _latency(console: Console, figures: Figures) -> None:
    for added in figures.added:
        console.print(
            f"{added.peer} at half load ({added.streams} streams, {added.busy:.0%} of a core) adds to the first token "
            f"{added.first_p50_ms:.2f} ms (p50), {added.first_p99_ms:.2f} ms (p99), to a chunk "
            f"{added.chunk_p50_ms:.2f} ms, {added.chunk_p99_ms:.2f} ms; longest gap {added.gap_most_ms:.0f} ms",
            highlight=False,
        )


def _memory(console: Console, figures: Figures) -> None:
    if (memory := figures.memory) is not None:
        console.print(
            f"memory: {memory.start_mb:.0f} MB at start; {memory.at(0.5):.0f} MB in the middle and "
            f"{memory.at(1.0):.0f} MB at the end of {memory.requests:,} requests of as many users; "
            f"{memory.streams_mb:.0f} MB then, with {memory.streams:,} open streams",
            highlight=False,
        )
        console.print(sentence("arouter, memory", memory.count), highlight=False, markup=False)


def _guarded(console: Console, figures: Figures) -> None:
    if (guarded := figures.guarded) is not None:
        table = Table(title=f"Budgets and rates: {scale(guarded)}", title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right", no_wrap=True)
        for line in lines(guarded):
            table.add_row(*line)
        console.print(table)


def scale(guarded: Guarded) -> str:
    """How much there was to be looked after."""
    return f"{guarded.keys:,} keys, {guarded.users:,} users with limits, {guarded.guardrails:,} guardrails"


def sentence(name: str, count: Count) -> str:
    """What was asked, and whether every answer has its record."""
    text = f"{name}: {count.answered:,} requests answered, {count.failed} not"
    if count.recorded is None:
        return f"{text}; it records nothing."
    told = count.recorded
    verdict = "exactly one record for each" if count.exact else "NOT one record for each"
    return (
        f"{text}; {told.requests:,} records of {told.users:,} users, {told.errors} errors, "
        f"{told.without_usage} without usage, {told.without_price} without price, ${told.cost}: {verdict}."
    )

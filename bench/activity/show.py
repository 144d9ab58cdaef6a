"""The figures of a run, on a terminal and as the part of a page."""

import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.activity.asking import Answered
from bench.activity.exporting import Exported
from bench.activity.figures import Figures, Goal, goals
from bench.activity.recording import Phase
from bench.document import table

BEGIN = "<!-- measured activity: begin -->"
END = "<!-- measured activity: end -->"
_PART = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)

ANSWERED = ("question", "asked", "p50 ms", "p95 ms", "most ms")
EXPORTED = ("format", "records", "records/s", "bytes a record", "peak MB", "in the first half", "adds up")
PHASES = ("during", "records", "records/s", "commit p50 ms", "p99", "most", "wait p50 ms", "p99")
GOALS = ("", "measured", "goal", "reached")


def show(console: Console, figures: Figures) -> None:
    """All of it."""
    console.print(_built(figures), highlight=False, soft_wrap=True)
    for columns, rows in _tables(figures):
        made = Table()
        for place, column in enumerate(columns):
            made.add_column(column, justify="left" if place == 0 else "right", overflow="fold")
        for row in rows:
            made.add_row(*row)
        console.print(made)
    for form, why in figures.missing.items():
        console.print(f"Not exported as {form}: {why}", highlight=False, markup=False)


def write_section(page: Path, figures: Figures) -> None:
    """Write the part between the marks of `page` anew. ValueError if there is no such part."""
    text = page.read_text(encoding="utf-8")
    if len(_PART.findall(text)) != 1:
        raise ValueError(f"{page} needs one {BEGIN} and one {END}")
    part = f"{BEGIN}\n\n{section(figures)}\n\n{END}"
    page.write_text(_PART.sub(lambda _: part, text), encoding="utf-8")


def section(figures: Figures) -> str:
    """In Markdown."""
    machine = figures.machine
    where = (
        f"{machine['cores']} cores of a virtual machine ({machine['processor']}, {machine['distribution']}, "
        f"{machine['system']}), CPython {machine['python']}; the run took {figures.minutes:.0f} minutes, "
        "the building of the database not included."
    )
    tables = [table(columns, [list(row) for row in rows]) for columns, rows in _tables(figures)]
    missing = [f"Not exported as {form}: {why}." for form, why in figures.missing.items()]
    return "\n\n".join([where, _built(figures), *tables, *missing, verdict(figures)])


def verdict(figures: Figures) -> str:
    """Whether it adds up."""
    files = "add" if all(one.equal for one in figures.exported) else "DO NOT add"
    sums = "equals" if figures.whole else "DOES NOT equal"
    return (
        f"The exported files {files} up to what the summary says, and the summary of everything {sums} what was "
        "generated, to the last digit."
    )


def _built(figures: Figures) -> str:
    built, size = figures.built, figures.size
    return (
        f"{built.records:,} records of two organizations, the first with {size.users:,} users, over {size.days} days: "
        f"{built.bytes / 1e9:,.2f} GB, {built.bytes_per_record:,.0f} bytes a record; loaded as {built.loader}, "
        f"{built.rate:,.0f} records a second, and {built.fold_seconds:,.0f} s for the columns of sums. "
        f"Meanwhile {figures.rate:,} requests a second are recorded."
    )


def _tables(figures: Figures) -> Sequence[tuple[Sequence[str], Sequence[Sequence[str]]]]:
    return (
        (GOALS, [_goal(goal) for goal in goals(figures)]),
        (ANSWERED, [_answered(one) for one in figures.answered]),
        (EXPORTED, [_exported(one) for one in figures.exported]),
        (PHASES, [_phase(name, phase) for name, phase in figures.phases.items()]),
    )


def _goal(goal: Goal) -> Sequence[str]:
    how = "at least" if goal.least else "at most"
    bound = f"{how} {goal.bound:,g} {goal.unit}"
    value = f"{goal.value:,.0f}" if goal.value >= 1000 else f"{goal.value:,.2f}"
    return goal.text, f"{value} {goal.unit}", bound, "yes" if goal.met else "**no**"


def _answered(one: Answered) -> Sequence[str]:
    times = (f"{ms:,.1f}" for ms in (one.p50_ms, one.p95_ms, one.most_ms))
    return one.what, f"{one.asked}", *times


def _exported(one: Exported) -> Sequence[str]:
    return (
        *(one.format, f"{one.records:,}", f"{one.rate:,.0f}", f"{one.bytes / max(one.records, 1):,.0f}"),
        *(f"{one.peak_mb:,.0f}", f"{one.peak_first_half_mb:,.0f}", "yes" if one.equal else "**NO**"),
    )


def _phase(name: str, phase: Phase) -> Sequence[str]:
    times = (phase.commit_p50_ms, phase.commit_p99_ms, phase.commit_most_ms, phase.wait_p50_ms, phase.wait_p99_ms)
    return name, f"{phase.records:,}", f"{phase.records / phase.seconds:,.0f}", *(f"{ms:,.1f}" for ms in times)

"""The figures of a run as the measured part of docs/performance.md, and the plots beside it."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import plot
from bench.cases import CASES
from bench.figures import OURS, Figures
from bench.goals import JSON, STREAM, goals
from bench.guardrails import lines
from bench.report import FLOOR, Line
from bench.show import cells, scale, sentence

BEGIN = "<!-- measured: begin -->"
END = "<!-- measured: end -->"
_PART = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)

_COLUMNS = (
    *("peer", "CPU µs", "least–most", "system", f"× {FLOOR}", "each second", "peer busy", "load busy"),
    *("p50 ms", "p99 ms", "gap p99 ms", "gap most ms", "lag most ms", "MB"),
)


def write_document(page: Path, figures: Figures) -> None:
    """Write the part between the marks of `page` anew, and the plots into `images/` beside it.

    ValueError if the page has no such part.
    """
    text = page.read_text(encoding="utf-8")
    if len(_PART.findall(text)) != 1:
        raise ValueError(f"{page} needs one {BEGIN} and one {END}")
    images = page.parent / "images"
    images.mkdir(exist_ok=True)
    for name, picture in plots(figures).items():
        (images / name).write_text(picture, encoding="utf-8")
    part = f"{BEGIN}\n\n{measured(figures)}\n\n{END}"
    page.write_text(_PART.sub(lambda _: part, text), encoding="utf-8")


def measured(figures: Figures) -> str:
    """The whole part, in Markdown."""
    parts = [
        _machine(figures),
        *_pictures(figures),
        *_goals(figures),
        *_peers(figures),
        *_costs(figures),
        *_latency(figures),
        *_memory(figures),
        *_guarded(figures),
        "### Records",
        "\n".join(f"- {sentence(name, count)}" for name, count in figures.counts.items()),
    ]
    return "\n\n".join(parts)


# ---------------------------------------------------------------- plots


def plots(figures: Figures) -> dict[str, str]:
    """By file name: those that the run has figures for."""
    found = {}
    for case, name, title in (
        (JSON, "performance-json.svg", "CPU time of one small JSON request"),
        (STREAM, "performance-stream.svg", "CPU time of one streamed chunk, 100 streams at once"),
    ):
        lines = sorted((line for line in figures.lines if line.case == case), key=lambda line: line.cpu_us)
        if lines:
            rows = [(line.peer, line.cpu_us, line.peer.startswith(OURS)) for line in lines]
            found[name] = plot.bars(title, "microseconds of one core, logarithmic; less is better", "µs", rows)
    if (memory := figures.memory) is not None:
        points = [(0.0, memory.start_mb), *((float(done), held) for done, held in memory.during_mb)]
        title = f"Resident memory over {memory.requests:,} requests of as many users"
        found["performance-memory.svg"] = plot.curve(title, "megabytes, by requests answered", "MB", points)
    return found


def _pictures(figures: Figures) -> Iterator[str]:
    for name, picture in plots(figures).items():
        title = re.search("<title>(.*?)</title>", picture)
        assert title is not None
        yield f"![{title[1]}](images/{name})"


# ---------------------------------------------------------------- tables


def _machine(figures: Figures) -> str:
    machine = figures.machine
    built = "with" if machine["python_optimized"] else "without"
    return (
        f"{machine['cores']} cores of a virtual machine ({machine['processor']}, {machine['distribution']}, "
        f"{machine['system']}), CPython {machine['python']} built {built} its optimisations "
        f"(`--enable-optimizations`); medians of {figures.rounds} rounds of {figures.seconds:g} seconds; "
        f"the run took {figures.minutes:.0f} minutes."
    )


def _goals(figures: Figures) -> Iterator[str]:
    rows = [
        (goal.text, f"{goal.value:.2f} {goal.unit}", f"{goal.at_most:g} {goal.unit}", "yes" if goal.met else "**no**")
        for goal in goals(figures)
    ]
    if rows:
        yield "### What it is meant to reach"
        yield table(("", "measured", "at most", "reached"), rows)


def _peers(figures: Figures) -> Iterator[str]:
    yield "### Who was measured, and what each did"
    rows = [(name, about.does, about.records) for name, about in figures.peers.items()]
    yield table(("peer", "does, besides forwarding", "records"), rows, figures_from=3)
    for words, found in (("Not there", figures.missing), ("Broke down once", figures.broken)):
        if found:
            yield f"{words}: " + "; ".join(f"{name} ({why})" for name, why in found.items()) + "."


def _costs(figures: Figures) -> Iterator[str]:
    yield "### CPU, speed and latency"
    for case in CASES:
        lines = [line for line in figures.lines if line.case == case.name]
        if lines:
            yield f"`{case.name}`: {case.what}; CPU for a {case.unit}"
            yield _table_of(lines, figures.line(case.name, FLOOR))


def _table_of(lines: Sequence[Line], floor: Line | None) -> str:
    """Without the columns that are empty for this case."""
    rows = [(line.peer, *cells(line, floor)) for line in lines]
    kept = [at for at in range(len(_COLUMNS)) if any(row[at] for row in rows)]
    return table([_COLUMNS[at] for at in kept], [[row[at] for at in kept] for row in rows])


def _latency(figures: Figures) -> Iterator[str]:
    if not figures.added:
        return
    yield "### Added latency at half load"
    columns = ("peer", "streams", "busy", "first token p50", "p99", "chunk p50", "p99", "longest gap")
    rows = [
        (
            added.peer,
            f"{added.streams}",
            f"{added.busy:.0%}",
            *(f"{ms:.2f} ms" for ms in (added.first_p50_ms, added.first_p99_ms, added.chunk_p50_ms)),
            f"{added.chunk_p99_ms:.2f} ms",
            f"{added.gap_most_ms:.0f} ms",
        )
        for added in figures.added
    ]
    yield table(columns, rows)


def _memory(figures: Figures) -> Iterator[str]:
    if (memory := figures.memory) is None:
        return
    yield "### Memory"
    rows = [
        ("at start", f"{memory.start_mb:.0f} MB"),
        *(
            (f"after {part * memory.requests:,.0f} requests of as many users", f"{memory.at(part):.0f} MB")
            for part in (0.25, 0.5, 0.75, 1.0)
        ),
        (f"then, with {memory.streams:,} open streams", f"{memory.streams_mb:.0f} MB"),
    ]
    yield table(("", "resident"), rows)
    yield sentence("In that process", memory.count)


def _guarded(figures: Figures) -> Iterator[str]:
    if (guarded := figures.guarded) is None:
        return
    yield "### Budgets and rates"
    yield f"With {scale(guarded)}; the processor's time of a request's part in them."
    yield table(("", "measured"), lines(guarded))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, figures_from: int = 1) -> str:
    """A Markdown table whose columns are aligned right from `figures_from` on."""
    marks = ["---" if at < figures_from else "---:" for at in range(len(columns))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (columns, marks, *rows))

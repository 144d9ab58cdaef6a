"""The figures of a run: medians over its rounds, as a table and as JSON."""

import json
import os
import platform
import statistics
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cases import Case
from bench.load import Window
from bench.peers import Ledger, Peer

FLOOR = "nginx"
"""The peer that the others are compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One case with one peer: medians over the rounds, None where a case has no such figure."""

    case: str
    peer: str
    unit: str
    rounds: int
    connections: int
    cpu_us: float
    """Per request or chunk, of the peer's whole process tree."""
    cpu_us_least: float
    cpu_us_most: float
    per_second: float
    """Requests or chunks."""
    p50_ms: float | None
    """To the end of an answer; in a stream to its first bytes."""
    p99_ms: float | None
    gap_p99_ms: float | None
    """Between two arrivals in a stream."""
    gap_most_ms: float | None
    memory_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a peer was asked in the whole run, and what it recorded."""

    answered: int
    failed: int
    recorded: Ledger | None

    @property
    def exact(self) -> bool | None:
        """Whether there is one record, with usage and price, for each answer; None where nothing is recorded."""
        if self.recorded is None:
            return None
        told = self.recorded
        return (
            told.requests == self.answered
            and self.failed == told.errors == told.without_usage == told.without_price == 0
        )


def line(case: Case, peer: Peer, connections: int, windows: Sequence[Window]) -> Line:
    """The medians of the windows."""
    cpu = [window.cpu_s / max(_units(case, window), 1) * 1e6 for window in windows]
    waits = [window.tally.first_s if case.chunks else window.tally.latencies_s for window in windows]
    gaps = [window.tally.gaps_s for window in windows] if case.pace_us else []
    return Line(
        case=case.name,
        peer=peer.name,
        unit=case.unit,
        rounds=len(windows),
        connections=connections,
        cpu_us=statistics.median(cpu),
        cpu_us_least=min(cpu),
        cpu_us_most=max(cpu),
        per_second=statistics.median(_units(case, window) / window.seconds for window in windows),
        p50_ms=_quantile_ms(waits, 0.5),
        p99_ms=_quantile_ms(waits, 0.99),
        gap_p99_ms=_quantile_ms(gaps, 0.99),
        gap_most_ms=_quantile_ms(gaps, 1),
        memory_mb=statistics.median(window.memory_bytes for window in windows) / 1e6,
    )


def _units(case: Case, window: Window) -> int:
    return window.tally.events if case.unit == "chunk" else window.tally.answered


def _quantile_ms(samples: Iterable[Sequence[float]], part: float) -> float | None:
    """The median over the rounds of a quantile within each."""
    found = [sorted(values)[int(part * (len(values) - 1))] * 1e3 for values in samples if values]
    return statistics.median(found) if found else None


# ---------------------------------------------------------------- shown


def show(console: Console, cases: Sequence[Case], lines: Sequence[Line]) -> None:
    """One table for all cases, the peers of a case below each other."""
    table = Table(title="CPU of the peer's process tree; medians", title_justify="left")
    for name in ("case", "peer"):
        table.add_column(name)
    for name in ("CPU µs", "least–most", f"× {FLOOR}", "each second", "p50 ms", "p99 ms", "gap p99", "gap most", "MB"):
        table.add_column(name, justify="right", no_wrap=True)
    for case in cases:
        of_case = [figures for figures in lines if figures.case == case.name]
        floor = next((figures.cpu_us for figures in of_case if figures.peer == FLOOR), None)
        for at, figures in enumerate(of_case):
            title = f"{case.name}: {case.what}; a {case.unit}" if at == 0 else ""
            table.add_row(title, figures.peer, *_cells(figures, floor))
        table.add_section()
    console.print(table)


def _cells(figures: Line, floor: float | None) -> list[str]:
    return [
        f"{figures.cpu_us:.1f}",
        f"{figures.cpu_us_least:.1f}–{figures.cpu_us_most:.1f}",
        f"{figures.cpu_us / floor:.1f}" if floor else "",
        f"{figures.per_second:,.0f}",
        *(_number(value) for value in (figures.p50_ms, figures.p99_ms, figures.gap_p99_ms, figures.gap_most_ms)),
        f"{figures.memory_mb:.0f}",
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def show_counts(console: Console, counts: Mapping[str, Count]) -> None:
    """What was asked, and whether every answer has its record."""
    for name, count in counts.items():
        text = f"{name}: {count.answered:,} requests answered, {count.failed} not"
        if count.recorded is None:
            console.print(f"{text}; it records nothing.", highlight=False)
        else:
            told = count.recorded
            verdict = "exactly one record for each" if count.exact else "[bold red]NOT one record for each[/]"
            console.print(
                f"{text}; {told.requests:,} records of {told.users:,} users, {told.errors} errors, "
                f"{told.without_usage} without usage, {told.without_price} without price, ${told.cost}: {verdict}.",
                highlight=False,
            )


# ---------------------------------------------------------------- kept


def write_json(file: Path, options: Mapping[str, Any], lines: Sequence[Line], counts: Mapping[str, Count]) -> None:
    """Everything that the tables show."""
    told = {
        "machine": machine(),
        "options": dict(options),
        "lines": [asdict(figures) for figures in lines],
        "counts": {name: {**asdict(count), "exact": count.exact} for name, count in counts.items()},
    }
    file.write_text(json.dumps(told, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """What the figures depend on; nothing that names the machine."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "python_optimized": "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    for text in Path("/proc/cpuinfo").read_text().splitlines():
        if text.startswith("model name"):
            return text.partition(":")[2].strip()
    return platform.machine()

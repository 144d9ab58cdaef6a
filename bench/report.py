"""The figures of a run: medians over its rounds."""

import os
import platform
import statistics
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cases import Case
from bench.load import Window
from bench.peers.base import Ledger, Peer

FLOOR = "nginx"
"""The peer that the others are compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How late an event loop was, between two readings of its metric."""

    p99_ms: float
    most_ms: float
    """The upper bound of the bucket that holds the longest."""

    @classmethod
    def between(cls, before: Mapping[float, float], after: Mapping[float, float]) -> "Lag":
        """From cumulative counts by upper bound, in seconds."""
        grown = {bound: count - before.get(bound, 0.0) for bound, count in sorted(after.items())}
        total = max(grown.values(), default=0.0)

        def bound_of(part: float) -> float:
            return next((bound for bound, count in grown.items() if count >= part * total), 0.0) * 1e3

        return cls(p99_ms=bound_of(0.99), most_ms=bound_of(1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One case with one peer: medians over the rounds, None where a case has no such figure."""

    case: str
    peer: str
    unit: str
    rounds: int
    at_once: int
    cpu_us: float
    """Per request or chunk, of the peer's whole process tree."""
    cpu_us_least: float
    cpu_us_most: float
    system_share: float
    """Of that, in the kernel."""
    busy: float
    """How much of one core the peer used."""
    load_busy: float
    """How much of one core load and upstream used: near 1 it is they that limit the speed."""
    per_second: float
    """Requests or chunks."""
    p50_ms: float | None
    """To the end of an answer; in a stream to its first event."""
    p99_ms: float | None
    gap_p99_ms: float | None
    """Between two arrivals in a paced stream."""
    gap_most_ms: float | None
    """The longest of all rounds."""
    lag_most_ms: float | None
    """The event loop's longest delay, if the peer tells: an upper bound."""
    memory_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a peer was asked in the whole run, and what it recorded."""

    answered: int
    errors: int
    """Those among them that the upstream was asked to refuse."""
    failed: int
    recorded: Ledger | None

    @property
    def exact(self) -> bool | None:
        """Whether there is one record for each answer, with usage and price unless it is an error; None where
        nothing is recorded."""
        if self.recorded is None:
            return None
        told = self.recorded
        return (
            told.requests == self.answered
            and told.errors == told.without_usage == self.errors
            and self.failed == told.without_price == 0
        )


def line(case: Case, peer: Peer, windows: Sequence[Window], lags: Sequence[Lag] = ()) -> Line:
    """The medians of the windows, in each of which something was answered."""
    cpu = [window.cpu_s / units_of(case, window) * 1e6 for window in windows]
    waits = [window.tally.first_s if case.chunks else window.tally.latencies_s for window in windows]
    gaps = [window.tally.gaps_s for window in windows] if case.pace_us else []
    return Line(
        case=case.name,
        peer=peer.name,
        unit=case.unit,
        rounds=len(windows),
        at_once=case.at_once,
        cpu_us=statistics.median(cpu),
        cpu_us_least=min(cpu),
        cpu_us_most=max(cpu),
        system_share=statistics.median(window.system_s / max(window.cpu_s, 1e-9) for window in windows),
        busy=statistics.median(window.cpu_s / window.seconds for window in windows),
        load_busy=statistics.median(window.load_cpu_s / window.seconds for window in windows),
        per_second=statistics.median(units_of(case, window) / window.seconds for window in windows),
        p50_ms=quantile_ms(waits, 0.5),
        p99_ms=quantile_ms(waits, 0.99),
        gap_p99_ms=quantile_ms(gaps, 0.99),
        gap_most_ms=max((max(values) for values in gaps if values), default=0.0) * 1e3 if gaps else None,
        lag_most_ms=max((lag.most_ms for lag in lags), default=None),
        memory_mb=statistics.median(window.memory_bytes for window in windows) / 1e6,
    )


def units_of(case: Case, window: Window) -> int:
    """Requests answered, or events arrived."""
    return window.tally.events if case.unit == "chunk" else window.tally.answered


def quantile_ms(samples: Iterable[Sequence[float]], part: float) -> float | None:
    """The median over the rounds of a quantile within each."""
    found = [sorted(values)[int(part * (len(values) - 1))] * 1e3 for values in samples if values]
    return statistics.median(found) if found else None


def machine() -> dict[str, Any]:
    """What the figures depend on; nothing that names the machine."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "distribution": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "python": platform.python_version(),
        "python_optimized": _is_optimized(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _is_optimized() -> bool:
    """Whether this Python was built with its optimisations. Distributions do that, and do not say so."""
    configured = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return "--enable-optimizations" in configured or Path(sys.base_prefix) == Path("/usr")


def _processor() -> str:
    for text in Path("/proc/cpuinfo").read_text().splitlines():
        if text.startswith("model name"):
            return text.partition(":")[2].strip()
    return platform.machine()

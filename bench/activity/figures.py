"""What a run found, what it was meant to reach, and both as a file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.activity.asking import Answered
from bench.activity.exporting import Exported
from bench.activity.recording import Phase
from bench.activity.world import Size

COMMIT_MS = 50.0
EXPORTED_PER_S = 100_000
EXPORT_MB = 200.0
AS_FAST = 1.5
"""How many times as long as the first page a deep one may take."""


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """How the database came to be."""

    loader: str
    records: int
    bytes: int
    seconds: float
    fold_seconds: float

    @property
    def rate(self) -> float:
        return self.records / max(self.seconds, 1e-9)

    @property
    def bytes_per_record(self) -> float:
        return self.bytes / max(self.records, 1)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    machine: Mapping[str, Any]
    size: Size
    rate: int
    """Requests recorded a second, meanwhile."""
    minutes: float
    built: Built
    answered: Sequence[Answered]
    phases: Mapping[str, Phase]
    """What was recorded during each part."""
    exported: Sequence[Exported]
    missing: Mapping[str, str]
    """Why a format was not exported."""
    whole: bool
    """The summary of everything has the records and the cost that were generated."""

    @property
    def good(self) -> bool:
        """Whether everything adds up, and requests were recorded all the time."""
        return (
            self.whole
            and all(one.equal for one in self.exported)
            and all(phase.records for phase in self.phases.values())
        )


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """At most, or at least."""

    text: str
    unit: str
    value: float
    bound: float
    least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.bound if self.least else self.value <= self.bound


def goals(figures: Figures) -> Iterator[Goal]:
    """Those that this run says something about."""
    by_name = {one.name: one for one in figures.answered}
    for one in figures.answered:
        if one.goal_ms is not None:
            yield Goal(text=f"{one.what}, p95", unit="ms", value=one.p95_ms, bound=one.goal_ms)
    for name, one in by_name.items():
        if name.startswith("deep page"):
            first = by_name[name.replace("deep", "first", 1)]
            text = f"{one.what}, against the first page, p50"
            yield Goal(text=text, unit="×", value=one.p50_ms / first.p50_ms, bound=AS_FAST)
    for file in figures.exported:
        yield Goal(text=f"export as {file.format}", unit="records/s", value=file.rate, bound=EXPORTED_PER_S, least=True)
        yield Goal(text=f"export as {file.format}, resident memory", unit="MB", value=file.peak_mb, bound=EXPORT_MB)
    for name, phase in figures.phases.items():
        yield Goal(text=f"commits during {name}, p99", unit="ms", value=phase.commit_p99_ms, bound=COMMIT_MS)


def write(file: Path, figures: Figures) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")


def read(file: Path) -> Figures:
    return msgspec.json.decode(file.read_bytes(), type=Figures)

"""Everything that a run found, as it is kept in a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.latency import Added
from bench.memory import Memory
from bench.report import Count, Line


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """A peer, in words."""

    does: str
    records: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run."""

    machine: Mapping[str, Any]
    seconds: float
    rounds: int
    minutes: float
    peers: Mapping[str, About]
    missing: Mapping[str, str]
    """Why a peer is not there, or not everywhere."""
    lines: tuple[Line, ...]
    added: tuple[Added, ...]
    memory: Memory | None
    counts: Mapping[str, Count]

    @property
    def good(self) -> bool:
        """Whether every request was answered as it should be, and every answer of ours has its record."""
        counts = [*self.counts.values(), *([self.memory.count] if self.memory is not None else [])]
        return all(count.failed == 0 and count.exact is not False for count in counts)

    def line(self, case: str, peer: str) -> Line | None:
        return next((line for line in self.lines if (line.case, line.peer) == (case, peer)), None)


def write(file: Path, figures: Figures) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")


def read(file: Path) -> Figures:
    return msgspec.json.decode(file.read_bytes(), type=Figures)

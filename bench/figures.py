"""Everything that a run found, as it is kept in a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.guardrails import Guarded
from bench.latency import Added
from bench.memory import Memory
from bench.report import Count, Line

OURS = "arouter"
"""What the names of our own rows begin with."""


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
    """Why a peer is not there."""
    broken: Mapping[str, str]
    """Where a peer broke down, and was started again."""
    lines: tuple[Line, ...]
    added: tuple[Added, ...]
    memory: Memory | None
    counts: Mapping[str, Count]
    guarded: Guarded | None = None

    @property
    def good(self) -> bool:
        """Whether we answered every request as it should be, and every answer has its record."""
        ours = [count for count in self.counts.values() if count.recorded is not None]
        ours += [self.memory.count] if self.memory is not None else []
        broken = any(name.startswith(OURS) for name in self.broken)
        return not broken and all(count.failed == 0 and count.exact is True for count in ours)

    def line(self, case: str, peer: str) -> Line | None:
        return next((line for line in self.lines if (line.case, line.peer) == (case, peer)), None)


def write(file: Path, figures: Figures) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")


def read(file: Path) -> Figures:
    return msgspec.json.decode(file.read_bytes(), type=Figures)

"""What the gateway holds in memory: at its start, over a long run with as many users, and with 1,000 open streams."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bench import cpu
from bench.cases import BY_NAME
from bench.peers.arouter import AROUTER
from bench.report import Count
from bench.run import Bench, bench

SAMPLES = 20
_SLICE_S = 1.0
_STREAMS = BY_NAME["stream-100x1000"]
_STREAMS_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident memory in megabytes."""

    start_mb: float
    requests: int
    """And as many users."""
    during_mb: tuple[tuple[int, float], ...]
    """After so many requests."""
    streams: int
    streams_mb: float
    count: Count

    def at(self, part: float) -> float:
        """After that part of the requests."""
        return min(self.during_mb, key=lambda sample: abs(sample[0] - part * self.requests))[1]


def measure_memory(folder: Path, requests: int, progress: Callable[[float], None]) -> Memory:
    """In a process of its own. `progress` hears which part is done."""
    with bench([AROUTER], folder) as (made, missing):
        if missing:
            raise RuntimeError(missing[AROUTER.name])
        pid = made.running[AROUTER].pid
        start_mb = cpu.used(pid).memory_bytes / 1e6
        during = tuple(_long_run(made, requests, progress))
        window = made.measure(_STREAMS, AROUTER, _STREAMS_S)
        return Memory(
            start_mb=start_mb,
            requests=requests,
            during_mb=during,
            streams=_STREAMS.at_once,
            streams_mb=window.memory_bytes / 1e6,
            count=made.counts()[AROUTER.name],
        )


def _long_run(made: Bench, requests: int, progress: Callable[[float], None]) -> list[tuple[int, float]]:
    case = replace(BY_NAME["json"], users=requests)
    requests_made = made.requests_of(case, AROUTER)
    samples: list[tuple[int, float]] = []
    done = 0
    while done < requests:
        window = made.measure(case, AROUTER, _SLICE_S, requests_made)
        done = made.answered(AROUTER)
        if not samples or done - samples[-1][0] >= requests / SAMPLES:
            samples.append((done, window.memory_bytes / 1e6))
        progress(done / requests)
    return samples

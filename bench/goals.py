"""What the gateway is meant to reach, compared with a run."""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.figures import OURS, Figures

JSON = "json"
STREAM = "stream-100x100"
MANY_STREAMS = "stream-100x1000"
FLAT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One of them."""

    text: str
    unit: str
    value: float
    at_most: float

    @property
    def met(self) -> bool:
        return self.value <= self.at_most


def goals(figures: Figures) -> list[Goal]:
    """Those that this run says something about."""
    return [*_costs(figures), *_times(figures), *_memory(figures), *_guarded(figures)]


def _costs(figures: Figures) -> Iterator[Goal]:
    for case, peer, most in (
        (JSON, "nginx", 4.0),
        (JSON, "envoy", 1.0),
        (JSON, "rolter", 0.6),
        (JSON, "tensorzero", 0.3),
        (JSON, "litellm", 0.01),
        (STREAM, "nginx", 2.5),
    ):
        ours, theirs = figures.line(case, OURS), figures.line(case, peer)
        if ours is not None and theirs is not None:
            text = f"CPU of a {'small JSON request' if case == JSON else 'streamed chunk'}, against {peer}"
            yield Goal(text=text, unit="×", value=ours.cpu_us / theirs.cpu_us, at_most=most)


def _times(figures: Figures) -> Iterator[Goal]:
    found = next((added for added in figures.added if added.peer == OURS), None)
    if found is not None:
        text = "added time to first token at half load"
        yield Goal(text=f"{text}, p50", unit="ms", value=found.first_p50_ms, at_most=1.5)
        yield Goal(text=f"{text}, p99", unit="ms", value=found.first_p99_ms, at_most=10.0)
    many = figures.line(MANY_STREAMS, f"{OURS}-2-workers")
    if many is not None and many.gap_most_ms is not None:
        text = "longest gap in 1,000 streams, two workers"
        yield Goal(text=text, unit="ms", value=many.gap_most_ms, at_most=250.0)


def _memory(figures: Figures) -> Iterator[Goal]:
    memory = figures.memory
    if memory is None:
        return
    yield Goal(text="memory at start", unit="MB", value=memory.start_mb, at_most=120.0)
    yield Goal(text=f"memory with {memory.streams:,} open streams", unit="MB", value=memory.streams_mb, at_most=400.0)
    growth = abs(memory.at(1.0) / memory.at(0.5) - 1) * 100
    text = f"change of memory over the second half of {memory.requests:,} requests"
    yield Goal(text=text, unit="%", value=growth, at_most=FLAT * 100)


def _guarded(figures: Figures) -> Iterator[Goal]:
    if (guarded := figures.guarded) is None:
        return
    text = f"CPU of a request's {guarded.limits} limits"
    yield Goal(text=text, unit="µs", value=guarded.following_us, at_most=15.0)
    if (changes := guarded.changes) is not None:
        yield Goal(
            text="longest time until a change holds in both workers", unit="s", value=changes.worst_s, at_most=1.0
        )

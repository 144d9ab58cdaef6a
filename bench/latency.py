"""What a peer adds to the time of a stream at half of its load: to the first token, and to each chunk.

The upstream writes into each chunk when it said it. The same number of streams goes through nginx, and its times are
subtracted: what is left is the peer's.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.cases import BY_NAME, Case
from bench.load import Window
from bench.report import Line, quantile_ms

REFERENCE = "stream-100x100"
"""Half of the load that this case's CPU time stands for."""
MOST_STREAMS = 400
"""More would keep load and upstream busy, and measure them."""
LEAST_STREAMS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """One peer. Milliseconds, the floor's own subtracted."""

    peer: str
    streams: int
    busy: float
    """How much of its core it used."""
    first_p50_ms: float
    first_p99_ms: float
    chunk_p50_ms: float
    chunk_p99_ms: float
    gap_most_ms: float
    """The longest gap in any stream; nothing is subtracted."""


def half_load(line: Line) -> Case:
    """As many timed streams as keep the peer busy half of the time."""
    case = BY_NAME[line.case]
    per_stream = line.cpu_us / case.pace_us
    streams = min(max(round(0.5 / per_stream), LEAST_STREAMS), MOST_STREAMS)
    return replace(case, name="half-load", timed=True, at_once=streams)


def added(peer: str, case: Case, windows: Sequence[Window], floor: Sequence[Window]) -> Added | None:
    """Of the rounds of one peer, and of those of the floor with the same case. None if in one of them no stream began
    or went on."""
    if not all(window.tally.first_s and window.tally.gaps_s for window in (*windows, *floor)):
        return None

    def difference(name: str, part: float) -> float:
        own = quantile_ms([getattr(window.tally, name) for window in windows], part)
        lowest = quantile_ms([getattr(window.tally, name) for window in floor], part)
        assert own is not None
        assert lowest is not None
        return own - lowest

    return Added(
        peer=peer,
        streams=case.at_once,
        busy=statistics.median(window.cpu_s / window.seconds for window in windows),
        first_p50_ms=difference("first_s", 0.5),
        first_p99_ms=difference("first_s", 0.99),
        chunk_p50_ms=difference("chunk_s", 0.5),
        chunk_p99_ms=difference("chunk_s", 0.99),
        gap_most_ms=max(max(window.tally.gaps_s) for window in windows) * 1e3,
    )

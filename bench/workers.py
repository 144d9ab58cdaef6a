"""What a second worker brings: `python -m bench.workers`.

The gateway with one worker and with two (or `--workers N`) is asked for small JSON in interleaved rounds: as fast as it
goes, and at a pace at which every process has room. How much each process and the cores had to do, and how long the
workers waited for a core, is told with the requests a second.

Twice the workers can answer twice the requests where there are cores for them, for the load and for the upstream. Where
there are not, the load takes from the workers what it needs, and requests a second say nothing. Then the figure is
computed: a worker with a core of its own answers one request in the CPU time that a request costs, so what a second
worker makes each request dearer by (the ledger's turns, smaller commits, the supervisor) is what is lost. That holds
only while workers do not wait for each other with idle cores around, which is looked at as well.
"""

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench import cpu
from bench.cases import BY_NAME, Case
from bench.load import Window
from bench.peers.arouter import with_workers
from bench.peers.base import Peer
from bench.process import Cores
from bench.run import Bench, bench
from bench.show import sentence

GOAL = 1.7
"""Requests a second of two workers over those of one."""
CONNECTIONS = 128
"""Of each worker. With few of them all wait for the disk at times, and the workers for them."""
BESIDE = 2
"""Cores for the load and the upstream."""
_FULL = 0.9
"""Of a core that each worker uses at least: then it is the workers that the speed depends on."""
_WAITED = 0.1
"""Of the time that a worker ran it waited for a core: more, and cores were not free."""
_IDLE = 0.1
"""Of the cores, while everything is asked as fast as it goes: more, and somebody waited for something else."""
_OTHERS = 0.15
"""Of the cores that other programs, and the system for nobody, use: more, and the figures are theirs, too."""
_PACE = 0.6
"""Of what the cores can do, and of what a worker can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One number of workers under one load."""

    workers: int
    paced: bool
    per_second: float
    cpu_us: float
    """Of the gateway's processes, for a request."""
    busy: Mapping[str, float]
    """How much of a core each process used."""
    idle: float
    """Cores that had nothing to do."""
    others: float
    """Cores that other programs, and the system for nobody, used."""
    waited: float
    """How long the workers waited for a core, over how long they ran."""
    p50_ms: float
    p99_ms: float

    @property
    def is_full(self) -> bool:
        """Whether the workers had as much to do as they can."""
        return sum(used for name, used in self.busy.items() if name.startswith("worker")) >= _FULL * self.workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What more workers are worth."""

    ratio: float
    """Requests a second of all of them over those of one."""
    cores_were_free: bool
    undisturbed: bool
    """Whether other programs left the cores alone."""
    text: str
    """How the ratio was found."""


class Watch:
    """Reads what the processes used when the measured part begins and when it ends."""

    def __init__(self, pids: Mapping[str, int], workers: Sequence[str], cores: frozenset[int]) -> None:
        self._pids = pids
        self._workers = workers
        self._cores = cores
        self._read: list[tuple[float, dict[str, float], float, float]] = []

    def __call__(self) -> None:
        used = {name: cpu.cpu_s(pid) for name, pid in self._pids.items()} | {"load": time.process_time()}
        waited_s = sum(cpu.waited_s(self._pids[name]) for name in self._workers)
        self._read.append((time.perf_counter(), used, waited_s, cpu.idle_s(self._cores)))

    def sample(self, window: Window, *, workers: int, paced: bool) -> Sample:
        """What was between the two."""
        (began, used, waited_s, idle_s), (ended, used_then, waited_then_s, idle_then_s) = self._read
        seconds = ended - began
        busy = {name: (used_then[name] - used[name]) / seconds for name in used}
        idle = min((idle_then_s - idle_s) / seconds, float(len(self._cores)))
        ran_s = sum(busy[name] for name in self._workers) * seconds
        latencies = sorted(window.tally.latencies_s)
        return Sample(
            workers=workers,
            paced=paced,
            per_second=window.tally.answered / window.seconds,
            cpu_us=window.cpu_s / max(window.tally.answered, 1) * 1e6,
            busy=busy,
            idle=idle,
            others=max(0.0, len(self._cores) - idle - sum(busy.values())),
            waited=(waited_then_s - waited_s) / max(ran_s, 1e-9),
            p50_ms=_quantile(latencies, 0.5) * 1e3,
            p99_ms=_quantile(latencies, 0.99) * 1e3,
        )


def layout(allowed: Iterable[int], workers: int) -> Cores:
    """A core for each worker and the rest for load and upstream, where there are enough; else all for everybody."""
    every = sorted(allowed)
    if len(every) < workers + BESIDE:
        return Cores(measured=frozenset(every), beside=frozenset(every), all=frozenset(every))
    return Cores(measured=frozenset(every[-1:]), beside=frozenset(every[:-workers]), all=frozenset(every[-workers:]))


def pace_s(window: Window, *, workers: int, cores: int, connections: int) -> float:
    """How often each of a worker's connections asks, so that all of `workers`, load and upstream leave room.

    `window` is of one worker that was asked as fast as it goes.
    """
    request_s = window.cpu_s / window.tally.answered
    everything_s = request_s + window.load_cpu_s / window.tally.answered
    per_worker_s = min(_PACE * cores / (everything_s * workers), _PACE / request_s)
    return connections / per_worker_s


def medians(samples: Sequence[Sample]) -> Sample:
    """Of several rounds of the same."""

    middle = statistics.median
    return Sample(
        workers=samples[0].workers,
        paced=samples[0].paced,
        per_second=middle(sample.per_second for sample in samples),
        cpu_us=middle(sample.cpu_us for sample in samples),
        busy={name: middle(sample.busy[name] for sample in samples) for name in samples[0].busy},
        idle=middle(sample.idle for sample in samples),
        others=middle(sample.others for sample in samples),
        waited=middle(sample.waited for sample in samples),
        p50_ms=middle(sample.p50_ms for sample in samples),
        p99_ms=middle(sample.p99_ms for sample in samples),
    )


def verdict(samples: Sequence[Sample], cores: int) -> Verdict:
    """From the medians of one worker and of several, each as fast as it goes and paced."""
    by_load = {(sample.workers, sample.paced): sample for sample in samples}
    workers = max(sample.workers for sample in samples)
    one, several = by_load[1, False], by_load[workers, False]
    undisturbed = max(sample.others for sample in samples) <= _OTHERS * cores
    if all(sample.is_full and sample.waited <= _WAITED for sample in (one, several)):
        ratio, free = several.per_second / one.per_second, True
        text = "measured: the workers were full, and cores were free"
    elif several.idle > _IDLE * cores:
        ratio, free = several.per_second / one.per_second, True
        text = "measured: cores were idle, so workers, load or upstream waited for something else"
    else:
        costs = [(by_load[1, paced].cpu_us, by_load[workers, paced].cpu_us) for paced in (False, True)]
        ratio, free = min(workers * of_one / of_several for of_one, of_several in costs), False
        text = (
            f"computed from the CPU of a request, the lower of both loads: cores were NOT free, with {workers} "
            f"workers, load and upstream on {cores}, and none was idle (requests/s: "
            f"{several.per_second / one.per_second:.2f} times)"
        )
    if not undisturbed:
        text += "; OTHER PROGRAMS used the cores, ask again when they are quiet"
    return Verdict(ratio=ratio, cores_were_free=free, undisturbed=undisturbed, text=text)


def kept(samples: Sequence[Sample], cores: int) -> Sequence[Sample]:
    """Those in which other programs left the cores alone; all, if there are none."""
    return [sample for sample in samples if sample.others <= _OTHERS * cores] or samples


def measure(
    made: Bench, peers: Mapping[int, Peer], wanted: argparse.Namespace, *, cores: frozenset[int]
) -> list[Sample]:
    """The medians, for each number of workers and each load, of so many undisturbed rounds; or of what comes of as many
    rounds as are tried."""
    workers, rounds, seconds = max(peers), wanted.rounds, wanted.seconds
    cases = {count: _case(wanted.connections * count) for count in peers}
    first = made.measure(cases[1], peers[1], seconds)
    every_s = pace_s(first, workers=workers, cores=len(cores), connections=wanted.connections)
    made.measure(cases[workers], peers[workers], seconds)  # warm as well
    found: dict[tuple[int, bool], list[Sample]] = {}
    for number in range(1, max(wanted.tries, rounds) + 1):
        for paced in (False, True):
            for count, peer in peers.items():
                watch = _watch(made, peer, count, cores)
                window = made.measure(cases[count], peer, seconds, every_s=every_s if paced else 0.0, watch=watch)
                found.setdefault((count, paced), []).append(watch.sample(window, workers=count, paced=paced))
        undisturbed = min(len(kept(samples, len(cores))) for samples in found.values())
        if number >= rounds and undisturbed >= rounds and _is_undisturbed(found.values(), len(cores)):
            break
    return [medians(kept(samples, len(cores))) for samples in found.values()]


def _is_undisturbed(every: Iterable[Sequence[Sample]], cores: int) -> bool:
    return all(sample.others <= _OTHERS * cores for samples in every for sample in kept(samples, cores))


def _case(connections: int) -> Case:
    return replace(BY_NAME["json"], at_once=connections)


def _watch(made: Bench, peer: Peer, workers: int, cores: frozenset[int]) -> Watch:
    top, *below = cpu.tree(made.running[peer].pid)
    names = {f"worker {number}": pid for number, pid in enumerate(below, 1)} if workers > 1 else {"worker 1": top}
    pids = names | ({"supervisor": top} if workers > 1 else {}) | {"upstream": made.upstream_pid}
    return Watch(pids, [*names], cores)


def _quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else 0.0


def table(samples: Sequence[Sample], cores: int) -> Table:
    """A row for each."""
    made = Table(title=f"Small JSON; shares of one core of {cores}; medians", title_justify="left")
    made.add_column("load")
    for name in ("workers", "requests/s", "CPU µs", "each worker", "super", "upstream", "load", "others", "idle"):
        made.add_column(name, justify="right", no_wrap=True)
    for name in ("waited", "p50 ms", "p99 ms"):
        made.add_column(name, justify="right", no_wrap=True)
    for sample in sorted(samples, key=lambda one: (one.paced, one.workers)):
        each = [f"{used:.0%}" for name, used in sample.busy.items() if name.startswith("worker")]
        made.add_row(
            *("paced" if sample.paced else "as fast as it goes", f"{sample.workers}", f"{sample.per_second:,.0f}"),
            *(f"{sample.cpu_us:.1f}", ", ".join(each), f"{sample.busy.get('supervisor', 0.0):.0%}"),
            *(f"{sample.busy['upstream']:.0%}", f"{sample.busy['load']:.0%}", f"{sample.others:.0%}"),
            *(f"{sample.idle:.0%}", f"{sample.waited:.0%}", f"{sample.p50_ms:.1f}", f"{sample.p99_ms:.1f}"),
        )
    return made


def main() -> int:
    """Measures and prints. 1 if records are missing."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asking = argparse.ArgumentParser(prog="python -m bench.workers", description=__doc__)
    asking.add_argument("--workers", type=int, default=2, help="compared with one")
    asking.add_argument("--connections", type=int, default=CONNECTIONS, help="of each worker")
    asking.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    asking.add_argument("--rounds", type=int, default=3, help="that other programs did not disturb")
    asking.add_argument("--tries", type=int, default=12, help="rounds at the most, until there are so many")
    asking.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures as well")
    wanted = asking.parse_args()
    if wanted.workers < 2:
        asking.error("--workers must be at least 2")
    console = Console(width=200 if not sys.stdout.isatty() else None)
    allowed = Cores.of_this_machine().all
    peers = {number: with_workers(number) for number in (1, wanted.workers)}
    with (
        tempfile.TemporaryDirectory(prefix="arouter-bench-") as folder,
        bench([*peers.values()], Path(folder), layout(allowed, wanted.workers)) as (made, missing),
    ):
        if missing:
            console.print(*missing.values())
            return 1
        samples = measure(made, peers, wanted, cores=allowed)
        counts = made.counts()
    found = verdict(samples, len(allowed))
    console.print(table(samples, len(allowed)))
    for name, count in counts.items():
        console.print(sentence(name, count), highlight=False, markup=False)
    goal = f"; the goal for two is {GOAL}" if wanted.workers == 2 else ""
    console.print(f"{wanted.workers} workers are {found.ratio:.2f} of one{goal}. {found.text}.", highlight=False)
    if wanted.json is not None:
        wanted.json.write_bytes(msgspec.json.format(msgspec.json.encode({"samples": samples, "verdict": found})))
    return 0 if all(count.exact for count in counts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

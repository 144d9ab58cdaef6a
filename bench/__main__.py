"""What the gateway costs, in CPU time, latency and memory, beside other proxies in the same run: `python -m bench`.

Each peer runs pinned to one core; the load and the upstream run on another. The rounds are interleaved (every peer in
turn for each case, over and over), so that what else the machine does hits all of them alike; the figures are medians.
At the end the records are counted: there must be exactly one for each answer.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench import figures as kept
from bench.cases import BY_NAME, CASES, SHORT, Case
from bench.document import write_document
from bench.figures import About, Figures
from bench.guardrails import ROUNDS, USERS, Guarded
from bench.latency import REFERENCE, Added, added, half_load
from bench.load import Window
from bench.memory import Memory, measure_memory
from bench.peers import PEERS
from bench.peers.base import Peer
from bench.report import FLOOR, Line, line, machine, units_of
from bench.run import WARM_UP_S, Bench, bench
from bench.show import show

ROOT = Path(__file__).parents[1]
MEMORY_REQUESTS = 100_000
QUICK_PEERS = ("arouter", FLOOR, "envoy", "rolter")
QUICK_USERS = 20_000
OVERHEAD_S = 0.4
RAMP_S = 2.0
HALF_LOAD_S = 5.0
"""Long enough for streams to begin, however few they are."""
GUESSED_CHUNK_S = 20e-6


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each case is measured in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="repeatable")
    parser.add_argument("--peer", action="append", choices=[peer.name for peer in PEERS], help="repeatable")
    parser.add_argument("--no-latency", action="store_true", help="leave out the added latency at half load")
    parser.add_argument("--memory", type=int, default=MEMORY_REQUESTS, metavar="N", help="requests; 0 leaves it out")
    parser.add_argument(
        "--limited-users",
        type=int,
        default=USERS,
        metavar="N",
        help="users with limits; 0 leaves budgets and rates out",
    )
    parser.add_argument("--quick", action="store_true", help="about a minute: whether it works, not how fast it is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures as well")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page whose measured part to write anew")
    parser.add_argument("--from", dest="kept", type=Path, metavar="FILE", help="figures of --json, nothing is measured")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seconds, options.rounds = min(options.seconds, 1.0), 1
        options.case = options.case or list(SHORT)
        options.peer = options.peer or list(QUICK_PEERS)
        options.memory = 0
        options.limited_users = min(options.limited_users, QUICK_USERS)
        options.no_latency = True
    return options


@dataclass(slots=True, kw_only=True)
class Run:
    """One run's way from its options to its figures."""

    options: argparse.Namespace
    console: Console
    progress: Progress
    missing: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def figures(self) -> Figures:
        """Measure everything that was asked for."""
        began = time.monotonic()
        cases = [case for case in CASES if self.options.case is None or case.name in self.options.case]
        peers = self._present()
        with tempfile.TemporaryDirectory(prefix="arouter-bench-") as folder:
            made_folder = Path(folder) / "peers"
            made_folder.mkdir()
            task = self.progress.add_task("starting", total=None)
            with bench(peers, made_folder) as (made, missing):
                self._leave_out(missing)
                lines = self._costs(made, cases, task)
                latency = [] if self.options.no_latency else self._latency(made, lines, task)
                counts = made.counts()
            memory = self._memory(Path(folder)) if self.options.memory else None
            guarded = self._guarded() if self.options.limited_users else None
        return Figures(
            machine=machine(),
            seconds=self.options.seconds,
            rounds=self.options.rounds,
            minutes=round((time.monotonic() - began) / 60, 1),
            peers={peer.name: About(does=peer.does, records=peer.records) for peer in made.running},
            missing=self.missing,
            broken=self.broken,
            lines=tuple(lines),
            added=tuple(latency),
            memory=memory,
            counts=counts,
            guarded=guarded,
        )

    # ---------------------------------------------------------------- who is there

    def _present(self) -> list[Peer]:
        chosen = [peer for peer in PEERS if self.options.peer is None or peer.name in self.options.peer]
        for peer in chosen:
            if not peer.find():
                self._tell(f"{peer.name} is not installed and is left out. To install it: {peer.install}")
                self.missing[peer.name] = f"not installed; {peer.install}"
        return [peer for peer in chosen if peer.find()]

    def _leave_out(self, missing: Mapping[str, str]) -> None:
        for name, why in missing.items():
            self._tell(f"{name} could not be started and is left out: {why.splitlines()[-1]}")
            self.missing[name] = why.splitlines()[-1]

    def _tell(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)

    # ---------------------------------------------------------------- what is measured

    def _costs(self, made: Bench, cases: Sequence[Case], task: TaskID) -> list[Line]:
        steps = [(case, peer) for case in cases for peer in made.running if peer.takes(case)]
        seconds = sum(self._seconds_of(case, peer) for case, peer in steps) * self.options.rounds
        self._tell(
            f"{len(steps)} measurements in each of {self.options.rounds} rounds, about {seconds / 60:.0f} minutes."
        )
        for peer in made.running:
            self.progress.update(task, description=f"warming up {peer.name}")
            self._try(made, BY_NAME["json"], peer)
        self.progress.update(task, total=len(steps) * self.options.rounds, completed=0)
        for number in range(self.options.rounds):
            for case, peer in steps:
                self.progress.update(task, description=f"round {number + 1}: {case.name}, {peer.name}")
                if peer.name not in self.missing and (window := self._try(made, case, peer)) is not None:
                    made.windows[case, peer].append(window)
                    if not self.console.is_terminal:
                        self._tell(f"{case.name}, {peer.name}: {line(case, peer, [window]).cpu_us:.1f} µs")
                self.progress.advance(task)
        done = [(case, peer) for case, peer in steps if made.windows[case, peer]]
        return [line(case, peer, made.windows[case, peer], made.lags[case, peer]) for case, peer in done]

    def _try(self, made: Bench, case: Case, peer: Peer) -> Window | None:
        """One measurement. None if the peer broke down, which is started again."""
        try:
            window = made.measure(case, peer, self.options.seconds * peer.times_longer)
        except (OSError, RuntimeError) as exc:
            self._tell(f"{peer.name} broke down in {case.name} and is started again: {type(exc).__name__} {exc}")
            self.broken[peer.name] = f"broke down in {case.name}"
        else:
            if units_of(case, window):
                return window
            self._tell(f"{peer.name} answers nothing of {case.name} in that time")
            return None
        try:
            made.restart(peer)
        except RuntimeError:
            self.missing[peer.name] = "did not start again"
        return None

    def _seconds_of(self, case: Case, peer: Peer) -> float:
        stream_s = case.pace_us * case.chunks / 1e6
        ending_s = max(stream_s, case.chunks * case.at_once * GUESSED_CHUNK_S) if peer.ours else 0.0
        return float(
            self.options.seconds * peer.times_longer + WARM_UP_S + OVERHEAD_S + min(stream_s, RAMP_S) + ending_s
        )

    def _latency(self, made: Bench, lines: Sequence[Line], task: TaskID) -> list[Added]:
        """Each peer that was measured with paced streams, at half of its load, and the floor with as many."""
        floor = next((peer for peer in made.running if peer.name == FLOOR), None)
        references = {found.peer: found for found in lines if found.case == REFERENCE}
        peers = [peer for peer in made.running if peer is not floor and peer.name in references]
        peers = [peer for peer in peers if not peer.two_workers and peer.name not in self.missing]
        if floor is None:
            return []
        self.progress.update(task, total=len(peers) * self.options.rounds, completed=0)
        own: dict[Peer, list[Window]] = defaultdict(list)
        lowest: dict[Peer, list[Window]] = defaultdict(list)
        cases = {peer: half_load(references[peer.name]) for peer in peers}
        seconds = max(self.options.seconds * 2, HALF_LOAD_S)
        for number in range(self.options.rounds):
            for peer, case in cases.items():
                self.progress.update(task, description=f"round {number + 1}: half load, {peer.name}")
                own[peer].append(made.measure(case, peer, seconds))
                lowest[peer].append(made.measure(case, floor, seconds))
                self.progress.advance(task)
        found = [added(peer.name, cases[peer], own[peer], lowest[peer]) for peer in peers]
        return [times for times in found if times is not None]

    def _memory(self, folder: Path) -> Memory:
        own = folder / "memory"
        own.mkdir()
        requests = self.options.memory
        task = self.progress.add_task(f"memory over {requests:,} requests", total=requests)
        return measure_memory(own, requests, lambda part: self.progress.update(task, completed=part * requests))

    def _guarded(self) -> Guarded:
        """In a process of its own, whose collector knows of nothing else."""
        users, rounds = self.options.limited_users, 1 if self.options.quick else ROUNDS
        self.progress.add_task(f"budgets and rates of {users:,} users", total=None)
        command = [sys.executable, "-m", "bench.guardrails", "--json", f"--users={users}", f"--rounds={rounds}"]
        told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        return msgspec.json.decode(told, type=Guarded)


def main() -> int:
    # A run that is told to stop stops what it started, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = read_options(sys.argv[1:])
    console = Console(width=200 if not sys.stdout.isatty() else None, soft_wrap=False)
    if options.kept is not None:
        figures = kept.read(options.kept)
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            figures = Run(options=options, console=console, progress=progress).figures()
    show(console, figures)
    if options.json is not None:
        kept.write(options.json, figures)
    if options.write is not None:
        write_document(options.write, figures)
    return 0 if figures.good else 1


if __name__ == "__main__":
    sys.exit(main())

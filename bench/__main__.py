"""CPU per JSON request and per streamed chunk, beside other proxies in the same run: `python -m bench`.

Each peer runs pinned to one core; the load and the upstream run on another. The rounds are interleaved (every peer in
turn for each case, over and over), so that what else the machine does hits all of them alike; the figures are medians.
At the end the records are counted: there must be exactly one for each answer.
"""

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import uvloop
from rich.console import Console

from bench import cpu, report
from bench.cases import CASES, Case, Requests
from bench.load import Load, Window
from bench.peers import PEERS, Peer, Running
from bench.process import Cores, first_line, started
from bench.report import Count

JSON_CONNECTIONS = 32
STREAM_CONNECTIONS = 64
WARM_UP_S = 0.5


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each case is measured in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=None, help="at once; 32 for JSON, 64 streams")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="repeatable")
    parser.add_argument("--peer", action="append", choices=[peer.name for peer in PEERS], help="repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures as well")
    parser.add_argument("--quick", action="store_true", help="one short round: whether it works, not how fast it is")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seconds, options.rounds = min(options.seconds, 1.0), 1
    return options


def connections_of(case: Case, options: argparse.Namespace) -> int:
    default = STREAM_CONNECTIONS if case.chunks else JSON_CONNECTIONS
    return default if options.connections is None else options.connections


class Bench:
    """One run."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options = options
        self._console = console
        self._cores = Cores.of_this_machine()
        self._windows: dict[tuple[Case, Peer], list[Window]] = defaultdict(list)
        self._answered: dict[Peer, int] = defaultdict(int)
        self._failed: dict[Peer, int] = defaultdict(int)
        self.cases = [case for case in CASES if options.case is None or case.name in options.case]

    def run(self) -> bool:
        """Measure, show, and write. Whether every answer has its record."""
        peers = self._present()
        if self._cores.measured == self._cores.beside:
            self._console.print("There is one core only: load and upstream compete with what is measured.")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="arouter-bench-")))
            command = [sys.executable, "-m", "bench.upstream"]
            upstream = stack.enter_context(started(command, core=self._cores.beside))
            url = f"http://127.0.0.1:{first_line(upstream)}"
            running = {peer: stack.enter_context(self._start(peer, url, folder)) for peer in peers}
            os.sched_setaffinity(0, {self._cores.beside})
            for number in range(self._options.rounds):
                self._round(number, running)
            counts = {peer.name: self._count(peer, running[peer]) for peer in peers}
        return self._tell(peers, counts)

    def _present(self) -> list[Peer]:
        chosen = [peer for peer in PEERS if self._options.peer is None or peer.name in self._options.peer]
        for peer in chosen:
            if not peer.find():
                self._console.print(f"{peer.name} is not installed and is left out. To install it: {peer.install}")
        return [peer for peer in chosen if peer.find()]

    def _start(self, peer: Peer, upstream: str, folder: Path) -> AbstractContextManager[Running]:
        own = folder / peer.name
        own.mkdir()
        return peer.start(upstream, own, self._cores.measured)

    def _round(self, number: int, running: Mapping[Peer, Running]) -> None:
        for case in self.cases:
            for peer, target in running.items():
                self._console.print(
                    f"round {number + 1} of {self._options.rounds}: {case.name}, {peer.name} ", end="", highlight=False
                )
                self._measure(case, peer, target)

    def _measure(self, case: Case, peer: Peer, target: Running) -> None:
        requests = Requests(case, host=target.url.removeprefix("http://"), path=target.path, key=target.key)
        load = Load(case, target.url, requests)
        connections = connections_of(case, self._options)
        warm_up_s = min(WARM_UP_S, self._options.seconds)
        window = uvloop.run(
            load.run(
                connections,
                warm_up_s=warm_up_s,
                seconds=self._options.seconds,
                used=lambda: cpu.used(target.pid),
            )
        )
        self._windows[case, peer].append(window)
        self._answered[peer] += load.answered
        self._failed[peer] += load.failed
        figures = report.line(case, peer, connections, [window])
        self._console.print(f"{figures.cpu_us:.1f} µs a {case.unit}", highlight=False)

    def _count(self, peer: Peer, target: Running) -> Count:
        recorded = target.ledger() if target.ledger is not None else None
        return Count(answered=self._answered[peer], failed=self._failed[peer], recorded=recorded)

    def _tell(self, peers: Sequence[Peer], counts: Mapping[str, Count]) -> bool:
        lines = [
            report.line(case, peer, connections_of(case, self._options), self._windows[case, peer])
            for case in self.cases
            for peer in peers
        ]
        self._console.print()
        report.show(self._console, self.cases, lines)
        for peer in peers:
            self._console.print(f"{peer.name}: {peer.does}.", highlight=False)
        report.show_counts(self._console, counts)
        if self._options.json is not None:
            asked = {name: getattr(self._options, name) for name in ("seconds", "rounds", "connections", "quick")}
            report.write_json(self._options.json, asked, lines, counts)
        return all(count.failed == 0 and count.exact is not False for count in counts.values())


def main() -> int:
    console = Console(width=160 if not sys.stdout.isatty() else None, soft_wrap=False)
    return 0 if Bench(read_options(sys.argv[1:]), console).run() else 1


if __name__ == "__main__":
    sys.exit(main())

"""One run: every peer started, the cases measured in interleaved rounds, what was recorded counted."""

import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from bench import cpu
from bench.cases import Case
from bench.certificate import make_certificate
from bench.load import Load, Window
from bench.peers.base import Peer, Running, Upstreams
from bench.process import Cores, next_line, pause, resume, started
from bench.report import Count, Lag
from bench.requests import Requests

WARM_UP_S = 0.5

Measured = tuple[Case, Peer]


class Bench:
    """The upstream, and the peers that answer. Made by `bench`, which stops everything at its end."""

    def __init__(self, cores: Cores, upstreams: Upstreams, upstream_pid: int, folder: Path) -> None:
        self.cores = cores
        self.upstreams = upstreams
        self.folder = folder
        self.running: dict[Peer, Running] = {}
        self.windows: dict[Measured, list[Window]] = defaultdict(list)
        self.lags: dict[Measured, list[Lag]] = defaultdict(list)
        self.upstream_pid = upstream_pid
        self._stacks: dict[Peer, ExitStack] = {}
        self._answered: dict[Peer, int] = defaultdict(int)
        self._errors: dict[Peer, int] = defaultdict(int)
        self._failed: dict[Peer, int] = defaultdict(int)
        self._met: set[Measured] = set()
        """Who has been asked with every key of a case."""

    def start(self, peer: Peer) -> None:
        """In a folder of its own, held still from then on. RuntimeError if it does not start."""
        folder = self.folder / f"{peer.name}-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        with ExitStack() as stack:
            cores = self.cores.all if peer.two_workers else self.cores.measured
            self.running[peer] = stack.enter_context(peer.start(self.upstreams, folder, cores))
            self._stacks[peer] = stack.pop_all()
        pause(self.running[peer].pid)

    def restart(self, peer: Peer) -> None:
        """After it broke down. RuntimeError if it does not start."""
        self._stacks.pop(peer).close()
        del self.running[peer]
        # What it recorded is gone with it.
        self._answered[peer] = self._errors[peer] = 0
        self._met = {(case, known) for case, known in self._met if known != peer}
        self.start(peer)

    def close(self) -> None:
        """Stop all peers."""
        while self._stacks:
            self._stacks.popitem()[1].close()

    def counts(self) -> dict[str, Count]:
        """What was asked of each peer, and what it recorded."""
        found = {}
        for peer, running in self.running.items():
            with awake(running):
                recorded = running.ledger() if running.ledger is not None else None
            found[peer.name] = Count(
                answered=self._answered[peer],
                errors=self._errors[peer],
                failed=self._failed[peer],
                recorded=recorded,
            )
        return found

    def answered(self, peer: Peer) -> int:
        """So far."""
        return self._answered[peer]

    def requests_of(self, case: Case, peer: Peer) -> Requests:
        """A case's requests to a peer, from the first on."""
        return requests_of(case, self.running[peer])

    def measure(
        self,
        case: Case,
        peer: Peer,
        seconds: float,
        requests: Requests | None = None,
        *,
        every_s: float = 0.0,
        watch: Callable[[], None] = lambda: None,
    ) -> Window:
        """One case with one peer, once. The others are held still. `requests` go on where they were. With `every_s`
        each connection asks at that pace. Before the first window of a case with several keys each of them is asked
        with once: a key's first request is another thing than all that follow. `watch` is called when the measured part
        begins, and when it ends."""

        def used() -> cpu.Used:
            watch()
            return cpu.used(running.pid)

        running = self.running[peer]
        with awake(running):
            lag_before = running.lag() if running.lag is not None else {}
            asked = requests if requests is not None else requests_of(case, running)
            load = Load(case, running.targets[case.upstream].url, asked, every_s=every_s or case.every_s)
            with making_keys(running, case.new_key_every_s):
                window = uvloop.run(
                    load.run(
                        warm_up_s=min(WARM_UP_S, seconds),
                        warm_up_answers=case.keys if case.keys > 1 and (case, peer) not in self._met else 0,
                        seconds=seconds,
                        used=used,
                        used_beside=lambda: time.process_time() + cpu.cpu_s(self.upstream_pid),
                        finish=running.ledger is not None,
                    )
                )
            lag_after = running.lag() if running.lag is not None else {}
        self._met.add((case, peer))
        if lag_after:
            self.lags[case, peer].append(Lag.between(lag_before, lag_after))
        if case.leaves_record:
            self._answered[peer] += load.answered
            self._errors[peer] += load.answered if case.status != 200 else 0
        self._failed[peer] += load.failed
        return window


@contextmanager
def awake(running: Running) -> Iterator[None]:
    """While a peer is asked something; else it is held still."""
    resume(running.pid)
    try:
        yield
    finally:
        pause(running.pid)


@contextmanager
def making_keys(running: Running, every_s: float) -> Iterator[None]:
    """Somebody makes a key every so many seconds meanwhile; with 0 nobody does. What went wrong with one is raised."""
    if not every_s:
        yield
        return
    over = threading.Event()

    def make() -> None:
        while not over.wait(every_s):
            running.make_key()

    with ThreadPoolExecutor(1) as beside:
        making = beside.submit(make)
        try:
            yield
        finally:
            over.set()
        making.result()


def requests_of(case: Case, running: Running) -> Requests:
    target = running.targets[case.upstream]
    return Requests(
        case,
        host=urlsplit(target.url).netloc,
        path=running.path,
        model=target.model,
        keys=(running.wrong_key,) if case.status == 401 else running.keys[: case.keys],
        headers=target.headers,
    )


@contextmanager
def bench(peers: Sequence[Peer], folder: Path, cores: Cores | None = None) -> Iterator[tuple[Bench, Mapping[str, str]]]:
    """Everything started, on `cores` if they are not to be chosen here; and why those that are not there could not be,
    by name. RuntimeError if ours cannot."""
    cores = Cores.of_this_machine() if cores is None else cores
    with ExitStack() as stack:
        certificate = make_certificate(folder)
        command = [sys.executable, "-m", "bench.upstream"]
        command += ["--certificate", str(certificate)] if certificate is not None else []
        log = folder / "upstream.log"
        process = stack.enter_context(started(command, cores=cores.beside, log=log, tells=True))
        told = json.loads(next_line(process, log))
        upstreams = Upstreams(
            url=f"http://127.0.0.1:{told['port']}",
            tls_url=f"https://127.0.0.1:{told['tls_port']}" if certificate is not None else "",
            certificate=certificate if certificate is not None else Path(),
        )
        made = Bench(cores, upstreams, process.pid, folder)
        stack.callback(made.close)
        missing = {}
        for peer in peers:
            try:
                made.start(peer)
            except RuntimeError as exc:
                missing[peer.name] = str(exc)
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores.beside)
        stack.callback(os.sched_setaffinity, 0, before)
        yield made, missing

"""What a peer is: how it is found, started and asked, and what it records."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from bench.cases import Case, Upstream

INSTALLED = Path(__file__).resolve().parents[2] / "var" / "bench"
"""Where `make bench-peers` puts what it installs; git does not know it."""
MAKE_PEERS = "make bench-peers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstreams:
    """Where the upstream listens."""

    url: str
    tls_url: str = ""
    """Empty if there is no certificate."""
    certificate: Path = Path()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What a peer that keeps records says of them."""

    requests: int
    errors: int
    users: int
    without_usage: int
    without_price: int
    cost: str
    """In dollars, exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """How one of the upstreams is asked for through a peer."""

    url: str
    model: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A peer that answers."""

    pid: int
    """The top of its process tree."""
    targets: Mapping[Upstream, Target]
    path: str = "/v1/chat/completions"
    keys: tuple[str, ...] = ("sk-bench",)
    wrong_key: str = "sk-wrong"
    make_key: Callable[[], None] = lambda: None
    """Makes one more, if the peer has keys of its own."""
    ledger: Callable[[], Ledger] | None = None
    """Asks what was recorded so far, if the peer records requests."""
    lag: Callable[[], Mapping[float, float]] | None = None
    """How often its event loop was late so far, by seconds at most, if it tells: counts that only grow."""


Start = Callable[[Upstreams, Path, frozenset[int]], AbstractContextManager[Running]]
"""Takes the upstreams, an empty folder and the cores to run on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One row."""

    name: str
    does: str
    """What it does with a request besides forwarding it."""
    records: str
    """What it keeps of a request, in this benchmark."""
    start: Start
    find: Callable[[], bool]
    """Whether it is installed."""
    install: str
    """What to type if it is not."""
    upstreams: frozenset[Upstream] = frozenset({"openai"})
    """What it can be asked for here."""
    checks_keys: bool = False
    passes_errors: bool = True
    """It goes on asking an upstream that answers errors."""
    at_once_most: int = 1_000
    """More streams at once than these would keep it busy for minutes."""
    times_longer: int = 1
    """It is measured so many times longer, since it answers so few."""
    cases: frozenset[str] | None = None
    """Only these, for a variant of another row."""
    ours: bool = False
    two_workers: bool = False
    """It has two processes and both cores, beside load and upstream."""

    def takes(self, case: Case) -> bool:
        """Whether the case is asked of it."""
        if self.cases is not None and case.name not in self.cases:
            return False
        if case.only_ours and not self.ours:
            return False
        if case.status == 401 and not self.checks_keys:
            return False
        if case.status not in (200, 401) and not self.passes_errors:
            return False
        return case.upstream in self.upstreams and (case.chunks == 0 or case.at_once <= self.at_once_most)

"""Requests a day to cores, connections, commits and bytes: arithmetic over measured figures, without I/O.

Every constant says where it was measured. They are of two cores of one virtual machine, so what comes out tells which
part gives out first and by which factor, and not how many machines to buy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one thing costs."""

    request_cpu_s: float = 161.3e-6
    """docs/performance.md, `json`, arouter: CPU of a small JSON request, its record included."""
    chunk_cpu_s: float = 20.6e-6
    """docs/performance.md, `stream-100x1000`, arouter: CPU of a streamed chunk with 1,000 streams at once."""
    core_share: float = 0.5
    """Of a core that a worker is given: at half load the added time stays as docs/performance.md tells it."""
    streams_of_worker: int = 1_000
    """docs/performance.md, `stream-100x1000`: at 50 chunks a second each they fill a core."""
    worker_memory_b: int = 70_000_000
    """docs/operations.md, Workers."""
    sqlite_records_s: int = 10_000
    """docs/operations.md, Workers: the least that one file took of one or two processes."""
    postgres_records_s: int = 2_900
    """`python -m bench.ledger --store postgres`, 128 writers, one process; the server on the same two busy cores."""
    commit_s: float = 0.0044
    """The same with one writer: the median of a commit, and about so long the end of the chain is held."""
    records_in_commit: int = 1_000
    """store/postgres/appender.py, MOST_IN_ONE."""
    postgres_row_b: int = 2_160
    """Bytes of a record in PostgreSQL with its indexes and sums: `python -m bench.scale --measure`."""
    sqlite_row_b: int = 513
    """The same in a file, as rows."""
    sealed_share: float = 0.5
    """docs/ledger.md: sealed days take about half the room."""
    connections_of_worker: int = 11
    """store/postgres/pool.py: at most eight, and one each for the owner, the listener, the appender."""
    looks_s: float = 4.0
    """engine/leasing.py, EVERY_S: how often each worker looks whether others want what it has."""
    leases_s: int = 540
    """`python -m bench.scale --measure`: renewals of leases that a server takes a second."""
    server_looks_s: int = 2_150
    """The same: looks whether others want something."""
    connections: int = 500
    """An assumption: what a server is commonly given as `max_connections`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked."""

    requests_day: int = 1_000_000_000
    peak: float = 2.0
    """The busiest second over the mean one."""
    streamed: float = 0.5
    chunks: int = 100
    stream_s: float = 10.0
    retention_days: int = 90

    @property
    def mean_s(self) -> float:
        return self.requests_day / DAY_S

    @property
    def peak_s(self) -> float:
        return self.mean_s * self.peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a deployment: what is needed of it, and what there is."""

    name: str
    needed: float
    available: float
    unit: str
    then: str
    """What is done once it gives out."""

    @property
    def used(self) -> float:
        """1 is all of it."""
        return self.needed / self.available


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Gateways with their workers, on one ledger."""

    gateways: int
    workers: int = 4
    lease_calls_s: float = 0.1
    """Of each process: see the simulation."""

    @property
    def processes(self) -> int:
        return self.gateways * self.workers


def cpu_of_request(load: Load, measured: Measured) -> float:
    """Seconds of a core for a mean request."""
    return measured.request_cpu_s + load.streamed * load.chunks * measured.chunk_cpu_s


def workers_needed(load: Load, measured: Measured) -> int:
    """Processes that take the peak, by CPU and by streams at once."""
    by_cpu = load.peak_s * cpu_of_request(load, measured) / measured.core_share
    by_streams = load.peak_s * load.streamed * load.stream_s / measured.streams_of_worker
    return max(1, ceil(max(by_cpu, by_streams)))


def parts(load: Load, deployment: Deployment, measured: Measured) -> Sequence[Part]:
    """What each part of one PostgreSQL ledger must bear, the fullest first."""
    processes = deployment.processes
    leases_s = processes * deployment.lease_calls_s / measured.leases_s
    looks_s = processes * measured.looks_s / measured.server_looks_s
    # Every process commits for itself, one after the other: the head of the chain is one row.
    wait_s = processes * measured.commit_s
    found = [
        Part(
            name="CPU of the workers",
            needed=load.peak_s * cpu_of_request(load, measured),
            available=processes * measured.core_share,
            unit="cores",
            then="more workers and gateways: they share nothing but the ledger and the leases",
        ),
        Part(
            name="streams at once",
            needed=load.peak_s * load.streamed * load.stream_s,
            available=float(processes * measured.streams_of_worker),
            unit="streams",
            then="more workers and gateways",
        ),
        Part(
            name="records a second",
            needed=load.peak_s,
            available=float(measured.postgres_records_s),
            unit="records/s",
            then="a larger server; then a ledger for each group of organizations",
        ),
        Part(
            name="commits in a row",
            needed=wait_s,
            available=1.0,
            unit="s a turn",
            then="one writer for all workers of a machine; then a ledger for each group of organizations",
        ),
        Part(
            name="connections",
            needed=float(processes * measured.connections_of_worker),
            available=float(measured.connections),
            unit="connections",
            then="a pooler that pools sessions, fewer connections for each worker",
        ),
        Part(
            name="lease calls and looks",
            needed=leases_s + looks_s,
            available=1.0,
            unit="servers",
            then="looks of a gateway instead of each of its workers; counters on a server of their own",
        ),
    ]
    return sorted(found, key=lambda part: part.used, reverse=True)


def room_b(load: Load, measured: Measured) -> dict[str, float]:
    """Bytes that the records of the retention take, by where they are."""
    records = load.requests_day * load.retention_days
    return {
        "PostgreSQL": records * measured.postgres_row_b,
        "SQLite, rows": records * measured.sqlite_row_b,
        "SQLite, sealed": records * measured.sqlite_row_b * measured.sealed_share,
    }

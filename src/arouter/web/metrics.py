"""What Prometheus reads. Kept in plain rows on the way, counted many at once, made into metrics when somebody asks.

No label ever holds a user, a key or a model name that a client chose: providers are the operator's, statuses are ours.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from threading import Lock
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from arouter.domain.money import to_decimal
from arouter.domain.record import Record, Status

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
SECOND_US = 1_000_000
MOST_KEPT = 256
"""Requests to one provider that ended in one way, or commits, until they are counted together, if nobody asks."""

_Kept = TypeVar("_Kept")
_Row = tuple[int | None, int | None, int | None, int | None, int | None]
"""Of a record: its time, the time to its first token, its tokens in and out, its cost."""


class Histogram:
    """Counts by upper bound."""

    __slots__ = ("_limits", "_parts", "bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...], *, parts: int = 1) -> None:
        """What is added is counted in parts of the bounds' unit: with a million, microseconds where those are
        seconds."""
        self.bounds = bounds
        self._parts = parts
        self._limits = bounds if parts == 1 else tuple(round(bound * parts) for bound in bounds)
        self.counts = [0] * (len(bounds) + 1)
        """By bound, each without the ones below; the last is what is above them all."""
        self.sum: float = 0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self._limits, value)] += 1
        self.sum += value

    def add_all(self, values: Collection[float]) -> None:
        """As `add` of each."""
        ordered = sorted(values)
        below = 0
        for place, limit in enumerate(self._limits):
            if below == len(ordered):
                break
            within = bisect_right(ordered, limit, below)
            self.counts[place] += within - below
            below = within
        self.counts[-1] += len(ordered) - below
        self.sum = sum(values, self.sum)

    def into(self, family: HistogramMetricFamily, labels: list[str]) -> None:
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric(labels, buckets, self.sum / self._parts)


class _End:
    """What is counted of the requests to one provider that ended in one way."""

    __slots__ = (
        "came",
        "completion_tokens",
        "cost",
        "first_token",
        "latency",
        "priced",
        "prompt_tokens",
        "requests",
        "unpriced",
    )

    def __init__(self, latency: Histogram, first_token: Histogram) -> None:
        self.came: list[_Row] = []
        """Not counted yet. Whoever appends does not wait for who counts."""
        self.requests = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.cost = 0
        self.priced = 0
        self.unpriced = 0
        self.latency = latency
        self.first_token = first_token

    def count(self) -> None:
        """What came. By one thread at a time."""
        came = _taken(self.came)
        if not came:
            return
        latencies, first_tokens, prompts, completions, costs = zip(*came, strict=True)
        self.requests += len(came)
        self.prompt_tokens += sum(filter(None, prompts))
        self.completion_tokens += sum(filter(None, completions))
        self.cost += sum(filter(None, costs))
        unknown = costs.count(None)
        self.priced += len(came) - unknown
        if unknown:
            self.unpriced += sum(
                cost is None and prompt is not None for cost, prompt in zip(costs, prompts, strict=True)
            )
        self.latency.add_all(_known(latencies))
        self.first_token.add_all(_known(first_tokens))


class Metrics(Collector):
    """The meters of the process."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str | None, Status], _End] = {}
        self._counting = Lock()
        """Whoever asks may be another thread than the one in which requests end."""
        self._latency: dict[str, Histogram] = {}
        self._first_token: dict[str, Histogram] = {}
        self._commit = Histogram(COMMIT_SECONDS)
        self._lag = Histogram(LAG_SECONDS)
        self._committed = 0
        self._commits: list[tuple[int, float]] = []
        """Not counted yet: records, and seconds."""
        self._gauges: list[tuple[str, str, Callable[[], Mapping[str, float]]]] = []
        self._totals: list[tuple[str, str, Callable[[], int]]] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)

    # ---------------------------------------------------------------- counting

    def on_record(self, record: Record) -> None:
        try:
            end = self._ends[record.provider, record.status]
        except KeyError:
            end = self._new_end(record.provider, record.status)
        usage, came = record.usage, end.came
        came.append(
            (
                record.latency_us,
                record.time_to_first_token_us,
                usage.prompt_tokens,
                usage.completion_tokens,
                record.cost,
            )
        )
        if len(came) >= MOST_KEPT:
            self._count(end.count)

    def _new_end(self, provider: str | None, status: Status) -> _End:
        name = provider if provider is not None else ""
        end = self._ends[provider, status] = _End(_of(self._latency, name), _of(self._first_token, name))
        return end

    def on_lag(self, seconds: float) -> None:
        """How late the event loop was."""
        self._lag.add(seconds)

    def on_commit(self, records: int, seconds: float) -> None:
        """So many records were made durable together, and that took so long."""
        commits = self._commits
        commits.append((records, seconds))
        if len(commits) >= MOST_KEPT:
            self._count(self._count_commits)

    def _count(self, count: Callable[[], None]) -> None:
        """Nobody waits here: if another thread counts, these are counted the next time."""
        if self._counting.acquire(blocking=False):
            try:
                count()
            finally:
                self._counting.release()

    def _count_commits(self) -> None:
        came = _taken(self._commits)
        if came:
            records, seconds = zip(*came, strict=True)
            self._committed += sum(records)
            self._commit.add_all(seconds)

    def watch(self, name: str, text: str, read: Callable[[], Mapping[str, float]]) -> None:
        """A gauge that is read when somebody asks; `read` gives values by label, or one under the empty label."""
        self._gauges.append((name, text, read))

    def watch_total(self, name: str, text: str, read: Callable[[], int]) -> None:
        """A counter that somebody else counts; its name without `_total`."""
        self._totals.append((name, text, read))

    # ---------------------------------------------------------------- telling

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Serve them on a port of their own, on a thread; what ends that. OSError if the port is taken."""
        server, thread = start_http_server(port, addr=host, registry=self._registry)

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return end

    def collect(self) -> Iterable[Metric]:
        with self._counting:
            requests, ledger = [*self._collect_requests()], [*self._collect_ledger()]
        yield from requests
        lag = HistogramMetricFamily("arouter_event_loop_lag_seconds", "How late the event loop was, at each look.")
        self._lag.into(lag, [])
        yield lag
        yield from ledger
        for name, text, total in self._totals:
            yield CounterMetricFamily(name, text, value=total())
        for name, text, read in self._gauges:
            gauge = GaugeMetricFamily(name, text, labels=["of"])
            for label, value in read().items():
                gauge.add_metric([label], value)
            yield gauge

    def _collect_requests(self) -> Iterator[Metric]:
        requests: Counter[tuple[str, ...]] = Counter()
        tokens: Counter[tuple[str, ...]] = Counter()
        cost: Counter[tuple[str, ...]] = Counter()
        unpriced: Counter[tuple[str, ...]] = Counter()
        for (provider, status), end in list(self._ends.items()):
            end.count()
            name = provider if provider is not None else ""
            requests[name, status] += end.requests
            tokens[name, "prompt"] += end.prompt_tokens
            tokens[name, "completion"] += end.completion_tokens
            if end.priced:
                cost[name,] += end.cost
            if end.unpriced:
                unpriced[name,] += end.unpriced
        dollars = ((labels, float(to_decimal(amount))) for labels, amount in cost.items())
        yield _counter("arouter_requests", "Requests by their end.", ["provider", "status"], requests.items())
        yield _counter("arouter_tokens", "Tokens used.", ["provider", "kind"], tokens.items())
        yield _counter("arouter_cost_dollars", "Cost, rounded for display; the ledger is exact.", ["provider"], dollars)
        yield _counter("arouter_unpriced_requests", "Requests whose price is unknown.", ["provider"], unpriced.items())
        yield _histogram("arouter_request_seconds", "From the request to its end.", self._latency)
        yield _histogram("arouter_first_token_seconds", "From the request to the first token.", self._first_token)

    def _collect_ledger(self) -> Iterator[Metric]:
        self._count_commits()
        commit = HistogramMetricFamily("arouter_commit_seconds", "One group commit of the ledger.")
        self._commit.into(commit, [])
        yield commit
        yield CounterMetricFamily("arouter_records", "Records made durable.", value=self._committed)


def _of(histograms: dict[str, Histogram], provider: str) -> Histogram:
    histogram = histograms.get(provider)
    if histogram is None:
        histogram = histograms[provider] = Histogram(SECONDS, parts=SECOND_US)
    return histogram


def _taken(came: list[_Kept]) -> list[_Kept]:
    """What is there. Others may append meanwhile."""
    taken = came[:]
    del came[: len(taken)]
    return taken


def _known(figures: tuple[int | None, ...]) -> list[int]:
    return [figure for figure in figures if figure is not None]


def _counter(
    name: str, text: str, labels: list[str], values: Iterable[tuple[tuple[str, ...], float]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in list(values):
        family.add_metric([str(part) for part in key], value)
    return family


def _histogram(name: str, text: str, histograms: dict[str, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=["provider"])
    for provider, histogram in list(histograms.items()):
        histogram.into(family, [provider])
    return family

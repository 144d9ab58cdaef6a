"""What Prometheus reads. Counted in plain integers on the way, made into metrics when somebody asks.

No label ever holds a user, a key or a model name that a client chose: providers are the operator's, statuses are ours.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

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


class Histogram:
    """Counts by upper bound."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """By bound, each without the ones below; the last is what is above them all."""
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def into(self, family: HistogramMetricFamily, labels: list[str]) -> None:
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric(labels, buckets, self.sum)


class _End:
    """What is counted of the requests to one provider that ended in one way."""

    __slots__ = (
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
        self.requests = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.cost = 0
        self.priced = 0
        self.unpriced = 0
        self.latency = latency
        self.first_token = first_token


class Metrics(Collector):
    """The meters of the process."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str | None, Status], _End] = {}
        self._latency: dict[str, Histogram] = {}
        self._first_token: dict[str, Histogram] = {}
        self._commit = Histogram(COMMIT_SECONDS)
        self._lag = Histogram(LAG_SECONDS)
        self._committed = 0
        self._gauges: list[tuple[str, str, Callable[[], Mapping[str, float]]]] = []
        self._totals: list[tuple[str, str, Callable[[], int]]] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)

    # ---------------------------------------------------------------- counting

    def on_record(self, record: Record) -> None:
        end = self._ends.get((record.provider, record.status))
        if end is None:
            provider = record.provider if record.provider is not None else ""
            end = _End(_of(self._latency, provider), _of(self._first_token, provider))
            self._ends[record.provider, record.status] = end
        end.requests += 1
        usage, cost = record.usage, record.cost
        if (prompt := usage.prompt_tokens) is not None:
            end.prompt_tokens += prompt
        if (completion := usage.completion_tokens) is not None:
            end.completion_tokens += completion
        if cost is not None:
            end.cost += cost
            end.priced += 1
        elif prompt is not None:
            end.unpriced += 1
        if record.latency_us is not None:
            # As `Histogram.add` does, which every request would call.
            latency, seconds = end.latency, record.latency_us / 1e6
            latency.counts[bisect_left(SECONDS, seconds)] += 1
            latency.sum += seconds
        if record.time_to_first_token_us is not None:
            end.first_token.add(record.time_to_first_token_us / 1e6)

    def on_lag(self, seconds: float) -> None:
        """How late the event loop was."""
        self._lag.add(seconds)

    def on_commit(self, records: int, seconds: float) -> None:
        """Called by the store's own thread: the two additions may race with a reader, which then sees the older one."""
        self._committed += records
        self._commit.add(seconds)

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
        requests: Counter[tuple[str, ...]] = Counter()
        tokens: Counter[tuple[str, ...]] = Counter()
        cost: Counter[tuple[str, ...]] = Counter()
        unpriced: Counter[tuple[str, ...]] = Counter()
        for (provider, status), end in list(self._ends.items()):
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
        lag = HistogramMetricFamily("arouter_event_loop_lag_seconds", "How late the event loop was, at each look.")
        self._lag.into(lag, [])
        yield lag
        yield from self._collect_ledger()
        for name, text, read in self._gauges:
            gauge = GaugeMetricFamily(name, text, labels=["of"])
            for label, value in read().items():
                gauge.add_metric([label], value)
            yield gauge

    def _collect_ledger(self) -> Iterator[Metric]:
        commit = HistogramMetricFamily("arouter_commit_seconds", "One group commit of the ledger.")
        self._commit.into(commit, [])
        yield commit
        yield CounterMetricFamily("arouter_records", "Records made durable.", value=self._committed)
        for name, text, read in self._totals:
            yield CounterMetricFamily(name, text, value=read())


def _of(histograms: dict[str, Histogram], provider: str) -> Histogram:
    histogram = histograms.get(provider)
    if histogram is None:
        histogram = histograms[provider] = Histogram(SECONDS)
    return histogram


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

"""What Prometheus reads: it parses, it adds up, and no user or key is in it."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from arouter.domain.money import Picodollars
from arouter.domain.record import Record, Status
from arouter.domain.usage import Usage
from arouter.web.metrics import COMMIT_SECONDS, MOST_KEPT, SECONDS, Histogram, Metrics
from tests.engine.samples import key, opening
from tests.engine.scripted_clock import NOON_US

RECORD = Record(
    opening=opening(user="jane@example.com", request_id="my-request", requested_model="openai/chosen-by-the-client"),
    completed_at_us=NOON_US,
    status=Status.SUCCESS,
    http_status=200,
    model="openai/chosen-by-the-client",
    provider="openai",
    usage=Usage(input_tokens=100, output_tokens=20),
    cost=Picodollars(400_000_000),
    latency_us=800_000,
    time_to_first_token_us=100_000,
)


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, tuple(sorted(labels.items()))]


def test_records_add_up() -> None:
    metrics = Metrics()
    for changes in (
        {},
        {},
        {"status": Status.REJECTED, "provider": None, "usage": Usage(), "cost": None},
        {"cost": None},
    ):
        metrics.on_record(replace(RECORD, **changes))
    assert value(metrics, "arouter_requests_total", provider="openai", status="success") == 3
    assert value(metrics, "arouter_requests_total", provider="", status="rejected") == 1
    assert value(metrics, "arouter_tokens_total", provider="openai", kind="prompt") == 300
    assert value(metrics, "arouter_tokens_total", provider="openai", kind="completion") == 60
    assert value(metrics, "arouter_cost_dollars_total", provider="openai") == pytest.approx(0.0008)
    assert value(metrics, "arouter_unpriced_requests_total", provider="openai") == 1
    assert value(metrics, "arouter_request_seconds_count", provider="openai") == 3
    assert value(metrics, "arouter_request_seconds_sum", provider="openai") == pytest.approx(2.4)
    assert value(metrics, "arouter_first_token_seconds_bucket", provider="openai", le="0.1") == 3
    assert value(metrics, "arouter_first_token_seconds_bucket", provider="openai", le="0.05") == 0


@pytest.mark.parametrize(("latency_us", "bound"), [(0, "0.005"), (5_000, "0.005"), (5_001, "0.01"), (10**9, "+Inf")])
def test_a_request_counts_below_the_first_bound_that_it_keeps(latency_us: int, bound: str) -> None:
    metrics = Metrics()
    metrics.on_record(replace(RECORD, latency_us=latency_us, time_to_first_token_us=latency_us))
    for name in ("arouter_request_seconds", "arouter_first_token_seconds"):
        buckets = [
            (dict(labels)["le"], count)
            for (sample, labels), count in samples(metrics).items()
            if sample == f"{name}_bucket"
        ]
        assert next(le for le, count in buckets if count) == bound
        assert value(metrics, f"{name}_sum", provider="openai") == latency_us / 1e6


COUNTS = st.none() | st.integers(0, 10**12)
RECORDS = st.lists(
    st.builds(
        replace,
        st.just(RECORD),
        provider=st.sampled_from([None, "openai", "groq"]),
        status=st.sampled_from([Status.SUCCESS, Status.REJECTED]),
        usage=st.builds(Usage, input_tokens=COUNTS, output_tokens=COUNTS),
        cost=COUNTS,
        latency_us=COUNTS | st.integers(0, 10**6),
        time_to_first_token_us=COUNTS,
    ),
    max_size=10,
)


@given(RECORDS)
@settings(max_examples=30)
def test_what_is_told_is_the_same_however_often_somebody_asks(records: list[Record]) -> None:
    asked, never = Metrics(), Metrics()
    for record in records:
        asked.on_record(record)
        asked.text()
        never.on_record(record)
    assert asked.text() == never.text()


def test_many_are_counted_before_anybody_asks() -> None:
    metrics = Metrics()
    count = 3 * MOST_KEPT + 1
    for number in range(count):
        metrics.on_record(replace(RECORD, latency_us=number * 1_000, cost=Picodollars(number)))
        metrics.on_commit(number, number / 1e3)
    seconds = [number / 1e3 for number in range(count)]
    assert value(metrics, "arouter_requests_total", provider="openai", status="success") == count
    assert value(metrics, "arouter_request_seconds_sum", provider="openai") == pytest.approx(sum(seconds))
    assert value(metrics, "arouter_commit_seconds_sum") == pytest.approx(sum(seconds))
    assert value(metrics, "arouter_records_total") == sum(range(count))
    for name, labels, bounds in (
        ("arouter_request_seconds", {"provider": "openai"}, SECONDS),
        ("arouter_commit_seconds", {}, COMMIT_SECONDS),
    ):
        for bound in bounds:
            within = sum(one <= bound for one in seconds)
            assert value(metrics, f"{name}_bucket", **labels, le=str(bound)) == within


def test_nothing_is_lost_if_another_thread_asks_meanwhile() -> None:
    metrics = Metrics()
    count = 20 * MOST_KEPT

    def end_requests() -> None:
        for _ in range(count):
            metrics.on_record(RECORD)

    ending = threading.Thread(target=end_requests)
    ending.start()
    while ending.is_alive():
        metrics.text()
    ending.join()
    assert value(metrics, "arouter_requests_total", provider="openai", status="success") == count
    assert value(metrics, "arouter_request_seconds_count", provider="openai") == count


def test_the_ledger_and_what_is_watched() -> None:
    metrics = Metrics()
    metrics.on_commit(7, 0.002)
    metrics.watch_total("arouter_records_lost", "Lost.", lambda: 1)
    metrics.watch("arouter_open", "Open.", lambda: {"https://a:443": 2, "": 1})
    assert value(metrics, "arouter_records_total") == 7
    assert value(metrics, "arouter_records_lost_total") == 1
    assert value(metrics, "arouter_commit_seconds_bucket", le="0.0025") == 1
    assert value(metrics, "arouter_open", of="https://a:443") == 2
    assert value(metrics, "arouter_open", of="") == 1


def test_without_requests_it_parses_too() -> None:
    assert samples(Metrics())


def test_no_label_is_chosen_by_a_client() -> None:
    metrics = Metrics()
    metrics.on_record(RECORD)
    said = metrics.text().decode()
    for hidden in ("jane", key().hash, "chosen-by-the-client", "my-request", "gen-1"):
        assert hidden not in said


@pytest.mark.parametrize(("added", "bucket"), [(0.5, 0), (1.0, 0), (1.5, 1), (2.0, 1), (9.0, 2)])
def test_a_value_at_a_bound_is_within_it(added: float, bucket: int) -> None:
    told: list[Any] = []

    class Family:
        def add_metric(self, labels: list[str], buckets: list[tuple[str, float]], total: float) -> None:
            told.append((labels, buckets, total))

    histogram = Histogram((1.0, 2.0))
    histogram.add(added)
    histogram.into(Family(), ["x"])  # type: ignore[arg-type]
    ((labels, buckets, total),) = told
    assert (labels, total) == (["x"], added)
    assert [count for _, count in buckets] == [1 if place >= bucket else 0 for place in range(3)]

"""Prometheus' text added up, against the reference reader of the format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from arouter.wire.metrics_text import add_metrics, counting, read_metrics, write_metrics

Sample = tuple[str, tuple[tuple[str, str], ...]]

values = st.dictionaries(
    st.text(alphabet='ab "\\\n{}=,é', max_size=4), st.lists(st.integers(0, 2**40), max_size=4), max_size=4
)


def text_of(observed: dict[str, list[int]]) -> bytes:
    """A counter, a gauge and a histogram with these observations by label."""
    registry = CollectorRegistry()
    total = Counter("asked", "How often.", ["by"], registry=registry)
    open_ones = Gauge("open", "Now.", ["by"], registry=registry)
    taken = Histogram("taken", "How long, with a \\ and\na line end.", ["by"], registry=registry, buckets=(1, 1000))
    for label, numbers in observed.items():
        for number in numbers:
            total.labels(label).inc(number)
            open_ones.labels(label).inc(number)
            taken.labels(label).observe(number)
    return generate_latest(registry)


def samples(text: bytes) -> dict[Sample, float]:
    """Without the instants at which the reference library made its counters."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(values, max_size=3))
def test_the_sum_has_every_sample_of_every_part_added_up(parts: list[dict[str, list[int]]]) -> None:
    texts = [text_of(part) for part in parts]
    expected: dict[Sample, float] = {}
    for text in texts:
        for sample, value in samples(text).items():
            expected[sample] = expected.get(sample, 0.0) + value
    assert samples(write_metrics(add_metrics(map(read_metrics, texts), {}))) == expected


@given(values)
def test_one_part_is_itself_with_its_help_and_its_types(observed: dict[str, list[int]]) -> None:
    text = text_of(observed)
    written = write_metrics(read_metrics(text))
    assert samples(written) == samples(text)
    assert [line for line in written.splitlines() if line.startswith(b"#")] == [
        line for line in text.splitlines() if line.startswith(b"#")
    ]


def test_a_rule_makes_one_value_of_two() -> None:
    part = b'# TYPE up gauge\nup{of="a"} %d\n# TYPE more gauge\nmore %d\n'
    parts = [read_metrics(part % (1, 2)), read_metrics(part % (0, 3))]
    assert samples(write_metrics(add_metrics(parts, {"up": min}))) == {("up", (("of", "a"),)): 0.0, ("more", ()): 5.0}


def test_what_counts_up_outlives_its_process_and_what_is_now_does_not() -> None:
    gone = counting(read_metrics(text_of({"x": [1, 2000]})))
    names = {name for name, _ in samples(write_metrics(gone))}
    assert names == {"asked_total", "taken_bucket", "taken_count", "taken_sum"}
    assert add_metrics([gone, gone], {})["asked_total"].samples['asked_total{by="x"}'] == 4002.0


def test_adding_up_changes_no_part() -> None:
    one, other = read_metrics(b"# TYPE a counter\na 1\n"), read_metrics(b"# TYPE a counter\na 2\n")
    add_metrics([one, other], {})
    assert (one["a"].samples, other["a"].samples) == ({"a": 1.0}, {"a": 2.0})


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError):
        read_metrics(b"a b\n")

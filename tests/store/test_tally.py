"""Sums as they are kept become sums as they are shown."""

from arouter.store.tally import MEASURES, totals


def test_each_measure_is_shown_under_its_own_name() -> None:
    shown = totals(tuple(range(100, 100 + len(MEASURES))), {"a", "b"}, (7, 9))
    assert [getattr(shown, name) for name in MEASURES] == [*range(100, 100 + len(MEASURES))]
    assert (shown.users, shown.latency_us_p50, shown.latency_us_p95) == (2, 7, 9)
    assert totals(tuple(range(len(MEASURES))), None).users is None

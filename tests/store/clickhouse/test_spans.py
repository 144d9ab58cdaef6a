"""Where sums are read from: every instant of the range once, from the coarsest sums that tell enough."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import Dimension, Filters, SummaryQuery
from arouter.store.buckets import DAY_US, SLOT_US
from arouter.store.clickhouse.schema import EIGHT_US, PERIOD_US
from arouter.store.clickhouse.spans import Span, spans_of
from tests.conformance.samples import SCOPE

RECORD = 1
INSTANTS = st.none() | st.integers(0, 40).map(lambda slot: slot * SLOT_US) | st.integers(0, 100 * DAY_US)


def units(asked: SummaryQuery) -> set[int]:
    return {span.unit_us for span in spans_of(asked)}


def instants(span: Span) -> tuple[int, int]:
    first = -1 if span.first is None else span.first * span.unit_us
    beyond = 1000 * PERIOD_US if span.beyond is None else span.beyond * span.unit_us
    return first, beyond


@given(start_us=INSTANTS, end_us=INSTANTS, group_by=st.sampled_from([(), (Dimension.USER,), (Dimension.TAG,)]))
def test_spans_are_the_range_and_do_not_overlap(
    start_us: int | None, end_us: int | None, group_by: tuple[Dimension, ...]
) -> None:
    asked = SummaryQuery(scope=SCOPE, filters=Filters(start_us=start_us, end_us=end_us), group_by=group_by)
    found = sorted(instants(span) for span in spans_of(asked))
    start = -1 if start_us is None else start_us
    end = 1000 * PERIOD_US if end_us is None else end_us
    if start >= end:
        assert found == []
        return
    assert (found[0][0], found[-1][1]) == (start, end)
    assert all(left[1] == right[0] for left, right in itertools.pairwise(found))
    assert all(first < beyond for first, beyond in found)


def test_a_range_of_whole_days_needs_no_record() -> None:
    range_us = Filters(start_us=DAY_US, end_us=100 * DAY_US)
    users = SummaryQuery(scope=SCOPE, filters=range_us, group_by=(Dimension.USER,))
    assert units(users) == {PERIOD_US, EIGHT_US, DAY_US}
    assert units(SummaryQuery(scope=SCOPE, filters=range_us)) == {DAY_US}


def test_a_range_of_whole_quarters_of_an_hour_needs_records_for_users_only() -> None:
    range_us = Filters(start_us=DAY_US + SLOT_US, end_us=100 * DAY_US)
    assert units(SummaryQuery(scope=SCOPE, filters=range_us, group_by=(Dimension.MODEL,))) == {DAY_US, SLOT_US}
    assert RECORD in units(SummaryQuery(scope=SCOPE, filters=range_us, group_by=(Dimension.USER,)))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (SummaryQuery(scope=SCOPE, group_by=(Dimension.USER, Dimension.DAY)), {DAY_US}),
        (SummaryQuery(scope=SCOPE, group_by=(Dimension.USER, Dimension.HOUR)), {RECORD}),
        (SummaryQuery(scope=SCOPE, group_by=(Dimension.USER, Dimension.MODEL)), {RECORD}),
        (SummaryQuery(scope=SCOPE, group_by=(Dimension.USER,), filters=Filters(models=("x",))), {RECORD}),
        (SummaryQuery(scope=SCOPE, group_by=(Dimension.MODEL,), filters=Filters(users=("x",))), {DAY_US}),
        (SummaryQuery(scope=SCOPE, group_by=(Dimension.HOUR,), filters=Filters(users=("x",))), {RECORD}),
        (SummaryQuery(scope=SCOPE, group_by=(Dimension.TAG,)), {RECORD}),
        (SummaryQuery(scope=SCOPE, filters=Filters(tags=("x",))), {RECORD}),
        (SummaryQuery(scope=SCOPE, filters=Filters(session_ids=("x",))), {RECORD}),
        (SummaryQuery(scope=SCOPE, filters=Filters(updated_since_us=1)), {RECORD}),
        (SummaryQuery(scope=SCOPE, filters=Filters(written_until_us=1)), {RECORD}),
        (SummaryQuery(scope=SCOPE, metrics=frozenset({"latency_ms_p95"})), {RECORD}),
    ],
)
def test_what_only_records_tell_is_read_from_records(asked: SummaryQuery, expected: set[int]) -> None:
    assert units(asked) == expected


@pytest.mark.parametrize("group_by", [(Dimension.MODEL, Dimension.HOUR), (Dimension.DAY,), (Dimension.MONTH,)])
def test_times_of_any_zone_are_told_by_quarters_of_an_hour(group_by: tuple[Dimension, ...]) -> None:
    assert units(SummaryQuery(scope=SCOPE, group_by=group_by, timezone="Asia/Kathmandu")) == {SLOT_US}

"""Buckets of time: where they begin and end, and that minutes, hours and days say the same."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import Dimension, Filters
from arouter.domain.money import Picodollars
from arouter.domain.totals import regrouped, total
from arouter.domain.usage import Usage
from arouter.engine.usage_buckets import Bucket, BucketWidth, Span, TooManyRecords, next_edge, read_buckets, spans
from arouter.store.memory import MemoryStore
from tests.conformance.samples import NOON_US, SCOPE, record

MINUTE_US, HOUR_US, DAY_US = 60_000_000, 3_600_000_000, 86_400_000_000
GROUPS = (Dimension.USER, Dimension.MODEL, Dimension.STATUS, Dimension.ENDPOINT)


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def told(found: Sequence[Span]) -> list[str]:
    edges = [each.start_us for each in found] + [each.end_us for each in found[-1:]]
    return [f"{datetime.fromtimestamp(us / 1_000_000, UTC):%d %H:%M:%S}" for us in edges]


def test_the_first_bucket_begins_with_the_range_and_the_others_at_edges() -> None:
    found = spans(at("2026-11-20T07:30:10"), at("2026-11-22T06:00:00"), BucketWidth.DAY, 31)
    assert told(found) == ["20 07:30:10", "21 00:00:00", "22 00:00:00", "22 06:00:00"]
    found = spans(at("2026-11-20T22:30:00"), at("2026-11-21T01:00:00"), BucketWidth.HOUR, 31)
    assert told(found) == ["20 22:30:00", "20 23:00:00", "21 00:00:00", "21 01:00:00"]


@given(
    st.integers(0, 10**16), st.integers(0, 10**10), st.sampled_from(BucketWidth), st.integers(min_value=1, max_value=40)
)
def test_buckets_follow_each_other(start_us: int, length_us: int, width: BucketWidth, most: int) -> None:
    found = spans(start_us, start_us + length_us, width, most)
    edges = [start_us, *(each.end_us for each in found)]
    assert [each.start_us for each in found] == edges[:-1]
    assert len(found) <= most
    assert edges[-1] == start_us + length_us or len(found) == most
    assert all(edge % width.duration_us == 0 for edge in edges[1:-1])
    assert all(0 < each.end_us - each.start_us <= width.duration_us for each in found)


@pytest.mark.parametrize("width", BucketWidth)
def test_an_edge_belongs_to_what_begins_there(width: BucketWidth) -> None:
    edge_us = 20_000 * DAY_US
    assert next_edge(edge_us - 1, width) == edge_us
    assert next_edge(edge_us, width) == edge_us + width.duration_us


def history(ages_us: Sequence[int]) -> MemoryStore:
    """A record at each of these times before noon; every third cost is unknown, every fifth has no user."""
    store = MemoryStore(clock=lambda: NOON_US)

    async def fill() -> None:
        for number, age_us in enumerate(ages_us):
            await store.ledger.close(
                record(
                    f"gen-{number}",
                    opened={"created_at_us": NOON_US - age_us, "user": [None, "a", "b", "", "ü"][number % 5]},
                    cost=None if number % 3 == 0 else Picodollars(7**number % 10**12),
                    usage=Usage(input_tokens=number, output_tokens=number * 3),
                    model=["m", None][number % 2],
                )
            )

    asyncio.run(fill())
    return store


def read(store: MemoryStore, width: BucketWidth, start_us: int, end_us: int) -> tuple[Bucket, ...]:
    wanted = spans(start_us, end_us, width, 10_000)
    return asyncio.run(read_buckets(store.ledger, SCOPE, Filters(), GROUPS, width, wanted))


@given(
    st.lists(st.integers(0, 2 * DAY_US), max_size=12), st.integers(0, DAY_US // 10**6), st.integers(0, DAY_US // 10**6)
)
def test_every_width_says_the_same(ages_us: list[int], start_s: int, end_s: int) -> None:
    """Of any range: the buckets together, group by group, are the records within it."""
    start_us, end_us = NOON_US - 2 * DAY_US + start_s * 10**6, NOON_US - end_s * 10**6
    store = history(ages_us)
    sums = []
    for width in BucketWidth:
        buckets = read(store, width, start_us, end_us)
        assert all(edge.span.end_us == after.span.start_us for edge, after in pairwise(buckets))
        sums.append(regrouped([row for bucket in buckets for row in bucket.rows], lambda row: row.group))
    assert sums[0] == sums[1] == sums[2]
    within = [age_us for age_us in ages_us if start_us <= NOON_US - age_us < end_us]
    assert total(sums[0].values()).requests == len(within)


@pytest.mark.parametrize("width", BucketWidth)
def test_a_bucket_holds_what_was_created_within_it(width: BucketWidth) -> None:
    edge_us = next_edge(NOON_US - DAY_US, width)
    store = history([NOON_US - edge_us + 1, NOON_US - edge_us])
    before, behind = read(store, width, edge_us - 5_000_000, edge_us + 5_000_000)
    assert [row.totals.requests for bucket in (before, behind) for row in bucket.rows] == [1, 1]
    assert [row.group[0] for row in (*before.rows, *behind.rows)] == [None, "a"]


def test_nothing_is_asked_of_no_buckets() -> None:
    assert read(history([0]), BucketWidth.DAY, NOON_US, NOON_US) == ()


def test_buckets_without_requests_are_there() -> None:
    buckets = read(history([0]), BucketWidth.HOUR, NOON_US - 3 * HOUR_US, NOON_US + 1)
    assert [len(bucket.rows) for bucket in buckets][:-1] == [0, 0, 0]
    assert total(row.totals for row in buckets[-1].rows).requests == 1


def test_too_many_records_for_minutes_are_refused_and_as_many_as_allowed_are_not() -> None:
    store = history([1, 2, 3])
    wanted = spans(NOON_US - HOUR_US, NOON_US, BucketWidth.MINUTE, 61)

    def read_at_most(most: int) -> int:
        reading = read_buckets(store.ledger, SCOPE, Filters(), (), BucketWidth.MINUTE, wanted, most_records=most)
        return total(row.totals for bucket in asyncio.run(reading) for row in bucket.rows).requests

    assert read_at_most(3) == 3
    with pytest.raises(TooManyRecords):
        read_at_most(2)

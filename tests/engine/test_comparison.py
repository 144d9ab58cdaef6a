"""A summary beside the range before."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import Dimension, Filters, Order, SummaryQuery
from arouter.domain.errors import InvalidRequest
from arouter.domain.money import Picodollars
from arouter.engine.comparison import Comparison, compare, previous_range
from arouter.store.memory import MemoryStore
from tests.conformance.samples import SCOPE, record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(text: str, zone: str = "UTC") -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)) - _EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("zone", "start", "end", "expected"),
    [
        ("UTC", "2026-11-08", "2026-11-15", "2026-11-01"),
        ("UTC", "2026-03-01", "2026-04-01", "2026-02-01"),
        ("UTC", "2026-01-01", "2026-04-01", "2025-10-01"),
        ("UTC", "2026-11-08T06:00", "2026-11-08T09:00", "2026-11-08T03:00"),
        # The day before the clocks went back has 24 hours, that day 25.
        ("Europe/Berlin", "2026-10-25", "2026-10-26", "2026-10-24"),
        ("Europe/Berlin", "2026-10-26", "2026-10-27", "2026-10-25"),
        ("Europe/Berlin", "2026-11-01", "2026-12-01", "2026-10-01"),
        ("Australia/Lord_Howe", "2026-10-05", "2026-10-06", "2026-10-04"),
    ],
)
def test_the_range_before_is_as_long_by_the_calendar(zone: str, start: str, end: str, expected: str) -> None:
    found = previous_range(at(start, zone), at(end, zone), ZoneInfo(zone))
    assert found == (at(expected, zone), at(start, zone))


@given(st.integers(0, 2**51), st.integers(1, 2**45), st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"]))
def test_the_range_before_ends_where_the_range_begins(start_us: int, length_us: int, zone: str) -> None:
    first, beyond = previous_range(start_us, start_us + length_us, ZoneInfo(zone))
    assert first < beyond == start_us


def compared(query: SummaryQuery, *records: tuple[str, str, int]) -> tuple[list[tuple[str | None, ...]], Comparison]:
    """Of records of a time, a user and a cost."""

    async def run() -> tuple[list[tuple[str | None, ...]], Comparison]:
        ledger = MemoryStore(clock=lambda: 0).ledger
        for number, (when, user, cost) in enumerate(records):
            await ledger.close(
                record(f"gen-{number}", opened={"created_at_us": at(when), "user": user}, cost=Picodollars(cost))
            )
        summary = await ledger.summary(query)
        return [row.group for row in summary.rows], await compare(ledger, query, summary, now_us=at("2026-11-16"))

    return asyncio.run(run())


WEEK = SummaryQuery(scope=SCOPE, filters=Filters(start_us=at("2026-11-08"), end_us=at("2026-11-15")))


def test_rows_are_compared_with_the_same_group() -> None:
    query = replace(WEEK, group_by=(Dimension.USER,), order=Order(by="cost", descending=True), limit=2)
    groups, before = compared(
        query,
        ("2026-11-02", "a", 5),
        ("2026-11-03", "c", 100),
        ("2026-11-09", "a", 7),
        ("2026-11-10", "b", 6),
        ("2026-11-10", "c", 1),
        ("2026-10-31", "a", 1_000),
    )
    assert groups == [("a",), ("b",)]
    assert [None if row is None else (row.cost, row.requests, row.users) for row in before.rows] == [
        (5, 1, 1),
        (0, 0, 0),
    ]
    assert (before.totals.cost, before.totals.users) == (105, 2)
    assert (before.start_us, before.end_us) == (at("2026-11-01"), at("2026-11-08"))


def test_times_are_compared_by_their_place() -> None:
    query = replace(WEEK, group_by=(Dimension.DAY, Dimension.USER))
    groups, before = compared(query, ("2026-11-02", "a", 5), ("2026-11-09", "a", 7), ("2026-11-10", "a", 1))
    assert [group[0] for group in groups] == ["2026-11-09T00:00:00Z", "2026-11-10T00:00:00Z"]
    assert [row and row.cost for row in before.rows] == [5, 0]


def test_a_day_that_the_month_before_does_not_have_is_compared_with_nothing() -> None:
    filters = Filters(start_us=at("2026-03-01"), end_us=at("2026-04-01"))
    query = SummaryQuery(scope=SCOPE, filters=filters, group_by=(Dimension.DAY,))
    _, before = compared(query, ("2026-02-28", "a", 5), ("2026-03-28", "a", 7), ("2026-03-29", "a", 1))
    assert [row and row.cost for row in before.rows] == [5, None]


def test_everything_is_one_row() -> None:
    _, before = compared(WEEK, ("2026-11-02", "a", 5))
    assert before.rows == (before.totals,)
    assert before.totals.cost == 5


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (SummaryQuery(scope=SCOPE), "needs a `start`"),
        (SummaryQuery(scope=SCOPE, filters=Filters(start_us=5, end_us=5)), "needs an `end`"),
        (SummaryQuery(scope=SCOPE, filters=Filters(start_us=0), group_by=(Dimension.HOUR,)), "at most 400 days"),
    ],
)
def test_what_cannot_be_compared_is_refused(query: SummaryQuery, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        compared(query)

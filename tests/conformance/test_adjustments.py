"""What every ledger does with adjustments: the record stays, every view goes by the one that was written last."""

from typing import Any

import pytest

from arouter.domain.activity import ActivityQuery, ActivityRow, Dimension, Filters, SummaryQuery, Totals
from arouter.domain.adjustment import AdjustedMeanwhile, Adjustment, AdjustmentKind, adjusted
from arouter.domain.money import Picodollars
from arouter.domain.record import Record
from arouter.domain.usage import Usage
from tests.conformance.backends import Backend
from tests.conformance.samples import (
    BARE,
    FULL,
    NOON_US,
    SCOPE,
    ZEROS,
    adjust,
    adjustment,
    append,
    ids,
    opening,
    record,
)

HOUR_US = 3_600_000_000


def row_of(backend: Backend, record_id: str) -> ActivityRow:
    row = backend.run(backend.ledger.get("org_a", record_id))
    assert row is not None
    return row


def totals(backend: Backend, *group_by: Dimension, **filters: Any) -> Totals:
    query = SummaryQuery(scope=SCOPE, filters=Filters(**filters), group_by=group_by)
    return backend.run(backend.ledger.summary(query)).totals


def spent(backend: Backend, key_hash: str = "key-a") -> int:
    return backend.run(backend.ledger.spending(key_hash, day_us=0, week_us=0, month_us=0)).total


def assert_sound(backend: Backend) -> None:
    assert backend.run(backend.ledger.check()).problems == ()


# ---------------------------------------------------------------- one record


@pytest.mark.parametrize("sample", [FULL, BARE, ZEROS], ids=["full", "bare", "zeros"])
@pytest.mark.parametrize("cost", [None, 0, 7, -7, 2**63 - 1])
def test_an_adjusted_record_shows_the_new_cost_and_keeps_its_own(
    backend: Backend, sample: Record, cost: int | None
) -> None:
    append(backend, sample)
    stated = adjustment("adj-1", sample.opening.id, cost)
    backend.clock.now_us += 5
    assert adjust(backend, stated) == 1
    backend.restart()
    row = row_of(backend, sample.opening.id)
    assert row.record == adjusted(sample, stated)
    assert (row.record.cost, row.record.price_source, row.record.price_version) == (cost, "operator", "v2")
    assert (row.original_cost, row.adjustment) == (sample.cost, stated)
    assert (row.written_at_us, row.adjusted_at_us) == (backend.clock() - 5, backend.clock())
    assert_sound(backend)


def test_a_record_without_adjustment_says_so(backend: Backend) -> None:
    append(backend, record("gen-1"))
    row = row_of(backend, "gen-1")
    assert (row.adjustment, row.adjusted_at_us, row.original_cost) == (None, None, row.record.cost)
    assert backend.run(backend.ledger.adjustments_of("org_a", "gen-1")) == ()


def test_of_several_the_one_written_last_holds_and_all_are_kept(backend: Backend) -> None:
    append(backend, record("gen-1"), record("gen-2"))
    late = adjustment("adj-1", "gen-1", 1, created_at_us=NOON_US + 9)
    early = adjustment("adj-2", "gen-1", None, created_at_us=NOON_US, price_source=None, price_version=None)
    last = adjustment("adj-0", "gen-1", 3, kind=AdjustmentKind.CORRECTION, reason="ü, as agreed")
    assert adjust(backend, late, early) == 2
    assert row_of(backend, "gen-1").record.cost is None
    assert adjust(backend, last, adjustment("adj-3", "gen-2", 4)) == 2
    backend.restart()
    assert row_of(backend, "gen-1").record.cost == 3
    assert backend.run(backend.ledger.adjustments_of("org_a", "gen-1")) == (late, early, last)
    assert backend.run(backend.ledger.adjustments_of("org_b", "gen-1")) == ()
    assert totals(backend).cost == spent(backend) == 7
    assert_sound(backend)


def test_an_adjustment_is_appended_once(backend: Backend) -> None:
    append(backend, record("gen-1"), record("gen-2"))
    first = adjustment("adj-1", "gen-1", 1)
    assert adjust(backend, first, adjustment("adj-1", "gen-2", 9)) == 1
    assert adjust(backend, adjustment("adj-2", "gen-1", 2)) == 1
    assert adjust(backend, first) == 0
    assert row_of(backend, "gen-1").record.cost == 2
    assert row_of(backend, "gen-2").adjustment is None
    assert_sound(backend)


def test_an_adjustment_of_a_record_that_is_not_there_changes_nothing(backend: Backend) -> None:
    backend.ledger.open(opening("gen-open"))
    append(backend, record("gen-1"))
    assert adjust(backend, adjustment("adj-1", "gen-none", 1), adjustment("adj-2", "gen-open", 1)) == 0
    assert adjust(backend, adjustment("adj-1", "gen-none", 1), adjustment("adj-3", "gen-1", 1)) == 1
    assert adjust(backend) == 0
    assert totals(backend).cost == 1
    append(backend, record("gen-open", cost=Picodollars(5)))
    assert row_of(backend, "gen-open").record.cost == 5
    assert adjust(backend, adjustment("adj-2", "gen-open", 1)) == 1
    assert totals(backend).cost == spent(backend) == 2
    assert_sound(backend)


@pytest.mark.parametrize(
    "bad",
    [
        adjustment("adj-bad", "gen-1", 2**63),
        adjustment("adj-bad", "gen-1", -(2**63)),
        adjustment("adj-bad", "gen-1", 1, created_at_us=-1),
        adjustment("adj-bad", "gen-1", 1, reason="\ud800"),
        adjustment("adj-bad", "gen-1", 1, price_version="\ud800"),
        adjustment("adj-bad", "gen-1", 1, author="\ud800"),
        adjustment("adj-bad", "gen-none", 1, reason="\ud800"),
        adjustment("adj-\ud800", "gen-1", 1),
        adjustment("adj-bad", "gen-\ud800", 1),
    ],
    ids=["dear", "cheap", "time", "reason", "version", "author", "unknown", "id", "record"],
)
def test_what_cannot_be_stored_is_refused_with_all_that_came_with_it(backend: Backend, bad: Adjustment) -> None:
    append(backend, record("gen-1", cost=Picodollars(5)))
    with pytest.raises(ValueError):
        adjust(backend, adjustment("adj-1", "gen-1", 1, price_version="new"), bad)
    assert row_of(backend, "gen-1").record.cost == 5
    assert adjust(backend, adjustment("adj-1", "gen-1", 1, price_version="new")) == 1
    assert row_of(backend, "gen-1").record.price_version == "new"
    assert_sound(backend)


@pytest.mark.parametrize(
    ("seen", "written"),
    [
        ({}, True),
        ({"gen-1": "adj-2"}, True),
        ({"gen-1": "adj-2", "gen-2": None, "gen-none": None}, True),
        ({"gen-1": "adj-1"}, False),
        ({"gen-1": None}, False),
        ({"gen-1": "adj-2", "gen-2": "adj-2"}, False),
        ({"gen-none": "adj-2"}, False),
    ],
)
def test_an_adjustment_may_depend_on_the_one_that_was_seen(
    backend: Backend, seen: dict[str, str | None], written: bool
) -> None:
    append(backend, record("gen-1"), record("gen-2"))
    adjust(backend, adjustment("adj-1", "gen-1", 1), adjustment("adj-2", "gen-1", 2))
    new = adjustment("adj-3", "gen-1", 3), adjustment("adj-4", "gen-2", 4)
    if written:
        assert adjust(backend, *new, seen=seen) == 2
        assert totals(backend).cost == spent(backend) == 7
    else:
        with pytest.raises(AdjustedMeanwhile):
            adjust(backend, *new, seen=seen)
        assert row_of(backend, "gen-1").record.cost == 2
        assert row_of(backend, "gen-2").adjustment is None
    assert_sound(backend)


def test_who_says_so_is_kept(backend: Backend) -> None:
    append(backend, record("gen-1"))
    said = adjustment("adj-1", "gen-1", 1, author="ü \x00"), adjustment("adj-2", "gen-1", 1, author="")
    assert adjust(backend, *said) == 2
    backend.restart()
    assert backend.run(backend.ledger.adjustments_of("org_a", "gen-1")) == said
    assert_sound(backend)


# ---------------------------------------------------------------- sums


def test_sums_go_by_the_cost_that_holds(backend: Backend) -> None:
    append(
        backend,
        record("gen-1", cost=Picodollars(1_999_999)),
        record("gen-2", cost=None),
        record("gen-3", cost=None, usage=Usage()),
        record("gen-4", opened={"user": "bob", "created_at_us": NOON_US + HOUR_US}, cost=Picodollars(10)),
        record("gen-5", opened={"key_hash": "key-b"}, cost=Picodollars(100)),
    )
    assert totals(backend).requests_without_price == 1
    assert adjust(backend, adjustment("adj-1", "gen-1", 2_000_001), adjustment("adj-2", "gen-2", 5_000_000)) == 2
    assert (totals(backend).cost, totals(backend).requests_without_price) == (7_000_111, 0)
    assert adjust(backend, adjustment("adj-3", "gen-4", None), adjustment("adj-4", "gen-3", 3)) == 2
    assert (totals(backend).cost, totals(backend).requests_without_price) == (7_000_104, 1)
    assert (spent(backend), spent(backend, "key-b")) == (7_000_004, 100)
    assert totals(backend, users=("bob",)).cost == 0
    assert totals(backend, Dimension.HOUR, end_us=NOON_US + HOUR_US).cost == 7_000_104
    assert_sound(backend)


@pytest.mark.parametrize("dimension", [one for one in Dimension if one is not Dimension.TAG])
def test_rows_still_add_up_to_the_totals(backend: Backend, dimension: Dimension) -> None:
    append(backend, FULL, BARE, ZEROS, record("gen-1", opened={"user": "bob"}))
    adjust(backend, adjustment("adj-1", "gen-1", 17), adjustment("adj-2", FULL.opening.id, 4))
    answer = backend.run(backend.ledger.summary(SummaryQuery(scope=SCOPE, group_by=(dimension,))))
    assert sum(row.totals.cost for row in answer.rows) == answer.totals.cost == 21
    assert answer.totals.requests == 4


def test_spending_changes_in_the_records_own_hour(backend: Backend) -> None:
    hour_us = NOON_US - NOON_US % HOUR_US
    append(
        backend,
        record("gen-old", opened={"created_at_us": hour_us - 1}, cost=Picodollars(1)),
        record("gen-new", opened={"created_at_us": hour_us}, cost=Picodollars(10)),
    )
    adjust(backend, adjustment("adj-1", "gen-old", 5, created_at_us=hour_us + HOUR_US))
    found = backend.run(backend.ledger.spending("key-a", day_us=hour_us, week_us=hour_us - HOUR_US, month_us=0))
    assert (found.total, found.daily, found.weekly) == (15, 10, 15)


def test_sums_stay_exact_beyond_64_bits(backend: Backend) -> None:
    largest = 2**63 - 1
    append(backend, *(record(f"gen-{n}", cost=Picodollars(-largest)) for n in range(20)))
    assert adjust(backend, *(adjustment(f"adj-{n}", f"gen-{n}", largest) for n in range(20))) == 20
    assert totals(backend).cost == spent(backend) == 20 * largest
    assert_sound(backend)


# ---------------------------------------------------------------- pages


def test_pages_and_filters_show_adjusted_records_in_their_place(backend: Backend) -> None:
    append(backend, *(record(f"gen-{n}", opened={"created_at_us": NOON_US + n, "tags": ("x",)}) for n in range(5)))
    adjust(backend, adjustment("adj-1", "gen-1", 1), adjustment("adj-3", "gen-3", None))
    for filters in ({}, {"users": ("alice",)}, {"tags": ("x",)}, {"statuses": ("success",)}):
        query = ActivityQuery(scope=SCOPE, filters=Filters(**filters))  # type: ignore[arg-type]
        rows = backend.run(backend.ledger.page(query)).rows
        assert [row.record.opening.id for row in rows] == [f"gen-{n}" for n in (4, 3, 2, 1, 0)]
        assert [row.record.cost for row in rows] == [1_234_500_000, None, 1_234_500_000, 1, 1_234_500_000]


def test_updated_since_finds_what_was_adjusted_since(backend: Backend) -> None:
    append(backend, record("gen-1", opened={"created_at_us": NOON_US + 5}), record("gen-2"))
    start_us = backend.clock()
    backend.clock.now_us += 10
    append(backend, record("gen-3", opened={"created_at_us": NOON_US + 9}))
    backend.clock.now_us += 10
    adjust(backend, adjustment("adj-1", "gen-1", 1))
    backend.clock.now_us -= 100  # a clock that goes back does not hide an adjustment
    adjust(backend, adjustment("adj-2", "gen-3", 1))
    assert ids(backend, updated_since_us=start_us + 20) == ["gen-3", "gen-1"]
    assert ids(backend, updated_since_us=start_us + 21) == []
    assert ids(backend, updated_since_us=start_us) == ["gen-3", "gen-1", "gen-2"]
    assert ids(backend, updated_since_us=start_us + 20, users=("alice",)) == ["gen-3", "gen-1"]
    assert totals(backend, updated_since_us=start_us + 20).cost == 2
    assert totals(backend, Dimension.DAY, updated_since_us=start_us + 20).users == 1

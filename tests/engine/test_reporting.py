"""A report's range, what it is compared with, and that all of its lists add up."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import Dimension, Filters, Scope, Summary, SummaryQuery, Totals
from arouter.domain.record import Status
from arouter.domain.report import Listing, Report, Span
from arouter.domain.totals import SUMMED
from arouter.domain.usage import NOTHING_REPORTED
from arouter.engine.reporting import Asked, bucket_starts, read_report, span_before
from arouter.wire.instants import read_instant
from tests.sqlite_file import open_store
from tests.web.api.gateway import HOME, NOW_US, Gateway, in_memory

HOUR_US = 3_600_000_000
SCOPE = Scope(organization_id=HOME.organization_id)
ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]


@pytest.fixture(params=["memory", "sqlite"])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    path = tmp_path / "arouter.db"
    make = in_memory if request.param == "memory" else partial(open_store, path, durability="relaxed")
    with Gateway(make) as running:
        yield running


def report(gateway: Gateway, *, timezone: str = "UTC", limit: int = 15, scope: Scope = SCOPE, **filters: str) -> Report:
    zone = ZoneInfo(timezone)
    span = {f"{name}_us": read_instant(filters.pop(name), zone) for name in ("start", "end") if name in filters}
    asked = Asked(
        title="Activity",
        scope=scope,
        filters=Filters(**{name: (value,) for name, value in filters.items()}, **span),  # type: ignore[arg-type]
        timezone=timezone,
        limit=limit,
        made_by="a test",
    )
    services = gateway.services
    return gateway.run(read_report(services.directory, services.ledger, asked, now_us=gateway.now_us))


def span(start: str, end: str, timezone: str = "UTC") -> Span:
    zone = ZoneInfo(timezone)
    return Span(start_us=read_instant(start, zone), end_us=read_instant(end, zone))


def summary(gateway: Gateway, over: Span, *group_by: Dimension) -> Summary:
    filters = Filters(start_us=over.start_us, end_us=over.end_us)
    return gateway.run(gateway.services.ledger.summary(SummaryQuery(scope=SCOPE, filters=filters, group_by=group_by)))


def added_up(listing: Listing) -> dict[str, int]:
    """The sums of a list and its rest, but for distinct users."""
    parts = [row.totals for row in listing.rows] + ([] if listing.rest is None else [listing.rest.totals])
    return {name: sum(getattr(part, name) for part in parts) for name in SUMMED}


def additive(totals: Totals) -> dict[str, int]:
    return {name: getattr(totals, name) for name in SUMMED}


# ---------------------------------------------------------------- the range


def test_without_a_range_it_is_the_last_thirty_days_up_to_now(gateway: Gateway) -> None:
    head = report(gateway).head
    assert head.asked == span("2026-10-24", "2026-11-23")
    assert head.span == Span(start_us=head.asked.start_us, end_us=NOW_US + 1)
    assert head.before == Span(
        start_us=span("2026-09-24", "2026-10-24").start_us, end_us=NOW_US + 1 - 30 * 24 * HOUR_US
    )
    assert report(gateway, end="2026-11-01").head.asked == span("2026-10-02", "2026-11-01")
    assert report(gateway, start="2026-11-20").head.asked == span("2026-11-20", "2026-11-23")


@pytest.mark.parametrize(
    ("start", "end", "before"),
    [
        ("2026-11-01", "2026-12-01", "2026-10-01"),
        ("2026-01-01", "2026-04-01", "2025-10-01"),
        ("2026-11-02", "2026-11-09", "2026-10-26"),
        ("2026-11-22T10:00", "2026-11-22T12:00", "2026-11-22T08:00"),
        ("2026-11-22", "2026-11-22", "2026-11-22"),
    ],
)
@pytest.mark.parametrize("timezone", ZONES)
def test_months_are_compared_with_months_and_days_with_days(start: str, end: str, before: str, timezone: str) -> None:
    zone = ZoneInfo(timezone)
    assert span_before(span(start, end, timezone), zone) == span(before, start, timezone)


def test_a_month_that_is_not_over_is_compared_with_as_much_of_the_one_before(gateway: Gateway) -> None:
    head = report(gateway, start="2026-11-01", end="2026-12-01").head
    assert head.span.end_us == NOW_US + 1
    assert head.before == Span(
        start_us=span("2026-10-01", "2026-11-01").start_us,
        end_us=span("2026-10-01", "2026-11-01").start_us + head.span.end_us - head.span.start_us,
    )


def test_a_range_that_has_not_begun_is_empty(gateway: Gateway) -> None:
    gateway.add_record()
    future = report(gateway, start="2027-01-01", end="2027-02-01")
    assert (future.totals, future.before, future.days, future.months) == (Totals(), Totals(), (), ())


@given(
    start_us=st.integers(span("2011-12-01", "2013-01-01").start_us, span("2011-12-01", "2013-01-01").end_us),
    hours=st.integers(0, 2000),
    zone=st.sampled_from(ZONES),
    dimension=st.sampled_from([Dimension.DAY, Dimension.MONTH]),
)
def test_days_and_months_cover_the_range_without_a_gap(
    start_us: int, hours: int, zone: str, dimension: Dimension
) -> None:
    over = Span(start_us=start_us, end_us=start_us + hours * HOUR_US)
    starts = bucket_starts(over, dimension, ZoneInfo(zone))
    if hours == 0:
        assert starts == []
    else:
        assert starts[0] <= over.start_us
        assert all(over.start_us < each < over.end_us for each in starts[1:])
        longest = (32 if dimension is Dimension.MONTH else 1) * 24 + 1
        for before, after in pairwise([*starts, max(over.end_us, starts[-1] + 23 * HOUR_US)]):
            assert 23 * HOUR_US <= after - before <= longest * HOUR_US


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [("2026-11-22", "2026-11-21", "lies before `start`"), ("1990-01-01", "2026-01-01", "more than 240 months")],
)
def test_a_range_that_makes_no_sense_is_refused(gateway: Gateway, start: str, end: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        report(gateway, start=start, end=end)


# ---------------------------------------------------------------- the sums


def fill(gateway: Gateway) -> None:
    other, other_key = gateway.add_key("batch", creator="mem_2")
    _, third_key = gateway.add_key("nightly", creator="mem_2")
    assert other
    for number in range(40):
        gateway.add_record(
            user=None if number % 7 == 0 else f"user_{number % 13}" if number % 5 else "",
            key=(gateway.live_key, other_key, third_key)[number % 3],
            model=f"openai/model-{number % 6}",
            cost=None if number == 11 else 10 ** (number % 14) + number,
            ago_us=number * 31 * HOUR_US,
            status=Status.UPSTREAM_ERROR if number % 9 == 0 else Status.SUCCESS,
        )
    gateway.add_record(user="x", usage=NOTHING_REPORTED, cost=None, status=Status.REJECTED)


@pytest.mark.parametrize("limit", [1, 3, 15])
def test_every_list_adds_up_to_the_totals_of_the_summary(gateway: Gateway, limit: int) -> None:
    fill(gateway)
    made = report(gateway, start="2026-10-20", end="2026-11-23", limit=limit)
    wanted = summary(gateway, made.head.span).totals
    assert made.totals == wanted
    assert wanted.requests > 20
    assert made.before == summary(gateway, made.head.before).totals
    for listing in (made.models, made.keys, made.creators, made.users, made.statuses):
        assert added_up(listing) == additive(wanted)
        assert len(listing.rows) <= limit
        weights = [(row.totals.cost, row.totals.total_tokens, row.totals.requests) for row in listing.rows]
        assert weights == sorted(weights, reverse=True)
    assert made.days is not None
    for periods in (made.days, made.months):
        for name in SUMMED:
            assert sum(getattr(period.totals, name) for period in periods) == getattr(wanted, name)
            then = [period.before for period in periods if period.before is not None]
            assert sum(getattr(totals, name) for totals in then) == getattr(made.before, name)


def test_days_without_requests_are_there(gateway: Gateway) -> None:
    gateway.add_record(ago_us=72 * HOUR_US)
    made = report(gateway, start="2026-11-18", end="2026-11-22", timezone="Europe/Berlin")
    assert made.days is not None
    assert [(day.start[:10], day.totals.requests) for day in made.days] == [
        ("2026-11-18", 0),
        ("2026-11-19", 1),
        ("2026-11-20", 0),
        ("2026-11-21", 0),
    ]
    assert [month.start for month in made.months] == ["2026-11-01T00:00:00+01:00"]


def test_a_long_range_is_told_by_month(gateway: Gateway) -> None:
    gateway.add_record()
    made = report(gateway, start="2025-01-01", end="2027-01-01")
    assert made.days is None
    assert (len(made.months), made.months[-1].totals.requests) == (23, 1)


def test_keys_have_names_and_creators_even_when_deleted(gateway: Gateway) -> None:
    fill(gateway)
    deleted = next(key for key in (gateway.live_key,))
    assert gateway.run(gateway.store.directory.delete_key(HOME.organization_id, deleted.hash, now_us=NOW_US))
    made = report(gateway)
    assert {(row.name, row.creator) for row in made.keys.rows} == {
        ("prod", "mem_1"),
        ("batch", "mem_2"),
        ("nightly", "mem_2"),
    }
    assert {row.value for row in made.creators.rows} == {"mem_1", "mem_2"}
    assert {row.users for row in made.creators.rows} == {None}


def test_no_user_and_the_empty_user_are_two(gateway: Gateway) -> None:
    gateway.add_record(user=None, cost=1)
    gateway.add_record(user="", cost=2)
    assert [row.value for row in report(gateway).users.rows] == ["", None]


def test_filters_and_the_scope_narrow_it(gateway: Gateway) -> None:
    fill(gateway)
    made = report(gateway, models="openai/model-1")
    assert [row.value for row in made.models.rows] == ["openai/model-1"]
    assert 0 < made.totals.requests < report(gateway).totals.requests
    assert report(gateway, scope=Scope(organization_id="org_other")).totals == Totals()

"""Where buckets begin."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import TIME_DIMENSIONS, Dimension
from arouter.store.buckets import SLOT_US, bucket_start, bucket_text, time_zone

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
]
INSTANTS = st.integers(946_684_800_000_000, 2_208_988_800_000_000)


def at(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("instant", "dimension", "zone", "expected"),
    [
        ("2026-10-25T00:30:00+00:00", Dimension.HOUR, "Europe/Berlin", "2026-10-25T02:00:00+02:00"),
        ("2026-10-25T01:30:00+00:00", Dimension.HOUR, "Europe/Berlin", "2026-10-25T02:00:00+01:00"),
        ("2026-11-22T23:59:59+00:00", Dimension.WEEK, "UTC", "2026-11-16T00:00:00Z"),
        ("2026-11-22T15:00:00+00:00", Dimension.WEEK, "Asia/Tokyo", "2026-11-23T00:00:00+09:00"),
        ("2026-03-31T22:30:00+00:00", Dimension.MONTH, "Europe/Berlin", "2026-04-01T00:00:00+02:00"),
        ("2026-03-15T12:00:00+00:00", Dimension.MONTH, "Europe/Berlin", "2026-03-01T00:00:00+01:00"),
        # Midnight did not exist on that day in São Paulo; it came twice on that one in Havana.
        ("2018-11-04T12:00:00+00:00", Dimension.DAY, "America/Sao_Paulo", "2018-11-04T01:00:00-02:00"),
        ("2026-11-01T12:00:00+00:00", Dimension.DAY, "America/Havana", "2026-11-01T00:00:00-04:00"),
    ],
)
def test_a_bucket_begins_where_the_wall_clock_says(
    instant: str, dimension: Dimension, zone: str, expected: str
) -> None:
    start = bucket_start(at(instant), dimension, time_zone(zone))
    assert bucket_text(start, time_zone(zone)) == expected


@given(INSTANTS, st.sampled_from(sorted(TIME_DIMENSIONS)), st.sampled_from(ZONES))
def test_a_bucket_holds_its_own_start_and_whole_quarters_of_an_hour(us: int, dimension: Dimension, name: str) -> None:
    zone = time_zone(name)
    start = bucket_start(us, dimension, zone)
    assert start <= us
    assert start % SLOT_US == 0
    assert bucket_start(start, dimension, zone) == start
    assert bucket_start(us - us % SLOT_US, dimension, zone) == start
    assert at(bucket_text(start, zone)) == start


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe"])
def test_what_is_no_zone_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError):
        time_zone(name)

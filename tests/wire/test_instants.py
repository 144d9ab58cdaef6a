"""Instants: whatever a person would type, and one form to show them in."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.wire.instants import read_instant, write_instant

SIX = 1_795_327_200_000_000
"""2026-11-22T06:00:00Z."""

INSTANTS = st.integers(-2_000_000_000_000_000, 250_000_000_000_000_000)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T06:00:00Z",
        "2026-11-22t06:00:00z",
        "2026-11-22 06:00:00",
        "2026-11-22T06:00",
        "2026-11-22T06:00:00.000",
        "2026-11-22T06:00:00,000000",
        "2026-11-22T07:00:00+01:00",
        "2026-11-22T07:00:00 01:00",
        "2026-11-22T00:30:00-0530",
        "1795327200",
        "1795327200.0",
    ],
)
def test_many_ways_to_say_the_same_instant(text: str) -> None:
    assert read_instant(text) == SIX


def test_a_date_is_its_midnight() -> None:
    assert read_instant("2026-11-22") == SIX - 6 * 3_600_000_000


def test_a_zone_holds_for_what_has_no_offset_of_its_own() -> None:
    shanghai = ZoneInfo("Asia/Shanghai")
    assert read_instant("2026-11-22T14:00", shanghai) == SIX
    assert read_instant("2026-11-22T06:00Z", shanghai) == SIX
    assert read_instant("1795327200", shanghai) == SIX


def test_digits_beyond_the_microsecond_round_up() -> None:
    assert read_instant("2026-11-22T06:00:00.0000001Z") == SIX + 1
    assert read_instant("1795327200.0000001") == SIX + 1
    assert read_instant("2026-11-22T06:00:00.1234560") == SIX + 123_456


def test_a_leap_second_is_the_next_second() -> None:
    assert read_instant("2016-12-31T23:59:60Z") == read_instant("2017-01-01")


@pytest.mark.parametrize(
    "text",
    ["", " ", "yesterday", "2026-13-01", "2026-02-30", "2026-11-22T25:00", "2026-11-22T06:00:00+99:00", "1e9", "0x10",
     "1795327200000", "9" * 40, "2026-11-22T06:00:00Zjunk", "２０２６-11-22", "0001-01-01T00:00+14:00"],
)  # fmt: skip
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_instant(text)


def test_milliseconds_are_recognised_as_a_mistake() -> None:
    with pytest.raises(ValueError, match="seconds, not milliseconds"):
        read_instant("1795327200000")


def test_six_decimals_always() -> None:
    assert write_instant(SIX) == "2026-11-22T06:00:00.000000Z"
    assert write_instant(SIX + 123_456) == "2026-11-22T06:00:00.123456Z"


@given(INSTANTS)
def test_reading_inverts_writing(instant_us: int) -> None:
    assert read_instant(write_instant(instant_us)) == instant_us


@given(INSTANTS)
def test_unix_seconds_are_read_digit_by_digit(instant_us: int) -> None:
    assert read_instant(f"{Decimal(instant_us).scaleb(-6):f}") == instant_us


@given(st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(9990, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_isoformat_is_read(instant: datetime) -> None:
    expected = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert read_instant(instant.isoformat()) == expected

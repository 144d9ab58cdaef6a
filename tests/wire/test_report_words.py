"""Numbers, times and names of a report as people read them."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from arouter.domain.activity import Filters, Scope
from arouter.domain.money import from_text
from arouter.domain.report import Span
from arouter.wire.instants import read_instant
from arouter.wire.report import words
from arouter.wire.report.marks import Face, fitted, visible


class Typewriter:
    """A font as wide as it is high, with ASCII and Greek in it."""

    def width(self, text: str, size: float, face: Face = Face.PLAIN) -> float:
        return len(text) * size

    def covers(self, character: str) -> bool:
        return character.isascii() or "Α" <= character <= "ω" or character == "…"


FONT = Typewriter()


@given(st.integers(0, 10**24))
def test_dollars_are_exact(amount: int) -> None:
    assert from_text(words.dollars(amount).removeprefix("$").replace(",", "")) == amount


@given(st.integers(0, 10**18), st.integers(1, 10**18))
def test_a_share_is_rounded_and_never_hides_or_completes(part: int, whole: int) -> None:
    assume(part <= whole)
    shown = words.share(part, whole)
    if shown == "<0.1%":
        assert 0 < part * 2000 < whole
    elif shown == ">99.9%":
        assert 0 < (whole - part) * 2000 <= whole
    else:
        assert abs(Decimal(shown.removesuffix("%")) / 100 * whole - part) * 2000 <= whole
        assert (shown == "0.0%") <= (part == 0)
        assert (shown == "100.0%") <= (part == whole)


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 5, "0.0%"),
        (5, 5, "100.0%"),
        (1, 10**6, "<0.1%"),
        (10**6 - 1, 10**6, ">99.9%"),
        (1, 3, "33.3%"),
        (1, 2000, "0.1%"),
        (3, 2, "150.0%"),
        (0, 0, "–"),
    ],
)
def test_shares(part: int, whole: int, shown: str) -> None:
    assert words.share(part, whole) == shown


@pytest.mark.parametrize(
    ("now", "before", "shown"),
    [
        (5, 5, "unchanged"),
        (0, 0, "unchanged"),
        (5, 0, "new"),
        (0, 5, "▼ 100.0%"),
        (110, 100, "▲ 10.0%"),
        (90, 100, "▼ 10.0%"),
        (999, 100, "▲ 899.0%"),
        (1000, 100, "▲ ×10.0"),
        (123_456, 1, "▲ ×123,456.0"),
    ],
)
def test_a_change_says_how_much_more_or_less(now: int, before: int, shown: str) -> None:
    assert words.change(now, before) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (9_000, "9,000"), (10_000, "10k"), (2_500_000, "2.5M"), (3 * 10**9, "3B"), (4 * 10**15, "4,000T")],
)
def test_an_axis_is_short(value: int, shown: str) -> None:
    assert words.axis_count(value) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "$0"), (2 * 10**9, "$0.002"), (1, "$0.000000000001"), (2_500 * 10**12, "$2,500"), (10**18, "$1M"),
     (5 * 10**11, "$0.50")],
)  # fmt: skip
def test_an_axis_of_money_is_exact(amount: int, shown: str) -> None:
    assert words.axis_dollars(amount) == shown


@pytest.mark.parametrize(
    ("start", "end", "zone", "shown"),
    [
        ("2026-11-01", "2026-12-01", "Europe/Berlin", "1 Nov 2026 – 30 Nov 2026"),
        ("2026-11-22", "2026-11-23", "UTC", "22 Nov 2026"),
        ("2026-11-22T06:00", "2026-11-22T07:30:05", "UTC", "22 Nov 2026, 06:00 – 22 Nov 2026, 07:30:05"),
        ("2026-11-22", "2026-11-22", "UTC", "22 Nov 2026, 00:00 – 22 Nov 2026, 00:00"),
    ],
)
def test_a_span_of_days_names_its_first_and_last(start: str, end: str, zone: str, shown: str) -> None:
    tz = ZoneInfo(zone)
    assert words.span(Span(start_us=read_instant(start, tz), end_us=read_instant(end, tz)), tz) == shown


def test_an_instant_has_its_offset() -> None:
    at = datetime(2026, 11, 22, 6, 0, 1, tzinfo=UTC)
    assert words.instant(int(at.timestamp()) * 1_000_000, ZoneInfo("Asia/Kathmandu")) == "22 Nov 2026, 11:45:01 +05:45"


def test_what_a_report_leaves_out_is_told() -> None:
    scope = Scope(organization_id="org", workspace_id="ws_1")
    filters = Filters(users=("", "ada"), unattributed=True, models=("a/b", "a/c"), statuses=("success",))
    told = "workspace ws_1; user “”, “ada”, none; model a/b, a/c; status success"
    assert words.covered(scope, filters) == told
    assert words.covered(Scope(organization_id="org"), Filters()) == ""


def test_what_the_sums_do_not_hold_is_told() -> None:
    assert words.missing(0, 0) == ""
    assert "no usage: 1,234." in words.missing(1234, 0)
    assert "price: 2." in words.missing(0, 2)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("user_1", "user_1"),
        ("Ελένη", "Ελένη"),
        ("用户", r"\u7528\u6237"),
        ("🙂", r"\U0001f642"),
        ("a\u202eb", r"a\u202eb"),
        ("a\nb\x00", r"a\nb\x00"),
        (" ", "␣"),
        ("  a b  c ", "␣␣a b␣␣c␣"),
    ],
)
def test_every_character_of_a_name_is_seen(name: str, shown: str) -> None:
    assert visible(name, FONT) == shown


@given(st.text(max_size=400), st.floats(10, 400))
def test_a_name_is_cut_in_its_middle_and_never_too_wide(name: str, width: float) -> None:
    shown = fitted(name, width, 10, FONT)
    assert FONT.width(shown, 10) <= max(width, 10)
    if FONT.width(name, 10) <= width and len(name) <= 300:
        assert shown == name
    else:
        start, _, end = shown.rpartition("…")
        assert name.startswith(start)
        assert name.endswith(end)
        assert len(start) >= len(end)

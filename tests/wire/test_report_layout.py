"""The pages of a report: every figure is on them exactly, and nothing is outside them or over something else."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arouter.domain.activity import Filters, Scope
from arouter.domain.money import in_line
from arouter.domain.report import Report
from arouter.wire.report import contents
from arouter.wire.report.layout import PAGE_HEIGHT_MM, PAGE_WIDTH_MM, pages
from arouter.wire.report.marks import POINT_MM, Bookmark, Face, Mark, Page, Rectangle, Text
from tests.wire.report_samples import sample

HOSTILE = (
    "用户",
    "Zoë",
    "Ελένη",
    "",
    None,
    " ",
    "\u202eevil",
    "{nb}",
    "x" * 1024,
    "W" * 1024,
    "a\nb\x00c",
    "שלום",
    "<script>",
    '""',
    "no user",
    "empty text",
)
REPORTS = {
    "month": sample(),
    "day": sample(first="2026-10-05", days=1, users=["only"]),
    "no records": sample(idle=True, users=[]),
    "year": sample(first="2028-01-01", days=366),
    "years": sample(first="2020-01-01", days=2400),
    "hundred": sample(limit=100),
    "hostile": sample(users=HOSTILE, limit=100),
    "huge": sample(
        scale=98_765_432_101,
        users=HOSTILE,
        title="Title " * 40,
        made_by="M" * 300,
        scope=Scope(organization_id="org_" + "x" * 300, key_hash="f" * 64),
        filters=Filters(users=tuple(user for user in HOSTILE if user is not None), tags=("t" * 90,)),
    ),
}


class Wide:
    """A font like DejaVu Sans: digits of one width, wide capitals."""

    def width(self, text: str, size: float, face: Face = Face.PLAIN) -> float:
        wider = 1.1 if face is Face.BOLD else 1.0
        return sum(_WIDTHS.get(one, 0.62) for one in text) * wider * size * POINT_MM

    def covers(self, character: str) -> bool:
        return ord(character) < 0x3000


_WIDTHS = {**dict.fromkeys("0123456789", 0.636), **dict.fromkeys(".,:;|il ", 0.318), **dict.fromkeys("WMm", 0.95)}
FONT = Wide()


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float
    what: str

    def meets(self, other: "Box", slack: float = 0.05) -> bool:
        return (
            self.left + slack < other.right
            and other.left + slack < self.right
            and self.top + slack < other.bottom
            and other.top + slack < self.bottom
        )


def box(mark: Text) -> Box:
    """Where the letters are: a capital is about three quarters of the size high."""
    width = FONT.width(mark.text, mark.size, mark.face)
    left = mark.x - {"left": 0.0, "middle": width / 2, "right": width}[mark.align]
    height = mark.size * POINT_MM
    return Box(left, mark.y - 0.75 * height, left + width, mark.y + 0.2 * height, mark.text)


def boxes(page: Page) -> list[Box]:
    return [box(mark) for mark in page if isinstance(mark, Text) and mark.text]


def drawn(report: Report) -> Sequence[Page]:
    return pages(report, FONT)


def lines(report: Report) -> Iterator[str]:
    """The texts of each line of each page, from left to right."""
    for page in drawn(report):
        rows: dict[float, list[Box]] = {}
        for mark in page:
            if isinstance(mark, Text):
                rows.setdefault(mark.y, []).append(box(mark))
        for _, row in sorted(rows.items()):
            yield "|".join(one.what for one in sorted(row, key=lambda one: one.left))


def everything(marks: Sequence[Mark]) -> Iterator[Box]:
    yield from boxes(marks)
    for mark in marks:
        if isinstance(mark, Rectangle):
            yield Box(mark.x, mark.y, mark.x + mark.width, mark.y + mark.height, mark.colour)


# ---------------------------------------------------------------- places


def assert_tidy(report: Report) -> None:
    for page in drawn(report):
        for one in everything(page):
            assert one.left >= -1e-6, one
            assert one.top >= -1e-6, one
            assert one.right <= PAGE_WIDTH_MM + 1e-6, one
            assert one.bottom <= PAGE_HEIGHT_MM - 5, one
        letters = sorted(boxes(page), key=lambda one: one.top)
        for place, one in enumerate(letters):
            for other in letters[place + 1 :]:
                if other.top >= one.bottom:
                    break
                assert not one.meets(other), (one, other)


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_nothing_lies_over_something_else_or_beyond_the_page(report: Report) -> None:
    assert_tidy(report)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    first=st.dates(min_value=date(2001, 1, 1), max_value=date(2050, 1, 1)),
    days=st.integers(1, 500),
    scale=st.integers(0, 10**9),
    users=st.lists(st.one_of(st.none(), st.text(max_size=80)), unique=True, max_size=30),
    limit=st.integers(1, 40),
    title=st.text(max_size=200),
)
def test_whatever_the_figures_and_names_are(
    first: date, days: int, scale: int, users: list[str | None], limit: int, title: str
) -> None:
    assert_tidy(sample(first=str(first), days=days, scale=scale, users=users, limit=limit, title=title))


def test_the_layout_check_sees_what_overlaps() -> None:
    one = box(Text(x=10, y=10, text="abc", size=10))
    assert one.meets(box(Text(x=12, y=11, text="abc", size=10)))
    assert not one.meets(box(Text(x=10, y=15, text="abc", size=10)))


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_bars_of_shares_leave_the_numbers_alone(report: Report) -> None:
    bars = [
        Box(mark.x, mark.y, mark.x + mark.width, mark.y + mark.height, "bar")
        for page in drawn(report)[1:]
        for mark in page
        if isinstance(mark, Rectangle) and 1.5 < mark.height < 2.5
    ]
    assert bars or report.totals.requests == 0
    for page in drawn(report)[1:]:
        own = [mark for mark in page if isinstance(mark, Rectangle) and 1.5 < mark.height < 2.5]
        for mark in own:
            bar = Box(mark.x, mark.y, mark.x + mark.width, mark.y + mark.height, "bar")
            assert not any(bar.meets(letters) for letters in boxes(page))


def test_pages_are_numbered_and_say_what_they_are_about() -> None:
    made = drawn(REPORTS["hundred"])
    assert len(made) > 3
    for number, page in enumerate(made, start=1):
        texts = [mark.text for mark in page if isinstance(mark, Text)]
        assert f"Page {number} of {len(made)}" in texts
        assert any("as of 2 Nov 2027, 08:30:12 +00:00" in text for text in texts)
        assert any("org_7d0c41e2" in text for text in texts)
        assert any("1 Oct 2026 – 31 Oct 2026" in text for text in texts)
    names = [mark.title for page in made for mark in page if isinstance(mark, Bookmark)]
    assert names == ["Activity", *(section.title for section in contents.sections(REPORTS["hundred"], FONT))]


@pytest.mark.parametrize("limit", range(44, 52))
def test_a_table_that_goes_on_has_its_head_again_and_its_total_is_not_alone(limit: int) -> None:
    rows = list(lines(sample(limit=limit)))
    assert sum(row.startswith("User|") for row in rows) == (1 if limit < 46 else 2)
    before_totals = [before for before, row in pairwise(rows) if row.startswith("Total|")]
    assert len(before_totals) == 6
    for before in before_totals:
        assert re.search(r"\d", before), "a row of numbers, not the head of a page"


# ---------------------------------------------------------------- figures


@pytest.mark.parametrize("name", ["month", "day", "hostile", "huge", "hundred", "no records"])
def test_every_figure_of_the_lists_is_there_to_the_last_digit(name: str) -> None:
    report = REPORTS[name]
    told = list(lines(report))
    listings = (report.users, report.models, report.keys, report.creators, report.statuses)
    for listing in listings:
        parts = [row.totals for row in listing.rows] + ([] if listing.rest is None else [listing.rest.totals])
        costs = in_line([*(part.cost for part in parts), report.totals.cost])
        for part, cost in zip([*parts, report.totals], costs, strict=True):
            cents, digits = cost[: cost.index(".") + 3], cost[cost.index(".") + 3 :]
            numbers = f"|{part.requests:,}|{part.errors:,}|{part.total_tokens:,}|"
            money = f"|{cents}|{digits}" if digits else f"|{cents}"
            assert any(numbers in line and line.endswith(money) for line in told)
    assert f"${in_line([report.totals.cost])[0]}" in "\n".join(told)


def test_days_are_there_with_those_before() -> None:
    report = sample(days=3, days_before=2)
    assert report.days is not None
    told = list(lines(report))
    costs = in_line([*(day.totals.cost for day in report.days), report.totals.cost])
    for day, cost in zip(report.days, costs, strict=False):
        (row,) = [line for line in told if line.startswith(f"{_weekday(day.start)} {int(day.start[8:10])} Oct 2026|")]
        assert re.sub(r"\|(?=\d+$)", "", row).endswith(f"|{cost}")
    assert "|–|" in next(line for line in told if line.startswith("Sat 3 Oct"))


def _weekday(start: str) -> str:
    return {"01": "Thu", "02": "Fri", "03": "Sat"}[start[8:10]]


def test_no_user_and_the_empty_user_and_users_called_so_are_told_apart() -> None:
    told = [mark for page in drawn(REPORTS["hostile"]) for mark in page if isinstance(mark, Text)]
    faces = {(mark.text, mark.face) for mark in told if mark.text in ("no user", "empty text", '""')}
    assert faces == {
        ("no user", Face.ITALIC),
        ("no user", Face.PLAIN),
        ("empty text", Face.ITALIC),
        ("empty text", Face.PLAIN),
        ('""', Face.PLAIN),
    }


def test_a_long_name_keeps_its_ends_and_a_strange_one_its_code_points() -> None:
    names = [line.partition("|")[0] for line in lines(REPORTS["hostile"])]
    assert any(re.fullmatch(r"x+…x+", name) for name in names)
    assert {r"\u202eevil", r"a\nb\x00c", "␣", r"\u7528\u6237", "{nb}", "<script>"} <= {*names}


def test_the_same_report_gives_the_same_pages() -> None:
    assert drawn(sample()) == drawn(sample())

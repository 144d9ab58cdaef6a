"""Charts: round numbers on the axis, heights that are the values, labels with room between them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import Totals
from arouter.domain.report import Period
from arouter.wire.report.marks import BEFORE, Line, Mark, Rectangle, Text
from arouter.wire.report.plot import Chart, Frame, Layer, day_labels, draw, month_labels, ticks, week_labels
from tests.wire.report_samples import sample
from tests.wire.test_report_words import FONT

FRAME = Frame(x=10, y=20, width=150, height=40)


def chart(*layers: list[int], before: tuple[int | None, ...] = (), labels: tuple[tuple[int, str], ...] = ()) -> Chart:
    return Chart(
        layers=[Layer(values=values, colour=f"#00000{place}") for place, values in enumerate(layers)],
        before=before,
        labels=labels,
        tell=str,
        nothing="Nothing",
    )


def rectangles(marks: list[Mark]) -> list[Rectangle]:
    return [mark for mark in marks if isinstance(mark, Rectangle)]


def texts(marks: list[Mark]) -> list[str]:
    return [mark.text for mark in marks if isinstance(mark, Text)]


@given(st.integers(1, 10**24))
def test_ticks_are_few_round_and_reach_the_top(most: int) -> None:
    found = ticks(most)
    assert found[0] == 0
    assert found[-2] < most <= found[-1]
    assert 2 <= len(found) <= 5
    (step,) = {after - before for before, after in pairwise(found)}
    assert str(step).rstrip("0") in ("1", "2", "5")


@given(st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)), min_size=1, max_size=366))
def test_bars_are_as_high_as_their_values_and_stand_on_each_other(values: list[tuple[int, int]]) -> None:
    marks = list(draw(chart([low for low, _ in values], [high for _, high in values]), FRAME, FONT))
    most = max(sum(pair) for pair in values)
    bars = rectangles(marks)
    assert len(bars) == sum(part > 0 for pair in values for part in pair)
    if most == 0:
        assert "Nothing" in texts(marks)
        return
    per_unit = (FRAME.height - 7) / ticks(most)[-1]
    assert [bar.height for bar in bars] == pytest.approx([part * per_unit for pair in values for part in pair if part])
    floor = FRAME.y + FRAME.height - 5
    for bar in bars:
        assert FRAME.y <= bar.y <= floor
        assert FRAME.x <= bar.x
        assert bar.x + bar.width <= FRAME.x + FRAME.width + 1e-6
    columns: dict[float, float] = {}
    for bar in bars:
        assert bar.y + bar.height == pytest.approx(floor - columns.get(bar.x, 0.0))
        columns[bar.x] = columns.get(bar.x, 0.0) + bar.height


def test_the_range_before_is_a_line_with_gaps() -> None:
    marks = list(draw(chart([1, 2, 3, 4], before=(4, None, 0, 2)), FRAME, FONT))
    lines = [mark for mark in marks if isinstance(mark, Line) and mark.colour == BEFORE]
    assert [len(line.points) for line in lines] == [2, 4]
    heights = [y for line in lines for _, y in line.points]
    floor, top = FRAME.y + FRAME.height - 5, FRAME.y + 2
    assert heights == pytest.approx([top, top, floor, floor, (top + floor) / 2, (top + floor) / 2])


@given(st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=60))
def test_labels_stay_within_the_frame_and_apart(names: list[str]) -> None:
    labels = tuple(enumerate(names))
    marks = list(draw(chart([1] * len(names), labels=labels), FRAME, FONT))
    shown = [mark for mark in marks if isinstance(mark, Text) and mark.align == "middle"]
    assert shown
    spans = [(mark.x - FONT.width(mark.text, mark.size) / 2, FONT.width(mark.text, mark.size)) for mark in shown]
    assert all(before + width < after for (before, width), (after, _) in pairwise(spans))
    if len(shown) > 1:
        assert spans[-1][0] + spans[-1][1] <= FRAME.x + FRAME.width + 1e-6


def test_days_have_dates_and_many_days_months() -> None:
    def periods(*starts: str) -> list[Period]:
        return [Period(start=start, totals=Totals(), before=None) for start in starts]

    assert day_labels(periods("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z")) == [(0, "1 Nov"), (1, "2 Nov")]
    quarter = sample(first="2026-11-15", days=92).days
    assert quarter is not None
    assert day_labels(quarter) == [(16, "Dec"), (47, "Jan 2027"), (78, "Feb")]
    assert month_labels(periods("2026-11-01T00:00:00Z")) == [(0, "Nov 2026")]
    assert week_labels(periods("2026-10-26", "2026-11-02", "2026-11-09")) == [(0, "Oct"), (1, "Nov")]

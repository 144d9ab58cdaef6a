"""Bar charts as marks: one bar for each day or month, in layers, and a line for the range before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from arouter.domain.report import Period
from arouter.wire.report import words
from arouter.wire.report.marks import BEFORE, FAINT, LINE, QUIET, Font, Line, Mark, Rectangle, Text

LABEL_SIZE = 6.5
_MOST_TICKS = 4
_TICK_STEPS = (1, 2, 5)
_LABEL_ROOM_MM = 5.0
_LABEL_GAP_MM = 2.0
_WIDEST_BAR_MM = 12.0
_DAYS_WITH_DATES = 62
"""More days are told apart by the months that begin in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A part of every bar."""

    values: Sequence[int]
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`before` has a value for each bar, or None where there is none; `labels` are places of bars and their names."""

    layers: Sequence[Layer]
    labels: Sequence[tuple[int, str]]
    tell: Callable[[int], str]
    """A value on the axis."""
    nothing: str
    """What to say where all is zero."""
    before: Sequence[int | None] = ()


def ticks(most: int) -> list[int]:
    """Round numbers from 0 to the first one that is not below `most`, five at most."""
    unit = 1
    while True:
        for digit in _TICK_STEPS:
            step = digit * unit
            if step * _MOST_TICKS >= most:
                return list(range(0, most + step, step))
        unit *= 10


def day_labels(periods: Sequence[Period]) -> list[tuple[int, str]]:
    """For few days their dates, for many the months."""
    if len(periods) <= _DAYS_WITH_DATES:
        return [(place, words.day(period.start).rsplit(" ", 1)[0]) for place, period in enumerate(periods)]
    return [(place, _month(period.start)) for place, period in enumerate(periods) if period.start[8:10] == "01"]


def week_labels(weeks: Sequence[Period]) -> list[tuple[int, str]]:
    """The months, each at the first week that begins in it."""
    months = [week.start[:7] for week in weeks]
    return [
        (place, _month(week.start))
        for place, week in enumerate(weeks)
        if place == 0 or months[place] != months[place - 1]
    ]


def month_labels(periods: Sequence[Period]) -> list[tuple[int, str]]:
    return [(place, words.month(period.start)) for place, period in enumerate(periods)]


def draw(chart: Chart, frame: Frame, font: Font) -> Iterator[Mark]:
    """The axis, the bars and the line, within the frame."""
    columns = [sum(parts) for parts in zip(*(layer.values for layer in chart.layers), strict=True)]
    most = max([0, *columns, *(value for value in chart.before if value is not None)])
    axis = ticks(most) if most else [0]
    names = [chart.tell(tick) for tick in axis]
    gutter = max(font.width(name, LABEL_SIZE) for name in names) + 2
    area = Frame(
        x=frame.x + gutter, y=frame.y + 2, width=frame.width - gutter, height=frame.height - 2 - _LABEL_ROOM_MM
    )
    floor = area.y + area.height
    for tick, name in zip(axis, names, strict=True):
        y = floor - _height(tick, axis[-1], area)
        yield Line(points=((area.x, y), (area.x + area.width, y)), colour=LINE if tick else FAINT, width=0.15)
        yield Text(x=area.x - 1.5, y=y + 0.8, text=name, size=LABEL_SIZE, colour=QUIET, align="right")
    if most:
        yield from _bars(chart.layers, axis[-1], area)
        yield from _line(chart.before, axis[-1], area)
    else:
        middle = area.x + area.width / 2
        yield Text(x=middle, y=area.y + area.height / 2, text=chart.nothing, size=8, colour=QUIET, align="middle")
    if columns:
        yield from _labels(chart.labels, len(columns), area, font)


def _bars(layers: Sequence[Layer], top: int, area: Frame) -> Iterator[Mark]:
    slot = area.width / len(layers[0].values)
    width = min(slot * (0.72 if slot > 1.5 else 0.9 if slot > 0.7 else 1), _WIDEST_BAR_MM)
    for place in range(len(layers[0].values)):
        x = area.x + (place + 0.5) * slot - width / 2
        below = 0
        for layer in layers:
            value = layer.values[place]
            if value > 0:
                height = _height(value, top, area)
                y = area.y + area.height - _height(below, top, area) - height
                yield Rectangle(x=x, y=y, width=width, height=height, colour=layer.colour)
            below += value


def _line(before: Sequence[int | None], top: int, area: Frame) -> Iterator[Mark]:
    """Steps as wide as the bars' places, interrupted where nothing can be compared."""
    if not before:
        return
    slot = area.width / len(before)
    points: list[tuple[float, float]] = []
    for place, value in enumerate([*before, None]):
        if value is not None:
            y = area.y + area.height - _height(value, top, area)
            points += [(area.x + place * slot, y), (area.x + (place + 1) * slot, y)]
        elif points:
            yield Line(points=tuple(points), colour=BEFORE, width=0.35)
            points = []


def _labels(labels: Sequence[tuple[int, str]], places: int, area: Frame, font: Font) -> Iterator[Mark]:
    """As many as have room, evenly chosen."""
    slot = area.width / places
    spans = []
    for place, name in labels:
        half = font.width(name, LABEL_SIZE) / 2
        middle = area.x + (place + 0.5) * slot
        spans.append((min(max(middle, area.x + half), area.x + area.width - half), half, name))
    every = 1
    while every < len(spans) and _collide(spans[::every]):
        every += 1
    for middle, _, name in spans[::every]:
        y = area.y + area.height + 3.6
        yield Text(x=middle, y=y, text=name, size=LABEL_SIZE, colour=QUIET, align="middle")


def _collide(spans: Sequence[tuple[float, float, str]]) -> bool:
    return any(
        before + half + _LABEL_GAP_MM > after - other for (before, half, _), (after, other, _) in pairwise(spans)
    )


def _height(value: int, top: int, area: Frame) -> float:
    return area.height * value / top if top else 0.0


def _month(start: str) -> str:
    return words.month(start) if start[5:7] == "01" else words.month(start)[:3]

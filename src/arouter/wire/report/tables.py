"""Tables as marks: widths by what is in them, numbers at the right, and the head again on each page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from arouter.domain.money import PICODOLLARS_PER_DOLLAR, in_line
from arouter.wire.report.marks import FAINT, INK, LINE, MIDDLE, QUIET, Face, Font, Mark, Rectangle, Text, fitted

SIZES = (7.5, 7.0, 6.5, 6.0, 5.5, 5.0, 4.5)
"""In points; the first at which the names have room."""
ROW_MM = 5.1
_HEAD_SIZE = 6.5
_GAP_MM = 4.0
_NAME_MM = 44.0
_BAR_MM = 16.0
_BASELINE = 0.68
_LONG_NAME = 100
"""Characters: more are certainly cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """`more` stands behind the text and matters less: a number's digits beyond the cents, what a name is short for."""

    text: str
    more: str = ""
    is_said_by_us: bool = False
    """The text is ours, not somebody's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`bars` are the shares of a column of bars, from 0 to 1."""

    title: str
    cells: Sequence[Cell]
    bars: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The first column holds names, the others numbers; all have as many cells as there are rows."""

    columns: Sequence[Column]
    totals: Sequence[Cell] = field(default=())
    """A cell for each column, beneath; empty for none."""

    @property
    def rows(self) -> int:
        return len(self.columns[0].cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A table that knows its widths."""

    table: Table
    size: float
    widths: Sequence[float]
    x: float
    font: Font

    @property
    def width(self) -> float:
        return sum(self.widths)

    def head(self, y: float) -> Iterator[Mark]:
        baseline = y + ROW_MM * _BASELINE
        for place, (column, x, width) in enumerate(self._places()):
            at = x if place == 0 else x + width
            yield Text(
                x=at,
                y=baseline,
                text=column.title,
                size=min(_HEAD_SIZE, self.size),
                colour=QUIET,
                align="left" if place == 0 else "right",
            )
        yield Rectangle(x=self.x, y=y + ROW_MM - 0.1, width=self.width, height=0.25, colour=FAINT)

    def row(self, number: int, y: float) -> Iterator[Mark]:
        for place, (column, x, width) in enumerate(self._places()):
            if place == 0:
                yield from self._name(column.cells[number], x, y, width)
            else:
                yield from self._bar(column, number, x, y, width)
                yield from self._number(column.cells[number], x + width, y, Face.PLAIN)
        yield Rectangle(x=self.x, y=y + ROW_MM - 0.1, width=self.width, height=0.12, colour=LINE)

    def total(self, y: float) -> Iterator[Mark]:
        yield Rectangle(x=self.x, y=y - 0.1, width=self.width, height=0.25, colour=FAINT)
        for place, (cell, (_, x, width)) in enumerate(zip(self.table.totals, self._places(), strict=True)):
            if place == 0:
                text = fitted(cell.text, width - 1, self.size, self.font, Face.BOLD)
                yield Text(x=x, y=y + ROW_MM * _BASELINE, text=text, size=self.size, face=Face.BOLD)
            else:
                yield from self._number(cell, x + width, y, Face.BOLD)

    def _places(self) -> Iterator[tuple[Column, float, float]]:
        x = self.x
        for column, width in zip(self.table.columns, self.widths, strict=True):
            yield column, x, width
            x += width

    def _name(self, cell: Cell, x: float, y: float, width: float) -> Iterator[Mark]:
        face = Face.ITALIC if cell.is_said_by_us else Face.PLAIN
        room = width - 1
        beside = room - self.font.width(cell.text[:_LONG_NAME], self.size, face) - 2
        more = fitted(cell.more, max(beside, room * 0.4), self.size, self.font) if cell.more else ""
        if more:
            room -= self.font.width(more, self.size) + 2
        text = fitted(cell.text, room, self.size, self.font, face)
        baseline = y + ROW_MM * _BASELINE
        colour = QUIET if cell.is_said_by_us else INK
        yield Text(x=x, y=baseline, text=text, size=self.size, colour=colour, face=face)
        if more:
            behind = x + self.font.width(text, self.size, face) + 2
            yield Text(x=behind, y=baseline, text=more, size=self.size, colour=QUIET)

    def _number(self, cell: Cell, right: float, y: float, face: Face) -> Iterator[Mark]:
        baseline = y + ROW_MM * _BASELINE
        at = right
        if cell.more:
            yield Text(x=at, y=baseline, text=cell.more, size=self.size, colour=QUIET, face=face, align="right")
            at -= self.font.width(cell.more, self.size, face)
        if cell.text:
            yield Text(x=at, y=baseline, text=cell.text, size=self.size, face=face, align="right")

    def _bar(self, column: Column, number: int, x: float, y: float, width: float) -> Iterator[Mark]:
        part = column.bars[number] if column.bars else None
        if part:
            left, most = x + _GAP_MM, min(_BAR_MM, width - _GAP_MM)
            yield Rectangle(x=left, y=y + 1.5, width=most * part, height=ROW_MM - 3.0, colour=MIDDLE)


def measured(table: Table, x: float, width: float, font: Font) -> Measured:
    """The table at `x`, `width` wide, as large as its numbers allow."""
    for size in SIZES:
        numbers = [_needed(table, place, size, font) for place in range(1, len(table.columns))]
        names = width - sum(numbers)
        if names >= _NAME_MM or size == SIZES[-1]:
            return Measured(table=table, size=size, widths=[max(names, 0.0), *numbers], x=x, font=font)
    raise AssertionError("there is a smallest size")


def money_cells(amounts: Sequence[int]) -> list[Cell]:
    """Exact amounts with their points above each other. What is beyond the cents matters less among dollars."""
    texts = in_line(amounts)
    if max(amounts) < PICODOLLARS_PER_DOLLAR:
        return [Cell(text=text) for text in texts]
    return [Cell(text=text[: text.index(".") + 3], more=text[text.index(".") + 3 :]) for text in texts]


def _needed(table: Table, place: int, size: float, font: Font) -> float:
    """The width of a column of numbers."""
    column = table.columns[place]
    cells = [(cell, Face.PLAIN) for cell in column.cells]
    if table.totals:
        cells.append((table.totals[place], Face.BOLD))
    widths = [font.width(cell.text, size, face) + font.width(cell.more, size, face) for cell, face in cells]
    title = font.width(column.title, min(_HEAD_SIZE, size))
    bar = _BAR_MM + 1.5 if any(column.bars) else 0.0
    return max([title, *(each + bar for each in widths)]) + _GAP_MM

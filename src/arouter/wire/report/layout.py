"""The pages of a report, as marks: A4, one column, everything at its place whatever the figures are."""

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from arouter.domain.report import Report
from arouter.wire.report import contents, words
from arouter.wire.report.marks import (
    BEFORE,
    CARD,
    FAINT,
    INK,
    LINE,
    MAIN,
    QUIET,
    Bookmark,
    Face,
    Font,
    Mark,
    Page,
    Rectangle,
    Text,
    fitted,
    visible,
)
from arouter.wire.report.plot import Frame, draw
from arouter.wire.report.tables import ROW_MM, measured

PAGE_WIDTH_MM, PAGE_HEIGHT_MM = 210.0, 297.0
_LEFT, _RIGHT = 16.0, 194.0
_WIDTH = _RIGHT - _LEFT
_TOP, _BOTTOM = 22.0, 280.0
_GAP = 4.0
_MOST_LINES_OF_FILTERS = 3


def pages(report: Report, font: Font) -> Sequence[Page]:
    """All pages, whole with head and foot. The same report and font give the same pages."""
    made = _Pages(report, font)
    made.title()
    made.figures()
    made.charts()
    for section in contents.sections(report, font):
        made.table(section)
    return made.finished()


class _Pages:
    """Fills one page after the other, from top to bottom."""

    def __init__(self, report: Report, font: Font) -> None:
        self._report = report
        self._font = font
        self._zone = ZoneInfo(report.head.timezone)
        self._pages: list[list[Mark]] = [[]]
        self._y = _TOP

    def finished(self) -> Sequence[Page]:
        count = len(self._pages)
        return [[*self._frame(number, count), *marks] for number, marks in enumerate(self._pages, start=1)]

    # ---------------------------------------------------------------- what stands on a page

    def title(self) -> None:
        """What the report is about."""
        head, font = self._report.head, self._font
        self._y = 20.0
        title = fitted(visible(head.title, font), _WIDTH, 20, font, Face.BOLD)
        self._put(Bookmark(y=10, title=title), Text(x=_LEFT, y=self._y, text=title, size=20, face=Face.BOLD))
        self._y += 9
        width = (_WIDTH - 2 * _GAP) / 3
        for place, (name, value) in enumerate(words.facts(head, self._zone)):
            x, y = _LEFT + place % 3 * (width + _GAP), self._y + place // 3 * 9.5
            self._put(Text(x=x, y=y, text=name, size=6.5, colour=QUIET))
            self._put(self._whole(visible(value, font), x, y + 4, width, 8.5, smallest=6.5))
        self._y += 20
        for line in self._coverage():
            self._put(Text(x=_LEFT, y=self._y, text=line, size=7.5, colour=QUIET))
            self._y += 4
        self._y += 0.5

    def figures(self) -> None:
        """The six that matter most, exactly."""
        width, height = (_WIDTH - 2 * _GAP) / 3, 18.5
        for place, figure in enumerate(words.figures(self._report.totals, self._report.before)):
            x, y = _LEFT + place % 3 * (width + _GAP), self._y + place // 3 * (height + _GAP)
            self._put(Rectangle(x=x, y=y, width=width, height=height, colour=CARD))
            self._put(Text(x=x + 3.5, y=y + 5, text=figure.name, size=7, colour=QUIET))
            self._put(self._whole(figure.value, x + 3.5, y + 11.4, width - 7, 14, Face.BOLD))
            self._put(self._whole(figure.note, x + 3.5, y + 15.9, width - 7, 6.5, colour=QUIET))
        self._y += 2 * height + _GAP + 8

    def charts(self) -> None:
        """Spend, requests and tokens over time."""
        wide, left, right = contents.charts(self._report)
        self._chart(wide, Frame(x=_LEFT, y=self._y, width=_WIDTH, height=43))
        self._y += 51
        width = (_WIDTH - 8) / 2
        self._chart(left, Frame(x=_LEFT, y=self._y, width=width, height=36))
        self._chart(right, Frame(x=_LEFT + width + 8, y=self._y, width=width, height=36))
        self._y += 44

    def table(self, section: contents.Section) -> None:
        """A table with its heading; at least its first rows are on the heading's page."""
        title, table, note = section.title, section.table, section.note
        fitting = measured(table, _LEFT, _WIDTH, self._font)
        count = table.rows
        whole = (count + 1 + bool(table.totals)) * ROW_MM
        heading = 8.0 + (4.5 if note else 0.0)
        # A table that has room on a page is not torn, if little is lost by it.
        wanted = heading + (whole if whole <= 100 else 6 * ROW_MM)
        if self._y + wanted > _BOTTOM:
            self._new_page()
        self._put(Bookmark(y=self._y, title=title))
        self._put(Text(x=_LEFT, y=self._y + 4, text=title, size=11, face=Face.BOLD))
        if note:
            self._put(self._whole(note, _LEFT, self._y + 9, _WIDTH, 7, colour=QUIET))
        self._y += heading
        self._put(*fitting.head(self._y))
        self._y += ROW_MM
        for number in range(count):
            # The last row keeps the totals company.
            last = number == count - 1 and bool(table.totals)
            if self._y + ROW_MM * (2 if last else 1) > _BOTTOM:
                self._new_page()
                self._put(*fitting.head(self._y))
                self._y += ROW_MM
            self._put(*fitting.row(number, self._y))
            self._y += ROW_MM
        if not count:
            self._put(Text(x=_LEFT, y=self._y + 3.5, text="No requests in this range.", size=7.5, colour=QUIET))
            self._y += ROW_MM
        elif table.totals:
            self._put(*fitting.total(self._y))
            self._y += ROW_MM
        self._y += 7

    # ---------------------------------------------------------------- parts

    def _chart(self, drawn: contents.Drawn, frame: Frame) -> None:
        self._put(Text(x=frame.x, y=frame.y, text=drawn.title, size=9, face=Face.BOLD))
        x = frame.x + frame.width
        for colour, name in reversed(drawn.key):
            x -= self._font.width(name, 6.5)
            self._put(Text(x=x, y=frame.y, text=name, size=6.5, colour=QUIET))
            x -= 4
            # Like what it stands for: a line or an area.
            above, width, height = (1.0, 3.0, 0.5) if colour == BEFORE else (1.8, 2.0, 2.0)
            self._put(Rectangle(x=x + 3 - width, y=frame.y - above, width=width, height=height, colour=colour))
            x -= 4
        inner = Frame(x=frame.x, y=frame.y + 2, width=frame.width, height=frame.height)
        self._put(*draw(drawn.chart, inner, self._font))

    def _whole(
        self,
        text: str,
        x: float,
        y: float,
        width: float,
        size: float,
        face: Face = Face.PLAIN,
        *,
        colour: str = INK,
        smallest: float = 3.0,
    ) -> Text:
        """All of a text, smaller if it must be; only beyond all reason is it cut."""
        while size > smallest and self._font.width(text, size, face) > width:
            size -= 0.25
        return Text(x=x, y=y, text=fitted(text, width, size, self._font, face), size=size, face=face, colour=colour)

    def _coverage(self) -> Iterator[str]:
        """Which requests are in it, wrapped."""
        text = visible(words.coverage(self._report.head, self._zone), self._font)
        lines = [""]
        for word in text.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self._font.width(longer, 7.5) > _WIDTH:
                lines.append(word)
            else:
                lines[-1] = longer
        if len(lines) > _MOST_LINES_OF_FILTERS:
            lines = [*lines[: _MOST_LINES_OF_FILTERS - 1], f"{lines[_MOST_LINES_OF_FILTERS - 1]}…"]
        for line in lines:
            yield fitted(line, _WIDTH, 7.5, self._font)

    def _frame(self, number: int, count: int) -> Iterator[Mark]:
        """The head and the foot of a page."""
        head = self._report.head
        if number == 1:
            yield Rectangle(x=0, y=0, width=PAGE_WIDTH_MM, height=2.2, colour=MAIN)
        else:
            title = fitted(visible(head.title, self._font), 70, 7, self._font, Face.BOLD)
            organization = fitted(visible(head.scope.organization_id, self._font), 45, 7, self._font)
            about = f"{organization}  ·  {words.span(head.asked, self._zone)}  ·  {head.timezone}"
            yield Text(x=_LEFT, y=13, text=title, size=7, face=Face.BOLD)
            room = _WIDTH - self._font.width(title, 7, Face.BOLD) - 6
            yield Text(x=_RIGHT, y=13, text=fitted(about, room, 7, self._font), size=7, colour=QUIET, align="right")
            yield Rectangle(x=_LEFT, y=15, width=_WIDTH, height=0.2, colour=LINE)
        yield Rectangle(x=_LEFT, y=284, width=_WIDTH, height=0.2, colour=LINE)
        made = f"{visible(head.made_by, self._font)}  ·  as of {words.instant(head.as_of_us, self._zone)}"
        yield Text(x=_LEFT, y=288.5, text=fitted(made, _WIDTH - 30, 6.5, self._font), size=6.5, colour=FAINT)
        yield Text(x=_RIGHT, y=288.5, text=f"Page {number} of {count}", size=6.5, colour=QUIET, align="right")

    def _put(self, *marks: Mark) -> None:
        self._pages[-1].extend(marks)

    def _new_page(self) -> None:
        self._pages.append([])
        self._y = _TOP

"""A report as one HTML page: nothing is fetched, no script runs, the charts are SVG within it."""

from collections.abc import Iterator, Sequence
from html import escape
from zoneinfo import ZoneInfo

from arouter.domain.report import Report
from arouter.wire.report import contents, words
from arouter.wire.report.marks import (
    CARD,
    FAINT,
    INK,
    LINE,
    MIDDLE,
    POINT_MM,
    QUIET,
    Face,
    Line,
    Mark,
    Rectangle,
    Text,
    visible,
)
from arouter.wire.report.plot import Chart, Frame, draw
from arouter.wire.report.tables import Cell, Column, Table

_WIDE, _HALF = Frame(x=0, y=0, width=178, height=50), Frame(x=0, y=0, width=85, height=42)
_ANCHORS = {"left": "start", "middle": "middle", "right": "end"}
_STYLE = f"""
:root {{ color-scheme: light }}
body {{ margin: 0; background: #fff; color: {INK}; font: 14px/1.5 "DejaVu Sans", system-ui, sans-serif }}
main {{ max-width: 64rem; margin: 0 auto; padding: 2rem 1.25rem 3rem }}
h1 {{ margin: 0 0 1rem; font-size: 1.7rem; overflow-wrap: anywhere }}
h2 {{ margin: 2.2rem 0 .6rem; font-size: 1.05rem }}
dl {{ display: grid; grid-template-columns: repeat(3, 1fr); gap: .8rem 1rem; margin: 0 }}
dl > div, .cards > div {{ min-width: 0; overflow-wrap: anywhere }}
dt, .note, .cards span, footer {{ color: {QUIET}; font-size: 12px }} dd {{ margin: 0 }}
.cards {{ display: grid; grid-template-columns: repeat(3, 1fr); gap: .8rem; margin: 1.5rem 0 }}
.cards > div {{ background: {CARD}; padding: .8rem 1rem }}
.cards b {{ display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums }}
.two {{ display: grid; grid-template-columns: 1fr 1fr; gap: 2rem }}
@media (max-width: 48rem) {{ dl, .cards, .two {{ grid-template-columns: 1fr }} }}
svg {{ display: block; width: 100%; height: auto }}
.key i {{ display: inline-block; width: .7em; height: .7em; margin: 0 .35em 0 1em }}
.wide {{ overflow-x: auto }}
table {{ width: 100%; border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums }}
th {{ color: {QUIET}; font-weight: 400; text-align: right; border-bottom: 1px solid {FAINT} }}
th, td {{ padding: .3rem 0 .3rem 1rem; white-space: nowrap }}
td {{ text-align: right; border-bottom: 1px solid {LINE} }}
th:first-child, td:first-child {{ text-align: left; padding-left: 0; max-width: 22rem }}
td:first-child {{ overflow: hidden; text-overflow: ellipsis }}
tfoot td {{ font-weight: 700; border-top: 1px solid {FAINT}; border-bottom: 0 }}
em, .more {{ color: {QUIET} }} td u {{ display: inline-block; width: 5rem; text-align: left; text-decoration: none }}
td u + span {{ display: inline-block; min-width: 4rem }}
td u i {{ display: block; height: .6em; background: {MIDDLE} }}
footer {{ margin-top: 2.5rem; border-top: 1px solid {LINE}; padding-top: .6rem }}
"""


def render_html(report: Report) -> bytes:
    """The page, in UTF-8."""
    return "".join(_page(report)).encode()


class _Browser:
    """The reader's font is not known: widths are estimated, and every character has a glyph somewhere."""

    def width(self, text: str, size: float, face: Face = Face.PLAIN) -> float:
        return len(text) * 0.62 * size * POINT_MM

    def covers(self, character: str) -> bool:
        return True


_FONT = _Browser()


def _page(report: Report) -> Iterator[str]:
    head, zone = report.head, ZoneInfo(report.head.timezone)
    title = escape(visible(head.title, _FONT))
    yield f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    yield f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<dl>\n"
    for name, value in words.facts(head, zone):
        yield f"<div><dt>{name}</dt><dd>{escape(visible(value, _FONT))}</dd></div>\n"
    yield f'</dl>\n<p class="note">{escape(visible(words.coverage(head, zone), _FONT))}</p>\n<div class="cards">\n'
    for figure in words.figures(report.totals, report.before):
        yield f"<div><span>{figure.name}</span><b>{figure.value}</b><span>{figure.note}</span></div>\n"
    yield "</div>\n"
    wide, *narrow = contents.charts(report)
    yield from _chart(wide, _WIDE)
    yield '<div class="two">\n'
    for drawn in narrow:
        yield "<div>\n"
        yield from _chart(drawn, _HALF)
        yield "</div>\n"
    yield "</div>\n"
    for section in contents.sections(report, _FONT):
        yield f"<h2>{section.title}</h2>\n"
        if section.note:
            yield f'<p class="note">{section.note}</p>\n'
        yield from _table(section.table)
    yield f"<footer>{escape(visible(head.made_by, _FONT))} · as of {words.instant(head.as_of_us, zone)}</footer>\n"
    yield "</main>\n</body>\n</html>\n"


# ---------------------------------------------------------------- tables


def _table(table: Table) -> Iterator[str]:
    yield '<div class="wide"><table>\n<thead><tr>'
    yield "".join(f"<th>{escape(column.title)}</th>" for column in table.columns)
    yield "</tr></thead>\n<tbody>\n"
    for number in range(table.rows):
        yield f"<tr>{''.join(_cells(table.columns, number))}</tr>\n"
    yield "</tbody>\n"
    if table.totals:
        cells = (f"<td>{_cell(cell, is_number=bool(place))}</td>" for place, cell in enumerate(table.totals))
        yield f"<tfoot><tr>{''.join(cells)}</tr></tfoot>\n"
    yield "</table></div>\n"


def _cells(columns: Sequence[Column], number: int) -> Iterator[str]:
    for place, column in enumerate(columns):
        shown = _cell(column.cells[number], is_number=bool(place))
        if column.bars:
            part = column.bars[number]
            shown = f'<u><i style="width:{100 * (part or 0):.2f}%"></i></u><span>{shown}</span>'
        yield f"<td>{shown}</td>"


def _cell(cell: Cell, *, is_number: bool) -> str:
    text = escape(cell.text)
    if cell.is_said_by_us:
        text = f"<em>{text}</em>"
    elif not is_number:
        # Names may run from right to left; what stands beside them does not.
        text = f"<bdi>{text}</bdi>"
    if not cell.more:
        return text
    return f'{text}{"" if is_number else " "}<span class="more">{escape(cell.more)}</span>'


# ---------------------------------------------------------------- charts


def _chart(drawn: contents.Drawn, frame: Frame) -> Iterator[str]:
    key = "".join(f'<i style="background:{colour}"></i>{name}' for colour, name in drawn.key)
    yield f'<h2>{drawn.title}</h2>\n<p class="note key">{key}</p>\n'
    yield from _svg(drawn.chart, drawn.title, frame)


def _svg(chart: Chart, title: str, frame: Frame) -> Iterator[str]:
    box = f"0 0 {frame.width} {frame.height}"
    yield f'<svg viewBox="{box}" role="img" aria-label="{title}" xmlns="http://www.w3.org/2000/svg">'
    for mark in draw(chart, frame, _FONT):
        yield _shape(mark)
    yield "</svg>\n"


def _shape(mark: Mark) -> str:
    match mark:
        case Rectangle(x=x, y=y, width=width, height=height, colour=colour):
            return f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="{colour}"/>'
        case Line(points=points, colour=colour, width=width):
            path = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
            return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
        case Text(x=x, y=y, text=text, size=size, colour=colour, align=align):
            place = f'x="{x:.2f}" y="{y:.2f}" font-size="{size * POINT_MM:.2f}" text-anchor="{_ANCHORS[align]}"'
            return f'<text {place} fill="{colour}">{escape(text)}</text>'
        case _:
            return ""

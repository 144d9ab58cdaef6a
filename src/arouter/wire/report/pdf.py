"""The pages of a report as a PDF. Needs the extra `report`: fpdf2, and matplotlib for the font that comes with it.

The same report gives the same bytes: the document's date is the report's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution
from itertools import groupby

import fpdf
from fpdf.bidi import BidiParagraph
from fpdf.fonts import TTFFont

from arouter.domain.report import Report
from arouter.wire.report.layout import pages
from arouter.wire.report.marks import POINT_MM, Bookmark, Face, Line, Mark, Rectangle, Text

_FAMILY = "DejaVu"
_FILES = {Face.PLAIN: "DejaVuSans.ttf", Face.BOLD: "DejaVuSans-Bold.ttf", Face.ITALIC: "DejaVuSans-Oblique.ttf"}
_FOLDER = "matplotlib/mpl-data/fonts/ttf"
_HOME = distribution("matplotlib")
"""Its font files are used and nothing else: to import it would take longer than all the rest."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def render_pdf(report: Report, fonts: Sequence[str] = ()) -> bytes:
    """The document, with its fonts in it. `fonts` are files with letters that DejaVu Sans lacks, in their order."""
    document = fpdf.FPDF(unit="mm", format="A4")
    document.set_margin(0)
    document.set_auto_page_break(False)
    font = _Fonts(document, fonts)
    head = report.head
    document.set_creation_date(_EPOCH + timedelta(microseconds=head.as_of_us))
    document.set_title(head.title)
    document.set_creator(head.made_by)
    document.set_producer("ARouter")
    document.set_lang("en")
    for page in pages(report, font):
        document.add_page()
        for mark in page:
            _draw(document, font, mark)
    return bytes(document.output())


@dataclass(frozen=True, slots=True)
class _Cut:
    """A font as the document knows it."""

    family: str
    style: str
    font: TTFFont

    def covers(self, character: str) -> bool:
        return ord(character) in self.font.cmap

    def width(self, character: str) -> float:
        """In thousandths of the size."""
        # Not by `[]`: the table would grow.
        return self.font.cw.get(ord(character), self.font.desc.missing_width)


class _Fonts:
    """The document's own faces, and those that are asked when a letter is in none of them."""

    def __init__(self, document: fpdf.FPDF, others: Sequence[str]) -> None:
        self._document = document
        self._faces = {
            face: self._add(_FAMILY, face.value, str(_HOME.locate_file(f"{_FOLDER}/{name}")))
            for face, name in _FILES.items()
        }
        self._files = [*others]
        self._others: list[_Cut] = []

    def width(self, text: str, size: float, face: Face = Face.PLAIN) -> float:
        return sum(self._cut_of(one, face).width(one) for one in text) * size / 1000 * POINT_MM

    def covers(self, character: str) -> bool:
        if all(self._faces[face].covers(character) for face in (Face.PLAIN, Face.BOLD)):
            return True
        return self._other(character) is not None

    def runs(self, text: str, face: Face) -> Iterator[tuple[_Cut, str]]:
        """The text in pieces of one font each."""
        for cut, letters in groupby(text, lambda one: self._cut_of(one, face)):
            yield cut, "".join(letters)

    def _cut_of(self, character: str, face: Face) -> _Cut:
        own = self._faces[face]
        if own.covers(character):
            return own
        other = self._other(character)
        return own if other is None else other

    def _other(self, character: str) -> _Cut | None:
        for cut in self._others:
            if cut.covers(character):
                return cut
        # Fonts with every letter are large: each is read when the ones before it do not suffice.
        while self._files:
            name = self._files.pop(0)
            self._others.append(self._add(f"other{len(self._others)}", "", name))
            if self._others[-1].covers(character):
                return self._others[-1]
        return None

    def _add(self, family: str, style: str, file: str) -> _Cut:
        self._document.add_font(family, style, file)
        font = self._document.fonts[f"{family.lower()}{style}"]
        assert isinstance(font, TTFFont)
        return _Cut(family, style, font)


def _draw(document: fpdf.FPDF, font: _Fonts, mark: Mark) -> None:
    match mark:
        case Text():
            _text(document, font, mark)
        case Rectangle():
            document.set_fill_color(mark.colour)
            document.rect(mark.x, mark.y, mark.width, mark.height, style="F")
        case Line():
            document.set_draw_color(mark.colour)
            document.set_line_width(mark.width)
            document.polyline(mark.points)
        case Bookmark():
            document.set_y(mark.y)
            document.start_section(mark.title)


def _text(document: fpdf.FPDF, font: _Fonts, mark: Text) -> None:
    width = font.width(mark.text, mark.size, mark.face)
    x = mark.x - {"left": 0.0, "right": width, "middle": width / 2}[mark.align]
    document.set_text_color(mark.colour)
    for cut, text in font.runs(_in_order_of_sight(mark.text), mark.face):
        document.set_font(cut.family, cut.style, mark.size)
        document.text(x, mark.y, text)
        x += sum(map(cut.width, text)) * mark.size / 1000 * POINT_MM


def _in_order_of_sight(text: str) -> str:
    """Hebrew and Arabic run from right to left."""
    return text if text.isascii() else BidiParagraph(text=text).get_reordered_string()

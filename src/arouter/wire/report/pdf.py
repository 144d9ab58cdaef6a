"""The pages of a report as a PDF. Needs the extra `report`: fpdf2, and matplotlib for the font that comes with it.

The same report gives the same bytes: the document's date is the report's.
"""

from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution

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


def render_pdf(report: Report) -> bytes:
    """The document, with its fonts in it."""
    document = fpdf.FPDF(unit="mm", format="A4")
    document.set_margin(0)
    # Otherwise a user called `{nb}` would be shown as the number of pages.
    document.str_alias_nb_pages = ""
    document.set_auto_page_break(False)
    for face, name in _FILES.items():
        document.add_font(_FAMILY, face.value, str(_HOME.locate_file(f"{_FOLDER}/{name}")))
    font = _Font(document)
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


class _Font:
    """The metrics of the document's fonts."""

    def __init__(self, document: fpdf.FPDF) -> None:
        self._faces: dict[Face, TTFFont] = {}
        for face in Face:
            found = document.fonts[f"{_FAMILY.lower()}{face.value}"]
            assert isinstance(found, TTFFont)
            self._faces[face] = found

    def width(self, text: str, size: float, face: Face = Face.PLAIN) -> float:
        font = self._faces[face]
        widths, missing = font.cw, font.desc.missing_width
        return sum(widths.get(ord(one), missing) for one in text) * size / 1000 * POINT_MM

    def covers(self, character: str) -> bool:
        return all(ord(character) in self._faces[face].cmap for face in (Face.PLAIN, Face.BOLD))


def _draw(document: fpdf.FPDF, font: _Font, mark: Mark) -> None:
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


def _text(document: fpdf.FPDF, font: _Font, mark: Text) -> None:
    if not mark.text:
        return
    width = font.width(mark.text, mark.size, mark.face)
    x = mark.x - {"left": 0.0, "right": width, "middle": width / 2}[mark.align]
    document.set_font(_FAMILY, mark.face.value, mark.size)
    document.set_text_color(mark.colour)
    document.text(x, mark.y, _in_order_of_sight(mark.text))


def _in_order_of_sight(text: str) -> str:
    """Hebrew and Arabic run from right to left."""
    return text if text.isascii() else BidiParagraph(text=text).get_reordered_string()

"""The page of a report: the same figures, nothing from elsewhere, and names that cannot become markup."""

import re
from html.parser import HTMLParser

import pytest

from arouter.domain.money import in_line
from arouter.domain.report import Report
from arouter.wire.report import contents
from arouter.wire.report.html import render_html
from tests.wire.report_samples import sample
from tests.wire.test_report_layout import FONT, HOSTILE, REPORTS

VOID = {"meta", "rect", "polyline"}


class Reader(HTMLParser):
    """The tags of a page, which must be closed in their order, and its texts by the tag around them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.rows: list[list[str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & {*self.open}:
            self.rows[-1][-1] += data


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_every_report_is_one_sound_page(report: Report) -> None:
    page = Reader(render_html(report).decode())
    assert page.tags.count("svg") == 3
    assert page.tags.count("table") == len(contents.sections(report, FONT))
    assert {"script", "link", "img", "iframe", "form", "a", "object"} & {*page.tags} == set()
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("href", "src")]


def test_nothing_is_fetched() -> None:
    text = render_html(sample()).decode()
    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"] * 3
    assert "url(" not in text
    assert "@import" not in text


def test_its_tables_are_those_of_the_pdf() -> None:
    report = sample(days=40)
    page = Reader(render_html(report).decode())
    wanted = []
    for section in contents.sections(report, FONT):
        table = section.table
        wanted.append([column.title for column in table.columns])
        for number in range(table.rows):
            cells = [column.cells[number] for column in table.columns]
            first = " ".join(part for part in (cells[0].text, cells[0].more) if part)
            wanted.append([first, *(cell.text + cell.more for cell in cells[1:])])
        if table.totals:
            wanted.append([cell.text + cell.more for cell in table.totals])
    assert page.rows == wanted
    assert f"<b>${in_line([report.totals.cost])[0]}</b>" in render_html(report).decode()


def test_bars_are_as_long_as_the_shares() -> None:
    report = sample()
    page = Reader(render_html(report).decode())
    widths = [value for name, value in page.attributes if name == "style" and value and value.startswith("width:")]
    bars = [
        part
        for section in contents.sections(report, FONT)
        for column in section.table.columns
        for part in column.bars
        if part is not None
    ]
    assert widths == [f"width:{100 * part:.2f}%" for part in bars]
    assert bars


def test_names_are_texts_and_every_script_has_its_letters() -> None:
    evil = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&amp;", "a\u202eb"]
    report = sample(users=[*HOSTILE, *evil], limit=100, title="</title><script>", made_by="<b>")
    page = Reader(render_html(report).decode())
    names = {row[0] for row in page.rows if row}
    assert {*evil[:3], r"a\u202eb", "用户", "שלום", 'empty text ""', "no user"} <= names
    assert "script" not in page.tags


def test_the_same_report_is_the_same_page() -> None:
    assert render_html(sample()) == render_html(sample())

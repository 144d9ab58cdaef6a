"""The PDF holds what the pages say, as text that can be copied, and the same report is the same file."""

from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

import pytest

from arouter.domain.money import in_line
from arouter.domain.report import Report
from arouter.wire.report.pdf import render_pdf
from tests.pdf_text import lines, pieces
from tests.wire.report_samples import sample
from tests.wire.test_report_layout import HOSTILE, REPORTS

FONTS = Path(str(distribution("matplotlib").locate_file("matplotlib/mpl-data/fonts/ttf")))
MONO, LAST = FONTS / "DejaVuSansMono.ttf", FONTS / "LastResortHE-Regular.ttf"
"""One with a few letters more, and one with a picture for every letter there is."""


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_every_report_is_a_pdf(report: Report) -> None:
    content = render_pdf(report)
    assert content.startswith(b"%PDF-1.")
    assert content.rstrip().endswith(b"%%EOF")
    assert len(content) < 200_000


def test_totals_can_be_copied_to_the_last_digit() -> None:
    report = sample(days=5)
    told = lines(render_pdf(report))
    joined = [line.replace("|", "") for line in told]
    totals, cost = report.totals, in_line([report.totals.cost])[0]
    assert any(f"${cost}" in line for line in joined)
    for name in ("User", "Model", "Key", "Creator", "Status", "Day"):
        head = next(place for place, line in enumerate(told) if line.startswith(f"{name}|"))
        total = next(line for line in told[head:] if line.startswith("Total|"))
        assert total.startswith(f"Total|{totals.requests:,}|{totals.errors:,}|{totals.total_tokens:,}|")
        assert total.replace("|", "").endswith(cost)
    for row in report.users.rows[:2]:
        assert any(f"{row.value}|{row.totals.requests:,}|" in line for line in told)


def test_names_in_many_scripts_are_there_and_what_has_no_glyph_is_told() -> None:
    report = sample(users=[*HOSTILE, "👩\u200d🔬", "Ωmega", "Юлия"], limit=100)
    texts = {piece.text for piece in pieces(render_pdf(report))}
    assert {"Zoë", "Ελένη", "Юлия", "Ωmega", "{nb}", "<script>", r"\u202eevil", r"\u7528\u6237"} <= texts
    assert r"\U0001f469\u200d\U0001f52c" in texts
    assert "שלום"[::-1] in texts, "Hebrew is drawn from right to left"


def test_letters_that_are_in_another_font_are_written_with_it() -> None:
    report = sample(users=["a⌓b⌔", "用户", "Zoë"], limit=100)
    assert r"a\u2313b\u2314" in {piece.text for piece in pieces(render_pdf(report))}
    content = render_pdf(report, fonts=[str(MONO), str(LAST)])
    told = ["".join(line.split("|")[:4]) for line in lines(content)]
    assert any(line.startswith("a⌓b⌔") for line in told)
    texts = [piece.text for piece in pieces(content)]
    assert {"Zoë", "⌓", "⌔", "用户"} <= {*texts}
    assert r"\u7528\u6237" not in texts
    place = next(one for one in pieces(content) if one.text == "⌓")
    before = next(one for one in pieces(content) if one.text == "a" and one.y == place.y)
    after = next(one for one in pieces(content) if one.text == "b" and one.y == place.y)
    assert before.x < place.x < after.x


def test_a_font_that_nobody_needs_is_not_read() -> None:
    assert render_pdf(sample(users=["Zoë"]), fonts=["absent.ttf"]) == render_pdf(sample(users=["Zoë"]))


def test_the_same_report_is_the_same_file() -> None:
    assert render_pdf(sample()) == render_pdf(sample())
    other = replace(sample(), head=replace(sample().head, as_of_us=sample().head.as_of_us + 1_000_000))
    assert render_pdf(other) != render_pdf(sample())


def test_its_date_and_title_are_the_reports() -> None:
    content = render_pdf(sample(title="Acme (2026)"))
    assert b"/CreationDate (D:20271102083012Z" in content
    assert rb"/Title (Acme \(2026\))" in content


def test_it_asks_the_reader_for_nothing() -> None:
    """No scripts, no links, no forms, no files within it."""
    content = render_pdf(sample(users=HOSTILE))
    assert b"/Outlines" in content, "what the document is made of is not compressed"
    for word in (b"/JavaScript", b"/URI", b"/Launch", b"/AcroForm", b"/EmbeddedFile", b"/SubmitForm"):
        assert word not in content

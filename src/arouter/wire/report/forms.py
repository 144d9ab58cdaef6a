"""The forms that a report is written in. The PDF's renderer needs an extra and is loaded when it is asked for."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from types import MappingProxyType

from arouter.domain.errors import NotInstalled
from arouter.domain.report import Report
from arouter.wire.report.answer import encode_report
from arouter.wire.report.html import render_html

FORMS: Mapping[str, str] = MappingProxyType({"pdf": "application/pdf", "html": "text/html", "json": "application/json"})
"""By name, with their media types."""

_PDF = "arouter.wire.report.pdf"


def renderer(form: str, fonts: Sequence[str] = ()) -> Callable[[Report], bytes]:
    """What writes a report in one of `FORMS`. NotInstalled where a library for it is missing.

    `fonts` are files with letters for the PDF that its own font lacks.

    Loading the libraries takes some tenths of a second, and some tens of megabytes for good.
    """
    if form == "json":
        return encode_report
    if form == "html":
        return render_html
    try:
        module = import_module(_PDF)
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("arouter"):
            raise
        raise NotInstalled(
            "A report as a PDF needs libraries that are not installed here: `pip install 'arouter[report]'`. "
            "`format=html` and `format=json` have the same figures.",
            param="format",
        ) from exc
    return partial(module.render_pdf, fonts=fonts)

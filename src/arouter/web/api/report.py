"""`GET /v1/activity/report`: what was used in a range, as a document to keep or to send.

One report at a time is read and written, in threads, so that however many are asked for, requests beside them go on
and memory stays bounded.
"""

import asyncio

from fastapi import Request, Response

from arouter import __version__
from arouter.domain.keys import Key
from arouter.domain.report import DEFAULT_LIMIT, MOST_LIMIT, Report
from arouter.domain.visibility import visible_to
from arouter.engine.reporting import Asked, read_report
from arouter.web.api.accept import preferred
from arouter.web.api.endpoint import JSON, Endpoint
from arouter.web.api.filters import FILTERS, read_filters
from arouter.web.api.parameters import Parameter, Parameters, invalid
from arouter.web.api.ranges import read_zone
from arouter.web.api.services import ApiServices
from arouter.wire.report.answer import ReportAnswer
from arouter.wire.report.forms import FORMS, renderer

DEFAULT_TITLE = "Activity report"
LONGEST_TITLE = 200

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""A page within the gateway's own origin: it can do nothing."""

PARAMETERS = (
    *FILTERS,
    Parameter(
        name="timezone",
        schema={"type": "string", "default": "UTC"},
        description="An IANA name: where days and months begin, and where a `start` or `end` without an offset is "
        "meant.",
    ),
    Parameter(
        name="title",
        schema={"type": "string", "default": DEFAULT_TITLE},
        description=f"What stands above it, up to {LONGEST_TITLE} characters.",
    ),
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
        description="How many users, models, keys and creators are listed; the others are added up in one row.",
    ),
    Parameter(
        name="format",
        schema={"type": "string", "enum": list(FORMS), "default": "pdf"},
        description="Also by the `Accept` header.",
    ),
)


class ReportApi:
    """Writes reports for a key, on what the key may see."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._turn = asyncio.Lock()

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/activity/report",
                handler=self.report,
                operation_id="reportActivity",
                summary="A PDF of spend, tokens and requests over time and by user, model, key and creator",
                tag="Activity",
                parameters=PARAMETERS,
                answers={media_type: ReportAnswer if media_type == JSON else None for media_type in FORMS.values()},
                errors=(400, 401, 501),
            ),
        )

    async def report(self, request: Request) -> Response:
        """The figures are those of the summary over the same range and filters, to the last digit."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        parameters = Parameters(request.scope["query_string"], PARAMETERS)
        form = _read_form(request, parameters)
        asked = _read_asked(parameters, key)
        headers = {"Cache-Control": "no-store"}
        if request.method == "HEAD":
            return Response(media_type=FORMS[form], headers=headers)
        async with self._turn:
            write = await asyncio.to_thread(renderer, form, self._services.report_fonts)
            report = await self._read(asked)
            content = await asyncio.to_thread(write, report)
        if form == "html":
            headers |= PAGE_HEADERS
        if form != "json":
            headers["Content-Disposition"] = f'inline; filename="{file_name(report)}.{form}"'
        return Response(content, media_type=FORMS[form], headers=headers)

    async def _read(self, asked: Asked) -> Report:
        services = self._services
        try:
            return await read_report(services.directory, services.ledger, asked, now_us=services.now_us())
        except ValueError as exc:
            raise invalid("end", str(exc)) from exc


def file_name(report: Report) -> str:
    """With the first day of the report and without an ending: `activity-2026-10-01`."""
    periods = report.months if report.days is None else report.days
    return f"activity-{periods[0].start[:10]}" if periods else "activity"


def _read_form(request: Request, parameters: Parameters) -> str:
    chosen = parameters.choice("format", tuple(FORMS))
    if chosen is None:
        chosen = preferred(request.headers.getlist("accept"), {media_type: form for form, media_type in FORMS.items()})
    return "pdf" if chosen is None else chosen


def _read_asked(parameters: Parameters, key: Key) -> Asked:
    zone_name, zone = read_zone(parameters)
    title = parameters.one("title")
    if title is not None and len(title) > LONGEST_TITLE:
        raise invalid("title", f"has more than {LONGEST_TITLE} characters")
    limit = parameters.whole("limit", least=1, most=MOST_LIMIT)
    return Asked(
        title=title or DEFAULT_TITLE,
        scope=visible_to(key),
        filters=read_filters(parameters, zone),
        timezone=zone_name,
        limit=DEFAULT_LIMIT if limit is None else limit,
        made_by=f"ARouter {__version__} for the key {key.name or key.label}",
    )

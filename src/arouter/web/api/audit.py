"""`GET /v1/audit`: who changed what in the organization."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from arouter.domain.audit import AuditAction, AuditEntry, AuditQuery
from arouter.domain.roles import Action
from arouter.web.api.accept import wanted_format
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.parameters import Parameter, Parameters, invalid
from arouter.web.api.services import ApiServices
from arouter.wire.audit_json import (
    AuditPage,
    encode_audit_header,
    encode_audit_lines,
    encode_audit_page,
    encode_audit_rows,
)

DEFAULT_LIMIT, MOST_LIMIT = 100, 1000
EXPORT_PAGE = 200
FORMATS = ("json", "ndjson", "csv")
ORDERS = ("desc", "asc")
ACTIONS = tuple(action.value for action in AuditAction)
_MOST_DIGITS = 18
_INSTANT = "RFC 3339, a date, or Unix seconds with or without decimals; UTC where no offset is given."

PARAMETERS = (
    Parameter(
        name="actor",
        repeatable=True,
        description="Who: the hash of a management key, the id of a member, or `operator`. Repeatable.",
    ),
    Parameter(
        name="action",
        repeatable=True,
        schema={"type": "string", "enum": list(ACTIONS)},
        description="What was done. Repeatable.",
    ),
    Parameter(name="target", repeatable=True, description="The id or hash of what was changed. Repeatable."),
    Parameter(name="start", description=f"Made at or after. {_INSTANT}"),
    Parameter(name="end", description=f"Made before: the range is half-open. {_INSTANT}"),
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
        description="How many entries at most. An NDJSON or CSV answer holds every match unless this is given.",
    ),
    Parameter(name="cursor", description="`next_cursor` of the page before. Keep the other parameters as they were."),
    Parameter(
        name="order",
        schema={"type": "string", "enum": list(ORDERS), "default": "desc"},
        description="`desc` is newest first.",
    ),
    Parameter(
        name="format",
        schema={"type": "string", "enum": list(FORMATS), "default": "json"},
        description="Also by the `Accept` header. NDJSON and CSV stream.",
    ),
)


class AuditApi:
    """Reads the log of the own organization."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/audit",
                handler=self.entries,
                operation_id="listAudit",
                summary="Every change that was made in the organization, newest first",
                tag="Audit",
                parameters=PARAMETERS,
                answers={JSON: AuditPage, "application/x-ndjson": None, "text/csv": None},
                errors=(400, 401, 403),
            ),
        )

    async def entries(self, request: Request) -> Response:
        """Entries are numbered from 1 without a gap; each one's hash covers the one before."""
        manager = await self._services.manager(request, Action.READ_AUDIT)
        parameters = Parameters(request.scope["query_string"], PARAMETERS)
        form = wanted_format(request, parameters, FORMATS)
        limit = parameters.whole("limit", least=1, most=MOST_LIMIT)
        query = _read_query(parameters, manager.organization_id)
        if form == "json":
            size = DEFAULT_LIMIT if limit is None else limit
            found = await self._services.directory.audit_page(replace(query, limit=size + 1))
            page = found[:size]
            return answer_json(encode_audit_page(page, str(page[-1].no) if len(found) > size else None))
        if form == "csv":
            return await self._stream(request, query, limit, encode_audit_rows, encode_audit_header(), "text/csv")
        return await self._stream(request, query, limit, encode_audit_lines, b"", "application/x-ndjson")

    async def _stream(
        self,
        request: Request,
        query: AuditQuery,
        limit: int | None,
        encode: Callable[[Sequence[AuditEntry]], bytes],
        header: bytes,
        media_type: str,
    ) -> Response:
        first = await self._page(query, limit)
        headers = {"Cache-Control": "no-store"}
        shown_type = f"{media_type}; header=present" if header else media_type
        if request.method == "HEAD":
            return Response(media_type=shown_type, headers=headers)

        async def content() -> AsyncIterator[bytes]:
            yield header
            page, left = first, limit
            while page:
                yield encode(page)
                left = None if left is None else left - len(page)
                if left == 0:
                    return
                page = await self._page(replace(query, after_no=page[-1].no), left)

        return StreamingResponse(content(), media_type=shown_type, headers=headers)

    async def _page(self, query: AuditQuery, left: int | None) -> Sequence[AuditEntry]:
        size = EXPORT_PAGE if left is None else min(left, EXPORT_PAGE)
        return await self._services.directory.audit_page(replace(query, limit=size))


def _read_query(parameters: Parameters, organization_id: str) -> AuditQuery:
    start_us, end_us = parameters.instant("start"), parameters.instant("end")
    if start_us is not None and end_us is not None and end_us < start_us:
        raise invalid("end", "lies before `start`")
    return AuditQuery(
        organization_id=organization_id,
        actors=parameters.every("actor"),
        actions=parameters.choices("action", ACTIONS),
        targets=parameters.every("target"),
        start_us=start_us,
        end_us=end_us,
        after_no=_read_cursor(parameters.one("cursor")),
        descending=parameters.choice("order", ORDERS) != "asc",
    )


def _read_cursor(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise invalid("cursor", "is not a cursor; send `next_cursor` as it came")
    return int(text)

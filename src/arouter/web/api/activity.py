"""`GET /v1/activity` and `GET /v1/generation`: the records themselves.

JSON is a page with a cursor. NDJSON and CSV are every match, read and sent a page at a time: the memory they need
does not grow with the ledger. An export ends with the records that began before it did, so that one in ascending
order comes to its end however fast new records arrive.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from arouter.domain.activity import ActivityQuery, ActivityRow, Cursor, Filters, Page
from arouter.domain.errors import InvalidRequest, NotFound
from arouter.domain.visibility import is_visible, visible_to
from arouter.web.api.accept import wanted_format
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.filters import FILTERS, read_filters
from arouter.web.api.parameters import Parameter, Parameters, invalid
from arouter.web.api.services import ApiServices
from arouter.wire.activity_csv import encode_header, encode_rows
from arouter.wire.activity_json import ActivityPage, encode_lines, encode_page
from arouter.wire.generation_json import GenerationAnswer, encode_generation

DEFAULT_LIMIT, MOST_LIMIT = 100, 1000
EXPORT_PAGE = 200
"""Records are encoded on the event loop: a page of an export must not hold up the requests beside it."""

FORMATS = ("json", "ndjson", "csv")
ORDERS = ("desc", "asc")
NDJSON, CSV = "application/x-ndjson", "text/csv"

PARAMETERS = (
    *FILTERS,
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
        description="How many records at most. An NDJSON or CSV answer holds every match unless this is given.",
    ),
    Parameter(name="cursor", description="`next_cursor` of the page before. Keep the other parameters as they were."),
    Parameter(
        name="order",
        schema={"type": "string", "enum": list(ORDERS), "default": "desc"},
        description="By time: `desc` is newest first.",
    ),
    Parameter(
        name="format",
        schema={"type": "string", "enum": list(FORMATS), "default": "json"},
        description="Also by the `Accept` header. NDJSON and CSV stream.",
    ),
)
GENERATION_PARAMETERS = (Parameter(name="id", required=True, description="The record's id: `gen-…`."),)


class ActivityApi:
    """Reads the ledger for a key, as far as the key may see."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/activity",
                handler=self.records,
                operation_id="listActivity",
                summary="One record per request, newest first",
                tag="Activity",
                parameters=PARAMETERS,
                answers={JSON: ActivityPage, NDJSON: None, CSV: None},
                errors=(400, 401),
            ),
            Endpoint(
                method="GET",
                path="/generation",
                handler=self.generation,
                operation_id="getGeneration",
                summary="One record in OpenRouter's shape",
                tag="Activity",
                parameters=GENERATION_PARAMETERS,
                answers={JSON: GenerationAnswer},
                errors=(400, 401, 404),
            ),
        )

    async def records(self, request: Request) -> Response:
        """A key sees its own records, or what its `activity_scope` says; a management key its organization's."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        parameters = Parameters(request.scope["query_string"], PARAMETERS)
        form = wanted_format(request, parameters, FORMATS)
        limit = parameters.whole("limit", least=1, most=MOST_LIMIT)
        query = ActivityQuery(
            scope=visible_to(key),
            filters=read_filters(parameters),
            descending=parameters.choice("order", ORDERS) != "asc",
            limit=DEFAULT_LIMIT if limit is None else limit,
            after=_read_cursor(parameters.one("cursor")),
        )
        if form == "json":
            page = await self._services.ledger.page(query)
            return answer_json(encode_page(page.rows, page.next_cursor))
        query = replace(query, filters=_begun(query.filters, self._services.now_us()))
        empty = request.method == "HEAD"
        if form == "csv":
            return await self._stream(query, limit, encode_rows, encode_header(), f"{CSV}; header=present", empty=empty)
        return await self._stream(query, limit, encode_lines, b"", NDJSON, empty=empty)

    async def generation(self, request: Request) -> Response:
        """The record that the response header `X-Generation-Id` names."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        record_id = Parameters(request.scope["query_string"], GENERATION_PARAMETERS).one("id")
        if record_id is None:
            raise InvalidRequest("`id` is required.", code="missing_required_parameter", param="id")
        row = await self._services.ledger.get(key.organization_id, record_id)
        if row is None or not is_visible(row.record.opening, visible_to(key), row.creator):
            raise NotFound("There is no such generation, or this key may not see it.", param="id")
        return answer_json(encode_generation(row))

    async def _stream(
        self,
        query: ActivityQuery,
        limit: int | None,
        encode: Callable[[Sequence[ActivityRow]], bytes],
        header: bytes,
        media_type: str,
        *,
        empty: bool,
    ) -> Response:
        # The first page is read before the answer begins, while a failure can still have its own status.
        first = await self._services.ledger.page(_next_of_export(query, limit))
        headers = {"Cache-Control": "no-store"}
        if empty:
            return Response(media_type=media_type, headers=headers)
        pages = self._pages(query, first, limit)
        return StreamingResponse(_encoded(pages, encode, header), media_type=media_type, headers=headers)

    async def _pages(self, query: ActivityQuery, first: Page, limit: int | None) -> AsyncIterator[Page]:
        page, left = first, limit
        yield page
        while page.next_cursor is not None:
            if left is not None:
                left -= len(page.rows)
                if left <= 0:
                    return
            page = await self._services.ledger.page(replace(_next_of_export(query, left), after=page.next_cursor))
            yield page


def _next_of_export(query: ActivityQuery, left: int | None) -> ActivityQuery:
    """The query of a page when `left` records are wanted yet; None for all."""
    return replace(query, limit=EXPORT_PAGE if left is None else min(left, EXPORT_PAGE))


async def _encoded(
    pages: AsyncIterator[Page], encode: Callable[[Sequence[ActivityRow]], bytes], header: bytes
) -> AsyncIterator[bytes]:
    if header:
        yield header
    async for page in pages:
        if page.rows:
            yield encode(page.rows)


def _read_cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        return Cursor.from_text(text)
    except ValueError as exc:
        raise invalid("cursor", "is not a cursor; send `next_cursor` as it came") from exc


def _begun(filters: Filters, now_us: int) -> Filters:
    """Only what had begun by now."""
    if filters.end_us is not None and filters.end_us <= now_us:
        return filters
    return replace(filters, end_us=now_us + 1)

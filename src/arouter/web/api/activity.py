"""`GET /v1/activity` and `GET /v1/generation`: the records themselves.

JSON is a page with a cursor; every other form is an export: `arouter.web.api.exports`.
"""

from dataclasses import replace

from fastapi import Request, Response

from arouter.domain.activity import ActivityQuery, Cursor
from arouter.domain.errors import InvalidRequest, NotFound
from arouter.domain.visibility import is_visible, visible_to
from arouter.web.api.accept import wanted_format
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.exports import CSV, FORMATS, NDJSON, PARQUET, Exports
from arouter.web.api.filters import FILTERS, read_filters
from arouter.web.api.parameters import Parameter, Parameters, invalid
from arouter.web.api.services import ApiServices
from arouter.wire.activity_json import ActivityPage, encode_page
from arouter.wire.generation_json import GenerationAnswer, encode_generation
from arouter.wire.instants import read_instant

DEFAULT_LIMIT, MOST_LIMIT = 100, 1000
ORDERS = ("desc", "asc")

PARAMETERS = (
    *FILTERS,
    Parameter(
        name="until",
        description="Written at or before: what is recorded later is left out. RFC 3339, a date, or Unix seconds. "
        "Exports have it by themselves, and say it in `X-Until`; repeat it to have the rest of the same records.",
    ),
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
        description="How many records at most. An export holds every match unless this is given.",
    ),
    Parameter(
        name="cursor",
        description="`next_cursor` of the page before, or `X-Next-Cursor`; or `created_at` and `id` of the last record "
        "that was read, with a comma between. Keep the other parameters as they were.",
    ),
    Parameter(
        name="order",
        schema={"type": "string", "enum": list(ORDERS), "default": "desc"},
        description="By time: `desc` is newest first.",
    ),
    Parameter(
        name="format",
        schema={"type": "string", "enum": list(FORMATS), "default": "json"},
        description="Also by the `Accept` header, but for `focus`. All but JSON stream.",
    ),
)
GENERATION_PARAMETERS = (Parameter(name="id", required=True, description="The record's id: `gen-…`."),)


class ActivityApi:
    """Reads the ledger for a key, as far as the key may see."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._exports = Exports(services)

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
                answers={JSON: ActivityPage, NDJSON: None, CSV: None, PARQUET: None},
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
        until_us = parameters.instant("until")
        filters = read_filters(parameters)
        query = ActivityQuery(
            scope=visible_to(key),
            filters=replace(filters, written_until_us=until_us),
            descending=parameters.choice("order", ORDERS) != "asc",
            limit=DEFAULT_LIMIT if limit is None else limit,
            after=_read_cursor(parameters.one("cursor")),
        )
        if form != "json":
            if form == "focus":
                _refuse_for_sums(parameters)
            return await self._exports.answer(request, query, form, limited=limit is not None)
        page = await self._services.ledger.page(query)
        return answer_json(encode_page(page.rows, page.next_cursor))

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


def _refuse_for_sums(parameters: Parameters) -> None:
    """What a table of days cannot be cut or turned by."""
    for name in ("limit", "cursor", "order"):
        if parameters.one(name) is not None:
            raise InvalidRequest(
                f"`{name}` does not go with `format=focus`, which adds records up; choose them with `start` and `end`.",
                code="invalid_parameter",
                param=name,
            )


def _read_cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    created_at, comma, record_id = text.partition(",")
    try:
        return Cursor(read_instant(created_at), record_id) if comma else Cursor.from_text(text)
    except ValueError as exc:
        raise invalid(
            "cursor", "is not a cursor; send `next_cursor` as it came, or a record's `created_at` and `id` with a comma"
        ) from exc

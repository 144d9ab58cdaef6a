"""`GET /v1/activity/summary`: exact sums by up to three dimensions."""

from dataclasses import replace

from fastapi import Request, Response

from arouter.domain.visibility import visible_to
from arouter.web.api.accept import wanted_format
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.leaving import ClientGone, while_connected
from arouter.web.api.parameters import Parameters
from arouter.web.api.services import ApiServices
from arouter.web.api.summary_query import (
    FORMATS,
    PARAMETERS,
    answer,
    read_summary_query,
    shown_metrics,
    wants_comparison,
)
from arouter.wire.summary import SummaryAnswer, encode_summary, encode_summary_csv

CLIENT_GONE = 499
"""Nobody sees it."""


class SummaryApi:
    """Adds the ledger up for a key, as far as the key may see."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/activity/summary",
                handler=self.summary,
                operation_id="summarizeActivity",
                summary="Requests, tokens, cost and users by user, model, key, day and more",
                tag="Activity",
                parameters=PARAMETERS,
                answers={JSON: SummaryAnswer, "text/csv": None},
                errors=(400, 401, 429),
            ),
        )

    async def summary(self, request: Request) -> Response:
        """Every figure is a sum over the same records that `/v1/activity` lists."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        parameters = Parameters(request.scope["query_string"], PARAMETERS)
        form = wanted_format(request, parameters, FORMATS)
        query = replace(read_summary_query(parameters, visible_to(key)), bounds=self._services.summary_bounds)
        is_compared = wants_comparison(parameters)
        answering = answer(self._services.ledger, query, is_compared=is_compared, now_us=self._services.now_us())
        try:
            summary, before = await while_connected(request, answering)
        except ClientGone:
            return Response(status_code=CLIENT_GONE)
        metrics = shown_metrics(query)
        if form == "csv":
            content = encode_summary_csv(summary, query.group_by, metrics, before)
            return Response(content, media_type="text/csv; header=present", headers={"Cache-Control": "no-store"})
        return answer_json(encode_summary(summary, query.group_by, metrics, before))

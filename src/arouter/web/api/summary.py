"""`GET /v1/activity/summary`: exact sums by up to three dimensions."""

from collections.abc import Sequence
from dataclasses import replace

from fastapi import Request, Response

from arouter.domain.activity import (
    METRICS,
    MOST_DIMENSIONS,
    SUMMED_METRICS,
    Dimension,
    Order,
    Scope,
    Summary,
    SummaryQuery,
)
from arouter.domain.errors import InvalidRequest
from arouter.domain.ranking import default_order
from arouter.domain.visibility import visible_to
from arouter.engine.comparison import Comparison, compare
from arouter.store.base import Ledger
from arouter.web.api.accept import wanted_format
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.filters import FILTERS, read_filters
from arouter.web.api.leaving import ClientGone, while_connected
from arouter.web.api.parameters import Parameter, Parameters, invalid
from arouter.web.api.ranges import read_zone
from arouter.web.api.services import ApiServices
from arouter.wire.nearest import unknown
from arouter.wire.summary import SummaryAnswer, encode_summary, encode_summary_csv, whole

DEFAULT_LIMIT, MOST_LIMIT = 1000, 10_000
FORMATS = ("json", "csv")
ORDERS = ("desc", "asc")
PREVIOUS = "previous"
CLIENT_GONE = 499
"""Nobody sees it."""
DIMENSIONS = tuple(dimension.value for dimension in Dimension)

PARAMETERS = (
    Parameter(
        name="group_by",
        repeatable=True,
        schema={"type": "string", "enum": list(DIMENSIONS)},
        description=f"Up to {MOST_DIMENSIONS}, repeated or separated by commas. Without it, one row of everything. "
        "`tag`: a record with two tags counts under both, one without any under null.",
    ),
    Parameter(
        name="metrics",
        repeatable=True,
        schema={"type": "string", "enum": list(METRICS)},
        description="What to tell, repeated or separated by commas. Default: all but the percentiles of the latency, "
        "which need every single record. Without `users` a summary is faster.",
    ),
    *FILTERS,
    Parameter(
        name="timezone",
        schema={"type": "string", "default": "UTC"},
        description="An IANA name: where hours, days, weeks and months begin, and where a `start` or `end` without an "
        "offset is meant.",
    ),
    Parameter(
        name="order_by",
        schema={"type": "string", "enum": [*METRICS, *DIMENSIONS]},
        description="A metric or one of the dimensions grouped by. Default: `cost`, or the time where one leads.",
    ),
    Parameter(
        name="order",
        schema={"type": "string", "enum": list(ORDERS)},
        description="Default: `desc` for a metric, `asc` for a dimension.",
    ),
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
        description="How many groups at most; the others are added up in `other`, and `totals` are over everything.",
    ),
    Parameter(
        name="compare",
        schema={"type": "string", "enum": [PREVIOUS]},
        description="With the range before, of equal length (in the time zone, for whole days and months): each row "
        "and `totals` get `previous` and `difference`. Needs `start`; `end` is now unless it is given.",
    ),
    Parameter(
        name="format",
        schema={"type": "string", "enum": list(FORMATS), "default": "json"},
        description="Also by the `Accept` header.",
    ),
)


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


async def answer(
    ledger: Ledger, query: SummaryQuery, *, is_compared: bool, now_us: int
) -> tuple[Summary, Comparison | None]:
    """The summary, and the range before if it is compared."""
    summary = await ledger.summary(query)
    before = await compare(ledger, query, summary, now_us=now_us) if is_compared else None
    return summary if query.group_by else whole(summary), before


def wants_comparison(parameters: Parameters) -> bool:
    return parameters.choice("compare", (PREVIOUS,)) is not None


def read_summary_query(parameters: Parameters, scope: Scope) -> SummaryQuery:
    """What is asked for. InvalidRequest names what does not fit."""
    group_by = _read_group_by(parameters.every("group_by"))
    metrics = _read_metrics(parameters.every("metrics"))
    limit = parameters.whole("limit", least=1, most=MOST_LIMIT)
    zone_name, zone = read_zone(parameters)
    return SummaryQuery(
        scope=scope,
        filters=read_filters(parameters, zone),
        group_by=group_by,
        timezone=zone_name,
        metrics=metrics,
        order=_read_order(parameters, group_by),
        limit=DEFAULT_LIMIT if limit is None else limit,
    )


def shown_metrics(query: SummaryQuery) -> Sequence[str]:
    """In their own order."""
    return tuple(name for name in METRICS if name in query.metrics)


def _read_metrics(values: Sequence[str]) -> frozenset[str]:
    names = [name.strip() for value in values for name in value.split(",")]
    for name in names:
        if name not in METRICS:
            raise InvalidRequest(unknown("metric", name, METRICS), code="invalid_parameter", param="metrics")
    return frozenset(names or SUMMED_METRICS)


def _read_group_by(values: Sequence[str]) -> tuple[Dimension, ...]:
    names = [name.strip() for value in values for name in value.split(",")]
    for name in names:
        if name not in DIMENSIONS:
            raise InvalidRequest(unknown("dimension", name, DIMENSIONS), code="invalid_parameter", param="group_by")
    if len(set(names)) < len(names):
        raise invalid("group_by", "names a dimension twice")
    if len(names) > MOST_DIMENSIONS:
        raise invalid("group_by", f"takes at most {MOST_DIMENSIONS} dimensions")
    return tuple(Dimension(name) for name in names)


def _read_order(parameters: Parameters, group_by: Sequence[Dimension]) -> Order:
    direction = parameters.choice("order", ORDERS)
    by = parameters.choice("order_by", (*METRICS, *(dimension.value for dimension in group_by)))
    order = default_order(group_by) if by is None else Order(by=by, descending=by in METRICS)
    return order if direction is None else Order(by=order.by, descending=direction == "desc")

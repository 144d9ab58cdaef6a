"""`GET /v1/activity/users`: who uses most in a range, beside the range before it."""

from typing import Literal, cast

import msgspec
from fastapi import Request, Response

from arouter.domain.high_usage import MEASURES
from arouter.domain.visibility import visible_to
from arouter.web.api.accept import wanted_format
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.filters import FILTERS, read_filters
from arouter.web.api.high_users import HighUsageQuery, read_high_usage
from arouter.web.api.parameters import Parameter, Parameters
from arouter.web.api.ranges import RANGE, read_zone, whole_range
from arouter.web.api.services import ApiServices
from arouter.wire.high_usage import HighUsageAnswer, encode_high_usage_csv, high_usage_answer

DEFAULT_LIMIT, MOST_LIMIT = 100, 1000
FORMATS = ("json", "csv")
_IN_RANGE = frozenset(parameter.name for parameter in RANGE)

PARAMETERS = (
    *(parameter for parameter in FILTERS if parameter.name not in _IN_RANGE),
    *RANGE,
    Parameter(
        name="order_by",
        schema={"type": "string", "enum": list(MEASURES), "default": "cost"},
        description="What users are ranked by, and what `share`, `previous`, `change` and `ratio` are of.",
    ),
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
        description="How many users at most; the others are added up in `other`.",
    ),
    Parameter(
        name="format",
        schema={"type": "string", "enum": list(FORMATS), "default": "json"},
        description="Also by the `Accept` header.",
    ),
)


class HighUsageApi:
    """Ranks users for a key, as far as the key may see."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/activity/users",
                handler=self.users,
                operation_id="listHighUsage",
                summary="Users by cost, tokens or requests, beside the range before",
                tag="Users",
                parameters=PARAMETERS,
                answers={JSON: HighUsageAnswer, "text/csv": None},
                errors=(400, 401),
            ),
        )

    async def users(self, request: Request) -> Response:
        """The figures are those of `/v1/activity/summary?group_by=user` in both ranges."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        parameters = Parameters(request.scope["query_string"], PARAMETERS)
        form = wanted_format(request, parameters, FORMATS)
        order_by = cast(Literal["cost", "tokens", "requests"], parameters.choice("order_by", tuple(MEASURES)) or "cost")
        limit = parameters.whole("limit", least=1, most=MOST_LIMIT)
        _, zone = read_zone(parameters)
        filters = read_filters(parameters, zone)
        now_us = self._services.now_us()
        wanted = whole_range(filters.start_us, filters.end_us, now_us=now_us)
        query = HighUsageQuery(
            scope=visible_to(key),
            filters=filters,
            wanted=wanted,
            order_by=order_by,
            limit=DEFAULT_LIMIT if limit is None else limit,
        )
        found = await read_high_usage(self._services.ledger, query)
        if form == "csv":
            content = encode_high_usage_csv(found, order_by)
            return Response(content, media_type="text/csv; header=present", headers={"Cache-Control": "no-store"})
        return answer_json(
            msgspec.json.encode(
                high_usage_answer(
                    found,
                    order_by,
                    range_us=(wanted.start_us, wanted.end_us),
                    before_us=(wanted.before.start_us, wanted.before.end_us),
                    as_of_us=now_us if found.as_of_us is None else min(now_us, found.as_of_us),
                )
            )
        )

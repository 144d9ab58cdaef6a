"""`GET /v1/organization/usage/…` and `GET /v1/organization/costs`: the ledger's sums in OpenAI's shapes.

1. Buckets are minutes, hours or days in UTC; the first begins at `start_time`, the last ends at `end_time`, and each
   says exactly what it counts. Those of the future are left out.
2. A request belongs to one of the three usage reports; the costs are of all of them.
3. `project_id` is a workspace, `api_key_id` a key's hash, `user_id` the member who made the key, `line_item` a model.
   `user`, which OpenAI's API lacks, is the end user.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fastapi import Request, Response

from arouter.domain.activity import ActivityQuery, Dimension, Filters, Scope, SummaryRow, Totals
from arouter.domain.endpoint_kinds import EndpointKind, kind_of
from arouter.domain.errors import InvalidRequest
from arouter.domain.totals import regrouped
from arouter.domain.visibility import visible_to
from arouter.engine.usage_buckets import (
    MOST_RECORDS,
    Bucket,
    BucketWidth,
    Span,
    TooManyRecords,
    next_edge,
    read_buckets,
    spans,
)
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.parameters import Parameter, Parameters, invalid
from arouter.web.api.services import ApiServices
from arouter.wire.nearest import quoted
from arouter.wire.openai_usage import (
    CompletionsPage,
    CostsPage,
    InputPage,
    PageCursor,
    UsageBucket,
    encode_costs,
    encode_usage,
)

_SECOND_US = 1_000_000
_LATEST_S = 253_370_764_800
"""The year 9999, where instants end."""

LIMITS = {BucketWidth.DAY: (7, 31), BucketWidth.HOUR: (24, 168), BucketWidth.MINUTE: (60, 1440)}
"""How many buckets a page has, and may have."""
COSTS_LIMIT = (7, 180)

_FIELDS: Mapping[str, Dimension | None] = {
    "project_id": Dimension.WORKSPACE,
    "user_id": Dimension.API_KEY,
    "api_key_id": Dimension.API_KEY,
    "user": Dimension.USER,
    "model": Dimension.MODEL,
    "line_item": Dimension.MODEL,
    "batch": None,
}
"""What can be grouped by, and what the ledger sums it by."""
_INPUT_FIELDS = ("project_id", "user_id", "api_key_id", "model", "user")
_COMPLETIONS_FIELDS = (*_INPUT_FIELDS, "batch")
_COSTS_FIELDS = ("project_id", "user_id", "line_item", "api_key_id", "user")

_SECONDS = {"type": "integer", "minimum": 0, "maximum": _LATEST_S}
_RANGE = (
    Parameter(name="start_time", required=True, schema=_SECONDS, description="Unix seconds; created at or after."),
    Parameter(
        name="end_time", schema=_SECONDS, description="Unix seconds; created before. Without it, everything until now."
    ),
)
_WHOSE = (
    Parameter(name="project_ids", repeatable=True, description="Workspaces."),
    Parameter(name="api_key_ids", repeatable=True, description="Hashes of keys."),
    Parameter(name="user_ids", repeatable=True, description="The members who made the keys."),
    Parameter(name="user", repeatable=True, description="End users. Exact, byte for byte; ours."),
    Parameter(
        name="unattributed",
        schema={"type": "boolean", "default": False},
        description="Requests without an end user; with `user` as well, both. Ours.",
    ),
)
_MODELS = Parameter(name="models", repeatable=True, description="The model that was routed to or the one asked for.")
_WIDTH = Parameter(
    name="bucket_width",
    schema={"type": "string", "enum": [width.value for width in BucketWidth], "default": "1d"},
    description=f"How long a bucket is. Minutes are added up from records, of which a page may need {MOST_RECORDS}.",
)
_PAGE = Parameter(name="page", description="`next_page` of the page before. Keep the other parameters as they were.")


def _group_by(fields: Sequence[str]) -> Parameter:
    return Parameter(
        name="group_by",
        repeatable=True,
        schema={"type": "string", "enum": list(fields)},
        description="Any of them, repeated or separated by commas.",
    )


def _limit(description: str, most: int) -> Parameter:
    return Parameter(name="limit", schema={"type": "integer", "minimum": 1, "maximum": most}, description=description)


_USAGE_LIMIT = _limit("Buckets: of days 7 (at most 31), of hours 24 (at most 168), of minutes 60 (at most 1440).", 1440)
INPUT_PARAMETERS = (*_RANGE, _WIDTH, *_WHOSE, _MODELS, _group_by(_INPUT_FIELDS), _USAGE_LIMIT, _PAGE)
COMPLETIONS_PARAMETERS = (
    *(*_RANGE, _WIDTH, *_WHOSE, _MODELS),
    Parameter(
        name="batch",
        schema={"type": "boolean"},
        description="Batch jobs, of which there are none here, or the others.",
    ),
    *(_group_by(_COMPLETIONS_FIELDS), _USAGE_LIMIT, _PAGE),
)
COSTS_PARAMETERS = (
    *_RANGE,
    Parameter(
        name="bucket_width",
        schema={"type": "string", "enum": [BucketWidth.DAY.value], "default": "1d"},
        description="Costs are told by days.",
    ),
    *_WHOSE,
    Parameter(name="line_items", repeatable=True, description="Models that were routed to, as `line_item` tells them."),
    *(_group_by(_COSTS_FIELDS), _limit("Days: 7, at most 180.", COSTS_LIMIT[1]), _PAGE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request, read."""

    scope: Scope
    filters: Filters
    kinds: frozenset[EndpointKind]
    group_by: tuple[str, ...]
    members: frozenset[str]
    """Empty for everybody's."""
    line_items: frozenset[str]
    """Empty for all."""
    width: BucketWidth
    spans: tuple[Span, ...]
    next_page: PageCursor | None

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """What the ledger must tell apart."""
        wanted = [dimension for field in self.group_by if (dimension := _FIELDS[field]) is not None]
        if len(self.kinds) < len(EndpointKind):
            wanted.append(Dimension.ENDPOINT)
        if self.members:
            wanted.append(Dimension.API_KEY)
        if self.line_items:
            wanted.append(Dimension.MODEL)
        return tuple(dict.fromkeys(wanted))


class OrganizationUsageApi:
    """Adds the ledger up for a key, as far as the key may see."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            self._usage(EndpointKind.COMPLETIONS, "Completions", COMPLETIONS_PARAMETERS, CompletionsPage),
            self._usage(EndpointKind.EMBEDDINGS, "Embeddings", INPUT_PARAMETERS, InputPage),
            self._usage(EndpointKind.MODERATIONS, "Moderations", INPUT_PARAMETERS, InputPage),
            Endpoint(
                method="GET",
                path="/organization/costs",
                handler=self.costs,
                operation_id="getOrganizationCosts",
                summary="Costs by day in OpenAI's shape",
                tag="Compatible usage",
                parameters=COSTS_PARAMETERS,
                answers={JSON: CostsPage},
                errors=(400, 401),
            ),
        )

    def _usage(
        self,
        kind: EndpointKind,
        name: str,
        parameters: tuple[Parameter, ...],
        page: type[CompletionsPage] | type[InputPage],
    ) -> Endpoint:
        return Endpoint(
            method="GET",
            path=f"/organization/usage/{kind.value}",
            handler=partial(self.usage, kind, parameters),
            operation_id=f"getOrganizationUsage{name}",
            summary=f"{name} by minute, hour or day in OpenAI's shape",
            tag="Compatible usage",
            parameters=parameters,
            answers={JSON: page},
            errors=(400, 401),
        )

    async def usage(self, kind: EndpointKind, known: Sequence[Parameter], request: Request) -> Response:
        """Tokens and requests of one kind."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        parameters = Parameters(request.scope["query_string"], known)
        batch = kind is EndpointKind.COMPLETIONS and parameters.flag("batch")
        fields = _COMPLETIONS_FIELDS if kind is EndpointKind.COMPLETIONS else _INPUT_FIELDS
        asked = self._read(
            parameters, visible_to(key), frozenset() if batch else frozenset({kind}), fields, LIMITS, tuple(BucketWidth)
        )
        return answer_json(encode_usage(kind, await self._buckets(asked), asked.next_page))

    async def costs(self, request: Request) -> Response:
        """Of every kind of request."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        parameters = Parameters(request.scope["query_string"], COSTS_PARAMETERS)
        limits = {BucketWidth.DAY: COSTS_LIMIT}
        asked = self._read(
            parameters, visible_to(key), frozenset(EndpointKind), _COSTS_FIELDS, limits, (BucketWidth.DAY,)
        )
        return answer_json(encode_costs(await self._buckets(asked), asked.next_page))

    def _read(
        self,
        parameters: Parameters,
        scope: Scope,
        kinds: frozenset[EndpointKind],
        fields: Sequence[str],
        limits: Mapping[BucketWidth, tuple[int, int]],
        widths: Sequence[BucketWidth],
    ) -> _Asked:
        named = parameters.choice("bucket_width", [width.value for width in widths])
        width = BucketWidth.DAY if named is None else BucketWidth(named)
        default, most = limits[width]
        limit = parameters.whole("limit", least=1, most=most)
        start_us, end_us = _read_range(parameters, width, self._services.now_us())
        wanted = spans(start_us, end_us, width, default if limit is None else limit)
        reached_us = wanted[-1].end_us if wanted else end_us
        return _Asked(
            scope=scope,
            filters=Filters(
                users=parameters.every("user"),
                unattributed=parameters.flag("unattributed"),
                models=parameters.every("models"),
                key_hashes=parameters.every("api_key_ids"),
                workspace_ids=parameters.every("project_ids"),
            ),
            kinds=kinds,
            group_by=_read_group_by(parameters, fields),
            members=frozenset(parameters.every("user_ids")),
            line_items=frozenset(parameters.every("line_items")),
            width=width,
            spans=wanted,
            next_page=PageCursor(reached_us, end_us) if reached_us < end_us else None,
        )

    async def _buckets(self, asked: _Asked) -> list[UsageBucket]:
        dimensions = asked.dimensions
        try:
            buckets = await read_buckets(
                self._services.ledger, asked.scope, asked.filters, dimensions, asked.width, asked.spans
            )
        except TooManyRecords as exc:
            raise InvalidRequest(
                f"`bucket_width=1m` adds up at most {MOST_RECORDS} records for a page, and these buckets hold more. "
                "Ask for fewer buckets with `limit`, filter, or use `bucket_width=1h`.",
                code="query_too_heavy",
                param="bucket_width",
            ) from exc
        members: Mapping[str | None, str | None] = {}
        if asked.members or "user_id" in asked.group_by:
            place = dimensions.index(Dimension.API_KEY)
            hashes = {row.group[place] for bucket in buckets for row in bucket.rows}
            members = await self._members(asked.scope.organization_id, hashes)
        return await asyncio.to_thread(_regrouped, asked, dimensions, buckets, members)

    async def _members(self, organization_id: str, hashes: Iterable[str | None]) -> dict[str | None, str | None]:
        """Who made each of these keys, deleted ones too: their records know."""
        members: dict[str | None, str | None] = {}
        for key_hash in hashes:
            assert key_hash is not None, "every record has a key"
            key = await self._services.directory.get_key(organization_id, key_hash)
            if key is not None:
                members[key_hash] = key.creator
                continue
            page = await self._services.ledger.page(
                ActivityQuery(
                    scope=Scope(organization_id=organization_id), filters=Filters(key_hashes=(key_hash,)), limit=1
                )
            )
            members[key_hash] = page.rows[0].creator if page.rows else None
        return members


def _regrouped(
    asked: _Asked,
    dimensions: Sequence[Dimension],
    buckets: Iterable[Bucket],
    members: Mapping[str | None, str | None],
) -> list[UsageBucket]:
    return [
        UsageBucket(
            start_us=bucket.span.start_us,
            end_us=bucket.span.end_us,
            groups=_groups(asked, dimensions, bucket.rows, members),
        )
        for bucket in buckets
    ]


def _groups(
    asked: _Asked,
    dimensions: Sequence[Dimension],
    rows: Iterable[SummaryRow],
    members: Mapping[str | None, str | None],
) -> list[tuple[dict[str, str | bool | None], Totals]]:
    """What is asked for of the rows of a bucket, added up by what is asked to group by."""

    def group(row: SummaryRow) -> tuple[str | bool | None, ...] | None:
        values = dict(zip(dimensions, row.group, strict=True))
        member = members.get(values.get(Dimension.API_KEY))
        if Dimension.ENDPOINT in values and kind_of(values[Dimension.ENDPOINT]) not in asked.kinds:
            return None
        if asked.members and member not in asked.members:
            return None
        if asked.line_items and values[Dimension.MODEL] not in asked.line_items:
            return None
        return tuple(_value(field, values, member) for field in asked.group_by)

    found = regrouped(rows, group)
    ordered = sorted(found, key=lambda values: [(value is not None, value) for value in values])
    return [(dict(zip(asked.group_by, values, strict=True)), found[values]) for values in ordered]


def _value(field: str, values: Mapping[Dimension, str | None], member: str | None) -> str | bool | None:
    if field == "user_id":
        return member
    dimension = _FIELDS[field]
    return False if dimension is None else values[dimension]


def _read_range(parameters: Parameters, width: BucketWidth, now_us: int) -> tuple[int, int]:
    """What is left of the range: from the page's start to its end, at most the end of the bucket that now is in."""
    start_s = parameters.whole("start_time", least=0, most=_LATEST_S)
    if start_s is None:
        raise InvalidRequest(
            "`start_time` is required: Unix seconds.", code="missing_required_parameter", param="start_time"
        )
    end_s = parameters.whole("end_time", least=0, most=_LATEST_S)
    if end_s is not None and end_s <= start_s:
        raise invalid("end_time", "must be later than `start_time`")
    start_us, last_us = start_s * _SECOND_US, next_edge(now_us, width)
    end_us = last_us if end_s is None else min(end_s * _SECOND_US, last_us)
    page = parameters.one("page")
    if page is None or page == "":
        return start_us, end_us
    try:
        cursor = PageCursor.from_text(page)
    except ValueError as exc:
        raise invalid("page", "is not a page; send `next_page` as it came") from exc
    at_edges = cursor.start_us % width.duration_us == 0 and cursor.end_us % _SECOND_US == 0
    if not at_edges or not start_us < cursor.start_us < cursor.end_us <= last_us:
        raise invalid("page", "belongs to another request; keep the other parameters as they were")
    return cursor.start_us, cursor.end_us


def _read_group_by(parameters: Parameters, fields: Sequence[str]) -> tuple[str, ...]:
    names = [name for value in parameters.every("group_by") for name in value.split(",")]
    for name in names:
        if name not in fields:
            raise invalid("group_by", f"must be any of {', '.join(fields)}; it is `{quoted(name)}`")
    return tuple(dict.fromkeys(names))

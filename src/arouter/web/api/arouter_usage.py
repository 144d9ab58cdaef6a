"""`GET /api/usage/summary` and `GET /api/usage/timeseries`: the ledger's sums in the shapes of ARouter's SDKs.

Every answer is made of one question to the ledger, so that its parts agree while records are added.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from fastapi import Request, Response

from arouter.domain.activity import Dimension, Filters, Scope, Summary, SummaryQuery, SummaryRow, Totals
from arouter.domain.totals import regrouped, total
from arouter.domain.visibility import visible_to
from arouter.engine.usage_buckets import instant_us
from arouter.store.buckets import bucket_start, bucket_text, time_zone
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.parameters import INSTANT, Parameter, Parameters, invalid
from arouter.web.api.services import ApiServices
from arouter.wire.arouter_usage import (
    Point,
    UsageParts,
    UsageSummaryAnswer,
    UsageTimeSeries,
    encode_time_series,
    encode_usage_summary,
)

MOST_USERS = 1000
"""So many users are listed, the dearest; the others are added up."""
MOST_POINTS = 10_000
"""Points of a series, and users of all its points together."""

GRANULARITIES = {"hourly": Dimension.HOUR, "daily": Dimension.DAY, "monthly": Dimension.MONTH}
_LONGEST_US = {
    Dimension.HOUR: timedelta(hours=1) // timedelta(microseconds=1),
    Dimension.DAY: timedelta(days=1) // timedelta(microseconds=1),
    Dimension.MONTH: timedelta(days=31) // timedelta(microseconds=1),
}
_UTC = time_zone("UTC")
_INSTANT = "RFC 3339, a date, or Unix seconds with or without decimals; UTC where no offset is given."

_FILTERS = (
    Parameter(name="start_time", schema=INSTANT, description=f"Created at or after. {_INSTANT}"),
    Parameter(name="end_time", schema=INSTANT, description=f"Created before. {_INSTANT}"),
    Parameter(name="provider_id", repeatable=True, description="The provider that answered."),
    Parameter(name="model", repeatable=True, description="The model that was routed to or the one asked for."),
    Parameter(name="key_id", repeatable=True, description="The key's hash."),
    Parameter(name="user", repeatable=True, description="Requests of this user. Exact, byte for byte; ours."),
    Parameter(
        name="unattributed",
        schema={"type": "boolean", "default": False},
        description="Requests without a user; with `user` as well, both. Ours.",
    ),
)


def _granularity(description: str) -> Parameter:
    return Parameter(
        name="granularity",
        schema={"type": "string", "enum": list(GRANULARITIES), "default": "daily"},
        description=description,
    )


def _by_user(description: str, *, default: bool) -> Parameter:
    return Parameter(name="by_user", schema={"type": "boolean", "default": default}, description=description)


SUMMARY_PARAMETERS = (
    *_FILTERS,
    _granularity("The SDKs send it to both; a summary has none."),
    _by_user(f"With a list of the {MOST_USERS} users who cost most, and the sums of the others. Ours.", default=True),
)
SERIES_PARAMETERS = (
    *_FILTERS,
    _granularity("Hours, days or months in UTC."),
    _by_user("With a list of users at each point. Ours.", default=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    scope: Scope
    filters: Filters
    granularity: Dimension
    by_user: bool


class ARouterUsageApi:
    """Adds the ledger up for a key, as far as the key may see."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/summary",
                handler=self.summary,
                operation_id="getUsageSummary",
                summary="Totals by provider, model and user in the shape of ARouter's SDKs",
                tag="Compatible usage",
                parameters=SUMMARY_PARAMETERS,
                answers={JSON: UsageSummaryAnswer},
                prefixes=("/api/usage",),
                errors=(400, 401),
            ),
            Endpoint(
                method="GET",
                path="/timeseries",
                handler=self.series,
                operation_id="getUsageTimeSeries",
                summary="Totals by hour, day or month in the shape of ARouter's SDKs",
                tag="Compatible usage",
                parameters=SERIES_PARAMETERS,
                answers={JSON: UsageTimeSeries},
                prefixes=("/api/usage",),
                errors=(400, 401),
            ),
        )

    async def summary(self, request: Request) -> Response:
        """The lists by provider, by model and by user each add up to the totals."""
        asked = await self._read(request, SUMMARY_PARAMETERS, by_user=True)
        users = (Dimension.USER,) if asked.by_user else ()
        summary = await self._sums(asked, (Dimension.PROVIDER, Dimension.MODEL, *users))
        return answer_json(await asyncio.to_thread(_summary_body, summary, by_user=asked.by_user))

    async def series(self, request: Request) -> Response:
        """Every hour, day or month from the first to the last; without a start, from the first request on."""
        asked = await self._read(request, SERIES_PARAMETERS, by_user=False)
        summary = await self._sums(asked, (asked.granularity, *((Dimension.USER,) if asked.by_user else ())))
        if asked.by_user and len(summary.rows) > MOST_POINTS:
            raise invalid(
                "by_user",
                f"would list {len(summary.rows)} users, at most {MOST_POINTS}; shorten the range, filter by `user`, or "
                "take a coarser `granularity`",
            )
        by_start: dict[int, list[SummaryRow]] = {}
        for row in summary.rows:
            by_start.setdefault(instant_us(row.group[0]), []).append(row)
        starts = self._starts(asked, sorted(by_start))
        return answer_json(await asyncio.to_thread(_series_body, starts, by_start, by_user=asked.by_user))

    async def _read(self, request: Request, known: Sequence[Parameter], *, by_user: bool) -> _Asked:
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        parameters = Parameters(request.scope["query_string"], known)
        start_us, end_us = parameters.instant("start_time"), parameters.instant("end_time")
        if start_us is not None and end_us is not None and end_us < start_us:
            raise invalid("end_time", "lies before `start_time`")
        granularity = parameters.choice("granularity", tuple(GRANULARITIES))
        return _Asked(
            scope=visible_to(key),
            filters=Filters(
                users=parameters.every("user"),
                unattributed=parameters.flag("unattributed"),
                models=parameters.every("model"),
                providers=parameters.every("provider_id"),
                key_hashes=parameters.every("key_id"),
                start_us=start_us,
                end_us=end_us,
            ),
            granularity=Dimension.DAY if granularity is None else GRANULARITIES[granularity],
            by_user=parameters.flag("by_user", default=by_user),
        )

    async def _sums(self, asked: _Asked, group_by: tuple[Dimension, ...]) -> Summary:
        query = SummaryQuery(scope=asked.scope, filters=asked.filters, group_by=group_by)
        return await self._services.ledger.summary(query)

    def _starts(self, asked: _Asked, found: Sequence[int]) -> list[int]:
        """Where the points are: all that have requests, and those between the range's start and its end or now."""
        start_us, end_us = asked.filters.start_us, asked.filters.end_us
        if start_us is None and not found:
            return []
        now_us = self._services.now_us() + 1
        first_us = found[0] if start_us is None else bucket_start(start_us, asked.granularity, _UTC)
        behind_us = max(now_us if end_us is None else min(end_us, now_us), *(us + 1 for us in found[-1:]), first_us)
        if (behind_us - first_us) // _LONGEST_US[asked.granularity] >= MOST_POINTS:
            raise invalid(
                "granularity",
                f"gives more than {MOST_POINTS} points for this range; give a later `start_time` or take a coarser one",
            )
        return list(_every(first_us, behind_us, asked.granularity))


def _summary_body(summary: Summary, *, by_user: bool) -> bytes:
    """Of rows by provider, model and, where they are wanted, users: there may be many of those."""
    listed, others = None, None
    if by_user:
        listed = _dearest(regrouped(summary.rows, lambda row: row.group[2:]))
        listed, rest = listed[:MOST_USERS], listed[MOST_USERS:]
        if rest:
            others = (len({user for (user,), _ in rest} - {None}), total(sums for _, sums in rest))
    by_provider = _dearest(regrouped(summary.rows, lambda row: row.group[:1]))
    by_model = _dearest(regrouped(summary.rows, lambda row: row.group[:2]))
    return encode_usage_summary(
        UsageParts(
            totals=summary.totals,
            by_provider=[(provider, sums) for (provider,), sums in by_provider],
            by_model=[((provider, model), sums) for (provider, model), sums in by_model],
            by_user=None if listed is None else [(user, sums) for (user,), sums in listed],
            other_users=others,
        )
    )


def _series_body(starts: Sequence[int], by_start: Mapping[int, Sequence[SummaryRow]], *, by_user: bool) -> bytes:
    """Of rows by time and, where they are wanted, users."""
    points = []
    for start_us in starts:
        rows = by_start.get(start_us, ())
        points.append(
            Point(
                timestamp=bucket_text(start_us, _UTC),
                totals=total(row.totals for row in rows),
                by_user=[(row.group[1], row.totals) for row in rows] if by_user else None,
            )
        )
    return encode_time_series(points)


def _every(first_us: int, behind_us: int, granularity: Dimension) -> Iterator[int]:
    """The starts from `first_us` on that lie before `behind_us`."""
    start_us = first_us
    while start_us < behind_us:
        yield start_us
        # A month later is within the next one, whatever the lengths of both.
        start_us = bucket_start(start_us + _LONGEST_US[granularity], granularity, _UTC)


def _dearest(groups: dict[tuple[str | None, ...], Totals]) -> list[tuple[tuple[str | None, ...], Totals]]:
    """By cost, the highest first; equals by their groups, none first."""
    ordered = sorted(groups.items(), key=lambda item: [(value is not None, value) for value in item[0]])
    return sorted(ordered, key=lambda item: item[1].cost, reverse=True)

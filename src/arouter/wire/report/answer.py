"""A report as JSON: the data behind the PDF, with every digit."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from arouter.domain.activity import Totals
from arouter.domain.report import Listing, Period, Report, Span
from arouter.wire.instants import write_instant
from arouter.wire.report.words import covered
from arouter.wire.summary import Metrics, told


class ReportSpan(msgspec.Struct, frozen=True, kw_only=True):
    """From `start` on and before `end`."""

    start: str
    end: str


class ReportPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """A day or a month; `before` is its counterpart in the range before, null if there is none."""

    start: str
    totals: Metrics
    before: Metrics | None


class ReportGroup(msgspec.Struct, frozen=True, kw_only=True):
    """`value` is a model, a key's hash, a creator, a user or a status; null for requests without one. `name` and
    `creator` are a key's, as they are now."""

    value: str | None
    name: str | None
    creator: str | None
    totals: Metrics


class ReportRest(msgspec.Struct, frozen=True, kw_only=True):
    """So many groups that are not listed, added up."""

    groups: int
    totals: Metrics


class ReportGroups(msgspec.Struct, frozen=True, kw_only=True):
    """The dearest first. Their totals and those of `other` add up to the report's, but for `users`."""

    data: list[ReportGroup]
    other: ReportRest | None


class ReportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`until` is how far the range had come at `as_of`. `by_day` is null for a range of more than 400 days."""

    object: Literal["activity.report"]
    title: str
    organization_id: str
    covers: str | None
    timezone: str
    range: ReportSpan
    until: str
    compared_with: ReportSpan
    as_of: str
    generated_by: str
    currency: Literal["USD"]
    totals: Metrics
    before: Metrics
    by_day: list[ReportPeriod] | None
    by_month: list[ReportPeriod]
    by_model: ReportGroups
    by_api_key: ReportGroups
    by_creator: ReportGroups
    by_user: ReportGroups
    by_status: ReportGroups


def encode_report(report: Report) -> bytes:
    """The JSON answer."""
    head = report.head
    return msgspec.json.encode(
        ReportAnswer(
            object="activity.report",
            title=head.title,
            organization_id=head.scope.organization_id,
            covers=covered(head.scope, head.filters) or None,
            timezone=head.timezone,
            range=_span(head.asked),
            until=write_instant(head.span.end_us),
            compared_with=_span(head.before),
            as_of=write_instant(head.as_of_us),
            generated_by=head.made_by,
            currency="USD",
            totals=told(report.totals),
            before=told(report.before),
            by_day=None if report.days is None else _periods(report.days),
            by_month=_periods(report.months),
            by_model=_groups(report.models),
            by_api_key=_groups(report.keys),
            by_creator=_groups(report.creators),
            by_user=_groups(report.users),
            by_status=_groups(report.statuses),
        )
    )


def _span(span: Span) -> ReportSpan:
    return ReportSpan(start=write_instant(span.start_us), end=write_instant(span.end_us))


def _periods(periods: Sequence[Period]) -> list[ReportPeriod]:
    return [
        ReportPeriod(
            start=period.start,
            totals=told(period.totals),
            before=None if period.before is None else told(period.before),
        )
        for period in periods
    ]


def _groups(listing: Listing) -> ReportGroups:
    rest = listing.rest
    return ReportGroups(
        data=[
            ReportGroup(value=row.value, name=row.name, creator=row.creator, totals=_metrics(row.totals, row.users))
            for row in listing.rows
        ],
        other=None if rest is None else ReportRest(groups=rest.groups, totals=_metrics(rest.totals, rest.users)),
    )


def _metrics(totals: Totals, users: int | None) -> Metrics:
    return msgspec.structs.replace(told(totals), users=users)

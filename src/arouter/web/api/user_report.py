"""What the ledger tells of one user, put together from sums: each figure is one that a summary gives too."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import msgspec

from arouter.domain.activity import Dimension, Filters, Scope, Summary, SummaryQuery, SummaryRow, Totals
from arouter.domain.high_usage import Usage
from arouter.domain.projection import ComingDay, Projection, SeenDay
from arouter.domain.ranking import Order, rank
from arouter.domain.users import UserSpan
from arouter.insight.high_usage import added, standing
from arouter.insight.projection import MOST_DAYS, project
from arouter.store.base import Directory, Ledger
from arouter.store.buckets import bucket_text, days_around, local_day
from arouter.web.api.ranges import Range
from arouter.wire.guardrails_json import UserLimitsObject
from arouter.wire.high_usage import fraction, rest_usage
from arouter.wire.instants import write_instant
from arouter.wire.summary import metrics
from arouter.wire.users_json import (
    Day,
    KeyUsage,
    ModelUsage,
    OwnUsage,
    RangeUsage,
    UserAnswer,
    UserTotals,
    projection_object,
    user_seen,
)

SHOWN_DAYS = 30
_ALL_MONTH = 31
_BY_COST = Order(by="cost", descending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One user, as far as the scope covers it, at an instant."""

    scope: Scope
    user: str
    zone: ZoneInfo
    now_us: int

    def filters(self, start_us: int | None = None, end_us: int | None = None) -> Filters:
        """Until now, if not until then."""
        return Filters(users=(self.user,), start_us=start_us, end_us=self.now_us + 1 if end_us is None else end_us)

    def query(self, filters: Filters, *group_by: Dimension) -> SummaryQuery:
        return SummaryQuery(scope=self.scope, filters=filters, group_by=group_by, timezone=self.zone.key)


async def report(
    ledger: Ledger,
    directory: Directory,
    question: Question,
    span: UserSpan,
    wanted: Range,
    limits: UserLimitsObject | None,
) -> UserAnswer:
    """Everything about a user that was seen; `wanted` is the range of its standing, models and keys. `limits` None: who
    asks may not know them."""
    calendar = Calendar.at(question.now_us, question.zone)
    in_range = question.filters(wanted.start_us, wanted.end_us)
    all_time = await ledger.summary(question.query(question.filters()))
    by_day = await ledger.summary(question.query(question.filters(calendar.starts[0]), Dimension.DAY))
    models = await ledger.summary(question.query(in_range, Dimension.MODEL))
    keys = await ledger.summary(question.query(in_range, Dimension.API_KEY))
    days = calendar.read(by_day)
    return UserAnswer(
        **msgspec.structs.asdict(user_seen(span)),
        totals=UserTotals(
            all_time=metrics(all_time.totals),
            this_month=metrics(calendar.this_month(days)),
            today=metrics(days[calendar.today]),
        ),
        range=await _range_usage(ledger, question, wanted),
        projection=projection_object(calendar.projection(days, span)),
        days=calendar.shown(days),
        models=_models(models),
        keys=[
            KeyUsage(
                **msgspec.structs.asdict(metrics(row.totals)),
                api_key_hash=str(row.group[0]),
                api_key_name=await _key_name(directory, question.scope.organization_id, str(row.group[0])),
            )
            for row in _dearest_first(keys, Dimension.API_KEY)
        ],
        limits=None if limits is None else limits.limits,
        applied_limits=None if limits is None else limits.applied_limits,
        blocked=None if limits is None else limits.blocked,
        block_reason=None if limits is None else limits.block_reason,
        blocked_at=None if limits is None else limits.blocked_at,
        timezone=question.zone.key,
        as_of=_as_of(question, all_time, by_day, models, keys),
    )


async def own_usage(ledger: Ledger, question: Question, wanted: Range) -> OwnUsage:
    """What a user may know of itself: no other user, no key and no organization is in it."""
    calendar = Calendar.at(question.now_us, question.zone)
    in_range = question.filters(wanted.start_us, wanted.end_us)
    around_now = await ledger.summary(question.query(question.filters(calendar.starts[0]), Dimension.DAY))
    recent = calendar.read(around_now)
    by_day = await ledger.summary(question.query(in_range, Dimension.DAY))
    models = await ledger.summary(question.query(in_range, Dimension.MODEL))
    return OwnUsage(
        user=question.user,
        start=write_instant(wanted.start_us),
        end=write_instant(wanted.end_us),
        totals=metrics(by_day.totals),
        this_month=metrics(calendar.this_month(recent)),
        today=metrics(recent[calendar.today]),
        days=[_day(str(row.group[0]), row.totals) for row in by_day.rows],
        models=_models(models),
        timezone=question.zone.key,
        as_of=_as_of(question, around_now, by_day, models),
    )


def _as_of(question: Question, *answers: Summary) -> str:
    """When it was asked, or as of when those are who answered: a copy of the ledger may lag."""
    return write_instant(min(question.now_us, *(one.as_of_us for one in answers)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The days around an instant in a zone: enough of those before for a month and for a projection."""

    now_us: int
    zone: ZoneInfo
    today_date: date
    starts: list[int]
    """Where each day begins; the last one is tomorrow."""
    today: int
    """Its place."""

    @classmethod
    def at(cls, now_us: int, zone: ZoneInfo) -> "Calendar":
        return cls(
            now_us=now_us,
            zone=zone,
            today_date=local_day(now_us, zone),
            starts=days_around(now_us, zone, before=_ALL_MONTH, after=1),
            today=_ALL_MONTH,
        )

    def read(self, by_day: Summary) -> list[Totals]:
        """The totals of each day up to today; days without a request are zero."""
        told = {row.group[0]: row.totals for row in by_day.rows}
        nothing = Totals()
        return [told.get(bucket_text(start, self.zone), nothing) for start in self.starts[: self.today + 1]]

    def this_month(self, days: list[Totals]) -> Totals:
        """From the 1st to now."""
        month = days[self.today - self.today_date.day + 1 :]
        return replace(added(month), users=int(any(each.requests for each in month)))

    def shown(self, days: list[Totals]) -> list[Day]:
        """The last `SHOWN_DAYS`, today included, the oldest first."""
        first = self.today + 1 - SHOWN_DAYS
        return [
            _day(bucket_text(start, self.zone), totals)
            for start, totals in zip(self.starts[first : self.today + 1], days[first:], strict=True)
        ]

    def projection(self, days: list[Totals], span: UserSpan) -> Projection | None:
        """The cost of this month, by the whole days since the day on which the user was first seen."""
        age = (self.today_date - local_day(span.first_seen_us, self.zone)).days
        first = max(self.today - MOST_DAYS, self.today - age + 1)
        seen = [SeenDay(weekday=self._weekday(place), amount=days[place].cost) for place in range(first, self.today)]
        return project(self.this_month(days).cost, seen, self._coming())

    def _coming(self) -> list[ComingDay]:
        start, end = self.starts[self.today : self.today + 2]
        left = Fraction(end - self.now_us, end - start)
        coming = [ComingDay(weekday=self.today_date.weekday(), share=left)]
        day = self.today_date + timedelta(days=1)
        while day.month == self.today_date.month:
            coming.append(ComingDay(weekday=day.weekday(), share=Fraction(1)))
            day += timedelta(days=1)
        return coming

    def _weekday(self, place: int) -> int:
        return (self.today_date.weekday() + place - self.today) % 7


async def _range_usage(ledger: Ledger, question: Question, wanted: Range) -> RangeUsage:
    """Beside the range before, and among all users of the range."""
    before = wanted.before
    costs = await ledger.user_costs(question.scope, wanted.of(Filters()))
    now = (await ledger.summary(question.query(question.filters(wanted.start_us, wanted.end_us)))).totals
    earlier = (await ledger.summary(question.query(question.filters(before.start_us, before.end_us)))).totals
    everything = (await ledger.summary(question.query(wanted.of(Filters())))).totals
    stands = standing(costs, now.cost if now.requests else None)
    share = None if everything.cost == 0 else Fraction(now.cost, everything.cost)
    usage = Usage(totals=now, value=now.cost, previous=earlier.cost, share=share)
    return RangeUsage(
        **msgspec.structs.asdict(rest_usage(usage, "cost")),
        start=write_instant(wanted.start_us),
        end=write_instant(wanted.end_us),
        previous_start=write_instant(before.start_us),
        previous_end=write_instant(before.end_us),
        rank=stands.rank,
        of_users=stands.users,
        percentile=fraction(stands.percentile),
    )


def _models(found: Summary) -> list[ModelUsage]:
    return [
        ModelUsage(**msgspec.structs.asdict(metrics(row.totals)), model=row.group[0])
        for row in _dearest_first(found, Dimension.MODEL)
    ]


def _dearest_first(found: Summary, dimension: Dimension) -> tuple[SummaryRow, ...]:
    return rank(found.rows, (dimension,), _BY_COST, len(found.rows)).rows


async def _key_name(directory: Directory, organization_id: str, key_hash: str) -> str | None:
    key = await directory.get_key(organization_id, key_hash)
    return None if key is None else key.name


def _day(start: str, totals: Totals) -> Day:
    return Day(**msgspec.structs.asdict(metrics(totals)), day=start)

"""A report on a range of the activity, as data: what its PDF, its page and its JSON show.

1. All figures are sums of the ledger over one state of it. Each list adds up to the totals: what is not listed is in
   its `rest`.
2. The dearest group comes first; among equally dear ones that with more tokens, then that with more requests.
3. The range before is compared as far as the range itself has come: a month's first ten days with ten days.
4. A day or a month without requests is there, with zeros.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from arouter.domain.activity import Dimension, Filters, Scope, Summary, SummaryRow, Totals
from arouter.domain.ranking import Rest
from arouter.domain.totals import total

DEFAULT_LIMIT, MOST_LIMIT = 15, 100
"""How many groups a list names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Microseconds since the epoch, half-open."""

    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportHead:
    """What a report is about."""

    title: str
    scope: Scope
    """Whose records may be in it."""
    filters: Filters
    """Which of them are, but for the range."""
    timezone: str
    """Where its days begin."""
    asked: Span
    span: Span
    """What was asked for, as far as it is over."""
    before: Span
    """What it is compared with."""
    as_of_us: int
    made_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A day or a month."""

    start: str
    """RFC 3339, as in a summary."""
    totals: Totals
    before: Totals | None
    """Of its counterpart in the range before; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A group."""

    value: str | None
    """A model, a user, a creator, a status; of a key its hash. None: requests without one."""
    totals: Totals
    users: int | None
    """Distinct users; None where they cannot be told."""
    name: str | None = None
    """A key's, as it is now."""
    creator: str | None = None
    """Who made the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    rows: tuple[Listed, ...]
    rest: Rest | None
    """All other groups, as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyName:
    """What is known of a key."""

    name: str
    creator: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """The summaries that a report is made of, all of one state of the ledger."""

    days: tuple[Summary, Summary] | None
    """By day, of the range and of the one before; None for a range of too many days."""
    months: tuple[Summary, Summary]
    models: Summary
    keys: Summary
    users: Summary
    statuses: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    head: ReportHead
    totals: Totals
    before: Totals
    days: tuple[Period, ...] | None
    """None for a range of too many days."""
    months: tuple[Period, ...]
    models: Listing
    keys: Listing
    creators: Listing
    users: Listing
    statuses: Listing


def make_report(
    head: ReportHead,
    sums: Sums,
    *,
    days: tuple[Sequence[str], Sequence[str]],
    months: tuple[Sequence[str], Sequence[str]],
    keys: Mapping[str, KeyName],
    limit: int,
) -> Report:
    """`days` and `months` are the starts of those of the range and of those of the range before; `keys` is by hash."""
    this, before = sums.months
    return Report(
        head=head,
        totals=this.totals,
        before=before.totals,
        days=None if sums.days is None else _periods(*sums.days, *days),
        months=_periods(this, before, *months),
        models=_listing(sums.models.rows, limit, Dimension.MODEL),
        keys=_named(_listing(sums.keys.rows, limit, Dimension.API_KEY), keys),
        creators=_listing(_by_creator(sums.keys.rows, keys), limit, None),
        users=_listing(sums.users.rows, limit, Dimension.USER),
        statuses=_listing(sums.statuses.rows, limit, Dimension.STATUS),
    )


def _periods(this: Summary, before: Summary, starts: Sequence[str], starts_before: Sequence[str]) -> tuple[Period, ...]:
    now, then = _filled(this, starts), _filled(before, starts_before)
    return tuple(
        Period(start=start, totals=totals, before=then[place] if place < len(then) else None)
        for place, (start, totals) in enumerate(zip(starts, now, strict=True))
    )


def weeks(days: Sequence[Period]) -> tuple[Period, ...]:
    """Days as calendar weeks, which begin on Mondays. Users are not told: the same one may be there on two days."""
    made: dict[date, Period] = {}
    for day in days:
        at = date.fromisoformat(day.start[:10])
        monday = at - timedelta(days=at.weekday())
        week = made.get(monday)
        if week is None:
            made[monday] = replace(day, totals=total([day.totals]))
        else:
            before = [each for each in (week.before, day.before) if each is not None]
            made[monday] = replace(
                week, totals=total((week.totals, day.totals)), before=total(before) if before else None
            )
    return tuple(made.values())


def _filled(summary: Summary, starts: Sequence[str]) -> list[Totals]:
    """Rule 4."""
    known = {row.group[0]: row.totals for row in summary.rows}
    return [known.get(start, Totals()) for start in starts]


def _named(listing: Listing, keys: Mapping[str, KeyName]) -> Listing:
    return replace(listing, rows=tuple(_with_name(row, keys.get(row.value or "")) for row in listing.rows))


def _with_name(row: Listed, key: KeyName | None) -> Listed:
    return row if key is None else replace(row, name=key.name, creator=key.creator)


def _by_creator(rows: Sequence[SummaryRow], keys: Mapping[str, KeyName]) -> list[SummaryRow]:
    """The keys of each creator as one. Users are not told: whoever uses two of the keys would count twice."""
    sums: dict[str | None, Totals] = {}
    for row in rows:
        key = keys.get(row.group[0] or "")
        creator = None if key is None else key.creator
        sums[creator] = total((sums.get(creator, Totals()), row.totals))
    return [SummaryRow(group=(creator,), totals=totals) for creator, totals in sums.items()]


def _listing(rows: Sequence[SummaryRow], limit: int, dimension: Dimension | None) -> Listing:
    """Rules 1 and 2. Users are distinct over several groups only where the groups are users."""
    first = heapq.nlargest(limit, rows, key=_weight)
    kept = {row.group for row in first}
    others = [row for row in rows if row.group not in kept]
    return Listing(
        rows=tuple(
            Listed(value=row.group[0], totals=row.totals, users=None if dimension is None else row.totals.users)
            for row in first
        ),
        rest=_rest(others, dimension) if others else None,
    )


def _rest(rows: Sequence[SummaryRow], dimension: Dimension | None) -> Rest:
    users = sum(row.group[0] is not None for row in rows) if dimension is Dimension.USER else None
    return Rest(groups=len(rows), totals=total(row.totals for row in rows), users=users)


def _weight(row: SummaryRow) -> tuple[int, int, int]:
    return row.totals.cost, row.totals.total_tokens, row.totals.requests

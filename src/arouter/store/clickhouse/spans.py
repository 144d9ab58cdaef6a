"""Where sums are read from: the coarsest sums that tell enough, and the records at the ends of a range.

1. Sums by day and by quarter of an hour know everything but tags and sessions, and how many users there were.
2. Sums by 32 days, by 8 and by day know users, keys and workspaces.
3. Where users are named, sums by day of these know all that those of everybody know.
4. What a range has beyond whole ones at its ends is read from finer ones, the last of it from the records.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from arouter.domain.activity import PERCENTILES, TIME_DIMENSIONS, Dimension, SummaryQuery
from arouter.store.buckets import DAY_US, SLOT_US
from arouter.store.clickhouse.schema import DAYS_BY_USER, EIGHT_US, PERIOD_US

_WHOLE_DAYS: Final = frozenset({Dimension.DAY, Dimension.WEEK, Dimension.MONTH})
_OF_USERS: Final = frozenset({Dimension.USER, Dimension.API_KEY, Dimension.WORKSPACE, Dimension.ORGANIZATION})
_OF_SLOTS: Final = frozenset(
    {
        Dimension.MODEL,
        Dimension.PROVIDER,
        Dimension.API_KEY,
        Dimension.WORKSPACE,
        Dimension.ORGANIZATION,
        Dimension.ENDPOINT,
        Dimension.STATUS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Half-open, in units of `unit_us`; None is open. Of records the unit is a microsecond."""

    unit_us: int
    first: int | None
    beyond: int | None


def spans_of(query: SummaryQuery) -> Sequence[Span]:
    """They do not overlap."""
    return [*_cover(query.filters.start_us, query.filters.end_us, _units(query))]


def reads_sums(query: SummaryQuery) -> bool:
    """Whether anything of it is read from sums, if its range is long enough."""
    return bool(_units(query))


def projection_of(span: Span, query: SummaryQuery) -> str | None:
    """The one of `schema.PROJECTIONS` that knows just enough for the span; None for the records."""
    filters = query.filters
    is_named = bool(filters.users) or filters.unattributed
    if (is_named or Dimension.USER in query.group_by) and _is_told_by_totals(span, query):
        return "user_totals"
    if span.unit_us == DAY_US:
        if is_named:
            return DAYS_BY_USER
        return "users_by_day" if Dimension.USER in query.group_by else "days"
    return {PERIOD_US: "users_by_32_days", EIGHT_US: "users_by_8_days", SLOT_US: "quarters"}.get(span.unit_us)


def _is_told_by_totals(span: Span, query: SummaryQuery) -> bool:
    """Whether nothing but users is told apart."""
    scope, filters = query.scope, query.filters
    narrowed = (
        scope.key_hash,
        scope.workspace_id,
        filters.key_hashes,
        filters.workspace_ids,
        filters.models,
        filters.providers,
        filters.statuses,
        filters.endpoints,
    )
    is_ever = span.unit_us > 1 and span.first is None and span.beyond is None
    return is_ever and not any(narrowed) and {*query.group_by} <= {Dimension.USER, Dimension.ORGANIZATION}


def _units(query: SummaryQuery) -> Sequence[int]:
    filters = query.filters
    if (
        filters.tags
        or filters.session_ids
        or filters.updated_since_us is not None
        or filters.written_until_us is not None
        or any(query.asks_for(name) for name in PERCENTILES)
    ):
        return ()
    others = {*query.group_by} - TIME_DIMENSIONS
    times = {*query.group_by} & TIME_DIMENSIONS
    by_days = not times or (query.timezone == "UTC" and times <= _WHOLE_DAYS)
    if not others <= _OF_SLOTS | _OF_USERS:
        return ()
    if filters.users or filters.unattributed:
        return (DAY_US,) if by_days else ()
    if Dimension.USER not in others:
        return (DAY_US, SLOT_US) if by_days else (SLOT_US,)
    if filters.models or filters.providers or filters.statuses or filters.endpoints or not others <= _OF_USERS:
        return ()
    if not times:
        return (PERIOD_US, EIGHT_US, DAY_US)
    return (DAY_US,) if by_days else ()


def _cover(start_us: int | None, end_us: int | None, units: Sequence[int]) -> Iterator[Span]:
    if start_us is not None and end_us is not None and start_us >= end_us:
        return
    if not units:
        yield Span(unit_us=1, first=start_us, beyond=end_us)
        return
    unit_us = units[0]
    first = None if start_us is None else -(-start_us // unit_us)
    beyond = None if end_us is None else end_us // unit_us
    if first is not None and beyond is not None and first >= beyond:
        yield from _cover(start_us, end_us, units[1:])
        return
    if start_us is not None and first is not None and start_us < first * unit_us:
        yield from _cover(start_us, first * unit_us, units[1:])
    yield Span(unit_us=unit_us, first=first, beyond=beyond)
    if end_us is not None and beyond is not None and beyond * unit_us < end_us:
        yield from _cover(beyond * unit_us, end_us, units[1:])

"""Where a summary is read from: which spans of time from day columns, roll-ups and records.

1. Sums come from what is already added up, wherever its dimensions tell enough. Tags, sessions, percentiles and what
   was updated since are known of records only.
2. Roll-ups know whole quarters of an hour. What a range has beyond them at its ends is read from the records.
3. Whole days that have columns are read from them.
4. Roll-ups are not sorted by user: where columns are missing, the records of chosen users are found by their index.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from arouter.domain.activity import PERCENTILES, Dimension, SummaryQuery
from arouter.store.buckets import SLOT_US, SLOTS_OF_DAY


class Source(StrEnum):
    RECORDS = "records"
    ROLLUPS = "rollups"
    COLUMNS = "columns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Half-open. In microseconds for records, where None is open; in quarters of an hour else."""

    source: Source
    first: int | None
    beyond: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    spans: tuple[Span, ...]
    """They do not overlap, and rise."""
    reasons: tuple[str, ...] = ()
    """What only records can tell, as the API's parameters name it."""


def plan(query: SummaryQuery, data: tuple[int, int] | None, folded: Sequence[int] = ()) -> Plan:
    """`data` are the first and the last slot with records of the organization, `folded` its days with columns."""
    if data is None:
        return Plan(spans=())
    start_us, end_us = query.filters.start_us, query.filters.end_us
    reasons = tuple(_only_records_tell(query))
    if reasons:
        return Plan(spans=(Span(source=Source.RECORDS, first=start_us, beyond=end_us),), reasons=reasons)
    lowest, highest = data[0], data[1] + 1
    first = lowest if start_us is None else max(lowest, -(-start_us // SLOT_US))
    beyond = highest if end_us is None else min(highest, end_us // SLOT_US)
    if first > beyond:
        # All of it lies within one quarter, or where there are no records.
        return Plan(spans=(Span(source=Source.RECORDS, first=start_us, beyond=end_us),))
    spans: list[Span] = []
    if start_us is not None and lowest * SLOT_US < start_us < first * SLOT_US:
        spans.append(Span(source=Source.RECORDS, first=start_us, beyond=first * SLOT_US))
    spans += _whole_slots(first, beyond, by_user=bool(query.filters.users or query.filters.unattributed), folded=folded)
    if end_us is not None and beyond * SLOT_US < end_us and beyond < highest:
        spans.append(Span(source=Source.RECORDS, first=beyond * SLOT_US, beyond=end_us))
    return Plan(spans=tuple(_joined(spans)))


def _only_records_tell(query: SummaryQuery) -> Iterator[str]:
    filters = query.filters
    if filters.tags:
        yield "the filter `tag`"
    if filters.session_ids:
        yield "the filter `session_id`"
    if filters.updated_since_us is not None:
        yield "the filter `updated_since`"
    if filters.written_until_us is not None:
        yield "the filter `until`"
    if Dimension.TAG in query.group_by:
        yield "`group_by=tag`"
    yield from (f"the metric `{name}`" for name in PERCENTILES if query.asks_for(name))


def _whole_slots(first: int, beyond: int, *, by_user: bool, folded: Sequence[int]) -> Iterator[Span]:
    """The days with columns, and what lies between them."""
    place = first
    for day in folded:
        start, end = day * SLOTS_OF_DAY, (day + 1) * SLOTS_OF_DAY
        if start < place or end > beyond:
            continue
        if place < start:
            yield _without_columns(place, start, by_user=by_user)
        yield Span(source=Source.COLUMNS, first=start, beyond=end)
        place = end
    if place < beyond:
        yield _without_columns(place, beyond, by_user=by_user)


def _without_columns(first: int, beyond: int, *, by_user: bool) -> Span:
    if by_user:
        return Span(source=Source.RECORDS, first=first * SLOT_US, beyond=beyond * SLOT_US)
    return Span(source=Source.ROLLUPS, first=first, beyond=beyond)


def _joined(spans: Sequence[Span]) -> Sequence[Span]:
    """Neighbours of one source as one."""
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].source is span.source and joined[-1].beyond == span.first:
            joined[-1] = Span(source=span.source, first=joined[-1].first, beyond=span.beyond)
        else:
            joined.append(span)
    return joined

"""The reference backend: the storage protocols in plain Python, as simple as they can be said.

It forgets everything with the process. The conformance suite and the stateful tests compare every other backend
with it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from itertools import islice, product
from typing import Self
from zoneinfo import ZoneInfo

import msgspec

from arouter.domain.activity import (
    PERCENTILES,
    TIME_DIMENSIONS,
    ActivityQuery,
    ActivityRow,
    Cursor,
    Dimension,
    Filters,
    Page,
    Scope,
    Summary,
    SummaryQuery,
    SummaryRow,
    Totals,
)
from arouter.domain.adjustment import AdjustedMeanwhile, Adjustment, adjusted
from arouter.domain.interruption import interrupted, without_intent
from arouter.domain.money import Picodollars
from arouter.domain.ranking import rank
from arouter.domain.record import Opening, Record
from arouter.domain.users import UsersPage, UserSpan, UsersQuery
from arouter.domain.visibility import is_visible
from arouter.store import tally
from arouter.store.base import CheckReport, Spending
from arouter.store.buckets import HOUR_US, bucket_start, bucket_text, time_zone
from arouter.store.limits import check_adjustment, check_record
from arouter.store.memory_audit import Trail
from arouter.store.memory_counters import MemoryCounters
from arouter.store.memory_directory import MemoryData, MemoryDirectory
from arouter.store.memory_feed import MemoryFeed
from arouter.store.planning import plan, too_many_records
from arouter.store.user_lists import page_of, spans_of


class MemoryLedger:
    """`Ledger` over dictionaries."""

    def __init__(self, data: MemoryData, clock: Callable[[], int]) -> None:
        self._data = data
        self._clock = clock
        self._mine: set[str] = set()
        """What this incarnation opened: what is open besides, the one before it left."""

    def open(self, opening: Opening) -> None:
        if opening.id in self._data.records or opening.id in self._data.open:
            return
        with suppress(UnicodeEncodeError):  # it cannot be kept, and its record neither
            msgspec.json.encode(opening)
            self._data.open[opening.id] = opening
            self._mine.add(opening.id)

    def close(self, record: Record) -> Awaitable[None]:
        done = asyncio.get_running_loop().create_future()
        try:
            self._append(record)
        except ValueError as exc:
            done.set_exception(exc)
        else:
            done.set_result(None)
        return done

    def adjust(
        self, adjustments: Sequence[Adjustment], *, seen: Mapping[str, str | None] | None = None
    ) -> Awaitable[int]:
        done = asyncio.get_running_loop().create_future()
        try:
            for adjustment in adjustments:
                check_adjustment(adjustment)
                msgspec.json.encode(adjustment)  # ValueError for a text that is not Unicode
            holding = {record_id: adjustment.id for record_id, (adjustment, _) in self._latest().items()}
            for record_id, adjustment_id in ({} if seen is None else seen).items():
                if holding.get(record_id) != adjustment_id:
                    raise AdjustedMeanwhile(f"{record_id} was adjusted meanwhile")
        except ValueError as exc:
            done.set_exception(exc)
        else:
            new = [adjustment for adjustment in adjustments if self._adjust(adjustment)]
            self._data.trail.note_adjustments((self._data.records[one.record_id][0].opening, one) for one in new)
            done.set_result(len(new))
        return done

    async def adjustments_of(self, organization_id: str, record_id: str) -> Sequence[Adjustment]:
        if await self.get(organization_id, record_id) is None:
            return ()
        return tuple(one for one, _ in self._data.adjustments.values() if one.record_id == record_id)

    async def recover(self, *, now_us: int) -> int:
        left = [opening for opening in self._data.open.values() if opening.id not in self._mine]
        for opening in left:
            self._append(interrupted(opening, now_us=now_us))
        return len(left)

    async def get(self, organization_id: str, record_id: str) -> ActivityRow | None:
        found = self._data.records.get(record_id)
        if found is None or found[0].opening.organization_id != organization_id:
            return None
        return self._row(*found, *self._latest().get(record_id, (None, None)))

    async def page(self, query: ActivityQuery) -> Page:
        rows = self._matching(query.scope, query.filters)
        rows.sort(key=_place, reverse=query.descending)
        if query.after is not None:
            here = (query.after.created_at_us, query.after.id)
            rows = [row for row in rows if (_place(row) < here if query.descending else _place(row) > here)]
        page = tuple(islice(rows, query.limit))
        return Page(rows=page, next_cursor=page[-1].cursor if page and len(rows) > len(page) else None)

    async def written_until(self) -> int | None:
        return self._data.last_written_us or None

    async def summary(self, query: SummaryQuery) -> Summary:
        zone = time_zone(query.timezone)
        self._check_bounds(query)
        groups: dict[tuple[str | int | None, ...], list[Record]] = {}
        everything = [row.record for row in self._matching(query.scope, query.filters)]
        for record in everything:
            for key in product(*(_group_values(record, dimension, zone) for dimension in query.group_by)):
                groups.setdefault(key, []).append(record)
        rows = [
            SummaryRow(group=tuple(_group_text(value, zone) for value in key), totals=_totals(groups[key], query))
            for key in sorted(groups, key=lambda key: [(value is not None, value) for value in key])
        ]
        ranking = rank(rows, query.group_by, query.order, query.limit)
        return Summary(
            rows=ranking.rows,
            totals=_totals(everything, query),
            other=ranking.rest,
            groups=len(rows),
            as_of_us=self._clock(),
        )

    async def summaries(self, queries: Sequence[SummaryQuery]) -> Sequence[Summary]:
        # Nothing here gives way to another task.
        return tuple([await self.summary(query) for query in queries])

    def _check_bounds(self, query: SummaryQuery) -> None:
        """What would have to be read are the records of the range, those of the users or the key if they are given."""
        reasons = plan(query, (0, 0)).reasons
        filters = query.filters
        range_and_users = Filters(
            users=filters.users, unattributed=filters.unattributed, start_us=filters.start_us, end_us=filters.end_us
        )
        most = query.bounds.most_records
        if reasons and most is not None and len(self._matching(query.scope, range_and_users)) > most:
            raise too_many_records(query, reasons)

    async def user_span(self, scope: Scope, user: str) -> UserSpan | None:
        return self._spans(scope).get(user)

    async def list_users(self, query: UsersQuery) -> UsersPage:
        return page_of(self._spans(query.scope).values(), query)

    async def user_costs(self, scope: Scope, filters: Filters) -> Sequence[int]:
        found = await self.summary(SummaryQuery(scope=scope, filters=filters, group_by=(Dimension.USER,)))
        return sorted((row.totals.cost for row in found.rows if row.group[0] is not None), reverse=True)

    async def spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        if any(start % HOUR_US for start in (day_us, week_us, month_us)):
            raise ValueError("spending is known since the starts of hours only")
        records = [row.record for row in self._rows() if row.record.opening.key_hash == key_hash]
        return _spending(records, day_us, week_us, month_us)

    async def byok_spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        rows = [row.record for row in self._rows() if row.record.opening.key_hash == key_hash]
        return _spending([record for record in rows if record.is_byok], day_us, week_us, month_us)

    async def last_used(self, key_hashes: Sequence[str]) -> Mapping[str, int]:
        last: dict[str, int] = {}
        for record, _ in self._data.records.values():
            opening = record.opening
            if opening.key_hash in key_hashes:
                last[opening.key_hash] = max(opening.created_at_us, last.get(opening.key_hash, opening.created_at_us))
        return last

    async def check(self) -> CheckReport:
        return CheckReport(records=len(self._data.records), open_records=len(self._data.open), problems=())

    def _spans(self, scope: Scope) -> Mapping[str, UserSpan]:
        rows = (row for row in self._rows() if is_visible(row.record.opening, scope, row.creator))
        return spans_of(row.record.opening for row in rows)

    def every_record(self) -> Sequence[Record]:
        """All of them, with the costs that hold."""
        return [row.record for row in self._rows()]

    def _append(self, record: Record) -> None:
        if record.opening.id not in self._data.records:
            check_record(record)
            self._data.open.pop(record.opening.id, None)
            kept = replace(record, opening=without_intent(record.opening))
            self._data.records[record.opening.id] = kept, self._written_now()

    def _adjust(self, adjustment: Adjustment) -> bool:
        if adjustment.id in self._data.adjustments or adjustment.record_id not in self._data.records:
            return False
        self._data.adjustments[adjustment.id] = adjustment, self._written_now()
        self._data.counters.recall_every_lease()
        return True

    def _written_now(self) -> int:
        """The time, which never goes back."""
        self._data.last_written_us = max(self._data.last_written_us, self._clock())
        return self._data.last_written_us

    def _rows(self) -> list[ActivityRow]:
        latest = self._latest()
        return [
            self._row(*found, *latest.get(record_id, (None, None))) for record_id, found in self._data.records.items()
        ]

    def _latest(self) -> dict[str, tuple[Adjustment, int]]:
        """By record, with the time of writing."""
        return {one.record_id: (one, at_us) for one, at_us in self._data.adjustments.values()}

    def _row(
        self, record: Record, written_at_us: int, adjustment: Adjustment | None, adjusted_at_us: int | None
    ) -> ActivityRow:
        key = self._data.keys.get(record.opening.key_hash)
        return ActivityRow(
            record=record if adjustment is None else adjusted(record, adjustment),
            written_at_us=written_at_us,
            adjustment=adjustment,
            adjusted_at_us=adjusted_at_us,
            original_cost=record.cost,
            key_name="" if key is None else key.name,
            creator=None if key is None else key.creator,
        )

    def _matching(self, scope: Scope, filters: Filters) -> list[ActivityRow]:
        return [
            row
            for row in self._rows()
            if is_visible(row.record.opening, scope, row.creator)
            and _matches(row.record, filters)
            and (filters.updated_since_us is None or _updated_at(row) >= filters.updated_since_us)
            and (filters.written_until_us is None or row.written_at_us <= filters.written_until_us)
        ]


class MemoryStore:
    """The protocols over one set of data."""

    def __init__(self, *, clock: Callable[[], int], data: MemoryData | None = None) -> None:
        self._data = MemoryData(Trail(clock)) if data is None else data
        self._clock = clock
        self.directory = MemoryDirectory(self._data)
        self.ledger = MemoryLedger(self._data, clock)
        self.feed = MemoryFeed(self._data, clock)
        self.counters = MemoryCounters(self._data.counters, self.ledger.every_record, self._data.keys.get)

    def reopened(self) -> Self:
        """The store of the next process over the same data, after this one died."""
        self.counters.end()
        return type(self)(clock=self._clock, data=self._data)

    def beside(self) -> Self:
        """The store of another process over the same data, while this one lives."""
        return type(self)(clock=self._clock, data=self._data)

    async def start(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""


def _place(row: ActivityRow) -> tuple[int, str]:
    cursor: Cursor = row.cursor
    return cursor.created_at_us, cursor.id


def _updated_at(row: ActivityRow) -> int:
    return row.written_at_us if row.adjusted_at_us is None else row.adjusted_at_us


def _matches(record: Record, filters: Filters) -> bool:
    opening = record.opening
    return (
        _user_matches(opening.user, filters)
        and (not filters.models or bool({record.model, opening.requested_model} & {*filters.models}))
        and _is_one_of(record.provider, filters.providers)
        and _is_one_of(record.status, filters.statuses)
        and _is_one_of(opening.endpoint, filters.endpoints)
        and _is_one_of(opening.key_hash, filters.key_hashes)
        and _is_one_of(opening.workspace_id, filters.workspace_ids)
        and _is_one_of(opening.session_id, filters.session_ids)
        and (not filters.tags or bool({*opening.tags} & {*filters.tags}))
        and (filters.start_us is None or opening.created_at_us >= filters.start_us)
        and (filters.end_us is None or opening.created_at_us < filters.end_us)
    )


def _user_matches(user: str | None, filters: Filters) -> bool:
    if not filters.users and not filters.unattributed:
        return True
    return filters.unattributed if user is None else user in filters.users


def _is_one_of(value: str | None, alternatives: tuple[str, ...]) -> bool:
    return not alternatives or value in alternatives


def _group_values(record: Record, dimension: Dimension, zone: ZoneInfo) -> Set[str | int | None]:
    """More than one for the tags of a record that has several."""
    opening = record.opening
    if dimension in TIME_DIMENSIONS:
        return {bucket_start(opening.created_at_us, dimension, zone)}
    if dimension is Dimension.TAG:
        return {*opening.tags} or {None}
    values: dict[Dimension, str | None] = {
        Dimension.USER: opening.user,
        Dimension.MODEL: record.model,
        Dimension.PROVIDER: record.provider,
        Dimension.API_KEY: opening.key_hash,
        Dimension.WORKSPACE: opening.workspace_id,
        Dimension.ORGANIZATION: opening.organization_id,
        Dimension.ENDPOINT: opening.endpoint,
        Dimension.STATUS: record.status.value,
    }
    return {values[dimension]}


def _group_text(value: str | int | None, zone: ZoneInfo) -> str | None:
    return bucket_text(value, zone) if isinstance(value, int) else value


def _spending(records: Sequence[Record], day_us: int, week_us: int, month_us: int) -> Spending:
    def since(start_us: int) -> Picodollars:
        costs = [record.cost for record in records if record.opening.created_at_us >= start_us]
        return Picodollars(sum(cost for cost in costs if cost is not None))

    return Spending(total=since(0), daily=since(day_us), weekly=since(week_us), monthly=since(month_us))


def _totals(records: Sequence[Record], query: SummaryQuery) -> Totals:
    users: Set[str] = {record.opening.user for record in records if record.opening.user is not None}
    latencies = [record.latency_us for record in records if record.latency_us is not None]
    return tally.totals(
        tally.total(map(tally.measures, records)),
        users if query.asks_for("users") else None,
        tally.percentiles(latencies) if any(map(query.asks_for, PERCENTILES)) else tally.NO_PERCENTILES,
    )

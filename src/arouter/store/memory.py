"""The reference backend: the storage protocols in plain Python, as simple as they can be said.

It forgets everything with the process. The conformance suite and the stateful tests compare every other backend
with it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Self
from zoneinfo import ZoneInfo

import msgspec

from arouter.domain.activity import (
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
from arouter.domain.audit import AuditAction
from arouter.domain.interruption import interrupted, without_intent
from arouter.domain.keys import Key
from arouter.domain.money import Picodollars
from arouter.domain.provider_keys import ProviderKey, Sealed
from arouter.domain.record import Opening, Record
from arouter.domain.visibility import is_visible
from arouter.store import tally
from arouter.store.base import CheckReport, Home, Spending, first_of
from arouter.store.buckets import HOUR_US, bucket_start, bucket_text, time_zone
from arouter.store.limits import check_adjustment, check_record
from arouter.store.memory_audit import MemoryAudit, Trail
from arouter.store.memory_organizations import Structure
from arouter.store.memory_sign_in import Doors, MemorySignIns


@dataclass(slots=True)
class _Data:
    """What would be on disk."""

    trail: Trail
    home: Home | None = None
    revision: int = 0
    keys: dict[str, Key] = field(default_factory=dict)
    """By hash; with the deleted ones."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Secret to hash."""
    provider_keys: dict[str, tuple[ProviderKey, Sealed]] = field(default_factory=dict)
    """By id."""
    structure: Structure = field(default_factory=Structure)
    doors: Doors = field(default_factory=Doors)
    records: dict[str, tuple[Record, int]] = field(default_factory=dict)
    """By id, with the time of writing."""
    adjustments: dict[str, tuple[Adjustment, int]] = field(default_factory=dict)
    """By id, in the order of writing, with its time."""
    open: dict[str, Opening] = field(default_factory=dict)
    last_written_us: int = 0


class MemoryProviderKeys(MemoryAudit):
    """`ProviderKeys` over a dictionary."""

    def __init__(self, data: _Data) -> None:
        MemoryAudit.__init__(self, data.trail)
        self._data = data

    async def add_provider_key(self, key: ProviderKey, sealed: Sealed) -> None:
        if key.id in self._data.provider_keys:
            raise ValueError("there is such a key already")
        self._store(AuditAction.CREATE_PROVIDER_KEY, key, sealed)

    async def get_provider_key(self, organization_id: str, key_id: str) -> ProviderKey | None:
        found = self._found(organization_id, key_id)
        return None if found is None else found[0]

    async def list_provider_keys(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_disabled: bool = True
    ) -> Sequence[ProviderKey]:
        keys = [key for key, _ in self._of(organization_id) if include_disabled or not key.disabled]
        keys.sort(key=lambda key: (key.created_at_us, key.id), reverse=True)
        return tuple(keys[offset : offset + limit])

    async def replace_provider_key(self, key: ProviderKey, sealed: Sealed | None = None) -> bool:
        found = self._found(key.organization_id, key.id)
        if found is None:
            return False
        changed = replace(
            found[0],
            name=key.name,
            label=found[0].label if sealed is None else key.label,
            updated_at_us=key.updated_at_us,
            disabled=key.disabled,
            byok_fallback=key.byok_fallback,
        )
        self._store(AuditAction.UPDATE_PROVIDER_KEY, changed, found[1] if sealed is None else sealed)
        return True

    async def reseal_provider_key(self, key: ProviderKey, *, before: Sealed, after: Sealed) -> bool:
        found = self._found(key.organization_id, key.id)
        if found is None or found[1] != before:
            return False
        self._store(AuditAction.RESEAL_PROVIDER_KEY, found[0], after)
        return True

    async def delete_provider_key(self, organization_id: str, key_id: str) -> bool:
        found = self._found(organization_id, key_id)
        if found is None:
            return False
        del self._data.provider_keys[key_id]
        self._data.revision += 1
        self._note(AuditAction.DELETE_PROVIDER_KEY, organization_id, key_id, found[0], None)
        return True

    async def sealed_provider_keys(self, organization_id: str) -> Sequence[tuple[ProviderKey, Sealed]]:
        return tuple(pair for pair in self._of(organization_id) if not pair[0].disabled)

    async def every_provider_key(
        self, *, after_id: str = "", limit: int = 1000
    ) -> Sequence[tuple[ProviderKey, Sealed]]:
        ids = sorted(key_id for key_id in self._data.provider_keys if key_id > after_id)
        return tuple(self._data.provider_keys[key_id] for key_id in ids[:limit])

    async def provider_key_holders(self) -> Mapping[str, frozenset[str]]:
        holders: dict[str, frozenset[str]] = {}
        for key, sealed in self._data.provider_keys.values():
            if not key.disabled:
                holders[key.organization_id] = holders.get(key.organization_id, frozenset()) | {sealed.key_id}
        return holders

    def _of(self, organization_id: str) -> list[tuple[ProviderKey, Sealed]]:
        return [pair for pair in self._data.provider_keys.values() if pair[0].organization_id == organization_id]

    def _found(self, organization_id: str, key_id: str) -> tuple[ProviderKey, Sealed] | None:
        found = self._data.provider_keys.get(key_id)
        return found if found is not None and found[0].organization_id == organization_id else None

    def _store(self, action: AuditAction, key: ProviderKey, sealed: Sealed) -> None:
        before = self._data.provider_keys.get(key.id, (None, None))[0]
        self._data.provider_keys[key.id] = key, sealed
        self._data.revision += 1
        self._note(action, key.organization_id, key.id, before, key)


class MemoryDirectory(MemoryProviderKeys, MemorySignIns):
    """`Directory` over dictionaries."""

    def __init__(self, data: _Data) -> None:
        MemoryProviderKeys.__init__(self, data)
        MemorySignIns.__init__(self, data.structure, data.trail)
        self._doors = data.doors

    async def home(self, candidate: Home, *, now_us: int) -> Home:
        if self._data.home is None:
            self._data.home = candidate
            await self.add_organization(*first_of(candidate, now_us))
        return self._data.home

    async def delete_workspace(self, organization_id: str, workspace_id: str) -> bool:
        data = self._data
        told = {record.opening.workspace_id for record, _ in data.records.values()}
        told |= {key.workspace_id for key in data.keys.values()}
        if workspace_id in told or (data.home is not None and workspace_id == data.home.workspace_id):
            return False
        return await self._forget_workspace(organization_id, workspace_id)

    async def revision(self) -> int:
        return self._data.revision + self._data.structure.changes

    async def find_key(self, secret: str) -> Key | None:
        key_hash = self._data.secrets.get(secret)
        return None if key_hash is None else self._data.keys[key_hash]

    async def get_key(self, organization_id: str, key_hash: str) -> Key | None:
        return self._live().get((organization_id, key_hash))

    async def list_keys(
        self,
        organization_id: str,
        *,
        offset: int = 0,
        limit: int = 100,
        include_disabled: bool = True,
        creator: str | None = None,
    ) -> Sequence[Key]:
        keys = [
            key
            for key in self._live().values()
            if key.organization_id == organization_id
            and (include_disabled or not key.disabled)
            and creator in (None, key.creator)
        ]
        keys.sort(key=lambda key: (key.created_at_us, key.hash), reverse=True)
        return tuple(keys[offset : offset + limit])

    async def add_key(self, key: Key, *, secret: str) -> None:
        if key.hash in self._data.keys or secret in self._data.secrets:
            raise ValueError("there is such a key already")
        self._data.keys[key.hash] = key
        self._data.secrets[secret] = key.hash
        self._changed_key(AuditAction.CREATE_KEY, None, key)

    async def replace_key(self, key: Key) -> bool:
        before = self._live().get((key.organization_id, key.hash))
        if before is None:
            return False
        self._data.keys[key.hash] = key
        self._changed_key(AuditAction.UPDATE_KEY, before, key)
        return True

    async def rotate_key(self, organization_id: str, key_hash: str, *, secret: str, label: str, now_us: int) -> bool:
        key = self._live().get((organization_id, key_hash))
        if key is None:
            return False
        if self._data.secrets.get(secret, key_hash) != key_hash:
            raise ValueError("there is such a key already")
        self._forget_secret(key_hash)
        self._data.secrets[secret] = key_hash
        self._data.keys[key_hash] = replace(key, label=label, updated_at_us=now_us)
        self._changed_key(AuditAction.ROTATE_KEY, key, self._data.keys[key_hash])
        return True

    async def delete_key(self, organization_id: str, key_hash: str, *, now_us: int) -> bool:
        key = self._live().get((organization_id, key_hash))
        if key is None:
            return False
        self._forget_secret(key_hash)
        self._changed_key(AuditAction.DELETE_KEY, key, None)
        return True

    def _changed_key(self, action: AuditAction, before: Key | None, after: Key | None) -> None:
        one = after or before
        assert one is not None
        self._data.revision += 1
        self._note(action, one.organization_id, one.hash, before, after)

    def _live(self) -> dict[tuple[str, str], Key]:
        """A key without a secret was deleted."""
        keys = [self._data.keys[key_hash] for key_hash in self._data.secrets.values()]
        return {(key.organization_id, key.hash): key for key in keys}

    def _forget_secret(self, key_hash: str) -> None:
        self._data.secrets = {secret: of for secret, of in self._data.secrets.items() if of != key_hash}


class MemoryLedger:
    """`Ledger` over dictionaries."""

    def __init__(self, data: _Data, clock: Callable[[], int]) -> None:
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

    async def summary(self, query: SummaryQuery) -> Summary:
        zone = time_zone(query.timezone)
        groups: dict[tuple[str | int | None, ...], list[Record]] = {}
        everything = [row.record for row in self._matching(query.scope, query.filters)]
        for record in everything:
            key = tuple(_group_value(record, dimension, zone) for dimension in query.group_by)
            groups.setdefault(key, []).append(record)
        rows = [
            SummaryRow(group=tuple(_group_text(value, zone) for value in key), totals=_totals(groups[key]))
            for key in sorted(groups, key=lambda key: [(value is not None, value) for value in key])
        ]
        return Summary(rows=tuple(rows), totals=_totals(everything))

    async def spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        if any(start % HOUR_US for start in (day_us, week_us, month_us)):
            raise ValueError("spending is known since the starts of hours only")
        records = [row.record for row in self._rows() if row.record.opening.key_hash == key_hash]
        return _spending(records, day_us, week_us, month_us)

    async def byok_spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        rows = [row.record for row in self._rows() if row.record.opening.key_hash == key_hash]
        return _spending([record for record in rows if record.is_byok], day_us, week_us, month_us)

    async def check(self) -> CheckReport:
        return CheckReport(records=len(self._data.records), open_records=len(self._data.open), problems=())

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
        ]


class MemoryStore:
    """Both protocols over one set of data."""

    def __init__(self, *, clock: Callable[[], int], data: _Data | None = None) -> None:
        self._data = _Data(Trail(clock)) if data is None else data
        self._clock = clock
        self.directory = MemoryDirectory(self._data)
        self.ledger = MemoryLedger(self._data, clock)

    def reopened(self) -> Self:
        """The store of the next process over the same data, after this one died."""
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


def _group_value(record: Record, dimension: Dimension, zone: ZoneInfo) -> str | int | None:
    opening = record.opening
    if dimension in TIME_DIMENSIONS:
        return bucket_start(opening.created_at_us, dimension, zone)
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
    return values[dimension]


def _group_text(value: str | int | None, zone: ZoneInfo) -> str | None:
    return bucket_text(value, zone) if isinstance(value, int) else value


def _spending(records: Sequence[Record], day_us: int, week_us: int, month_us: int) -> Spending:
    def since(start_us: int) -> Picodollars:
        costs = [record.cost for record in records if record.opening.created_at_us >= start_us]
        return Picodollars(sum(cost for cost in costs if cost is not None))

    return Spending(total=since(0), daily=since(day_us), weekly=since(week_us), monthly=since(month_us))


def _totals(records: Sequence[Record]) -> Totals:
    users: Set[str] = {record.opening.user for record in records if record.opening.user is not None}
    return tally.totals(tally.total(map(tally.measures, records)), users)

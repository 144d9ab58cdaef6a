"""What one transaction does with adjustments: they are appended, and the sums change by the difference.

Each transaction with new adjustments is a batch of its own in the chain of hashes, without records.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import sub
from types import MappingProxyType
from typing import Any

import apsw
import msgspec

from arouter.domain.adjustment import AdjustedMeanwhile, Adjustment, AdjustmentKind
from arouter.domain.audit import OPERATOR, AuditAction, shown_adjustments
from arouter.domain.money import Picodollars
from arouter.domain.usage import INPUT_METERS, OUTPUT_METERS
from arouter.store.buckets import SLOT_US
from arouter.store.limits import check_adjustment
from arouter.store.sqlite.appender import Batch, last_batch
from arouter.store.sqlite.audit import append_entry
from arouter.store.sqlite.folded import unfold
from arouter.store.sqlite.leases import recall_every_lease
from arouter.store.sqlite.names import Numbers, fetch, to_json
from arouter.store.sqlite.rollups import (
    ROLLUP_KEY,
    RollupKey,
    StoredSums,
    add_to_own_keys,
    add_to_rollups,
    stored,
)
from arouter.store.sqlite.rows import COLUMNS, Row
from arouter.store.sqlite.sealed import DAY_US, has_sealed_days
from arouter.store.sqlite.statements import effective_cost, insert_rows, queries, used_tokens
from arouter.store.sqlite.usage_days import add_costs_to_usage_days
from arouter.store.tally import added, cost_measures

ADJUSTMENT_COLUMNS = (
    "no",
    "batch_no",
    "record_seq",
    "written_at_us",
    "id",
    "created_at_us",
    "kind_no",
    "cost",
    "price_source_no",
    "price_version_no",
    "reason",
    "author",
)
_ADJUSTED_COLUMNS = ("adjusted_seq", "adjustment_no", "adjusted_at_us", "adjusted_cost")

_ORGANIZATION = ROLLUP_KEY.index("organization_no")

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAdjustment:
    """An adjustment as it was written."""

    no: int
    record_seq: int
    written_at_us: int
    adjustment: Adjustment

    def canonical_bytes(self) -> bytes:
        """What the chain of hashes covers: all of it. The author, whom older ones do not have, only where there is
        one."""
        one = self.adjustment
        author = () if one.author is None else (one.author,)
        return _encode(
            (
                self.no,
                self.record_seq,
                self.written_at_us,
                one.id,
                one.created_at_us,
                one.kind,
                one.cost,
                one.price_source,
                one.price_version,
                one.reason,
                *author,
            )
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A record that is adjusted."""

    seq: int
    created_at_us: int
    cost: Picodollars | None
    """The one that holds so far; of one that is sealed, its own."""
    has_tokens: bool
    is_byok: bool
    key: RollupKey


@dataclass(frozen=True, slots=True)
class NoRows:
    """Nothing was done: these records are no rows, and where days are sealed they have to be looked for in those."""

    record_ids: frozenset[str]


Sealed = Mapping[str, Target | None]
"""Records that were looked for in sealed days, by their ids; None for one that is not there."""


def adjust(
    connection: apsw.Connection,
    numbers: Numbers,
    adjustments: Sequence[Adjustment],
    now_us: int,
    seen: Mapping[str, str | None] | None = None,
    sealed: Sealed = MappingProxyType({}),
    *,
    is_noted: bool = True,
) -> int | NoRows:
    """Append, within the caller's transaction, what is not there yet and has a record; how many those were.

    ValueError if one of them cannot be stored, AdjustedMeanwhile if `seen` is not what holds; the caller rolls back.
    They are noted in the audit log unless `is_noted` is False, because it has them already.
    `NoRows` asks to be called again with those records among `sealed`: they are not looked for here, since that takes
    long.
    """
    for adjustment in adjustments:
        check_adjustment(adjustment)
        _encode(adjustment)  # ValueError for a text that is not Unicode
    ids = {adjustment.record_id for adjustment in adjustments} | {*(seen or ())}
    targets = _targets(connection, sorted(ids), sealed)
    if isinstance(targets, NoRows):
        return targets
    if seen is not None:
        _check_seen(connection, seen, targets)
    new = list(_new(connection, [one for one in adjustments if one.record_id in targets]))
    if not new:
        return 0
    last = last_batch(connection)
    written_at_us = max(now_us, last.written_at_us)
    made = _numbered(connection, new, targets, written_at_us)
    _add_batch(connection, last, made, written_at_us, min(targets[one.record_id].created_at_us for one in new))
    _write(connection, numbers, made, last.no + 1)
    latest = {adjustment.record_id: adjustment.cost for adjustment in new}
    differences = _differences(latest, targets)
    add_to_rollups(connection, differences)
    add_to_own_keys(connection, _own_keys(latest, targets))
    unfold(connection, differences)
    add_costs_to_usage_days(connection, differences)
    recall_every_lease(connection)
    if is_noted:
        _note(connection, new, targets, written_at_us)
    return len(new)


def target_of(row: Row) -> Target:
    """A sealed record that is to be adjusted."""
    values: dict[str, Any] = dict(zip(COLUMNS, row, strict=False))
    values["slot"] = values["created_at_us"] // SLOT_US
    return Target(
        seq=values["seq"],
        created_at_us=values["created_at_us"],
        cost=values["cost"],
        has_tokens=any(values[meter] for meter in INPUT_METERS + OUTPUT_METERS),
        is_byok=values["is_byok"] == 1,
        key=tuple(values[name] or 0 for name in ROLLUP_KEY),
    )


def read_adjustments(connection: apsw.Connection, where: str, *values: object) -> Sequence[StoredAdjustment]:
    """Those that fulfil a condition, in the order of writing. Which record's they are is told by its `seq` only."""
    rows = fetch(connection, queries()["adjustments"].format(where=where), *values)
    return [_read(row) for row in sorted(rows, key=lambda row: row[0])]


def _check_seen(connection: apsw.Connection, seen: Mapping[str, str | None], targets: Mapping[str, Target]) -> None:
    seqs = [target.seq for record_id, target in targets.items() if record_id in seen]
    holding = dict(fetch(connection, queries()["adjustments_that_hold"], to_json(seqs)))
    for record_id, adjustment_id in seen.items():
        target = targets.get(record_id)
        if (None if target is None else holding.get(target.seq)) != adjustment_id:
            raise AdjustedMeanwhile(f"{record_id} was adjusted meanwhile")


def _new(connection: apsw.Connection, adjustments: Sequence[Adjustment]) -> Iterator[Adjustment]:
    ids = to_json([adjustment.id for adjustment in adjustments])
    known = set(fetch(connection, queries()["which_adjustments_are_there"], ids))
    for adjustment in adjustments:
        if adjustment.id not in known:
            known.add(adjustment.id)
            yield adjustment


def _targets(connection: apsw.Connection, record_ids: Sequence[str], sealed: Sealed) -> dict[str, Target] | NoRows:
    """The records of those ids that there are."""
    sql = queries()["records_to_adjust"].format(cost=effective_cost(), used=used_tokens())
    targets = {
        record_id: Target(seq, created_at_us, cost, has_tokens == 1, is_byok == 1, tuple(key))
        for record_id, seq, created_at_us, cost, has_tokens, is_byok, *key in fetch(
            connection, sql, to_json(record_ids)
        )
    }
    others = [record_id for record_id in record_ids if record_id not in targets]
    if others and has_sealed_days(connection):
        unknown = frozenset(others) - {*sealed}
        if unknown:
            return NoRows(unknown)
        targets |= _still_there(connection, {each: target for each in others if (target := sealed[each]) is not None})
    return targets


def _still_there(connection: apsw.Connection, targets: Mapping[str, Target]) -> Mapping[str, Target]:
    """Those of sealed records that were not forgotten meanwhile, with the costs that hold."""
    days = {(target.key[_ORGANIZATION], target.created_at_us // DAY_US) for target in targets.values()}
    visible = {day for day in days if connection.execute(queries()["is_sealed"], day).get}
    seqs = to_json([target.seq for target in targets.values()])
    costs = {seq: cost for seq, _, _, cost in fetch(connection, queries()["adjusted_of"], seqs)}
    return {
        record_id: replace(target, cost=costs.get(target.seq, target.cost))
        for record_id, target in targets.items()
        if (target.key[_ORGANIZATION], target.created_at_us // DAY_US) in visible
    }


def _numbered(
    connection: apsw.Connection, new: Sequence[Adjustment], targets: Mapping[str, Target], written_at_us: int
) -> Sequence[StoredAdjustment]:
    first = int(connection.execute(queries()["last_adjustment"]).get) + 1
    return [
        StoredAdjustment(no=no, record_seq=targets[one.record_id].seq, written_at_us=written_at_us, adjustment=one)
        for no, one in enumerate(new, first)
    ]


def _add_batch(
    connection: apsw.Connection,
    last: Batch,
    made: Sequence[StoredAdjustment],
    written_at_us: int,
    earliest_us: int,
) -> None:
    """A batch without records: its first is beyond its last."""
    chain = hashlib.sha256(last.hash)
    for one in made:
        chain.update(one.canonical_bytes())
    batch = (last.no + 1, last.last_seq + 1, last.last_seq, written_at_us, earliest_us, chain.digest())
    connection.execute(queries()["add_batch"], batch)


def _write(connection: apsw.Connection, numbers: Numbers, made: Sequence[StoredAdjustment], batch_no: int) -> None:
    rows = []
    for one in made:
        adjustment = one.adjustment
        texts = (adjustment.kind.value, adjustment.price_source, adjustment.price_version)
        kind_no, source_no, version_no = numbers.names(connection, texts)
        rows.append(
            (
                one.no,
                batch_no,
                one.record_seq,
                one.written_at_us,
                adjustment.id,
                adjustment.created_at_us,
                kind_no,
                adjustment.cost,
                source_no,
                version_no,
                adjustment.reason,
                adjustment.author,
            )
        )
    insert_rows(connection, "add_adjustments", ADJUSTMENT_COLUMNS, rows)
    latest = {one.record_seq: (one.record_seq, one.no, one.written_at_us, one.adjustment.cost) for one in made}
    insert_rows(connection, "set_adjusted", _ADJUSTED_COLUMNS, tuple(latest.values()))


def _note(
    connection: apsw.Connection, new: Sequence[Adjustment], targets: Mapping[str, Target], written_at_us: int
) -> None:
    """An entry of the audit log for each organization."""
    by_organization: dict[int, list[Adjustment]] = {}
    for one in new:
        by_organization.setdefault(targets[one.record_id].key[_ORGANIZATION], []).append(one)
    names = dict(fetch(connection, queries()["texts_of_names"], to_json([*by_organization])))
    for number, some in by_organization.items():
        append_entry(
            connection,
            OPERATOR,
            AuditAction.ADJUST_RECORD,
            organization_id=names[number],
            target_id=some[0].record_id if len(some) == 1 else None,
            was=None,
            now=shown_adjustments(some),
            at_us=written_at_us,
        )


def _differences(
    costs: Mapping[str, Picodollars | None], targets: Mapping[str, Target]
) -> Mapping[RollupKey, StoredSums]:
    """By how much the sums change."""
    differences: dict[RollupKey, StoredSums] = {}
    for record_id, cost in costs.items():
        target = targets[record_id]
        difference = _difference(cost, target)
        known = differences.get(target.key)
        differences[target.key] = difference if known is None else added(known, difference)
    return differences


def _own_keys(
    costs: Mapping[str, Picodollars | None], targets: Mapping[str, Target]
) -> Sequence[tuple[RollupKey, StoredSums]]:
    """By how much those of requests on own keys do."""
    return [
        (targets[record_id].key, _difference(cost, targets[record_id]))
        for record_id, cost in costs.items()
        if targets[record_id].is_byok
    ]


def _difference(cost: Picodollars | None, target: Target) -> StoredSums:
    after = stored(cost_measures(cost, has_tokens=target.has_tokens))
    before = stored(cost_measures(target.cost, has_tokens=target.has_tokens))
    return tuple(map(sub, after, before))


def _read(row: Sequence[Any]) -> StoredAdjustment:
    no, seq, written_at_us, adjustment_id, created_at_us, kind, cost, source, version, reason, author = row
    adjustment = Adjustment(
        id=adjustment_id,
        record_id="",
        created_at_us=created_at_us,
        kind=AdjustmentKind(kind),
        cost=cost,
        price_source=source,
        price_version=version,
        reason=reason,
        author=author,
    )
    return StoredAdjustment(no=no, record_seq=seq, written_at_us=written_at_us, adjustment=adjustment)

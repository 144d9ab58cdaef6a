"""What one transaction does with adjustments: they are appended, and the sums change by the difference.

Each transaction with new adjustments is a batch of its own in the chain of hashes, without records.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import sub
from typing import Any

import apsw
import msgspec

from arouter.domain.adjustment import AdjustedMeanwhile, Adjustment, AdjustmentKind
from arouter.domain.audit import OPERATOR, AuditAction, shown_adjustments
from arouter.domain.money import Picodollars
from arouter.store.limits import check_adjustment
from arouter.store.sqlite.appender import Batch, last_batch
from arouter.store.sqlite.audit import append_entry
from arouter.store.sqlite.names import Numbers, fetch, to_json
from arouter.store.sqlite.rollups import ROLLUP_KEY, RollupKey, StoredSums, add_to_rollups, stored
from arouter.store.sqlite.statements import effective_cost, insert_rows, queries, used_tokens
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


@dataclass(slots=True)
class _Target:
    """A record that is adjusted."""

    seq: int
    created_at_us: int
    cost: Picodollars | None
    """The one that holds so far."""
    has_tokens: bool
    key: RollupKey


def adjust(
    connection: apsw.Connection,
    numbers: Numbers,
    adjustments: Sequence[Adjustment],
    now_us: int,
    seen: Mapping[str, str | None] | None = None,
) -> int:
    """Append, within the caller's transaction, what is not there yet and has a record; how many those were.

    ValueError if one of them cannot be stored, AdjustedMeanwhile if `seen` is not what holds; the caller rolls back.
    """
    for adjustment in adjustments:
        check_adjustment(adjustment)
        _encode(adjustment)  # ValueError for a text that is not Unicode
    if seen is not None:
        _check_seen(connection, seen)
    targets = _targets(connection, [adjustment.record_id for adjustment in adjustments])
    new = list(_new(connection, [one for one in adjustments if one.record_id in targets]))
    if not new:
        return 0
    last = last_batch(connection)
    written_at_us = max(now_us, last.written_at_us)
    made = _numbered(connection, new, targets, written_at_us)
    _add_batch(connection, last, made, written_at_us, min(targets[one.record_id].created_at_us for one in new))
    _write(connection, numbers, made, last.no + 1)
    add_to_rollups(connection, _differences(new, targets))
    _note(connection, new, targets, written_at_us)
    return len(new)


def read_adjustments(connection: apsw.Connection, where: str, *values: object) -> Sequence[StoredAdjustment]:
    """Those that fulfil a condition, in the order of writing."""
    rows = fetch(connection, queries()["adjustments"].format(where=where), *values)
    return [_read(row) for row in sorted(rows, key=lambda row: row[0])]


def _check_seen(connection: apsw.Connection, seen: Mapping[str, str | None]) -> None:
    holding = dict(fetch(connection, queries()["adjustments_that_hold"], to_json([*seen])))
    for record_id, adjustment_id in seen.items():
        if holding.get(record_id) != adjustment_id:
            raise AdjustedMeanwhile(f"{record_id} was adjusted meanwhile")


def _new(connection: apsw.Connection, adjustments: Sequence[Adjustment]) -> Iterator[Adjustment]:
    ids = to_json([adjustment.id for adjustment in adjustments])
    known = set(fetch(connection, queries()["which_adjustments_are_there"], ids))
    for adjustment in adjustments:
        if adjustment.id not in known:
            known.add(adjustment.id)
            yield adjustment


def _targets(connection: apsw.Connection, record_ids: Sequence[str]) -> Mapping[str, _Target]:
    sql = queries()["records_to_adjust"].format(cost=effective_cost(), used=used_tokens())
    return {
        record_id: _Target(seq, created_at_us, cost, has_tokens == 1, tuple(key))
        for record_id, seq, created_at_us, cost, has_tokens, *key in fetch(connection, sql, to_json(record_ids))
    }


def _numbered(
    connection: apsw.Connection, new: Sequence[Adjustment], targets: Mapping[str, _Target], written_at_us: int
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
    connection: apsw.Connection, new: Sequence[Adjustment], targets: Mapping[str, _Target], written_at_us: int
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


def _differences(new: Sequence[Adjustment], targets: Mapping[str, _Target]) -> Mapping[RollupKey, StoredSums]:
    """By how much the sums change."""
    costs = {adjustment.record_id: adjustment.cost for adjustment in new}
    differences: dict[RollupKey, StoredSums] = {}
    for record_id, cost in costs.items():
        target = targets[record_id]
        after = stored(cost_measures(cost, has_tokens=target.has_tokens))
        before = stored(cost_measures(target.cost, has_tokens=target.has_tokens))
        difference = tuple(map(sub, after, before))
        known = differences.get(target.key)
        differences[target.key] = difference if known is None else added(known, difference)
    return differences


def _read(row: Sequence[Any]) -> StoredAdjustment:
    no, seq, written_at_us, adjustment_id, record_id, created_at_us, kind, cost, source, version, reason, author = row
    adjustment = Adjustment(
        id=adjustment_id,
        record_id=record_id,
        created_at_us=created_at_us,
        kind=AdjustmentKind(kind),
        cost=cost,
        price_source=source,
        price_version=version,
        reason=reason,
        author=author,
    )
    return StoredAdjustment(no=no, record_seq=seq, written_at_us=written_at_us, adjustment=adjustment)

"""What one transaction does with adjustments: they are appended, and the sums change by the difference.

The records are locked first, in the order of their ids, so that of two who adjust one record at once the one sees what
the other has written; the rest comes in the order of everybody's locks (see `batch`).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import sub
from typing import TYPE_CHECKING, Any

import msgspec

from arouter.domain.adjustment import AdjustedMeanwhile, Adjustment
from arouter.domain.audit import OPERATOR, AuditAction, shown_adjustments
from arouter.domain.money import Picodollars
from arouter.domain.usage import INPUT_METERS, OUTPUT_METERS
from arouter.store.buckets import SLOT_US
from arouter.store.limits import check_adjustment
from arouter.store.postgres.audit import append_entry, lock_chains
from arouter.store.postgres.batch import add_batch
from arouter.store.postgres.leases import recall_every_lease
from arouter.store.postgres.raised import ROLLUP_KEY, Raised, RollupKey, columns_of, sums_of, write_sums
from arouter.store.postgres.rows import as_json, decode_row
from arouter.store.postgres.statements import queries
from arouter.store.postgres.texts import listed
from arouter.store.tally import cost_measures

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

_ADJUSTMENT_TYPES = ("text", "text", "bigint", "text", "bigint", "text", "text", "text", "text")
_HOLD_TYPES = ("text", "text", "bigint", "text", "bigint")
_USED = " + ".join(f"coalesce({meter}, 0)" for meter in INPUT_METERS + OUTPUT_METERS)
_TARGET = as_json(
    (
        "records.id",
        "records.created_at_us",
        "holding_cost",
        f"{_USED} > 0",
        "is_byok",
        "adjustment_id",
        *(f"records.created_at_us / {SLOT_US}" if column == "slot" else f"records.{column}" for column in ROLLUP_KEY),
    )
)

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Target:
    """A record that is adjusted."""

    created_at_us: int
    cost: Picodollars | None
    """The one that holds so far."""
    has_tokens: bool
    is_byok: bool
    adjustment_id: str | None
    key: RollupKey

    @property
    def organization_id(self) -> str:
        return str(self.key[0])


def canonical_adjustment(adjustment: Adjustment) -> bytes:
    """What the chain of hashes covers of an adjustment. ValueError for a text that is not Unicode."""
    return _encode(_values(adjustment))


def digest_of(adjustments: Iterable[Adjustment]) -> bytes:
    """Of those that were written together, in their order."""
    return hashlib.sha256(b"\n".join(map(canonical_adjustment, adjustments))).digest()


def check_adjustments(adjustments: Iterable[Adjustment]) -> None:
    """ValueError if one of them can never be stored."""
    for adjustment in adjustments:
        check_adjustment(adjustment)
        canonical_adjustment(adjustment)


async def write_adjustments(
    connection: "Connection",
    adjustments: Sequence[Adjustment],
    now_us: int,
    seen: Mapping[str, str | None] | None = None,
    *,
    is_noted: bool = True,
) -> int:
    """Append, within the caller's transaction, what is not there yet and has a record; how many those were.

    They are noted in the audit log unless `is_noted` is False, because it has them already.

    AdjustedMeanwhile if `seen` is not what holds; the caller rolls back.
    """
    targets = await _targets(connection, {one.record_id for one in adjustments} | {*(seen or ())})
    if seen is not None:
        _check_seen(seen, targets)
    new = await _new(connection, [one for one in adjustments if one.record_id in targets])
    if not new:
        return 0
    number = await connection.fetchval(queries("ledger")["next_batch"])
    await connection.execute(
        queries("ledger")["add_adjustments"], number, *columns_of([_values(one) for one in new], _ADJUSTMENT_TYPES)
    )
    latest = {one.record_id: one for one in new}
    await _hold(connection, number, latest, targets)
    await write_sums(connection, sums_of(_raised(latest, targets)))
    await recall_every_lease(connection)
    if is_noted:
        await _note(connection, new, targets, now_us)
    earliest_us = min(targets[one.record_id].created_at_us for one in new)
    await add_batch(connection, number, now_us, earliest_us, 0, digest_of(new))
    return len(new)


def _values(one: Adjustment) -> tuple[Any, ...]:
    return (
        one.id,
        one.record_id,
        one.created_at_us,
        one.kind.value,
        one.cost,
        one.price_source,
        one.price_version,
        one.reason,
        one.author,
    )


async def _targets(connection: "Connection", record_ids: Iterable[str]) -> dict[str, Target]:
    sql = queries("ledger")["records_to_adjust"].format(columns=_TARGET)
    rows = await connection.fetch(sql, listed(sorted(record_ids)))
    return {values[0]: _target(values) for values in (decode_row(row[0]) for row in rows)}


def _target(values: Sequence[Any]) -> Target:
    _, created_at_us, cost, has_tokens, is_byok, adjustment_id, *key = values
    return Target(created_at_us, cost, has_tokens, is_byok, adjustment_id, tuple(key))


def _check_seen(seen: Mapping[str, str | None], targets: Mapping[str, Target]) -> None:
    for record_id, adjustment_id in seen.items():
        target = targets.get(record_id)
        if (None if target is None else target.adjustment_id) != adjustment_id:
            raise AdjustedMeanwhile(f"{record_id} was adjusted meanwhile")


async def _new(connection: "Connection", adjustments: Sequence[Adjustment]) -> Sequence[Adjustment]:
    rows = await connection.fetch(queries("ledger")["adjustments_there"], listed(one.id for one in adjustments))
    known = {row["id"] for row in rows}
    new = []
    for one in adjustments:
        if one.id not in known:
            known.add(one.id)
            new.append(one)
    return new


async def _hold(
    connection: "Connection", number: int, latest: Mapping[str, Adjustment], targets: Mapping[str, Target]
) -> None:
    """Let the last adjustment of each record hold."""
    rows = [
        (record_id, targets[record_id].organization_id, targets[record_id].created_at_us, one.id, one.cost)
        for record_id, one in sorted(latest.items())
    ]
    await connection.execute(queries("ledger")["hold_adjustments"], number, *columns_of(rows, _HOLD_TYPES))


def _raised(latest: Mapping[str, Adjustment], targets: Mapping[str, Target]) -> Raised:
    """By how much the sums change."""
    raised = Raised()
    for record_id, one in latest.items():
        target = targets[record_id]
        after = cost_measures(one.cost, has_tokens=target.has_tokens)
        before = cost_measures(target.cost, has_tokens=target.has_tokens)
        raised.add(target.key, target.created_at_us, tuple(map(sub, after, before)), is_byok=target.is_byok)
    return raised


async def _note(
    connection: "Connection", new: Sequence[Adjustment], targets: Mapping[str, Target], now_us: int
) -> None:
    """An entry of the audit log for each organization."""
    by_organization: dict[str, list[Adjustment]] = {}
    for one in new:
        by_organization.setdefault(targets[one.record_id].organization_id, []).append(one)
    await lock_chains(connection, by_organization)
    for organization_id, some in by_organization.items():
        await append_entry(
            connection,
            OPERATOR,
            AuditAction.ADJUST_RECORD,
            organization_id=organization_id,
            target_id=some[0].record_id if len(some) == 1 else None,
            was=None,
            now=shown_adjustments(some),
            at_us=now_us,
        )

"""A record with everything that was said of its cost after it was written."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from arouter.domain.activity import ActivityRow
from arouter.domain.adjustment import Adjustment
from arouter.wire.activity_json import ActivityRecord, Instant, activity_record
from arouter.wire.instants import write_instant
from arouter.wire.numbers import Dollars, dollars


class AdjustmentRecord(msgspec.Struct, frozen=True):
    """Another cost for a record: the whole cost from then on. A null `author` is the program itself."""

    id: str
    created_at: Instant
    kind: Literal["reprice", "correction"]
    cost: Dollars | None
    price_source: str | None
    price_version: str | None
    author: str | None
    reason: str


class RecordHistory(msgspec.Struct, frozen=True):
    """`record` goes by the last of the adjustments; `original_cost` is its own."""

    record: ActivityRecord
    original_cost: Dollars | None
    adjustments: list[AdjustmentRecord]


def record_history(row: ActivityRow, adjustments: Sequence[Adjustment]) -> RecordHistory:
    """A row of the ledger and its adjustments, in the order of writing."""
    return RecordHistory(
        record=activity_record(row),
        original_cost=dollars(row.original_cost),
        adjustments=[_adjustment(one) for one in adjustments],
    )


def _adjustment(one: Adjustment) -> AdjustmentRecord:
    return AdjustmentRecord(
        id=one.id,
        created_at=write_instant(one.created_at_us),
        kind=one.kind.value,
        cost=dollars(one.cost),
        price_source=one.price_source,
        price_version=one.price_version,
        author=one.author,
        reason=one.reason,
    )

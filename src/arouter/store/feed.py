"""What was written to a ledger, in the order of writing: what a derived copy is made from.

A copy keeps the place up to which it has everything, asks for the stretch behind it, writes it down somewhere, and only
then reads what the stretch holds. However often that is repeated, the stretch holds the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from arouter.domain.adjustment import Adjustment
from arouter.domain.money import Picodollars
from arouter.domain.record import Record


class ForeignPosition(ValueError):
    """The place is none of this ledger: what is there was written otherwise, or was never written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the order of writing. Its numbers mean something to the feed that made it only."""

    transaction: int = 0
    """All that was written up to this transaction is before the place."""
    record: int = 0
    """The last record that is: of the next transaction, perhaps, which may be large."""
    mark: str = ""
    """What proves that the place is one of this ledger. Empty at the beginning."""


BEGINNING = Position()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What was written between two places."""

    after: Position
    until: Position
    size: int
    """How many records and adjustments it was when it was measured; some may have expired since."""
    as_of_us: int
    """Nothing that was written before this instant lies behind `until`. Microseconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenRecord:
    """A record as it was written: with its own cost, whatever was said of that later."""

    record: Record
    written_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenAdjustment:
    """An adjustment, and the record that it is about."""

    no: int
    """Grows in the order of writing, from 1 on."""
    adjustment: Adjustment
    written_at_us: int
    target: WrittenRecord
    cost_before: Picodollars | None
    """The cost that held until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a stretch holds, both in the order of writing."""

    records: Sequence[WrittenRecord]
    adjustments: Sequence[WrittenAdjustment]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredDay:
    """A day of UTC, counted from the epoch, whose records were deleted from the ledger."""

    organization_id: str
    day: int


class Feed(Protocol):
    """A ledger, to be copied. Each method raises StorageUnavailable if the ledger cannot be read."""

    async def after(self, position: Position, *, limit: int) -> Stretch | None:
        """The next stretch of up to about `limit` records and adjustments; None if nothing is left.

        Transactions are taken whole, or in parts if a single one holds more. ForeignPosition if the place is none of
        this ledger.
        """

    async def read(self, stretch: Stretch) -> Changes:
        """What it holds. The same at any time, but for records that expired meanwhile."""

    async def size_after(self, position: Position) -> int:
        """About how many records were written since."""

    async def expired_days(self) -> Sequence[ExpiredDay]:
        """The days whose records a copy must not show any more."""

    async def settled_us(self) -> int:
        """An instant before which nothing was written that `after` would not find from now on."""

"""The feed of the reference backend.

A transaction is one adjustment here; records have a number of their own, by their place.
"""

from collections.abc import Callable, Sequence

from arouter.store.feed import (
    Changes,
    ExpiredDay,
    ForeignPosition,
    Position,
    Stretch,
    WrittenAdjustment,
    WrittenRecord,
)
from arouter.store.memory_directory import MemoryData


class MemoryFeed:
    """`Feed` over dictionaries, which keep the order of writing."""

    def __init__(self, data: MemoryData, clock: Callable[[], int]) -> None:
        self._data = data
        self._clock = clock

    async def after(self, position: Position, *, limit: int) -> Stretch | None:
        if self._mark(position.transaction, position.record) != position.mark:
            raise ForeignPosition("what was copied is not what this ledger holds")
        records, adjustments = [*self._data.records.values()], [*self._data.adjustments.values()]
        last_record = min(len(records), position.record + limit)
        # An adjustment comes after its record: only when all of those are read.
        left = limit - (last_record - position.record)
        last_adjustment = position.transaction
        if last_record == len(records):
            last_adjustment = min(len(adjustments), position.transaction + left)
        size = last_record - position.record + last_adjustment - position.transaction
        if not size:
            return None
        behind = [at_us for _, at_us in (*records[last_record:], *adjustments[last_adjustment:])]
        until = Position(transaction=last_adjustment, record=last_record, mark=self._mark(last_adjustment, last_record))
        return Stretch(after=position, until=until, size=size, as_of_us=min([*behind, self._data.last_written_us]))

    async def read(self, stretch: Stretch) -> Changes:
        records = [
            WrittenRecord(record=record, written_at_us=written_at_us)
            for record, written_at_us in [*self._data.records.values()][stretch.after.record : stretch.until.record]
        ]
        adjustments: list[WrittenAdjustment] = []
        holding = {record_id: record.cost for record_id, (record, _) in self._data.records.items()}
        for no, (adjustment, written_at_us) in enumerate(self._data.adjustments.values(), 1):
            if no > stretch.until.transaction:
                break
            if no > stretch.after.transaction:
                record, record_written_at_us = self._data.records[adjustment.record_id]
                made = WrittenAdjustment(
                    no=no,
                    adjustment=adjustment,
                    written_at_us=written_at_us,
                    target=WrittenRecord(record=record, written_at_us=record_written_at_us),
                    cost_before=holding[adjustment.record_id],
                )
                adjustments.append(made)
            holding[adjustment.record_id] = adjustment.cost
        return Changes(records=records, adjustments=adjustments)

    async def size_after(self, position: Position) -> int:
        behind = len(self._data.records) - position.record
        return behind + len(self._data.adjustments) - position.transaction

    async def expired_days(self) -> Sequence[ExpiredDay]:
        return ()

    async def settled_us(self) -> int:
        return self._clock()

    def _mark(self, transaction: int, record: int) -> str:
        """The ids of the last of both; empty where there are not so many."""
        records, adjustments = [*self._data.records], [*self._data.adjustments]
        if record > len(records) or transaction > len(adjustments):
            return "beyond the end"
        last = [*records[:record][-1:], *adjustments[:transaction][-1:]]
        return " ".join(last)

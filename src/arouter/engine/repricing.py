"""Past records at the prices that are known now.

Each record is billed again from the usage that it keeps; where the cost comes out different, known or unknown, an
adjustment is written. Nothing is written where only the source or the version of the price is another. A record that
somebody corrected keeps that cost.

Records are taken page by page, and each page's adjustments are one transaction: to stop in between leaves whole
pages, and to run again does the rest. An adjustment's id follows from the record, the adjustment before it and what
it says, so that two runs at once write it once.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from arouter.domain.activity import ActivityQuery, ActivityRow
from arouter.domain.adjustment import Adjustment, AdjustmentKind
from arouter.domain.money import ZERO, Picodollars
from arouter.engine.billing import NOTHING_USED, Bill, Billing
from arouter.providers.vendors import Vendor
from arouter.store.base import Ledger

RECORDS_AT_ONCE = 500
REASON = "billed again at the prices known now"


@dataclass(slots=True)
class Outcome:
    """What became of the records of one model, or of all."""

    records: int = 0
    """Looked at."""
    changed: int = 0
    corrected: int = 0
    """Left alone, because somebody corrected them."""
    cost_before: Picodollars = ZERO
    """The sum over all records looked at; unknown costs are not in it."""
    cost_after: Picodollars = ZERO
    unpriced_before: int = 0
    """Those that used tokens and whose cost is not known."""
    unpriced_after: int = 0

    def add(self, row: ActivityRow, cost: Picodollars | None) -> None:
        """Count a record, and the cost that it has from now on."""
        before = row.record.cost
        used = bool(row.record.usage.total_tokens)
        self.records += 1
        self.changed += cost != before
        self.corrected += _is_corrected(row)
        self.cost_before = Picodollars(self.cost_before + (ZERO if before is None else before))
        self.cost_after = Picodollars(self.cost_after + (ZERO if cost is None else cost))
        self.unpriced_before += used and before is None
        self.unpriced_after += used and cost is None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Over everything, and by model; None is the model of requests that were never routed."""

    total: Outcome
    by_model: dict[str | None, Outcome]


class Repricing:
    """Bills records again. `vendor_of` tells the row of a provider's name."""

    def __init__(
        self,
        ledger: Ledger,
        billing: Billing,
        *,
        vendor_of: Callable[[str], Vendor],
        now_us: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._billing = billing
        self._vendor_of = vendor_of
        self._now_us = now_us

    async def run(
        self, query: ActivityQuery, *, dry: bool = False, on_page: Callable[[int], None] = lambda records: None
    ) -> Outcomes:
        """Every record that `query` matches, whatever its limit, oldest first. With `dry`, nothing is written.

        `on_page` is told how many records were done since it was told last.
        """
        outcomes = Outcomes(Outcome(), {})
        query = replace(query, descending=False, limit=RECORDS_AT_ONCE)
        while True:
            page = await self._ledger.page(query)
            adjustments = self._look_at(page.rows, outcomes)
            if adjustments and not dry:
                await self._ledger.adjust(adjustments)
            on_page(len(page.rows))
            if page.next_cursor is None:
                return outcomes
            query = replace(query, after=page.next_cursor)

    def _look_at(self, rows: Sequence[ActivityRow], outcomes: Outcomes) -> Sequence[Adjustment]:
        """What is to be adjusted."""
        adjustments = []
        for row in rows:
            record = row.record
            cost = record.cost
            if not _is_corrected(row):
                bill = self._bill(row)
                if bill.cost != cost:
                    cost = bill.cost
                    adjustments.append(_adjustment(row, bill, self._now_us()))
            outcomes.total.add(row, cost)
            outcomes.by_model.setdefault(record.model, Outcome()).add(row, cost)
        return adjustments

    def _bill(self, row: ActivityRow) -> Bill:
        provider = row.record.provider
        return NOTHING_USED if provider is None else self._billing.bill_again(row.record, self._vendor_of(provider))


def _is_corrected(row: ActivityRow) -> bool:
    return row.adjustment is not None and row.adjustment.kind is AdjustmentKind.CORRECTION


def _adjustment(row: ActivityRow, bill: Bill, now_us: int) -> Adjustment:
    record_id = row.record.opening.id
    before = None if row.adjustment is None else row.adjustment.id
    what = msgspec.json.encode((record_id, before, bill.cost, bill.price_source, bill.price_version))
    return Adjustment(
        id=f"adj-{hashlib.sha256(what).hexdigest()[:32]}",
        record_id=record_id,
        created_at_us=now_us,
        kind=AdjustmentKind.REPRICE,
        cost=bill.cost,
        price_source=bill.price_source,
        price_version=bill.price_version,
        reason=REASON,
    )

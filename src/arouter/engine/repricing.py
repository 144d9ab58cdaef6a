"""Past records at the prices that are known now.

Each record is billed again from the usage that it keeps; where the cost comes out different, known or unknown, an
adjustment is written. Nothing is written where only the source or the version of the price is another. A record that
somebody corrected keeps that cost.

Records are taken page by page, and each page's adjustments are one transaction: to stop in between leaves whole
pages, and to run again does the rest. They are written only if each record still goes by the adjustment that was
read; if somebody adjusted one meanwhile, by hand or by another run, the page is read again.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from arouter.domain.activity import ActivityQuery, ActivityRow
from arouter.domain.adjustment import AdjustedMeanwhile, Adjustment, AdjustmentKind
from arouter.domain.attempt import Attempt, whole_cost
from arouter.domain.interruption import is_half_known
from arouter.domain.money import ZERO, Picodollars
from arouter.domain.record import Record, UsageSource
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


@dataclass(frozen=True, slots=True)
class _Rated:
    """A record and its bill by the prices of now; None if it keeps its cost."""

    row: ActivityRow
    bill: Bill | None

    @property
    def cost(self) -> Picodollars | None:
        return self.row.record.cost if self.bill is None else self.bill.cost


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
            rated = [_Rated(row, self._bill(row)) for row in page.rows]
            if not dry and not await self._write(rated):
                continue
            _count(rated, outcomes)
            on_page(len(page.rows))
            if page.next_cursor is None:
                return outcomes
            query = replace(query, after=page.next_cursor)

    async def _write(self, rated: Sequence[_Rated]) -> bool:
        """Adjust what costs something else now; False if somebody adjusted one of those since they were read."""
        changed = [(one.row, one.bill) for one in rated if one.bill is not None and one.cost != one.row.record.cost]
        if not changed:
            return True
        adjustments = [_adjustment(row, bill, self._now_us()) for row, bill in changed]
        try:
            await self._ledger.adjust(adjustments, seen={row.record.opening.id: _last(row) for row, _ in changed})
        except AdjustedMeanwhile:
            return False
        return True

    def _bill(self, row: ActivityRow) -> Bill | None:
        """None for a record that keeps its cost: a corrected one, and one of which too little is known for a price."""
        record = row.record
        if _is_corrected(row) or is_half_known(record):
            return None
        own = self._bill_alone(record)
        if not any(attempt.usage is not None for attempt in record.tried):
            return own
        cost = whole_cost(
            own.cost,
            used=own.usage_source is not UsageSource.NONE,
            tried=[replace(attempt, cost=self._cost_of(record, attempt)) for attempt in record.tried],
        )
        return replace(own, cost=cost)

    def _bill_alone(self, record: Record) -> Bill:
        provider = record.provider
        return NOTHING_USED if provider is None else self._billing.bill_again(record, self._vendor_of(provider))

    def _cost_of(self, record: Record, attempt: Attempt) -> Picodollars | None:
        """Of an attempt that failed. What the provider reported of it was not kept, so that its price stays."""
        if attempt.usage is None or self._vendor_of(attempt.provider).reports_cost:
            return attempt.cost
        alone = replace(
            record,
            provider=attempt.provider,
            model=f"{attempt.provider}/{attempt.model}",
            upstream_model=None,
            service_tier=None,
            usage=attempt.usage,
            usage_source=attempt.usage_source,
            raw_usage=None,
        )
        return self._bill_alone(alone).cost


def _count(rated: Sequence[_Rated], outcomes: Outcomes) -> None:
    for one in rated:
        outcomes.total.add(one.row, one.cost)
        outcomes.by_model.setdefault(one.row.record.model, Outcome()).add(one.row, one.cost)


def _is_corrected(row: ActivityRow) -> bool:
    return row.adjustment is not None and row.adjustment.kind is AdjustmentKind.CORRECTION


def _last(row: ActivityRow) -> str | None:
    return None if row.adjustment is None else row.adjustment.id


def _adjustment(row: ActivityRow, bill: Bill, now_us: int) -> Adjustment:
    record_id = row.record.opening.id
    what = msgspec.json.encode((record_id, _last(row), bill.cost, bill.price_source, bill.price_version))
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

"""What the high-usage list is made of, asked of the ledger: a range's first users, and the same of the one before."""

import asyncio
from dataclasses import dataclass, replace

from arouter.domain.activity import Dimension, Filters, Order, Scope, Summary, SummaryQuery, Totals
from arouter.domain.high_usage import MEASURES, HighUsage
from arouter.insight.high_usage import Side, high_usage
from arouter.store.base import Ledger
from arouter.web.api.ranges import Range

_NOTHING = Totals()


@dataclass(frozen=True, slots=True, kw_only=True)
class HighUsageQuery:
    """Whose requests, by what, and how many users at most."""

    scope: Scope
    filters: Filters
    wanted: Range
    order_by: str
    """One of `MEASURES`."""
    limit: int

    def summary(self, filters: Filters, *, limit: int | None = None, by_user: bool = True) -> SummaryQuery:
        return SummaryQuery(
            scope=self.scope,
            filters=filters,
            group_by=(Dimension.USER,) if by_user else (),
            order=Order(by=MEASURES[self.order_by], descending=True) if by_user else None,
            limit=limit,
        )

    @property
    def with_unattributed(self) -> bool:
        """Whether requests without a user are among those that count."""
        return self.filters.unattributed or not self.filters.users


async def read_high_usage(ledger: Ledger, query: HighUsageQuery) -> HighUsage:
    """Each side's parts are read before its whole, so that what comes meanwhile is among the others."""
    filters = query.wanted.of(query.filters)
    costs = await ledger.user_costs(query.scope, filters)
    nobody = await _unattributed(ledger, query, filters)
    # One more: those of no user may be among them.
    found = await ledger.summary(query.summary(filters, limit=query.limit + 1))
    named = dict([*_named(found).items()][: query.limit])
    now = Side(named=named, unattributed=_nobody(found, nobody), everything=found.totals)
    filters = query.wanted.before.of(query.filters)
    nobody = await _unattributed(ledger, query, filters)
    earlier = Summary(rows=(), totals=_NOTHING)
    if named:
        of_them = replace(filters, users=tuple(named), unattributed=False)
        earlier = await ledger.summary(query.summary(of_them))
    everything = await ledger.summary(query.summary(filters, by_user=False))
    before = Side(named=_named(earlier), unattributed=nobody, everything=everything.totals)
    # Off the event loop: of hundreds of thousands of users this takes tenths of a second.
    made = await asyncio.to_thread(high_usage, now, before, query.order_by, costs)
    return replace(made, as_of_us=min(found.as_of_us, everything.as_of_us))


async def _unattributed(ledger: Ledger, query: HighUsageQuery, filters: Filters) -> Totals:
    if not query.with_unattributed:
        return _NOTHING
    only = replace(filters, users=(), unattributed=True)
    return (await ledger.summary(query.summary(only, by_user=False))).totals


def _nobody(found: Summary, otherwise: Totals) -> Totals:
    """Of the same moment as the users, where it is among them."""
    return next((row.totals for row in found.rows if row.group[0] is None), otherwise)


def _named(found: Summary) -> dict[str, Totals]:
    return {row.group[0]: row.totals for row in found.rows if row.group[0] is not None}

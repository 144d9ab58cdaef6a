"""Adjustments: what is said of a record's cost after it was written.

A record never changes. An adjustment refers to it and states another cost; of several, the one that was written last
holds, and every view and every sum goes by it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from arouter.domain.money import Picodollars
from arouter.domain.record import Record


class AdjustmentKind(StrEnum):
    REPRICE = "reprice"
    """The record's own usage at another price."""
    CORRECTION = "correction"
    """Somebody knows better: a credit, a provider's invoice. Re-pricing leaves such a record alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """Another cost for one record."""

    id: str
    """Given by whoever adjusts; an adjustment whose id is there already changes nothing."""
    record_id: str
    created_at_us: int
    kind: AdjustmentKind
    cost: Picodollars | None
    """The whole cost from now on, not a difference; None where no price is known."""
    price_source: str | None = None
    price_version: str | None = None
    reason: str = ""
    """For people."""
    author: str | None = None
    """Who says so; None for the program itself."""


class AdjustedMeanwhile(ValueError):
    """A record was adjusted between the reading of its cost and the writing of another one."""


def adjusted(record: Record, adjustment: Adjustment) -> Record:
    """The record with the cost, source and version that hold by `adjustment`."""
    return replace(
        record,
        cost=adjustment.cost,
        price_source=adjustment.price_source,
        price_version=adjustment.price_version,
    )

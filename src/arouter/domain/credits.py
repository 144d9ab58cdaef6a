"""An organization's credits: what has been paid in, appended once and never changed, and what is left of it.

    balance = all entries - what the organization's records cost, since ever

at the costs that hold now. What had been used before there was a pool does not count: the pool begins with an entry
that makes up for it (`CreditKind.OPENING`), so that the equation holds without an exception.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from arouter.domain.activity import Cursor
from arouter.domain.money import LARGEST, Picodollars

ID_PREFIX, ID_BYTES = "crd", 12
MOST_DESCRIPTION = 500
"""Characters of what a person says of an entry."""
MOST_REFERENCE = 255
"""Characters of the payer's own reference, and of an idempotency key."""


class CreditKind(StrEnum):
    """What an entry is."""

    TOP_UP = "top_up"
    """A payment."""
    GIFT = "gift"
    REFUND = "refund"
    """Given back for something that was charged."""
    CORRECTION = "correction"
    """Of an earlier entry: the only kind that people may make negative."""
    OPENING = "opening"
    """What had been used while there was no pool. Made by the store, when a pool is switched on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditEntry:
    """A payment, a gift, a refund, a correction. Times are microseconds since the epoch."""

    id: str
    organization_id: str
    created_at_us: int
    kind: CreditKind
    amount: Picodollars
    description: str
    reference: str | None = None
    """The payer's own: an invoice, a payment. Within an organization no two entries have the same."""
    idempotency_key: str | None = None
    """Of the request that made it. Within an organization no two entries have the same."""

    @property
    def cursor(self) -> Cursor:
        """Its place among the transactions."""
        return Cursor(self.created_at_us, self.id)

    def says_the_same(self, other: "CreditEntry") -> bool:
        """Whether both are the same entry, told twice: whenever, and by whichever request."""
        named = {"id": "", "created_at_us": 0, "idempotency_key": None}
        return replace(self, **named) == replace(other, **named)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditPool:
    """Whether an organization's credits hold its requests, and what has been paid in."""

    organization_id: str
    enabled: bool
    total: Picodollars
    """The sum of its entries."""
    cost_at_end: int | None = None
    """What the records had cost when it was switched off; None while it is on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditAccount:
    """A pool and what was spent, of one instant."""

    enabled: bool
    total: Picodollars
    spent: Picodollars
    """What all of the organization's records cost."""

    @property
    def balance(self) -> Picodollars | None:
        """What is left, below zero if more was spent; None while the pool is off, and nobody counts."""
        return Picodollars(self.total - self.spent) if self.enabled else None


class CreditConflict(ValueError):
    """An entry with the same reference or idempotency key is there, and says something else."""

    def __init__(self, name: str, entry: CreditEntry) -> None:
        super().__init__(f"there is another entry with this {name.replace('_', ' ')}: {entry.id}")
        self.name = name
        """`reference` or `idempotency_key`."""
        self.entry = entry


class TooManyCredits(ValueError):
    """The sum of the entries would be larger than one stored amount can be."""


def added_up(total: int, amount: int) -> Picodollars:
    """A pool's sum with one more entry. TooManyCredits if that cannot be kept."""
    if not -LARGEST <= total + amount <= LARGEST:
        raise TooManyCredits("the credits of an organization, with what it used before, would pass what can be kept")
    return Picodollars(total + amount)


def opening_entry(
    pool: CreditPool | None, spent: int, *, organization_id: str, entry_id: str, now_us: int
) -> CreditEntry:
    """The entry with which a pool is switched on. `spent` is what all of the organization's records cost until now;
    `pool` is what there was before, switched off, or None."""
    before = 0 if pool is None or pool.cost_at_end is None else pool.cost_at_end
    return CreditEntry(
        id=entry_id,
        organization_id=organization_id,
        created_at_us=now_us,
        kind=CreditKind.OPENING,
        amount=Picodollars(spent - before),
        description="Used while no credits were kept",
    )


def check_amount(kind: CreditKind, amount: int) -> None:
    """ValueError says what is wrong with an amount that a person gives."""
    if amount == 0:
        raise ValueError("must not be zero")
    if amount < 0 and kind is not CreditKind.CORRECTION:
        raise ValueError("must be above zero; only a `correction` may be negative")
    if abs(amount) > LARGEST:
        raise ValueError("is more than can be kept")


def check_reference(text: str) -> None:
    """ValueError says what is wrong with a reference or an idempotency key."""
    if not text.strip() or len(text) > MOST_REFERENCE or not text.isprintable():
        raise ValueError(f"must have 1 to {MOST_REFERENCE} characters that can be printed")


def check_description(text: str) -> None:
    """ValueError says what is wrong with a description."""
    if not text.strip() or len(text) > MOST_DESCRIPTION or not text.isprintable():
        raise ValueError(f"must have 1 to {MOST_DESCRIPTION} characters that can be printed")

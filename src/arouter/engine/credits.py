"""An organization's credits: what has been paid in, and what is left of it.

Nothing keeps credits yet. What shows them asks a `CreditPool`, so that one can be put in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from arouter.domain.activity import Cursor
from arouter.domain.money import Picodollars


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditEntry:
    """A payment, a gift, a refund."""

    id: str
    created_at_us: int
    amount: Picodollars
    description: str

    @property
    def cursor(self) -> Cursor:
        """Its place among the transactions."""
        return Cursor(self.created_at_us, self.id)


class CreditPool(Protocol):
    """What an organization has."""

    async def balance(self, organization_id: str) -> Picodollars | None:
        """What is left; None if nobody knows."""

    async def paid_in(self, organization_id: str) -> Picodollars | None:
        """All that was ever paid in; None if nobody knows."""

    async def entries(self, organization_id: str, *, limit: int, after: Cursor | None = None) -> Sequence[CreditEntry]:
        """Newest first, in the order of (created_at_us, id), behind `after`."""


class NoCredits:
    """The pool of a gateway that keeps none: nothing is known, and nothing is made up."""

    async def balance(self, organization_id: str) -> Picodollars | None:
        return None

    async def paid_in(self, organization_id: str) -> Picodollars | None:
        return None

    async def entries(self, organization_id: str, *, limit: int, after: Cursor | None = None) -> Sequence[CreditEntry]:
        return ()

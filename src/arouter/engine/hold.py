"""What one request holds of everything that limits it."""

from collections.abc import Callable

from arouter.domain.record import Record, Status
from arouter.engine.leasing import Share

Taken = tuple[Share, int, int]
"""A share, the kind of its meter, the units that are held."""
OnOverage = Callable[[Record, Share, int], None]
"""Is told by how many units a request passed what was held for it."""


class Hold:
    """What one request holds, until it is settled."""

    __slots__ = ("_counts_tokens", "_on_overage", "_taken")

    def __init__(self, taken: list[Taken], on_overage: OnOverage, *, counts_tokens: bool) -> None:
        self._taken = taken
        self._on_overage = on_overage
        self._counts_tokens = counts_tokens

    def settle(self, record: Record) -> None:
        """Once. Right after this the record is given to the ledger: what is posted follows it there."""
        cost = record.cost
        tokens = record.usage.total_tokens if self._counts_tokens else None
        # In the order of `KINDS`. Of what runs nothing is used up.
        uses = (
            0 if record.status is Status.REJECTED else 1,
            0 if cost is None else cost,
            0 if tokens is None else tokens,
            0,
        )
        for share, kind, units in self._taken:
            # As `Allotment.settle`: a call for each would cost more than all the sums.
            used = uses[kind]
            share.settled += used
            share.free += units - used
            if used > units:
                self._on_overage(record, share, used - units)
        self._taken = []

    def release(self) -> None:
        """Nothing was used."""
        for share, _, units in self._taken:
            share.give_back(units)
        self._taken = []

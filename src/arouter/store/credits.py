"""What a directory does with organizations' credits."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from arouter.domain.activity import Cursor
from arouter.domain.credits import CreditAccount, CreditEntry
from arouter.domain.money import Picodollars


class Credits(Protocol):
    """Entries are appended once and never changed. Costs are those of the ledger's records that hold, those included
    that were closed before the call: the same that a lifetime budget of the organization goes by."""

    async def add_credit(self, entry: CreditEntry, *, opening_id: str) -> CreditEntry:
        """Append it, and switch the pool on if the organization never had one; what is kept is returned.

        If an entry with its reference or its idempotency key is there and says the same, that one is returned and
        nothing is changed; CreditConflict if it says something else. TooManyCredits if the sum could not be kept.
        ValueError if the id is taken, or a text is not Unicode. `opening_id` is for the entry that makes up for what
        was used before.
        """

    async def switch_credits(self, organization_id: str, *, enabled: bool, opening_id: str, now_us: int) -> bool:
        """Let the pool hold requests, or no more; whether that changed anything.

        What is used while it is off does not count: an entry makes up for it. TooManyCredits as above.
        """

    async def get_credit(self, organization_id: str, entry_id: str) -> CreditEntry | None:
        """The entry of that id in the organization."""

    async def list_credits(
        self, organization_id: str, *, limit: int, after: Cursor | None = None
    ) -> Sequence[CreditEntry]:
        """Newest first, in the order of (created_at_us, id), behind `after`."""

    async def credit_account(self, organization_id: str) -> CreditAccount | None:
        """The pool and what was spent, of one instant; None if the organization never had a pool."""

    async def every_credit_total(self) -> Mapping[str, Picodollars]:
        """The sum of the entries of each organization whose pool is on."""

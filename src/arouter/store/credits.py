"""What a directory does with organizations' credits."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from arouter.domain.activity import Cursor
from arouter.domain.audit import shown
from arouter.domain.counters import Counter, Meter, Window, bounds
from arouter.domain.credits import CreditAccount, CreditEntry
from arouter.domain.guardrails import Target
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

    async def every_credit_total(self, among: Collection[str] | None = None) -> Mapping[str, Picodollars]:
        """The sum of the entries of each organization whose pool is on; with `among`, of each of these."""


def lifetime_cost(organization_id: str) -> Counter:
    """The counter that says what all of the organization's records cost."""
    start_us, end_us = bounds(Window.LIFETIME, 0)
    return Counter(
        meter=Meter.COST,
        scope=Target.ORGANIZATION,
        organization_id=organization_id,
        scope_id=organization_id,
        start_us=start_us,
        end_us=end_us,
    )


def credit_faults(
    noted: Iterable[tuple[str, str, str | None]],
    entries: Iterable[CreditEntry],
    totals: Iterable[tuple[str, int]],
) -> Iterator[str]:
    """What is wrong with the credits: an entry that the audit log does not know as it is, or the other way round; a sum
    that is not that of the entries. The log is proved by its own chain.

    `noted` are the organization, the id and what is said of each entry that the log has, `totals` each organization
    with a pool and the sum that is kept of it.
    """
    left = {(organization_id, entry_id): after for organization_id, entry_id, after in noted}
    sums: dict[str, int] = {}
    for entry in entries:
        sums[entry.organization_id] = sums.get(entry.organization_id, 0) + entry.amount
        if left.pop((entry.organization_id, entry.id), None) != shown(entry):
            yield f"The credit {entry.id} of {entry.organization_id} is not what the audit log says."
    for organization_id, entry_id in left:
        yield f"The credit {entry_id} of {organization_id} is in the audit log, and is missing."
    for organization_id, total in totals:
        if sums.pop(organization_id, 0) != total:
            yield f"The credits of {organization_id} do not add up to what they are said to."
    for organization_id in sums:
        yield f"The credits of {organization_id} are in no pool."

"""Attempts: each time that a provider was asked on behalf of one request.

A request that was asked for once needs no list of them: its record says it all. Where there were several, the record
tells of the last one, and the list of all of them, in order.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from arouter.domain.money import Picodollars
from arouter.domain.usage import Usage, UsageSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A provider was asked. The usage and the cost of the last attempt are its record's, and None here."""

    provider: str
    model: str
    """The provider's own name."""
    http_status: int | None
    """The provider's; None if it gave no answer."""
    error_code: str | None
    """Why it failed; None for the one that answered."""
    latency_us: int
    """From the asking to the answer's end, or to the failure."""
    usage: Usage | None = None
    """What it used though it failed, told or estimated; None where nothing is known."""
    usage_source: UsageSource = UsageSource.NONE
    cost: Picodollars | None = None
    """Of that usage; None where no price is known."""
    deployment: str | None = None
    """Which one of the provider's, where it has several: a key, a region, a machine; of an own key its id."""
    is_byok: bool = False
    """With a key of the organization's own."""


def whole_cost(own: Picodollars | None, *, used: bool, tried: Iterable[Attempt]) -> Picodollars | None:
    """The cost of a request: `own`, that of its last attempt, and those of the attempts before it.

    `used` says whether the last one used anything that is known of. None if nothing did, and if the price of
    anything that was used is not known: a part is not the whole.
    """
    costs = [attempt.cost for attempt in tried if attempt.usage is not None]
    if used:
        costs.append(own)
    known = [cost for cost in costs if cost is not None]
    return Picodollars(sum(known)) if known and len(known) == len(costs) else None

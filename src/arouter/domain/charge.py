"""What an answer tells its client of usage and cost."""

from arouter.domain.money import Picodollars
from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.domain.value import value


@value(frozen=True, slots=True, kw_only=True)
class Charge:
    """The usage of one request and what it cost; None where no price is known."""

    usage: Usage = NOTHING_REPORTED
    cost: Picodollars | None = None
    prompt_cost: Picodollars | None = None
    """The share of the input, and of the output."""
    completion_cost: Picodollars | None = None

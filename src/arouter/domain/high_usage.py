"""Who uses most: the answer of a range, beside the range before it."""

from dataclasses import dataclass
from fractions import Fraction

from arouter.domain.activity import Totals

MEASURES = {"cost": "cost", "tokens": "total_tokens", "requests": "requests"}
"""What users can be ordered by, and the field of `Totals` that it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A user, or several, in both ranges, by one measure."""

    totals: Totals
    """Of the range itself."""
    value: int
    previous: int
    """The same of the range before."""
    share: Fraction | None
    """Of everything; None where everything is nothing."""

    @property
    def change(self) -> int:
        return self.value - self.previous

    @property
    def ratio(self) -> Fraction | None:
        """None if there was nothing before."""
        return None if self.previous == 0 else Fraction(self.value, self.previous)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedUser:
    rank: int
    """From 1; users with the same value have the same rank."""
    user: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class TopShare:
    """What the first so many percent of users cost, at least one user."""

    percent: int
    users: int
    cost: int
    share: Fraction | None
    """Of what all users cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration:
    """How few make how much. Requests without a user are not in it."""

    users: int
    cost: int
    tops: tuple[TopShare, ...]
    users_of_half: int | None
    """The smallest number of users that make half of the cost; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HighUsage:
    """The users that were asked for, `unattributed` and `other` add up to `everything`, in both ranges."""

    users: tuple[RankedUser, ...]
    unattributed: Usage | None
    """Requests without a user; None if there were none in either range."""
    other: Usage | None
    """The other users, those of the range before included; None if there are none."""
    everything: Usage
    concentration: Concentration
    as_of_us: int | None = None
    """Nothing that was written before this instant is missing; None where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One user among those of a range, by what they cost."""

    users: int
    rank: int | None
    """None for a user that is not among them."""
    percentile: Fraction | None
    """How many percent of the others cost less; None without others."""

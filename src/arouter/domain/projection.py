"""Where a month is heading, told from the days before."""

from dataclasses import dataclass
from fractions import Fraction

CONFIDENCE_PERCENT = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenDay:
    """A whole day that is over."""

    weekday: int
    """0 is Monday."""
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComingDay:
    """A day of the month that is not over."""

    weekday: int
    share: Fraction
    """How much of it is still to come: 1 for every day but today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What the month will come to. The unit is that of the days: picodollars."""

    amount: int
    low: int
    high: int
    """The interval that holds the month's total with a probability of `CONFIDENCE_PERCENT`, if days go on as before,
    each on its own."""
    days: int
    """The whole days that it goes by."""
    by_weekday: bool
    """Whether each weekday has a rate of its own."""

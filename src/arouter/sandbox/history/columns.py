"""The requests of a day as columns: a few random numbers for each, and arithmetic on whole arrays.

A day depends on the plan and its number alone, so that days can be made in any order, by any process. Days are made
in the order of time; `UNKNOWN` stands in a column for what a record has not.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from arouter.domain.price import RateCard
from arouter.domain.record import Status
from arouter.domain.usage import UsageSource
from arouter.domain.windows import DAY_US
from arouter.sandbox.history import endings
from arouter.sandbox.history.asking import Asked, Asking
from arouter.sandbox.history.people import People
from arouter.sandbox.history.population import MODELS, Model, Plan
from arouter.sandbox.history.prices import UNKNOWN, RateTable
from arouter.sandbox.history.texts import Letters, Words, id_words, random_letters
from arouter.sandbox.history.usage import Spending, Spent

STATUSES = tuple(Status)
USAGE_SOURCES = tuple(UsageSource)

CardOf = Callable[[Model, int], RateCard | None]
"""The prices of a model at an instant, in microseconds; None if it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The requests of one UTC day, in the order of their creation. All columns have the same length."""

    number: int
    cards: Sequence[RateCard | None]
    """Those that priced its records, one for each of `MODELS`."""
    id_high: Words
    id_low: Words
    asked: Asked
    ended: endings.Ended
    spent: Spent
    upstream_tail: Letters
    cost: NDArray[np.int64]
    """Picodollars."""

    def __len__(self) -> int:
        return len(self.cost)


class History:
    """Days, made when they are asked for."""

    def __init__(self, plan: Plan, card_of: CardOf) -> None:
        self.plan = plan
        self._card_of = card_of
        self.people = People(plan)
        self._asking = Asking(plan, self.people)
        self._spending = Spending()

    @cached_property
    def names(self) -> list[str]:
        """What the users are called, by their numbers."""
        return self.people.names()

    def __iter__(self) -> Iterator[Day]:
        return map(self.day, range(self.plan.days))

    def day(self, number: int) -> Day:
        """The requests of a day, counted from 0. ValueError for a price that cannot be computed with exactly."""
        start_us = self.plan.start_us + number * DAY_US
        cards = [self._card_of(model, start_us) for model in MODELS]
        rng = np.random.default_rng([self.plan.seed, 1, number])
        asked = self._asking.on(number, rng)
        ended = endings.of(asked, self.plan, number, rng)
        spent = self._spending.of(asked, ended, rng)
        high, low = id_words(asked.created_at_us, rng)
        return Day(
            number=number,
            cards=cards,
            id_high=high,
            id_low=low,
            asked=asked,
            ended=ended,
            spent=spent,
            upstream_tail=random_letters(len(high), rng),
            cost=RateTable(cards).costs(ended.model, spent.meters, spent.billable),
        )

    def records_on(self, number: int) -> int:
        """How many requests a day has, without making them."""
        return self._asking.requests_on(number)


__all__ = ["STATUSES", "UNKNOWN", "USAGE_SOURCES", "CardOf", "Day", "History"]

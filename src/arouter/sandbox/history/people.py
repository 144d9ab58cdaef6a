"""The users of a history: drawn once from its seed, the same for every day."""

import numpy as np
from numpy.typing import NDArray

from arouter.domain.windows import DAY_US
from arouter.sandbox.history.population import APPLICATIONS, MODELS, OFFSETS_MINUTES, WEEKDAYS, Plan

MODEL_NUMBERS = {model.id: number for number, model in enumerate(MODELS)}

_ZIPF_EXPONENT = 1.05
_ZIPF_SHIFT = 3.0
_THERE_FROM_THE_START = 0.55
_MEAN_STAY_DAYS = 150.0
_QUIET = 0.35
"""The spread of how much a user asks from one day to another."""
_MONDAY_US = 4 * DAY_US
"""1970-01-05."""
_MIX = 1024


class People:
    """Columns with a place for each user, in no order: who they belong to, how much they ask, when they are there."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        rng = np.random.default_rng([plan.seed, 0])
        number = plan.users
        shares = np.array([application.users for application in APPLICATIONS])
        self.application = rng.choice(len(APPLICATIONS), number, p=shares / shares.sum()).astype(np.int16)
        self.application[0] = 0
        rank = rng.permutation(number)
        weights = np.array([application.weight for application in APPLICATIONS])
        self.weight = weights[self.application] / (rank + _ZIPF_SHIFT) ** _ZIPF_EXPONENT
        self.offset_us = rng.choice(np.array(OFFSETS_MINUTES), number) * 60_000_000
        rhythms = np.array([application.rhythm for application in APPLICATIONS], dtype=np.int16)
        self.rhythm = rhythms[self.application]
        self.favourite = self._favourites(rng)
        self.first_day, self.last_day = self._stays(rng)
        self._scrambled = rng.permutation(number * 16)[:number]

    def _favourites(self, rng: np.random.Generator) -> NDArray[np.int16]:
        return model_mix()[self.application, rng.integers(0, _MIX, self._plan.users)]

    def _stays(self, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The first day and the last, in days since the start of the history."""
        days, number = self._plan.days, self._plan.users
        came = rng.random(number)
        first = np.where(came < _THERE_FROM_THE_START, -1.0, rng.random(number) * days)
        begins = np.array([application.begins for application in APPLICATIONS])[self.application] * days
        first = np.where(begins > 0, begins + np.maximum(first, 0) * (days - begins) / days, first)
        last = first + rng.exponential(_MEAN_STAY_DAYS, number)
        # Somebody is always there.
        first[0], last[0] = -1.0, np.inf
        return first, last

    def weights_of(self, day: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """How likely each user is to ask on that day of the history."""
        there = (self.first_day <= day) & (self.last_day >= day)
        weekday = (self._plan.start_us + day * DAY_US - _MONDAY_US) // DAY_US % 7
        by_rhythm = np.array([WEEKDAYS[rhythm][weekday] for rhythm in sorted(WEEKDAYS)])
        mood = rng.lognormal(0.0, _QUIET, len(there))
        weights = self.weight * there * by_rhythm[self.rhythm] * mood
        shares: NDArray[np.float64] = weights / weights.sum()
        return shares

    def names(self) -> list[str]:
        """What each user is called; no two alike."""
        patterns = [application.names for application in APPLICATIONS]
        return [
            patterns[application].format(n=number, x=f"{scrambled * 2_654_435_761 % 2**40:010x}")
            for number, (application, scrambled) in enumerate(
                zip(self.application.tolist(), self._scrambled.tolist(), strict=True)
            )
        ]


def model_mix() -> NDArray[np.int16]:
    """For each application, `_MIX` models, each as often as its weight says."""
    rows = []
    for application in APPLICATIONS:
        numbers = [MODEL_NUMBERS[name] for name, _ in application.models]
        weights = np.array([weight for _, weight in application.models], dtype=np.float64)
        ends = np.round(np.cumsum(weights) / weights.sum() * _MIX).astype(np.int64)
        rows.append(np.repeat(np.array(numbers, dtype=np.int16), np.diff(ends, prepend=0)))
    return np.stack(rows)

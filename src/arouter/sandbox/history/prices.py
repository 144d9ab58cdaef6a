"""What columns of usage cost by rate cards: the rules of `arouter.domain.price`, for millions of records at once.

The meters are those that the history has. Costs are exact: rates must be whole picodollars for a token, which those of
all lists are.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from arouter.domain.price import REASONING, REQUESTS, Rate, RateCard

METERS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
UNKNOWN = -1
"""In columns, for what a record has not."""

_PER_PICODOLLAR = 10**18

Integers = NDArray[np.int64]


class RateTable:
    """The rates of a list of models; None stands for a model without a price."""

    def __init__(self, cards: Sequence[RateCard | None]) -> None:
        """ValueError for a card that cannot be computed with exactly here."""
        self.priced = np.array([card is not None for card in cards], dtype=np.bool_)
        self._base = np.zeros((len(METERS), len(cards)), dtype=np.int64)
        self._tiers: dict[int, list[tuple[int, Integers]]] = {}
        for model, card in enumerate(cards):
            if card is not None:
                self._read(model, card)

    def _read(self, model: int, card: RateCard) -> None:
        if REASONING in card.rates or REQUESTS in card.rates:
            raise ValueError(f"{card.source} prices a model of the history by reasoning or by request")
        rates = [card.rate(meter) for meter in METERS]
        self._base[:, model] = [_whole(rate, None) for rate in rates]
        starts = sorted({start for rate in rates if rate is not None for start, _ in rate.tiers})
        if starts:
            self._tiers[model] = [(start, np.array([_whole(rate, start) for rate in rates])) for start in starts]

    def costs(self, models: NDArray[np.int16], usage: Mapping[str, Integers], used: NDArray[np.bool_]) -> Integers:
        """Picodollars for each record, `UNKNOWN` where its model has no price or nothing was `used`.

        `usage` has a column for each of `METERS`; `UNKNOWN` in it counts nothing.
        """
        counts = [np.maximum(usage[meter], 0) for meter in METERS]
        total = np.zeros(len(models), dtype=np.int64)
        for count, base in zip(counts, self._base, strict=True):
            total += count * base[models]
        for model, tiers in self._tiers.items():
            self._dearer(total, counts, np.flatnonzero(models == model), tiers)
        return np.where(used & self.priced[models], total, UNKNOWN)

    def _dearer(
        self, total: Integers, counts: Sequence[Integers], places: NDArray[np.intp], tiers: list[tuple[int, Integers]]
    ) -> None:
        """A tier prices all tokens of a request whose whole input is beyond its start."""
        prompts = counts[0][places] + counts[1][places] + counts[2][places]
        for start, rates in tiers:
            beyond = places[prompts > start]
            total[beyond] = sum(count[beyond] * rate for count, rate in zip(counts, rates, strict=True))


def _whole(rate: Rate | None, start: int | None) -> int:
    """Picodollars for one token of a request with more than `start` input tokens; 0 for a meter that has no rate,
    which no model of the history uses."""
    if rate is None:
        return 0
    whole, rest = divmod(rate.base if start is None else rate.at(start + 1), _PER_PICODOLLAR)
    if rest:
        raise ValueError("a price that is not a whole number of picodollars for a token")
    return whole

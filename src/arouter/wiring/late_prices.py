"""The prices, read beside the start.

Reading the price data takes a quarter of a second of the start and is not needed to answer "here I am": it is done
on a thread right after the gateway answers. A request that comes before waits for it, and `/readyz` says so.
"""

import importlib
import threading
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol, cast

from arouter.domain.models import ModelInfo
from arouter.domain.price import RateCard
from arouter.engine.billing import CardFinder
from arouter.settings import Price


class PriceList(CardFinder, Protocol):
    """What `arouter.wiring.prices.Prices` is, known without importing it."""

    def models(self, providers: Collection[str], at: datetime) -> list[ModelInfo]:
        """The models that these providers offer."""


class LatePrices:
    """A `arouter.engine.billing.CardFinder` that reads its data when it is first asked, or told to `load`."""

    def __init__(self, stated: Mapping[str, Price]) -> None:
        """`stated` are the operator's own prices. They are read at once, since a wrong one must stop the start:
        SettingsError names it."""
        self._stated = stated
        self._lock = threading.Lock()
        self._prices: PriceList | None = None
        if stated:
            self.load()

    @property
    def loaded(self) -> bool:
        return self._prices is not None

    def load(self) -> PriceList:
        """Read the data, if that has not been done. May be called on any thread."""
        with self._lock:
            if self._prices is None:
                module = importlib.import_module("arouter.wiring.prices")
                self._prices = cast(PriceList, module.read_prices(self._stated))
            return self._prices

    def __call__(
        self,
        provider: str,
        model: str,
        at: datetime,
        service_tier: str | None = None,
        batch: bool = False,
        speed: str | None = None,
    ) -> RateCard | None:
        prices = self._prices if self._prices is not None else self.load()
        return prices(provider, model, at, service_tier, batch, speed)

    def models(self, providers: Collection[str], at: datetime) -> list[ModelInfo]:
        """The models that these providers offer."""
        return self.load().models(providers, at)

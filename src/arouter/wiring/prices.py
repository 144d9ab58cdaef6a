"""The operator's own prices, and the list of models."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time

from arouter import __version__
from arouter.domain.models import ModelInfo
from arouter.domain.price import REQUESTS, Rate, RateCard, rate_to_decimal
from arouter.domain.usage import METERS
from arouter.engine.admission import SANDBOX
from arouter.providers.prices import ListedModel, OperatorPrice, PriceBook
from arouter.settings import Price, SettingsError

SANDBOX_CARD = RateCard(source=SANDBOX, version=__version__, rates=dict.fromkeys(METERS, Rate(base=0)))
"""Nothing is spent there."""

SANDBOX_MODELS = ("sandbox-echo", "sandbox-tools", "sandbox-reason", "sandbox-json", "sandbox-slow")


def operator_prices(prices: Mapping[str, Price]) -> list[OperatorPrice]:
    """The operator's own prices as the price book takes them. SettingsError names the one that cannot be read."""
    return [_operator_price(model, price) for model, price in prices.items()]


def _operator_price(model: str, price: Price) -> OperatorPrice:
    meters = {
        "input_tokens": price.input,
        "output_tokens": price.output,
        "cache_read_tokens": price.cache_read,
        "cache_write_tokens": price.cache_write,
    }
    try:
        since = _instant(price.effective_from) if price.effective_from else None
        stated = OperatorPrice(
            model=model,
            prices={meter: text for meter, text in meters.items() if text},
            effective_from=since,
        )
        stated.card()
    except ValueError as exc:
        raise SettingsError(f"prices.{model}: {exc}") from exc
    return stated


def _instant(text: str) -> datetime:
    if len(text) == len("2026-01-01"):
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


class Prices:
    """Rate cards for every provider: the price book's, and the sandbox, which is free unless the operator says
    otherwise. A `arouter.engine.billing.CardFinder`."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book

    def __call__(
        self,
        provider: str,
        model: str,
        at: datetime,
        service_tier: str | None = None,
        batch: bool = False,
        speed: str | None = None,
    ) -> RateCard | None:
        card = self._book.card(provider, model, at, service_tier, batch, speed)
        return SANDBOX_CARD if card is None and provider == SANDBOX else card

    def models(self, providers: Collection[str], at: datetime) -> list[ModelInfo]:
        """As `list_models`."""
        return list_models(self._book, providers, at)


def read_prices(stated: Mapping[str, Price]) -> Prices:
    """Everything there is to know of prices, with the operator's own."""
    return Prices(PriceBook(operator=operator_prices(stated)))


def list_models(book: PriceBook, providers: Collection[str], at: datetime) -> list[ModelInfo]:
    """The models with a price that the configured providers offer, and the sandbox's."""
    listed = [_model_info(line) for line in book.models(at, vendors=providers)]
    if SANDBOX in providers:
        listed.extend(
            ModelInfo(id=f"{SANDBOX}/{name}", name=name, owned_by=SANDBOX, input_modalities=("text",))
            for name in SANDBOX_MODELS
        )
    return listed


def _model_info(line: ListedModel) -> ModelInfo:
    return ModelInfo(
        id=f"{line.vendor}/{line.model}",
        name=line.name if line.name is not None else line.model,
        owned_by=line.vendor,
        context_length=line.context_window,
        pricing={
            meter: f"{rate_to_decimal(rate.base).normalize():f}"
            for meter, rate in line.card.rates.items()
            if rate is not None and meter != REQUESTS
        },
    )

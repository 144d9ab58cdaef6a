"""The price book: which rate card holds for a vendor's model at a moment.

Prices come from the operator's own table first, then from the data of the `genai-prices` package. The package's data
is matched by its own matcher (`Provider.find_model`) and its own rules of time and request context
(`ModelInfo.get_prices`); the arithmetic is `arouter.domain.price`. Importing this module imports the package, which
takes a quarter of a second and about 20 MB: a caller that must start at once imports it later.

Where this differs from the package's own `calc_price`, on purpose:

1. A meter that was used and has no price makes the cost unknown; the package counts it as nothing. A model that is
   priced by the hour, the character or the page alone has no price per token.
2. Where the data has different prices for tokens that one of our meters counts together (cached images and cached
   text, citations and answers), the meter has no price, unless the prices are the same. The package needs such
   tokens told apart, too, and prices them at the general price where they are not.
3. The data states a price of zero as no price at all, as it states a price that nobody knows any more. Only a model
   that is `:free` by its own name is free here; any other without a price has an unknown one.
4. Where a model has a price per request and none per search, its searches are what the request is priced for.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType

import genai_prices
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ClauseStartsWith,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from arouter.domain.price import (
    RATED_PER,
    TOKENS_PER_PRICE,
    Rate,
    RateCard,
    rate_from_decimal,
    rate_from_text,
)
from arouter.domain.usage import METERS
from arouter.providers.vendors import VENDORS

SOURCE_DATA = "genai-prices"
SOURCE_OPERATOR = "operator"

DATA_NAMES: Mapping[str, str] = MappingProxyType(
    {vendor.name: vendor.prices for vendor in VENDORS if vendor.prices is not None}
)
"""Our names of the vendors that the data has prices for, and the data's."""

LONGEST_MODEL_NAME = 256
"""A longer name is not looked up: names come from clients, and every one looked up is remembered."""
REMEMBERED_NAMES = 4096

_FREE_SUFFIX = ":free"
_FREE: Mapping[str, Rate | None] = MappingProxyType(dict.fromkeys(METERS, Rate(base=0)))

_METERS: Mapping[str, str] = MappingProxyType(
    {
        "input_mtok": "input_tokens",
        "input_audio_mtok": "input_audio_tokens",
        "input_image_mtok": "input_image_tokens",
        "input_video_mtok": "input_video_tokens",
        "cache_read_mtok": "cache_read_tokens",
        "cache_audio_read_mtok": "cache_read_audio_tokens",
        "cache_write_mtok": "cache_write_tokens",
        "cache_write_1h_mtok": "cache_write_1h_tokens",
        "output_mtok": "output_tokens",
        "output_audio_mtok": "output_audio_tokens",
        "output_image_mtok": "output_image_tokens",
        "output_reasoning_mtok": "reasoning_tokens",
        "web_searches_kcount": "web_searches",
        "requests_kcount": "requests",
        "input_audio_hours": "audio_hours",
        "input_mchars": "characters",
    }
)
"""The data's price keys and the meters that they price."""

_COUNTED_APART: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cache_read_tokens": ("cache_read_audio_tokens",),
        "output_tokens": ("output_audio_tokens", "output_image_tokens"),
    }
)
"""The meters that take their price from a more general one, and hold none of what is lumped together in it."""

# ---------------------------------------------------------------- the operator's own prices


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPrice:
    """A price that the operator states; it replaces the data's for that model as a whole."""

    model: str
    """Exactly `vendor/model`, as requests are routed: `openai/gpt-4o`."""
    prices: Mapping[str, str]
    """Dollars as decimal text by the names in `RATED_PER`: per million tokens, per thousand searches or requests."""
    effective_from: datetime | None = None
    """Aware. None: it has always held. The latest that is not in the future holds."""

    def card(self) -> RateCard:
        """ValueError names the meter whose price cannot be read, or that does not exist."""
        since = self.effective_from
        return RateCard(
            source=SOURCE_OPERATOR,
            version="always" if since is None else since.isoformat(),
            rates={meter: Rate(base=self._rate(meter, text)) for meter, text in self.prices.items()},
        )

    def _rate(self, meter: str, text: str) -> int:
        if meter not in RATED_PER:
            raise ValueError(f"{self.model}: there is no meter {meter!r}; the meters are {', '.join(RATED_PER)}")
        try:
            return rate_from_text(text, RATED_PER[meter])
        except ValueError as exc:
            raise ValueError(f"{self.model}: {meter}: {exc}") from exc


# ---------------------------------------------------------------- the book


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """One line of the list of models."""

    vendor: str
    model: str
    name: str | None
    context_window: int | None
    card: RateCard


Constraint = StartDateConstraint | TimeOfDateConstraint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A model of the data, with what its price depends on."""

    model: ModelInfo
    constraints: tuple[Constraint, ...]
    """Conditions of time; which of them hold decides the price."""
    terms: frozenset[tuple[str, str]]
    """The terms of service with a price of their own: `("service_tier", "flex")`."""


class PriceBook:
    """All rate cards. It may be asked from several threads.

    `providers` is the package's data, given by tests; `operator` are the operator's prices, in any order.
    ValueError if one of those cannot be read.
    """

    __slots__ = ("_cards", "_find", "_operator", "_providers", "_version")

    def __init__(self, *, operator: Iterable[OperatorPrice] = (), providers: Sequence[Provider] | None = None) -> None:
        self._providers = list(get_snapshot().providers if providers is None else providers)
        self._version: str = genai_prices.__version__
        self._operator = _by_model(operator)
        self._find = lru_cache(maxsize=REMEMBERED_NAMES)(self._look_up)
        # Bounded by the data: one card for each model, stretch of time and context that the data tells apart.
        self._cards: dict[tuple[int, tuple[bool, ...], frozenset[tuple[str, str]]], RateCard] = {}

    def card(
        self,
        provider: str,
        model: str,
        at: datetime,
        service_tier: str | None = None,
        batch: bool = False,
        speed: str | None = None,
    ) -> RateCard | None:
        """The rate card of `model`, the vendor's own name of it, at `at`; None if nobody states a price.

        `provider` is our name of the vendor. `service_tier` (`flex`, `priority`, …) and `speed` (Anthropic's `fast`)
        are what the answer says it was served with; a tier that the data does not know is the standard one.
        """
        stated = self._operator_card(provider, model, at)
        if stated is not None:
            return stated
        if len(model) > LONGEST_MODEL_NAME:
            return None
        found = self._find(provider, model)
        if found is None:
            return None
        meant = frozenset() if not found.terms else found.terms & _terms(service_tier, batch, speed)
        return self._data_card(found, at, meant)

    def models(self, at: datetime, vendors: Collection[str] | None = None) -> list[ListedModel]:
        """Every model with a price, of all vendors or of those named, with the standard card at `at`.

        Each has a name that it can be asked for by. Models that only the operator has prices for come last.
        """
        listed = [
            ListedModel(vendor=vendor, model=asked, name=model.name, context_window=model.context_window, card=card)
            for vendor, model in self._data_models(DATA_NAMES.keys() if vendors is None else vendors)
            if (asked := _asked_for_by(model)) and (card := self._standard_card(vendor, asked, model, at)).rates
        ]
        seen = {f"{line.vendor}/{line.model}" for line in listed}
        for full_name in sorted(self._operator.keys() - seen):
            vendor, _, name = full_name.partition("/")
            stated = self._operator_card(vendor, name, at)
            if stated is not None and (vendors is None or vendor in vendors):
                listed.append(ListedModel(vendor=vendor, model=name, name=None, context_window=None, card=stated))
        return listed

    def _standard_card(self, vendor: str, asked: str, model: ModelInfo, at: datetime) -> RateCard:
        stated = self._operator_card(vendor, asked, at)
        return self._data_card(_found(model, own=True), at, frozenset()) if stated is None else stated

    def _operator_card(self, vendor: str, model: str, at: datetime) -> RateCard | None:
        for since, card in self._operator.get(f"{vendor}/{model}", ()):
            if since is None or since <= at:
                return card
        return None

    def _data_models(self, vendors: Collection[str]) -> Iterator[tuple[str, ModelInfo]]:
        by_id = {provider.id: provider for provider in self._providers}
        for vendor in sorted(DATA_NAMES.keys() & set(vendors)):
            provider = by_id.get(DATA_NAMES[vendor])
            for model in provider.models if provider else ():
                yield vendor, model

    def _look_up(self, vendor: str, model_name: str) -> _Found | None:
        name = DATA_NAMES.get(vendor)
        provider = next((provider for provider in self._providers if provider.id == name), None)
        if provider is None:
            return None
        if name == "google":
            # Gemini's answers name the model as a resource at times.
            model_name = model_name.removeprefix("models/")
        model = provider.find_model(model_name, all_providers=self._providers)
        if model is None:
            return None
        # A vendor that resells another's model resells its standard price, not its tiers of service.
        return _found(model, own=any(model is own for own in provider.models))

    def _data_card(self, found: _Found, at: datetime, terms: frozenset[tuple[str, str]]) -> RateCard:
        key = (id(found.model), tuple([constraint.active(at) for constraint in found.constraints]), terms)
        card = self._cards.get(key)
        if card is None:
            rates = compile_rates(found.model.get_prices(at, dict(terms)))
            if not rates and found.model.id.endswith(_FREE_SUFFIX):
                rates = _FREE
            card = RateCard(source=SOURCE_DATA, version=self._version, rates=rates)
            self._cards[key] = card
        return card


def _found(model: ModelInfo, own: bool) -> _Found:
    conditional = model.prices if isinstance(model.prices, list) else ()
    variants = model.price_variants or () if own else ()
    constraints = (part.constraint for part in (*conditional, *variants))
    return _Found(
        model=model,
        constraints=tuple(constraint for constraint in constraints if constraint is not None),
        terms=frozenset(pair for variant in variants for pair in variant.when.items()),
    )


def _terms(service_tier: str | None, batch: bool, speed: str | None) -> set[tuple[str, str]]:
    """The request's terms in the data's words."""
    terms = {("processing", "batch")} if batch or service_tier == "batch" else set()
    if service_tier is not None:
        terms.add(("service_tier", service_tier))
    if speed is not None:
        terms.add(("speed", speed))
    return terms


def _asked_for_by(model: ModelInfo) -> str | None:
    """A name by which the data matches the model: its id, which at some vendors is none, or the first stated one."""
    return next((name for name in (model.id, *_stated_names(model.match)) if model.is_match(name)), None)


def _stated_names(clause: MatchLogic) -> Iterator[str]:
    if isinstance(clause, ClauseEquals):
        yield clause.equals
    elif isinstance(clause, ClauseStartsWith):
        yield clause.starts_with
    elif isinstance(clause, ClauseOr):
        for one in clause.or_:
            yield from _stated_names(one)


def _by_model(stated: Iterable[OperatorPrice]) -> dict[str, list[tuple[datetime | None, RateCard]]]:
    """The operator's cards by model, the latest first."""
    cards: dict[str, list[tuple[datetime | None, RateCard]]] = {}
    for one in sorted(stated, key=_age):
        cards.setdefault(one.model, []).append((one.effective_from, one.card()))
    return cards


def _age(stated: OperatorPrice) -> tuple[bool, float]:
    since = stated.effective_from
    return (True, 0.0) if since is None else (False, -since.timestamp())


# ---------------------------------------------------------------- the data's prices as rates


def compile_rates(prices: ModelPrice) -> Mapping[str, Rate | None]:
    """The rates of a set of prices, by meter; rules 2 and 4 at the head of this file."""
    stated = {key: value for key, value in vars(prices).items() if value is not None}
    rates: dict[str, Rate | None] = {}
    for key, value in stated.items():
        if key in _METERS:
            rates[_METERS[key]] = _rate(value, RATED_PER[_METERS[key]])
    for meter, others in _lumped(stated).items():
        if any(_rate(stated[key], TOKENS_PER_PRICE) != _own_or_general(rates, meter) for key in others):
            for part in _COUNTED_APART.get(meter, ()):
                rates.setdefault(part, _own_or_general(rates, part))
            rates[meter] = None
    if "requests" in rates:
        rates.setdefault("web_searches", Rate(base=0))
    return rates


def _lumped(stated: Mapping[str, object]) -> dict[str, list[str]]:
    """The meters that count tokens together for which the data has prices apart, and the keys of those prices.

    Cached images and videos are counted as cached tokens, at a price of their own, or, if cached tokens have none, at
    that of images and videos. Every other kind of token that we have no meter for is counted in the general one.
    """
    lumped: dict[str, list[str]] = {}
    for key in stated:
        if key.endswith("_mtok") and key not in _METERS:
            lumped.setdefault(_general_meter(key), []).append(key)
    if "cache_read_mtok" not in stated:
        apart = [key for key in ("input_image_mtok", "input_video_mtok") if key in stated]
        lumped.setdefault("cache_read_tokens", []).extend(apart)
    return lumped


def _general_meter(key: str) -> str:
    if key.startswith("cache_"):
        return "cache_read_tokens" if "read" in key else "cache_write_tokens"
    return "output_tokens" if key.startswith("output_") else "input_tokens"


def _own_or_general(rates: Mapping[str, Rate | None], meter: str) -> Rate | None:
    return RateCard(source="", version="", rates=rates).rate(meter)


def _rate(value: object, per: int) -> Rate | None:
    """None if the price has more digits than a rate: it cannot be multiplied exactly, and is not stated."""
    try:
        if isinstance(value, TieredPrices):
            tiers = tuple((tier.start, rate_from_decimal(tier.price, per)) for tier in value.tiers)
            return Rate(base=rate_from_decimal(value.base, per), tiers=tiers)
        return Rate(base=rate_from_decimal(value, per)) if isinstance(value, Decimal) else None
    except ValueError:
        return None

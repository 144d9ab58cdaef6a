"""What a model costs, and what a usage costs at that price.

A rate is an integer number of quectodollars (10⁻³⁰ US dollars) for one token or event: a price per million tokens
with up to 24 decimals, or per thousand events with up to 27, is exact. A cost is the plain sum of counts times
rates, rounded to picodollars once, at the very end, half to even.

Rules:

1. A meter without a rate of its own is priced at the more general meter that contains it (`GENERALISATIONS`).
2. A meter that was used and has neither makes the cost unknown and is named in `Priced.unpriced_meters`. Zero is a
   price only where somebody said zero.
3. Tiers are cliffs: the highest tier whose start is less than the input tokens of the whole request (all input
   meters together) prices all tokens of the meter.
4. Nothing reported is an unknown cost, not a cost of nothing.
"""

from collections.abc import Mapping
from decimal import Decimal, Inexact, InvalidOperation, localcontext
from fractions import Fraction
from itertools import compress
from operator import attrgetter

from arouter.domain.money import Picodollars
from arouter.domain.usage import INPUT_METERS, METERS, OUTPUT_METERS, Usage
from arouter.domain.value import constructor, value

REQUESTS = "requests"
REASONING = "reasoning_tokens"
AUDIO_HOURS = "audio_hours"
CHARACTERS = "characters"

TOKENS_PER_PRICE = 10**6
EVENTS_PER_PRICE = 10**3

HIGHEST_PRICE = 10**9
"""Dollars for a million tokens or a thousand events; more than that is a slip of the pen."""

RATED_PER = {
    **dict.fromkeys((*INPUT_METERS, *OUTPUT_METERS, REASONING), TOKENS_PER_PRICE),
    "web_searches": EVENTS_PER_PRICE,
    REQUESTS: EVENTS_PER_PRICE,
    AUDIO_HOURS: 1,
    CHARACTERS: TOKENS_PER_PRICE,
}
"""Everything a card may have a rate for, and how many of it a price is quoted for: a million tokens, a thousand events.

`requests` counts one for each record. `reasoning_tokens`, where a card rates it, takes those tokens out of
`output_tokens`; where it does not, they are output like any other. `audio_hours` and `characters` are what some models
of sound are priced by instead of tokens: see `price_quantity`.
"""

GENERALISATIONS: Mapping[str, tuple[str, ...]] = {
    "input_audio_tokens": ("input_tokens",),
    "input_image_tokens": ("input_tokens",),
    "input_video_tokens": ("input_tokens",),
    "cache_read_tokens": ("input_tokens",),
    "cache_read_audio_tokens": ("cache_read_tokens", "input_audio_tokens", "input_tokens"),
    "cache_write_tokens": ("input_tokens",),
    "cache_write_1h_tokens": ("cache_write_tokens", "input_tokens"),
    "output_audio_tokens": ("output_tokens",),
    "output_image_tokens": ("output_tokens",),
}
"""Where a meter's price comes from if it has none of its own, nearest first."""

_DECIMALS = 30
_QUECTODOLLARS_PER_PICODOLLAR = 10**18
_HALF_A_PICODOLLAR = _QUECTODOLLARS_PER_PICODOLLAR // 2

_INPUT = frozenset(INPUT_METERS)
_OUTPUT = frozenset((*OUTPUT_METERS, REASONING))


@value(frozen=True, slots=True, kw_only=True)
class Rate:
    """The price of one token or event, in quectodollars."""

    base: int
    tiers: tuple[tuple[int, int], ...] = ()
    """`(start_input_tokens, price)`, by rising start."""

    def at(self, input_tokens: int) -> int:
        """The price in a request with that many input tokens."""
        price = self.base
        for start, tier_price in self.tiers:
            if input_tokens <= start:
                break
            price = tier_price
        return price


@value(frozen=True, slots=True, kw_only=True)
class RateCard:
    """The rates of one model at one time."""

    source: str
    """`genai-prices` or `operator`."""
    version: str
    """The release of the source, or since when the operator's price holds."""
    rates: Mapping[str, Rate | None]
    """By the names in `RATED_PER`; never changed. None stands for a meter that has more than one price at once, which
    its count alone cannot tell apart: it is unpriced, and is not priced at anything more general either."""

    def rate(self, meter: str) -> Rate | None:
        """The rate of a meter, its own or the nearest more general one."""
        if meter in self.rates:
            return self.rates[meter]
        for name in GENERALISATIONS.get(meter, ()):
            if name in self.rates:
                return self.rates[name]
        return None


@value(frozen=True, slots=True, kw_only=True)
class Priced:
    """The cost of one record."""

    cost: Picodollars | None
    """None if nothing was reported or a meter is unpriced."""
    unpriced_meters: tuple[str, ...] = ()
    """Meters that were used and have no rate, in the order of `METERS`."""
    parts: Mapping[str, int]
    """Quectodollars by meter, for those that were used and have a rate; unrounded, so that they add up."""
    prompt_part: int = 0
    completion_part: int = 0
    """What of the parts is input's, and output's."""

    @property
    def prompt_cost(self) -> Picodollars | None:
        """The input's share, rounded by itself; None where the cost is."""
        return None if self.cost is None else round_to_picodollars(self.prompt_part)

    @property
    def completion_cost(self) -> Picodollars | None:
        """The output's share, rounded by itself; None where the cost is."""
        return None if self.cost is None else round_to_picodollars(self.completion_part)


_new_priced = constructor(Priced)


def price(card: RateCard, usage: Usage) -> Priced:
    """What `usage`, the usage of one request, costs by `card`."""
    input_tokens = usage.prompt_tokens
    if input_tokens is None and usage.completion_tokens is None:
        return Priced(cost=None, parts={})
    parts: dict[str, int] = {}
    unpriced = []
    prompt = completion = others = 0
    for meter, count in _counts(card, usage):
        rate = card.rates[meter] if meter in card.rates else card.rate(meter)
        if rate is None or (rate.tiers and input_tokens is None):
            unpriced.append(meter)
        else:
            parts[meter] = part = count * (rate.at(input_tokens or 0) if rate.tiers else rate.base)
            if meter in _INPUT:
                prompt += part
            elif meter in _OUTPUT:
                completion += part
            else:
                others += part
    cost = None if unpriced else round_to_picodollars(prompt + completion + others)
    return _new_priced(
        cost=cost, unpriced_meters=tuple(unpriced), parts=parts, prompt_part=prompt, completion_part=completion
    )


_meter_counts = attrgetter(*METERS)


def _counts(card: RateCard, usage: Usage) -> list[tuple[str, int]]:
    """What is to be priced: the meters above zero, and reasoning and the request where the card rates them."""
    told = _meter_counts(usage)
    counts = list(compress(zip(METERS, told, strict=True), told))
    if REASONING in card.rates:
        counts = _with_reasoning_apart(counts, usage.reasoning_tokens)
    if REQUESTS in card.rates:
        counts.append((REQUESTS, 1))
    return counts


def _with_reasoning_apart(counts: list[tuple[str, int]], reasoning: int | None) -> list[tuple[str, int]]:
    output = dict(counts).get("output_tokens", 0)
    if not reasoning or reasoning > output:
        return counts
    rest = {**dict(counts), "output_tokens": output - reasoning, REASONING: reasoning}
    return [(meter, count) for meter, count in rest.items() if count]


def price_quantity(card: RateCard, meter: str, quantity: Fraction) -> Priced:
    """What that much of one thing that is not counted in tokens costs; the cost is None where the card has no rate
    for it. It is rounded once, like any other."""
    rate = card.rates.get(meter)
    if rate is None:
        return Priced(cost=None, unpriced_meters=(meter,), parts={})
    picodollars = round(quantity * rate.base / _QUECTODOLLARS_PER_PICODOLLAR)
    part = picodollars * _QUECTODOLLARS_PER_PICODOLLAR
    return Priced(cost=Picodollars(picodollars), parts={meter: part}, prompt_part=part)


def rate_from_decimal(dollars: Decimal, per: int) -> int:
    """Quectodollars for one, from the dollars for `per`.

    ValueError if that is not a number from 0 to `HIGHEST_PRICE`, or has too many decimals to be exact.
    """
    if not dollars.is_finite() or not 0 <= dollars <= HIGHEST_PRICE:
        raise ValueError(f"not a price: {dollars}")
    try:
        with localcontext(prec=100) as context:
            context.traps[Inexact] = True
            return int((dollars.scaleb(_DECIMALS) / per).to_integral_exact())
    except ArithmeticError as exc:
        raise ValueError(f"more digits than a price can have: {dollars}") from exc


def rate_from_text(dollars: str, per: int) -> int:
    """As `rate_from_decimal`, from decimal text such as `"0.075"`."""
    try:
        return rate_from_decimal(Decimal(dollars), per)
    except InvalidOperation as exc:
        raise ValueError(f"not a price: {dollars!r}") from exc


def rate_to_decimal(rate: int, per: int = 1) -> Decimal:
    """Dollars for `per`, exactly."""
    with localcontext(prec=100):
        return (Decimal(rate) * per).scaleb(-_DECIMALS)


def round_to_picodollars(quectodollars: int) -> Picodollars:
    """Half to even."""
    whole, rest = divmod(quectodollars, _QUECTODOLLARS_PER_PICODOLLAR)
    if rest > _HALF_A_PICODOLLAR or (rest == _HALF_A_PICODOLLAR and whole & 1):
        whole += 1
    return whole  # type: ignore[return-value]  # a call of the NewType for nothing

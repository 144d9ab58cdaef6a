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

import sys
from collections.abc import Mapping
from dataclasses import field
from decimal import Decimal, Inexact, InvalidOperation, localcontext
from fractions import Fraction
from itertools import compress
from operator import attrgetter

from arouter.domain.money import ZERO, Picodollars
from arouter.domain.usage import COUNT_METERS, INPUT_METERS, METERS, OUTPUT_METERS, Usage
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

_PRICED = (*METERS, REASONING, REQUESTS)
"""What a request is priced by; the last two where a card rates them."""
_PLACES = range(len(_PRICED))
_PROMPT, _COMPLETION, _OTHERS = range(3)
_SHARES = (
    *(_PROMPT for _ in INPUT_METERS),
    *(_COMPLETION for _ in OUTPUT_METERS),
    *(_OTHERS for _ in COUNT_METERS),
    _COMPLETION,
    _OTHERS,
)
"""Whose share of the cost each of `_PRICED` is."""
_TOKEN_METERS = len(INPUT_METERS) + len(OUTPUT_METERS)
_INPUT, _OUTPUT = METERS.index("input_tokens"), METERS.index("output_tokens")
_meter_counts = attrgetter(*METERS)


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
    in_order: tuple[Rate | None, ...] = field(init=False, repr=False, compare=False)
    """The rates of `_PRICED`: worked out once, since every request goes by them."""
    plain: tuple[int, int, int, int] | None = field(init=False, repr=False, compare=False)
    """What `plain_costs` goes by: picodollars for a token of `input_tokens`, `cache_read_tokens` and `output_tokens`,
    and up to how many input tokens. None where one of them has no price, or one that is no whole number of
    picodollars, and where the card rates reasoning or the request itself."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "in_order", tuple([self.rate(meter) for meter in _PRICED]))
        object.__setattr__(self, "plain", _plain_rates(self))

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
    prompt_cost: Picodollars | None = None
    """The input's share, rounded by itself; None where the cost is."""
    completion_cost: Picodollars | None = None
    """The output's share, rounded by itself; None where the cost is."""


_new_priced = constructor(Priced)


def plain_costs(card: RateCard, usage: Usage) -> tuple[Picodollars, Picodollars, Picodollars] | None:
    """The cost, the input's share and the output's, as `price` says, for nearly every request: text alone, read or
    read from a cache, at prices below any tier that need no rounding. None for all others: they are for `price`."""
    rates, written, cached = card.plain, usage.output_tokens, usage.cache_read_tokens or 0
    read, all_read = usage.input_tokens or 0, usage.prompt_tokens
    # What adds up to the whole leaves nothing for any other meter.
    if rates is None or read + cached != all_read or written != usage.completion_tokens or usage.web_searches:
        return None
    of_read, of_cached, of_written, below_tiers = rates
    if all_read > below_tiers:
        return None
    prompt, completion = read * of_read + cached * of_cached, (written or 0) * of_written
    return prompt + completion, prompt, completion  # type: ignore[return-value]  # calls of the NewType for nothing


def _plain_rates(card: RateCard) -> tuple[int, int, int, int] | None:
    """See `RateCard.plain`."""
    rates = [card.rate(meter) for meter in ("input_tokens", "cache_read_tokens", "output_tokens")]
    known = [rate for rate in rates if rate is not None and not rate.base % _QUECTODOLLARS_PER_PICODOLLAR]
    if len(known) < len(rates) or REASONING in card.rates or REQUESTS in card.rates:
        return None
    of_read, of_cached, of_written = (rate.base // _QUECTODOLLARS_PER_PICODOLLAR for rate in known)
    below_tiers = min([sys.maxsize, *(rate.tiers[0][0] for rate in known if rate.tiers)])
    return of_read, of_cached, of_written, below_tiers


def price(card: RateCard, usage: Usage) -> Priced:
    """What `usage`, the usage of one request, costs by `card`."""
    told = _meter_counts(usage)
    if told[_INPUT] is None and told[_OUTPUT] is None and told[:_TOKEN_METERS].count(None) == _TOKEN_METERS:
        return Priced(cost=None, parts={})
    if REASONING in card.rates or REQUESTS in card.rates:
        told = _with_more_rated(card, usage, told)
    parts: dict[str, int] = {}
    unpriced = []
    shares = [0, 0, 0]
    for place in compress(_PLACES, told):
        rate = card.in_order[place]
        each = None if rate is None else rate.base if not rate.tiers else _in_tier(rate, usage.prompt_tokens)
        if each is None:
            unpriced.append(_PRICED[place])
        else:
            parts[_PRICED[place]] = part = told[place] * each
            shares[_SHARES[place]] += part
    if unpriced:
        return Priced(cost=None, unpriced_meters=tuple(unpriced), parts=parts)
    prompt, completion, others = shares
    return _new_priced(
        cost=round_to_picodollars(prompt + completion + others),
        parts=parts,
        prompt_cost=round_to_picodollars(prompt),
        completion_cost=round_to_picodollars(completion),
    )


def _in_tier(rate: Rate, input_tokens: int | None) -> int | None:
    """None where nobody can tell which tier it is."""
    return None if input_tokens is None else rate.at(input_tokens)


def _with_more_rated(card: RateCard, usage: Usage, told: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The counts of `_PRICED`, where the card rates reasoning apart from other output, or the request itself."""
    reasoning = usage.reasoning_tokens or 0 if REASONING in card.rates else 0
    output = told[_OUTPUT] or 0
    if reasoning > output:
        reasoning = 0
    apart = output - reasoning if reasoning else told[_OUTPUT]
    return (*told[:_OUTPUT], apart, *told[_OUTPUT + 1 :], reasoning, int(REQUESTS in card.rates))


def price_quantity(card: RateCard, meter: str, quantity: Fraction) -> Priced:
    """What that much of one thing that is not counted in tokens costs; the cost is None where the card has no rate
    for it. It is rounded once, like any other."""
    rate = card.rates.get(meter)
    if rate is None:
        return Priced(cost=None, unpriced_meters=(meter,), parts={})
    cost = Picodollars(round(quantity * rate.base / _QUECTODOLLARS_PER_PICODOLLAR))
    parts = {meter: cost * _QUECTODOLLARS_PER_PICODOLLAR}
    return Priced(cost=cost, parts=parts, prompt_cost=cost, completion_cost=ZERO)


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
    if rest and (rest > _HALF_A_PICODOLLAR or (rest == _HALF_A_PICODOLLAR and whole & 1)):
        whole += 1
    return whole  # type: ignore[return-value]  # a call of the NewType for nothing

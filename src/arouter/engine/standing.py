"""What is known of a route when somebody is to be chosen: its health, its price, its speed, and its luck."""

import hashlib
import math
from collections.abc import Callable
from datetime import UTC, datetime

from arouter.domain.estimate import tokens_of
from arouter.domain.price import REQUESTS, RateCard
from arouter.domain.record import Opening
from arouter.domain.value import value
from arouter.engine.billing import CardFinder
from arouter.engine.breaker import Breakers
from arouter.engine.clock import Clock
from arouter.engine.preferences import MaxPrice, Sort
from arouter.engine.routing import Route
from arouter.engine.speeds import Speeds

_HASH_BYTES = 8
_HASHES = 1 << (8 * _HASH_BYTES)


@value(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a request of a certain size costs: quectodollars for a token in, a token out, and the request itself."""

    prompt: int
    completion: int
    request: int

    @property
    def is_free(self) -> bool:
        return not (self.prompt or self.completion or self.request)

    def within(self, most: MaxPrice) -> bool:
        limits = ((self.prompt, most.prompt), (self.completion, most.completion), (self.request, most.request))
        return all(limit is None or price <= limit for price, limit in limits)

    def whole(self, tokens: int) -> int:
        """The price of so many tokens in and as many out."""
        return (self.prompt + self.completion) * max(1, tokens) + self.request


def offer_of(card: RateCard, input_tokens: int) -> Offer | None:
    """The offer of a rate card; None where the price of a token is not known."""
    prompt, completion = card.rate("input_tokens"), card.rate("output_tokens")
    if prompt is None or completion is None:
        return None
    request = card.rates.get(REQUESTS)
    return Offer(
        prompt=prompt.at(input_tokens),
        completion=completion.at(input_tokens),
        request=0 if request is None else request.at(input_tokens),
    )


def hashed(conversation: bytes, label: str) -> float:
    """The number from (0, 1] that a deployment draws for a conversation, today and tomorrow, in every process."""
    digest = hashlib.blake2b(conversation + b"\0" + label.encode(), digest_size=_HASH_BYTES).digest()
    return (int.from_bytes(digest) + 1) / _HASHES


def place(weight: int, drawn: float) -> float:
    """Where a deployment of some weight comes that drew a number from (0, 1]: the lower the sooner.

    The lowest of several is each one's in proportion to its weight (the exponential distribution's minimum).
    """
    return -math.log(drawn) / weight if weight else math.inf


class Standing:
    """Looks all that up. One for the process."""

    def __init__(
        self, *, breakers: Breakers, speeds: Speeds, card: CardFinder, clock: Clock, random: Callable[[], float]
    ) -> None:
        """`random` draws from [0, 1)."""
        self._breakers = breakers
        self._speeds = speeds
        self._card = card
        self._clock = clock
        self._random = random

    def rests(self, route: Route) -> bool:
        return self._breakers.rests(route.deployment, self._clock.monotonic_us())

    def offer(self, opening: Opening, route: Route) -> Offer | None:
        """For this request, as far as its size is known; None where a price is not known."""
        at = datetime.fromtimestamp(opening.created_at_us // 1_000_000, UTC)
        card = self._card(route.deployment.vendor.name, route.model, at)
        return None if card is None else offer_of(card, tokens_of(opening.asked_bytes or 0))

    def figure(self, sort: Sort, opening: Opening, route: Route) -> float:
        """What is sorted by, the lower the sooner. No known price comes last, what was not measured yet first."""
        if sort == "price":
            offer = self.offer(opening, route)
            return math.inf if offer is None else offer.whole(tokens_of(opening.asked_bytes or 0))
        now_us = self._clock.now_us()
        if sort == "latency":
            latency_us = self._speeds.latency_us(route.name, now_us)
            return -math.inf if latency_us is None else latency_us
        tokens_per_s = self._speeds.tokens_per_s(route.name, now_us)
        return -math.inf if tokens_per_s is None else -tokens_per_s

    def place(self, conversation: bytes | None, route: Route) -> float:
        """Its place among the deployments of its provider: by chance, or by the conversation."""
        drawn = 1 - self._random() if conversation is None else hashed(conversation, route.deployment.label)
        return place(route.deployment.weight, drawn)

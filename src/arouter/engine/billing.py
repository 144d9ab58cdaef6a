"""What a request cost: the provider's usage at the price of the model that answered.

Precedence: the operator's price > what the provider reports that it charges > the published rate card. Ours is kept
beside the provider's figure, so that the two can be compared.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from arouter.domain.estimate import tokens_of
from arouter.domain.money import Picodollars
from arouter.domain.price import Priced, RateCard, price
from arouter.domain.record import UsageSource
from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.engine.routing import Route
from arouter.providers.told import Told
from arouter.providers.usage import reported_cost

OPERATOR = "operator"
PROVIDER = "provider"


class CardFinder(Protocol):
    """Where rate cards come from."""

    def __call__(
        self,
        provider: str,
        model: str,
        at: datetime,
        service_tier: str | None = None,
        batch: bool = False,
        speed: str | None = None,
    ) -> RateCard | None:
        """The card of a vendor's model at an instant, as it was served; None where no price is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Usage and cost of one request."""

    usage: Usage = NOTHING_REPORTED
    usage_source: UsageSource = UsageSource.NONE
    cost: Picodollars | None = None
    prompt_cost: Picodollars | None = None
    completion_cost: Picodollars | None = None
    rated_cost: Picodollars | None = None
    reported_cost: Picodollars | None = None
    price_source: str | None = None
    price_version: str | None = None
    unpriced_meters: tuple[str, ...] = ()


NOTHING_USED = Bill()


class Billing:
    """Prices what providers tell."""

    def __init__(self, card: CardFinder) -> None:
        self._card = card

    def bill(self, route: Route, told: Told, *, asked_bytes: int, at_us: int) -> Bill:
        """The bill for an answer that began, whole or not.

        `asked_bytes` is the size of the request's messages, from which the input is estimated if no usage came;
        `at_us` is when the request was made, in microseconds: prices change with time.
        """
        if told.usage is None:
            usage = Usage(input_tokens=tokens_of(asked_bytes), output_tokens=tokens_of(told.output_bytes))
            source = UsageSource.ESTIMATED
        else:
            usage = told.usage
            source = UsageSource.PROVIDER if told.complete else UsageSource.PARTIAL
            if source is UsageSource.PARTIAL:
                usage = _with_counted_output(usage, told.output_bytes)
        at = datetime.fromtimestamp(at_us // 1_000_000, UTC)
        card = self._find_card(route, told, at)
        rated = price(card, usage) if card is not None else None
        if rated is not None and told.advice:
            rated = self._with_advice(rated, route, told, at)
        return _bill(usage, source, card, rated, _reported(route, told))

    def _find_card(self, route: Route, told: Told, at: datetime) -> RateCard | None:
        """The price of the model that says it answered, else of the one that was asked for.

        Providers answer by a dated name (`gpt-4o-2024-08-06`): an operator's price for the name that was asked for
        comes before a published one for the name that answered.
        """
        vendor = route.deployment.vendor.name
        tier, speed = told.service_tier, told.speed
        asked = self._card(vendor, route.model, at, service_tier=tier, speed=speed)
        if not told.upstream_model or told.upstream_model == route.model:
            return asked
        answered = self._card(vendor, told.upstream_model, at, service_tier=tier, speed=speed)
        if answered is None or (_is_operators(asked) and not _is_operators(answered)):
            return asked
        return answered

    def _with_advice(self, rated: Priced, route: Route, told: Told, at: datetime) -> Priced:
        """Add what other models were asked on behalf of this answer, each at its own price. One without a price makes
        the whole unknown."""
        cost: int | None = rated.cost
        for model, usage in told.advice:
            card = self._card(route.deployment.vendor.name, model, at)
            advice = price(card, usage).cost if card is not None else None
            cost = None if cost is None or advice is None else cost + advice
        return replace(rated, cost=None if cost is None else Picodollars(cost))


def _with_counted_output(usage: Usage, output_bytes: int) -> Usage:
    """The input was told at the start, the output would have been at the end: part told, part counted."""
    counted = tokens_of(output_bytes)
    told = usage.output_tokens
    return usage if told is not None and told >= counted else replace(usage, output_tokens=counted)


def _is_operators(card: RateCard | None) -> bool:
    return card is not None and card.source == OPERATOR


def _reported(route: Route, told: Told) -> Picodollars | None:
    if not route.deployment.vendor.reports_cost or told.raw_usage is None:
        return None
    return reported_cost(told.raw_usage)


def _bill(
    usage: Usage, source: UsageSource, card: RateCard | None, rated: Priced | None, reported: Picodollars | None
) -> Bill:
    rated_cost = rated.cost if rated is not None else None
    takes_reported = reported is not None and not _is_operators(card)
    cost = reported if takes_reported else rated_cost
    return Bill(
        usage=usage,
        usage_source=source,
        cost=cost,
        prompt_cost=rated.prompt_cost if rated is not None and not takes_reported else None,
        completion_cost=rated.completion_cost if rated is not None and not takes_reported else None,
        rated_cost=rated_cost,
        reported_cost=reported,
        price_source=PROVIDER if takes_reported else card.source if card is not None and cost is not None else None,
        price_version=card.version if card is not None and not takes_reported and cost is not None else None,
        unpriced_meters=rated.unpriced_meters if rated is not None else (),
    )

"""What a request cost: the provider's usage at the price of the model that answered.

Precedence: the operator's price > what the provider reports that it charges > the published rate card. Ours is kept
beside the provider's figure, so that the two can be compared.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from arouter.domain.charge import Charge
from arouter.domain.estimate import tokens_of
from arouter.domain.money import Picodollars
from arouter.domain.price import Priced, RateCard, price, price_quantity
from arouter.domain.record import Record, UsageSource
from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.domain.value import constructor, value
from arouter.engine.routing import Route
from arouter.providers.quantity import quantity_in
from arouter.providers.told import Told
from arouter.providers.usage import advice_in, circumstances, reported_cost
from arouter.providers.vendors import Vendor

OPERATOR = "operator"
PROVIDER = "provider"

MOST_FOUND = 4096


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


@value(frozen=True, slots=True, kw_only=True)
class Bill(Charge):
    """Usage and cost of one request, and where both come from."""

    usage_source: UsageSource = UsageSource.NONE
    rated_cost: Picodollars | None = None
    reported_cost: Picodollars | None = None
    price_source: str | None = None
    price_version: str | None = None
    unpriced_meters: tuple[str, ...] = ()


NOTHING_USED = Bill()
_new_bill = constructor(Bill)
_NOT_RATED = Priced(cost=None, parts={})


@value(frozen=True, slots=True, kw_only=True)
class _Served:
    """What the price of an answer depends on besides its usage."""

    vendor: Vendor
    asked: str
    """The provider's own name of the model that was asked for, and of the one that says it answered."""
    answered: str | None
    service_tier: str | None
    speed: str | None
    advice: tuple[tuple[str, Usage], ...]
    raw_usage: bytes | None
    at_s: int
    """When the request was made, in seconds since the epoch: prices change with time."""


_new_served = constructor(_Served)


class Billing:
    """Prices what providers tell."""

    def __init__(self, card: CardFinder) -> None:
        self._card = card
        self._found: dict[tuple[object, ...], RateCard | None] = {}
        """The cards that were found lately: under load the same few over and over."""

    def bill(self, route: Route, told: Told, *, asked_bytes: int | None, at_us: int) -> Bill:
        """The bill for an answer that began, whole or not.

        `asked_bytes` is the size of what the model was to read, from which the input is estimated if no usage came;
        `at_us` is when the request was made, in microseconds: prices change with time.
        """
        if told.usage is None and not told.countable:
            usage = NOTHING_REPORTED
            source = UsageSource.NONE if told.raw_usage is None else UsageSource.ESTIMATED
        elif told.usage is None:
            asked = None if asked_bytes is None else tokens_of(asked_bytes)
            usage = Usage(input_tokens=asked, output_tokens=tokens_of(told.output_bytes))
            source = UsageSource.ESTIMATED
        else:
            usage = told.usage
            source = UsageSource.PROVIDER
            if not told.complete:
                source = UsageSource.PARTIAL
                usage = _with_counted_output(usage, told.output_bytes)
        served = _new_served(
            vendor=route.deployment.vendor,
            asked=route.model,
            answered=told.upstream_model,
            service_tier=told.service_tier,
            speed=told.speed,
            advice=told.advice,
            raw_usage=told.raw_usage,
            at_s=at_us // 1_000_000,
        )
        return self._rate(usage, source, served)

    def bill_again(self, record: Record, vendor: Vendor) -> Bill:
        """The bill for a request that has its record, as `bill` would make it now: the usage is the record's, the
        prices are those known here for the time when the request was made.

        `vendor` is the row of the record's provider.
        """
        if record.usage_source is UsageSource.NONE or record.provider is None or record.model is None:
            return NOTHING_USED
        tier, speed, advice = _circumstances(record, vendor)
        served = _new_served(
            vendor=vendor,
            asked=record.model.removeprefix(f"{record.provider}/"),
            answered=record.upstream_model,
            service_tier=tier,
            speed=speed,
            advice=advice,
            raw_usage=record.raw_usage,
            at_s=record.opening.created_at_us // 1_000_000,
        )
        return self._rate(record.usage, record.usage_source, served)

    def _rate(self, usage: Usage, source: UsageSource, served: _Served) -> Bill:
        card = self._find_card(served)
        rated = price(card, usage) if card is not None else None
        if rated is not None and served.advice:
            rated = self._with_advice(rated, served)
        if rated is not None and rated.cost is None and served.raw_usage is not None and usage.total_tokens is None:
            rated = _without_tokens(card, served.raw_usage)
        return _bill(usage, source, card, rated, _reported(served))

    def _find_card(self, served: _Served) -> RateCard | None:
        circumstances = (
            *(served.at_s, served.vendor.name, served.asked, served.answered),
            *(served.service_tier, served.speed),
        )
        try:
            return self._found[circumstances]
        except KeyError:
            if len(self._found) >= MOST_FOUND:
                self._found.clear()
            card = self._found[circumstances] = self._look_up(served)
            return card

    def _look_up(self, served: _Served) -> RateCard | None:
        """The price of the model that says it answered, else of the one that was asked for.

        Providers answer by a dated name (`gpt-4o-2024-08-06`): an operator's price for the name that was asked for
        comes before a published one for the name that answered. Where quite another model answered (a router's
        choice) and has no price, the price of the one that was asked for would be an invented one.
        """
        vendor, at = served.vendor.name, _instant(served)
        tier, speed = served.service_tier, served.speed
        asked = self._card(vendor, served.asked, at, service_tier=tier, speed=speed)
        if not served.answered or served.answered == served.asked or served.vendor.priced_as_asked:
            return asked
        answered = self._card(vendor, served.answered, at, service_tier=tier, speed=speed)
        if _is_operators(asked) and not _is_operators(answered):
            return asked
        if answered is None and _are_versions(served.asked, served.answered):
            return asked
        return answered

    def _with_advice(self, rated: Priced, served: _Served) -> Priced:
        """Add what other models were asked on behalf of this answer, each at its own price. One without a price makes
        the whole unknown."""
        cost: int | None = rated.cost
        for model, usage in served.advice:
            card = self._card(served.vendor.name, model, _instant(served))
            advice = price(card, usage).cost if card is not None else None
            cost = None if cost is None or advice is None else cost + advice
        return replace(rated, cost=None if cost is None else Picodollars(cost))


def _without_tokens(card: RateCard | None, raw_usage: bytes) -> Priced | None:
    """By the length of the sound or of the text, where that is what is known."""
    quantity = quantity_in(raw_usage)
    return None if card is None or quantity is None else price_quantity(card, *quantity)


def _with_counted_output(usage: Usage, output_bytes: int) -> Usage:
    """The input was told at the start, the output would have been at the end: part told, part counted."""
    counted = tokens_of(output_bytes)
    told = usage.output_tokens
    return usage if told is not None and told >= counted else replace(usage, output_tokens=counted)


def _are_versions(asked: str, answered: str) -> bool:
    """Whether one name is the other with something added: a date, a folder, a region."""
    return asked in answered or answered in asked


def _is_operators(card: RateCard | None) -> bool:
    return card is not None and card.source == OPERATOR


def _reported(served: _Served) -> Picodollars | None:
    if not served.vendor.reports_cost or served.raw_usage is None:
        return None
    return reported_cost(served.raw_usage)


def _circumstances(record: Record, vendor: Vendor) -> tuple[str | None, str | None, tuple[tuple[str, Usage], ...]]:
    """Service tier, speed and advice. In the dialect of OpenAI the usage object does not tell the tier."""
    raw = record.raw_usage
    asked = (record.model or "").removeprefix(f"{record.provider}/")
    if raw is None or vendor.dialect_of(asked) in ("openai", "responses"):
        return record.service_tier, None, ()
    return *circumstances(raw), advice_in(raw)


def _instant(served: _Served) -> datetime:
    return datetime.fromtimestamp(served.at_s, UTC)


def _bill(
    usage: Usage, source: UsageSource, card: RateCard | None, rated: Priced | None, reported: Picodollars | None
) -> Bill:
    if rated is None:
        rated = _NOT_RATED
    if reported is not None and not _is_operators(card):
        return _new_bill(
            usage=usage,
            usage_source=source,
            cost=reported,
            rated_cost=rated.cost,
            reported_cost=reported,
            price_source=PROVIDER,
            unpriced_meters=rated.unpriced_meters,
        )
    cost = rated.cost
    priced_by = card if cost is not None else None
    return _new_bill(
        usage=usage,
        usage_source=source,
        cost=cost,
        prompt_cost=rated.prompt_cost,
        completion_cost=rated.completion_cost,
        rated_cost=cost,
        reported_cost=reported,
        price_source=None if priced_by is None else priced_by.source,
        price_version=None if priced_by is None else priced_by.version,
        unpriced_meters=rated.unpriced_meters,
    )

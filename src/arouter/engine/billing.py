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
from arouter.domain.price import Priced, RateCard, plain_costs, price, price_quantity
from arouter.domain.record import Record, UsageSource
from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.domain.value import constructor, unfilled, value
from arouter.engine.routing import Route
from arouter.providers.quantity import quantity_in
from arouter.providers.told import Told
from arouter.providers.usage import advice_in, circumstances, reported_cost
from arouter.providers.vendors import Vendor

OPERATOR = "operator"
PROVIDER = "provider"

MOST_FOUND = 4096
_SECOND_US = 1_000_000
_BY_PROVIDER = UsageSource.PROVIDER
"""By itself: a member of an enumeration takes longer to look up than a global."""


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


_Served = tuple[int, str, str, str | None, str | None, str | None]
"""What the price of an answer depends on besides its usage: when the request was made, in seconds since the epoch; the
vendor; the provider's own name of the model that was asked for, and of the one that says it answered; the tier of
service; the speed."""
_Advice = tuple[tuple[str, Usage], ...]


class Billing:
    """Prices what providers tell."""

    def __init__(self, card: CardFinder) -> None:
        self._card = card
        self._found: dict[_Served, RateCard | None] = {}
        """The cards that were found lately: under load the same few over and over."""

    def bill(self, route: Route, told: Told, *, asked_bytes: int | None, at_us: int) -> Bill:
        """The bill for an answer that began, whole or not.

        `asked_bytes` is the size of what the model was to read, from which the input is estimated if no usage came;
        `at_us` is when the request was made, in microseconds: prices change with time.
        """
        usage, source = told.usage, _BY_PROVIDER
        if usage is None:
            usage, source = _estimated(told, asked_bytes)
        elif not told.complete:
            usage, source = _with_counted_output(usage, told.output_bytes), UsageSource.PARTIAL
        vendor = route.deployment.vendor
        served = (at_us // _SECOND_US, vendor.name, route.model, told.upstream_model, told.service_tier, told.speed)
        try:
            card = self._found[served]
        except KeyError:
            card = self._find_card(vendor, served)
        if card is None or vendor.reports_cost or told.advice or (costs := plain_costs(card, usage)) is None:
            return self._rate(card, usage, source, vendor, served, told.advice, told.raw_usage)
        made = unfilled(Bill)
        made.usage = usage
        made.usage_source = source
        made.cost, made.prompt_cost, made.completion_cost = costs
        made.rated_cost = made.cost
        made.reported_cost = None
        made.price_source = card.source
        made.price_version = card.version
        made.unpriced_meters = ()
        bill: Bill = made
        return bill

    def bill_again(self, record: Record, vendor: Vendor) -> Bill:
        """The bill for a request that has its record, as `bill` would make it now: the usage is the record's, the
        prices are those known here for the time when the request was made.

        `vendor` is the row of the record's provider.
        """
        if record.usage_source is UsageSource.NONE or record.provider is None or record.model is None:
            return NOTHING_USED
        tier, speed, advice = _circumstances(record, vendor)
        asked = record.model.removeprefix(f"{record.provider}/")
        at_s = record.opening.created_at_us // _SECOND_US
        served = (at_s, vendor.name, asked, record.upstream_model, tier, speed)
        card = self._find_card(vendor, served)
        return self._rate(card, record.usage, record.usage_source, vendor, served, advice, record.raw_usage)

    def _rate(
        self,
        card: RateCard | None,
        usage: Usage,
        source: UsageSource,
        vendor: Vendor,
        served: _Served,
        advice: _Advice,
        raw_usage: bytes | None,
    ) -> Bill:
        reported = reported_cost(raw_usage) if vendor.reports_cost and raw_usage is not None else None
        if card is None:
            return _bill(usage, source, None, _NOT_RATED, reported)
        rated = price(card, usage)
        if advice:
            rated = self._with_advice(rated, served, advice)
        if rated.cost is None and raw_usage is not None and usage.total_tokens is None:
            rated = _without_tokens(card, raw_usage)
        return _bill(usage, source, card, rated, reported)

    def _find_card(self, vendor: Vendor, served: _Served) -> RateCard | None:
        if served not in self._found:
            if len(self._found) >= MOST_FOUND:
                self._found.clear()
            self._found[served] = self._look_up(vendor, served)
        return self._found[served]

    def _look_up(self, vendor: Vendor, served: _Served) -> RateCard | None:
        """The price of the model that says it answered, else of the one that was asked for.

        Providers answer by a dated name (`gpt-4o-2024-08-06`): an operator's price for the name that was asked for
        comes before a published one for the name that answered. Where quite another model answered (a router's
        choice) and has no price, the price of the one that was asked for would be an invented one.
        """
        at_s, name, asked_name, answered_name, tier, speed = served
        at = _instant(at_s)
        asked = self._card(name, asked_name, at, service_tier=tier, speed=speed)
        if not answered_name or answered_name == asked_name or vendor.priced_as_asked:
            return asked
        answered = self._card(name, answered_name, at, service_tier=tier, speed=speed)
        if _is_operators(asked) and not _is_operators(answered):
            return asked
        if answered is None and _are_versions(asked_name, answered_name):
            return asked
        return answered

    def _with_advice(self, rated: Priced, served: _Served, advice: _Advice) -> Priced:
        """Add what other models were asked on behalf of this answer, each at its own price. One without a price makes
        the whole unknown."""
        at_s, vendor, *_ = served
        cost: int | None = rated.cost
        for model, usage in advice:
            card = self._card(vendor, model, _instant(at_s))
            cost_of_it = price(card, usage).cost if card is not None else None
            cost = None if cost is None or cost_of_it is None else cost + cost_of_it
        if cost is None:
            return replace(rated, cost=None, prompt_cost=None, completion_cost=None)
        return replace(rated, cost=Picodollars(cost))


def _estimated(told: Told, asked_bytes: int | None) -> tuple[Usage, UsageSource]:
    """Where the provider told no usage: what can be counted."""
    if not told.countable:
        return NOTHING_REPORTED, UsageSource.NONE if told.raw_usage is None else UsageSource.ESTIMATED
    asked = None if asked_bytes is None else tokens_of(asked_bytes)
    return Usage(input_tokens=asked, output_tokens=tokens_of(told.output_bytes)), UsageSource.ESTIMATED


def _without_tokens(card: RateCard, raw_usage: bytes) -> Priced:
    """By the length of the sound or of the text, where that is what is known."""
    quantity = quantity_in(raw_usage)
    return _NOT_RATED if quantity is None else price_quantity(card, *quantity)


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


def _circumstances(record: Record, vendor: Vendor) -> tuple[str | None, str | None, _Advice]:
    """Service tier, speed and advice. In the dialect of OpenAI the usage object does not tell the tier."""
    raw = record.raw_usage
    asked = (record.model or "").removeprefix(f"{record.provider}/")
    if raw is None or vendor.dialect_of(asked) in ("openai", "responses"):
        return record.service_tier, None, ()
    return *circumstances(raw), advice_in(raw)


def _instant(at_s: int) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def _bill(
    usage: Usage, source: UsageSource, card: RateCard | None, rated: Priced, reported: Picodollars | None
) -> Bill:
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

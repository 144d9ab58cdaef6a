"""The work of `arouter prices reprice`, and what it tells."""

from dataclasses import replace
from typing import Any

import msgspec
from rich.table import Table

from arouter.cli.database import count_records, opened
from arouter.cli.output import table, visible
from arouter.cli.progress import progress_bar
from arouter.domain.activity import ActivityQuery, Filters, Scope
from arouter.domain.money import in_line
from arouter.engine.billing import Billing
from arouter.engine.clock import SystemClock
from arouter.engine.repricing import Outcome, Outcomes, Repricing
from arouter.providers.prices import PriceBook
from arouter.settings import Settings
from arouter.wire.numbers import Dollars, exact_dollars
from arouter.wiring.prices import Prices, operator_prices
from arouter.wiring.providers import vendor_of

_NUMBERS = ("Records", "Changed", "Cost before, $", "Cost after, $", "Unpriced before", "after")


class Repriced(msgspec.Struct, frozen=True):
    """What became of the records of one model, or of all."""

    records: int
    changed: int
    corrected: int
    cost_before: Dollars
    cost_after: Dollars
    unpriced_before: int
    unpriced_after: int


class RepricedModel(Repriced, frozen=True):
    """Null is the model of requests that were never routed to one."""

    model: str | None


class RepricedAll(Repriced, frozen=True):
    dry_run: bool
    models: list[RepricedModel]


async def reprice_records(settings: Settings, filters: Filters, *, dry: bool) -> Outcomes:
    """Bill again what was created before this moment."""
    clock = SystemClock()
    now_us = clock.now_us()
    filters = replace(filters, end_us=now_us + 1 if filters.end_us is None else min(filters.end_us, now_us + 1))
    book = PriceBook(operator=operator_prices(settings.prices))
    async with opened(settings) as (store, home):
        repricing = Repricing(
            store.ledger,
            Billing(Prices(book)),
            vendor_of=lambda name: vendor_of(settings, name),
            now_us=clock.now_us,
        )
        query = ActivityQuery(scope=Scope(organization_id=home.organization_id), filters=filters)
        with progress_bar() as progress:
            total = None if progress.disable else await count_records(store, query)
            task = progress.add_task("records", total=total)
            return await repricing.run(query, dry=dry, on_page=lambda records: progress.advance(task, records))


def repricing_table(outcomes: Outcomes) -> Table:
    """A row for each model, the dearest change first, and one with the sums."""
    made = table(("Model", *_NUMBERS), numbers=_NUMBERS)
    by_model = _in_order(outcomes)
    every = [*(outcome for _, outcome in by_model), outcomes.total]
    costs = in_line([amount for one in every for amount in (one.cost_before, one.cost_after)])
    for (model, outcome), before, after in zip(by_model, costs[::2], costs[1::2], strict=False):
        made.add_row(visible(model), *_cells(outcome, before, after))
    made.add_section()
    made.add_row("Total", *_cells(outcomes.total, *costs[-2:]), style="bold")
    if outcomes.total.corrected:
        made.caption = f"{outcomes.total.corrected:,} records were corrected before, and keep that cost."
        made.caption_justify = "left"
    return made


def repricing_json(outcomes: Outcomes, *, dry: bool) -> RepricedAll:
    """The same for machines."""
    models = [RepricedModel(model=model, **_fields(outcome)) for model, outcome in _in_order(outcomes)]
    return RepricedAll(dry_run=dry, models=models, **_fields(outcomes.total))


def _in_order(outcomes: Outcomes) -> list[tuple[str | None, Outcome]]:
    def key(one: tuple[str | None, Outcome]) -> tuple[int, str]:
        model, outcome = one
        return -abs(outcome.cost_after - outcome.cost_before), "" if model is None else model

    return sorted(outcomes.by_model.items(), key=key)


def _cells(outcome: Outcome, before: str, after: str) -> tuple[str, ...]:
    unpriced = (f"{outcome.unpriced_before:,}", f"{outcome.unpriced_after:,}")
    return f"{outcome.records:,}", f"{outcome.changed:,}", before, after, *unpriced


def _fields(outcome: Outcome) -> dict[str, Any]:
    return {
        "records": outcome.records,
        "changed": outcome.changed,
        "corrected": outcome.corrected,
        "cost_before": exact_dollars(outcome.cost_before),
        "cost_after": exact_dollars(outcome.cost_after),
        "unpriced_before": outcome.unpriced_before,
        "unpriced_after": outcome.unpriced_after,
    }

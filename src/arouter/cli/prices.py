"""`arouter prices`: what models cost."""

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from arouter.cli.database import require_database
from arouter.cli.filter_options import read_options
from arouter.cli.options import Config, Json, application
from arouter.cli.output import Failure, facts, stdout, table, visible, write_json
from arouter.cli.repricing import reprice_records, repricing_json, repricing_table
from arouter.domain.price import RATED_PER, TOKENS_PER_PRICE, Rate, RateCard, rate_to_decimal
from arouter.providers.prices import ListedModel, PriceBook
from arouter.providers.vendors import ALIASES
from arouter.settings import load
from arouter.wire.nearest import unknown
from arouter.wire.numbers import Dollars
from arouter.wiring.prices import Prices, operator_prices

app = application(help="Look at the prices that requests are rated by.", no_args_is_help=True)

_DEFAULT_PROVIDER = "openai"
_INSTANT = "RFC 3339, a date, or Unix seconds"
_SHOWN = {
    "Input": "input_tokens",
    "Output": "output_tokens",
    "Cache read": "cache_read_tokens",
    "Cache write": "cache_write_tokens",
}


class Tier(msgspec.Struct, frozen=True):
    """The price where the request has more input tokens than that."""

    above_input_tokens: int
    price: Dollars


class Price(msgspec.Struct, frozen=True):
    """Dollars for `per` tokens or events."""

    per: int
    price: Dollars
    tiers: list[Tier]


class ModelPrices(msgspec.Struct, frozen=True):
    """What a model costs, and who says so. A rate is null where one price would not be enough to tell."""

    model: str
    source: str
    version: str
    rates: dict[str, Price | None]


# ---------------------------------------------------------------- commands


@app.command("list")
def list_(
    config: Config = None,
    provider: Annotated[
        str | None, typer.Option(metavar="P", help="Only this provider's models.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Every model with a price, in dollars for a million tokens."""
    listed = _book(config).models(_now(), None if provider is None else {ALIASES.get(provider, provider)})
    if not listed and provider is not None:
        raise Failure(f"no price is known for a model of {provider!r}; `arouter prices list` shows all")
    if json:
        write_json([_model_prices(f"{line.vendor}/{line.model}", line.card) for line in listed])
    else:
        _tell_list(listed)


@app.command()
def show(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="provider/model.", show_default=False)],
    config: Config = None,
    json: Json = False,
) -> None:
    """The rate card of one model: every rate, where it comes from and which version of it."""
    book = _book(config)
    provider, slash, name = model.partition("/")
    if not slash:
        provider, name = _DEFAULT_PROVIDER, model
    provider = ALIASES.get(provider, provider)
    card = Prices(book)(provider, name, _now())
    if card is None or not card.rates:
        known = [f"{line.vendor}/{line.model}" for line in book.models(_now())]
        raise Failure(
            f"no price is known. {unknown('model', f'{provider}/{name}', known)} "
            f'A table [prices."{provider}/{name}"] in the configuration states one.'
        )
    if json:
        write_json(_model_prices(f"{provider}/{name}", card))
    else:
        _tell_card(f"{provider}/{name}", card)


@app.command()
def reprice(
    start: Annotated[str, typer.Option(metavar="T", help=f"Created at or after: {_INSTANT}.", show_default=False)],
    end: Annotated[
        str | None,
        typer.Option(metavar="T", help=f"Created before: {_INSTANT}. Default: now.", show_default=False),
    ] = None,
    config: Config = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="M", help="The model, routed to or asked for. Repeatable.", show_default=False),
    ] = None,
    provider: Annotated[
        list[str] | None,
        typer.Option(metavar="P", help="The provider that answered. Repeatable.", show_default=False),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(metavar="U", help="Requests of this user, byte for byte. Repeatable.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, on a terminal, whether this is meant.")] = False,
    json: Json = False,
) -> None:
    """Rate past records at the prices known now. Each change is written beside its record, which stays as it was.

    Safe to run again, and while a gateway runs.
    """
    settings = load(config)
    require_database(settings)
    filters = read_options(start=start, end=end, model=model, provider=provider, user=user)
    if not dry_run and not yes and sys.stdin.isatty() and sys.stdout.isatty():
        ahead = asyncio.run(reprice_records(settings, filters, dry=True))
        stdout().print(repricing_table(ahead))
        if not ahead.total.changed:
            return
        typer.confirm(f"Write {ahead.total.changed:,} adjustments?", abort=True)
    outcomes = asyncio.run(reprice_records(settings, filters, dry=dry_run))
    if json:
        write_json(repricing_json(outcomes, dry=dry_run))
    else:
        stdout().print(repricing_table(outcomes))
        told = "would change" if dry_run else "changed"
        stdout().print(f"{outcomes.total.changed:,} of {outcomes.total.records:,} records {told}.")


# ---------------------------------------------------------------- telling


def _book(config: Config) -> PriceBook:
    return PriceBook(operator=operator_prices(load(config).prices))


def _now() -> datetime:
    return datetime.now(UTC)


def _tell_list(listed: list[ListedModel]) -> None:
    lines = table(("Model", *_SHOWN, "Source"), numbers=_SHOWN)
    for line in listed:
        lines.add_row(
            visible(f"{line.vendor}/{line.model}"),
            *(_cell(line.card.rates, meter) for meter in _SHOWN.values()),
            line.card.source,
        )
    stdout().print(lines)


def _cell(rates: Mapping[str, Rate | None], meter: str) -> str:
    if meter not in rates:
        return ""
    rate = rates[meter]
    return "several" if rate is None else _decimal(rate.base, RATED_PER[meter]) + ("+" if rate.tiers else "")


def _tell_card(model: str, card: RateCard) -> None:
    out = stdout()
    out.print(facts((("Model", visible(model)), ("Source", card.source), ("Version", card.version))))
    out.print()
    lines = table(("Meter", "Dollars", "For"), numbers=("Dollars",))
    for meter, rate in card.rates.items():
        per = RATED_PER[meter]
        unit = "a million" if per == TOKENS_PER_PRICE else f"{per:,}"
        if rate is None:
            lines.add_row(meter, "", "more than one price at once: the cost is unknown where it was used")
            continue
        lines.add_row(meter, _decimal(rate.base, per), unit)
        for above, price in rate.tiers:
            lines.add_row("", _decimal(price, per), f"{unit}, if the input is more than {above:,} tokens")
    out.print(lines)


def _model_prices(model: str, card: RateCard) -> ModelPrices:
    return ModelPrices(
        model=model,
        source=card.source,
        version=card.version,
        rates={meter: None if rate is None else _price(rate, RATED_PER[meter]) for meter, rate in card.rates.items()},
    )


def _price(rate: Rate, per: int) -> Price:
    return Price(
        per=per,
        price=msgspec.Raw(_decimal(rate.base, per).encode()),
        tiers=[Tier(above, msgspec.Raw(_decimal(price, per).encode())) for above, price in rate.tiers],
    )


def _decimal(rate: int, per: int) -> str:
    """Exactly, without an exponent."""
    return f"{rate_to_decimal(rate, per).normalize():f}"

"""`arouter credits`."""

import asyncio
import secrets
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated

import typer

from arouter.cli.options import Config, Json, application
from arouter.cli.people import PAGE, OrganizationId, in_organization, settings_of, tell, tell_every
from arouter.domain.activity import Cursor, Scope, SummaryQuery
from arouter.domain.credits import ID_BYTES, CreditConflict, CreditEntry, TooManyCredits
from arouter.engine.clock import SystemClock
from arouter.store.stores import Store
from arouter.web.api.credit_settings import new_credit, new_id, refused
from arouter.wire.billing_json import Credits, credits_object
from arouter.wire.credits_json import AddCredit, CreditObject, credit_object

app = application(
    help="What an organization has paid in, what is left, and whether requests are held to it.", no_args_is_help=True
)


class Kind(StrEnum):
    """What a person can add."""

    TOP_UP = "top_up"
    GIFT = "gift"
    REFUND = "refund"
    CORRECTION = "correction"


Amount = Annotated[
    str,
    typer.Option(
        "--amount", metavar="USD", help="In US dollars, exactly; negative for a correction.", show_default=False
    ),
]
Type = Annotated[Kind, typer.Option("--type", help="What it is. Only a correction may be negative.")]
Description = Annotated[
    str | None, typer.Option(metavar="TEXT", help="What the transactions call it.", show_default=False)
]
Reference = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT", help="The payer's own, such as an invoice: the same one twice is one entry.", show_default=False
    ),
]


@app.command()
def show(config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:
    """What was paid in, what was used, and what is left."""
    tell(asyncio.run(in_organization(settings_of(config), organization, _standing)), json=json)


@app.command()
def add(
    amount: Amount,
    kind: Type = Kind.TOP_UP,
    description: Description = None,
    reference: Reference = None,
    config: Config = None,
    organization: OrganizationId = None,
    json: Json = False,
) -> None:
    """Add to the credits. The first time requests are held to them from then on."""
    wanted = AddCredit(amount=_read_amount(amount), type=kind.value, description=description, reference=reference)

    async def work(store: Store, organization_id: str) -> CreditObject:
        entry = new_credit(
            wanted,
            organization_id=organization_id,
            idempotency_key=None,
            now_us=SystemClock().now_us(),
            entropy=secrets.token_bytes(ID_BYTES),
        )
        try:
            return credit_object(await store.directory.add_credit(entry, opening_id=_new_id()))
        except (CreditConflict, TooManyCredits) as problem:
            raise refused(problem) from problem

    tell(asyncio.run(in_organization(settings_of(config), organization, work)), json=json)


@app.command("list")
def list_(config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:
    """Everything that was added, newest first."""

    async def work(store: Store, organization_id: str) -> list[CreditObject]:
        found: list[CreditEntry] = []
        after: Cursor | None = None
        while page := await store.directory.list_credits(organization_id, limit=PAGE, after=after):
            found += page
            after = page[-1].cursor
        return [credit_object(one) for one in found]

    shown = asyncio.run(in_organization(settings_of(config), organization, work))
    tell_every(shown, ("id", "type", "amount", "description", "reference", "created_at"), json=json)


@app.command()
def enable(config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:
    """Hold requests to what is left. What was used before, and while it was off, is not charged."""
    _switch(config, organization, json=json, enabled=True)


@app.command()
def disable(config: Config = None, organization: OrganizationId = None, json: Json = False) -> None:
    """Hold requests no more."""
    _switch(config, organization, json=json, enabled=False)


def _switch(config: Config, organization: str | None, *, json: bool, enabled: bool) -> None:
    async def work(store: Store, organization_id: str) -> Credits:
        try:
            await store.directory.switch_credits(
                organization_id, enabled=enabled, opening_id=_new_id(), now_us=SystemClock().now_us()
            )
        except TooManyCredits as problem:
            raise refused(problem) from problem
        return await _standing(store, organization_id)

    tell(asyncio.run(in_organization(settings_of(config), organization, work)), json=json)


async def _standing(store: Store, organization_id: str) -> Credits:
    account = await store.directory.credit_account(organization_id)
    if account is not None:
        return credits_object(account, account.spent)
    sums = await store.ledger.summary(SummaryQuery(scope=Scope(organization_id=organization_id)))
    return credits_object(None, sums.totals.cost)


def _read_amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as exc:
        raise typer.BadParameter(f"{text!r} is not an amount of dollars", param_hint="--amount") from exc


def _new_id() -> str:
    return new_id(secrets.token_bytes(ID_BYTES))

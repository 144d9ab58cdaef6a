"""The work of `arouter activity show` and `arouter activity correct`, and what they tell."""

import secrets
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

import msgspec
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from arouter.cli.database import opened
from arouter.cli.output import Failure, facts, table, visible
from arouter.domain import ids
from arouter.domain.activity import ActivityRow
from arouter.domain.adjustment import AdjustedMeanwhile, Adjustment, AdjustmentKind
from arouter.domain.money import LARGEST, Picodollars, from_decimal, to_decimal
from arouter.engine.clock import SystemClock
from arouter.settings import Settings
from arouter.store.base import Home
from arouter.store.stores import Store
from arouter.wire.adjustments_json import RecordHistory, record_history
from arouter.wire.attempts_json import AttemptRecord

UNKNOWN = "unknown"
CORRECTED = "correction"
"""The price source of a record that somebody corrected."""
_MOST_TEXT = 1_000
_ID_BYTES = 12


async def look_up(settings: Settings, record_id: str) -> RecordHistory:
    """One record with its adjustments. Failure if there is none."""
    async with opened(settings) as (store, home):
        return await _history(store, home, await _row(store, home, record_id))


async def correct_record(
    settings: Settings, record_id: str, cost: Picodollars | None, *, reason: str, author: str
) -> RecordHistory:
    """State another cost for a record; the record with its adjustments afterwards."""
    async with opened(settings) as (store, home):
        row = await _row(store, home, record_id)
        correction = Adjustment(
            id=ids.named_id("adj", secrets.token_bytes(_ID_BYTES)),
            record_id=record_id,
            created_at_us=SystemClock().now_us(),
            kind=AdjustmentKind.CORRECTION,
            cost=cost,
            price_source=None if cost is None else CORRECTED,
            reason=reason,
            author=author,
        )
        seen = {record_id: None if row.adjustment is None else row.adjustment.id}
        try:
            await store.ledger.adjust([correction], seen=seen)
        except AdjustedMeanwhile as exc:
            raise Failure(f"{record_id} was adjusted just now by somebody else; look at it and try again") from exc
        return await _history(store, home, await _row(store, home, record_id))


def read_cost(text: str) -> Picodollars | None:
    """Dollars as somebody typed them, None for `unknown`. typer.BadParameter for what cannot be a request's cost."""
    if text == UNKNOWN:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise _bad_cost(f"{text!r} is not an amount of dollars, such as 0.0123, nor the word {UNKNOWN}")
    if amount < 0:
        raise _bad_cost("give the whole cost of the request from now on, not a difference: it cannot be negative")
    if amount > to_decimal(LARGEST):
        raise _bad_cost(f"one request cannot cost more than {to_decimal(LARGEST)} dollars")
    exact = from_decimal(amount)
    if to_decimal(exact) != amount:
        raise _bad_cost("a cost has at most 12 decimals")
    return exact


def read_text(text: str, option: str) -> str:
    """What a person says. typer.BadParameter for nothing, and for more than anybody reads."""
    if not text.strip() or len(text) > _MOST_TEXT:
        raise typer.BadParameter(f"give 1 to {_MOST_TEXT:,} characters", param_hint=option)
    return text


def history_report(history: RecordHistory) -> RenderableType:
    """The record, its attempts and its adjustments, for people."""
    return Group(*_parts(history))


def _parts(history: RecordHistory) -> Iterator[RenderableType]:
    fields = msgspec.structs.asdict(history.record)
    tried = fields.pop("tried")
    yield facts((name.replace("_", " "), _shown(value)) for name, value in fields.items())
    if tried:
        yield Text()
        yield _attempts(tried)
    yield Text()
    if not history.adjustments:
        yield Text("No adjustments: the cost is the record's own.", style="dim")
        return
    made = table(("Adjusted", "Kind", "Cost, $", "Source", "By", "Reason"), numbers=("Cost, $",))
    made.add_row(fields["completed_at"], "record", _shown(history.original_cost), "", "", "", style="dim")
    for one in history.adjustments:
        by = visible(one.author) if one.author is not None else Text("re-pricing", style="dim")
        source = _shown(one.price_source)
        made.add_row(one.created_at, one.kind, _shown(one.cost), source, by, visible(one.reason))
    yield made


def _attempts(tried: tuple[AttemptRecord, ...]) -> RenderableType:
    numbers = ("HTTP", "ms", "Prompt", "Completion", "Cost, $")
    made = table(("Attempt", "Error", *numbers), numbers=numbers)
    for one in tried:
        values = (one.http_status, one.latency_ms, one.prompt_tokens, one.completion_tokens, one.cost)
        made.add_row(visible(f"{one.provider}/{one.model}"), _shown(one.error_code), *map(_shown, values))
    return made


def _shown(value: object) -> Text:
    if isinstance(value, msgspec.Raw):
        return Text(bytes(value).decode())
    if isinstance(value, str) or value is None:
        return visible(value)
    return visible(msgspec.json.encode(value).decode())


def _bad_cost(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="--cost")


async def _row(store: Store, home: Home, record_id: str) -> ActivityRow:
    row = await store.ledger.get(home.organization_id, record_id)
    if row is None:
        raise Failure(f"there is no record {record_id!r}; `arouter activity export` and X-Generation-Id tell the ids")
    return row


async def _history(store: Store, home: Home, row: ActivityRow) -> RecordHistory:
    adjustments = await store.ledger.adjustments_of(home.organization_id, row.record.opening.id)
    return record_history(row, adjustments)

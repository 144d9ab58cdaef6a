"""Charges and credits: ARouter's transactions and balance, and OpenRouter's credits.

A request is a transaction: its cost with a minus. `generation_id`, `user`, `currency` and the cursor are ours.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from arouter.domain.activity import ActivityRow, Cursor
from arouter.domain.record import Record, Status
from arouter.wire.instants import write_instant
from arouter.wire.numbers import Dollars, dollars, exact_dollars

_PREFIX = "txn_"


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent (a negative amount) or paid in (a positive one), in US dollars; null where no price is known."""

    id: str
    type: Literal["usage", "credit"]
    amount: Dollars | None
    currency: Literal["USD"] = "USD"
    description: str
    created_at: str
    generation_id: str | None = None
    user: str | None = None


class TransactionsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page, newest first. `next_cursor` leads to the next one; it is null on the last."""

    transactions: list[Transaction]
    has_more: bool
    next_cursor: str | None


class BalanceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`balance` is what is left of the organization's credits, null where nobody keeps any or the key may not know.
    `total_usage` is what was spent on the requests that the key may see."""

    balance: Dollars | None
    currency: Literal["USD"] = "USD"
    total_usage: Dollars


class Credits(msgspec.Struct, frozen=True, kw_only=True):
    """`total_credits` is what was paid in, null where nobody keeps credits or the key may not know."""

    total_credits: Dollars | None
    total_usage: Dollars


class CreditsAnswer(msgspec.Struct, frozen=True):
    data: Credits


def usage_transaction(row: ActivityRow) -> Transaction:
    """The charge of one request."""
    record = row.record
    return Transaction(
        id=_PREFIX + record.opening.id,
        type="usage",
        amount=dollars(None if record.cost is None else -record.cost),
        description=_description(record),
        created_at=write_instant(record.opening.created_at_us),
        generation_id=record.opening.id,
        user=record.opening.user,
    )


def credit_transaction(*, credit_id: str, created_at_us: int, amount: int, description: str) -> Transaction:
    """Something that was paid in, in picodollars."""
    return Transaction(
        id=_PREFIX + credit_id,
        type="credit",
        amount=exact_dollars(amount),
        description=description,
        created_at=write_instant(created_at_us),
    )


def encode_transactions(transactions: Sequence[Transaction], next_cursor: Cursor | None) -> bytes:
    """A page."""
    return msgspec.json.encode(
        TransactionsAnswer(
            transactions=list(transactions),
            has_more=next_cursor is not None,
            next_cursor=None if next_cursor is None else next_cursor.to_text(),
        )
    )


def encode_balance(balance: int | None, total_usage: int) -> bytes:
    """From picodollars."""
    return msgspec.json.encode(BalanceAnswer(balance=dollars(balance), total_usage=exact_dollars(total_usage)))


def encode_credits(paid_in: int | None, total_usage: int) -> bytes:
    """From picodollars."""
    credits_ = Credits(total_credits=dollars(paid_in), total_usage=exact_dollars(total_usage))
    return msgspec.json.encode(CreditsAnswer(credits_))


def _description(record: Record) -> str:
    """`openai/gpt-5.4 - 500 input tokens, 200 output tokens`."""
    model = record.model if record.model is not None else record.opening.requested_model
    what = record.opening.endpoint if model is None else model
    usage = record.usage
    if usage.total_tokens is not None:
        told = [
            "unknown" if tokens is None else f"{tokens}" for tokens in (usage.prompt_tokens, usage.completion_tokens)
        ]
        return f"{what} - {told[0]} input tokens, {told[1]} output tokens"
    if record.status is Status.REJECTED:
        return f"{what} - rejected"
    return f"{what} - usage unknown"

"""Charges and credits: ARouter's transactions and balance, and OpenRouter's credits.

A request is a transaction: its cost with a minus. `generation_id`, `user`, `credit_type`, `reference`, `currency` and
the cursor are ours, and so are `balance` and `enabled` in OpenRouter's shape.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from arouter.domain.activity import ActivityRow, Cursor
from arouter.domain.credits import CreditAccount, CreditEntry
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
    credit_type: Literal["top_up", "gift", "refund", "correction", "opening"] | None = None
    """Of a credit."""
    reference: str | None = None
    """The payer's own, of a credit."""


class TransactionsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page, newest first. `next_cursor` leads to the next one; it is null on the last."""

    transactions: list[Transaction]
    has_more: bool
    next_cursor: str | None


class BalanceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`balance` is what is left of the organization's credits, null where it keeps none or the key may not know.
    `total_usage` is what was spent on the requests that the key may see."""

    balance: Dollars | None
    currency: Literal["USD"] = "USD"
    total_usage: Dollars


class Credits(msgspec.Struct, frozen=True, kw_only=True):
    """`total_credits` is what was paid in, with what had been used before; `balance` is what is left of it: both are
    null where the organization keeps no credits, or the key may not know. `enabled` is null only for such a key."""

    total_credits: Dollars | None
    total_usage: Dollars
    balance: Dollars | None
    enabled: bool | None


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


def credit_transaction(entry: CreditEntry) -> Transaction:
    """Something that was paid in."""
    return Transaction(
        id=_PREFIX + entry.id,
        type="credit",
        amount=exact_dollars(entry.amount),
        description=entry.description,
        created_at=write_instant(entry.created_at_us),
        credit_type=entry.kind.value,
        reference=entry.reference,
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


def encode_balance(account: CreditAccount | None, total_usage: int) -> bytes:
    """What was spent in picodollars; None for credits that there are not, or that the key may not know."""
    balance = None if account is None else account.balance
    return msgspec.json.encode(BalanceAnswer(balance=dollars(balance), total_usage=exact_dollars(total_usage)))


def credits_object(account: CreditAccount | None, total_usage: int, *, told: bool = True) -> Credits:
    """The same in OpenRouter's shape. Not `told`: the key may not know."""
    kept = account if account is not None and account.enabled else None
    return Credits(
        total_credits=None if kept is None else exact_dollars(kept.total),
        total_usage=exact_dollars(total_usage),
        balance=None if kept is None else dollars(kept.balance),
        enabled=kept is not None if told else None,
    )


def encode_credits(account: CreditAccount | None, total_usage: int, *, told: bool = True) -> bytes:
    """As an answer."""
    return msgspec.json.encode(CreditsAnswer(credits_object(account, total_usage, told=told)))


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

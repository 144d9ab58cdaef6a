"""Entries of credits as JSON."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from arouter.domain.activity import Cursor
from arouter.domain.credits import CreditEntry
from arouter.wire.instants import write_instant
from arouter.wire.limits_json import Amount
from arouter.wire.numbers import Dollars, exact_dollars

GivenKind = Literal["top_up", "gift", "refund", "correction"]
"""Those that people add."""


class AddCredit(msgspec.Struct, frozen=True, kw_only=True):
    """What is paid in. Only a `correction` may be negative. `reference` is the payer's own, such as the number of an
    invoice: the same one twice is one entry."""

    amount: Amount
    type: GivenKind = "top_up"
    description: str | UnsetType | None = UNSET
    reference: str | UnsetType | None = UNSET


class UpdateCredits(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests are held to what is left of the credits."""

    enabled: bool


class CreditObject(msgspec.Struct, frozen=True, kw_only=True):
    """One entry, in US dollars. It never changes. `opening` makes up for what was used while there was no pool."""

    id: str
    type: Literal["top_up", "gift", "refund", "correction", "opening"]
    amount: Dollars
    currency: Literal["USD"] = "USD"
    description: str
    reference: str | None
    created_at: str


class CreditAnswer(msgspec.Struct, frozen=True):
    data: CreditObject


class CreditList(msgspec.Struct, frozen=True, kw_only=True):
    """A page, newest first. `next_cursor` leads to the next one; it is null on the last."""

    data: list[CreditObject]
    has_more: bool
    next_cursor: str | None


def credit_object(entry: CreditEntry) -> CreditObject:
    """An entry in its public form."""
    return CreditObject(
        id=entry.id,
        type=entry.kind.value,
        amount=exact_dollars(entry.amount),
        description=entry.description,
        reference=entry.reference,
        created_at=write_instant(entry.created_at_us),
    )


def encode_credit(entry: CreditEntry) -> bytes:
    """One."""
    return msgspec.json.encode(CreditAnswer(credit_object(entry)))


def encode_credit_list(entries: Sequence[CreditEntry], next_cursor: Cursor | None) -> bytes:
    """A page."""
    return msgspec.json.encode(
        CreditList(
            data=[credit_object(one) for one in entries],
            has_more=next_cursor is not None,
            next_cursor=None if next_cursor is None else next_cursor.to_text(),
        )
    )

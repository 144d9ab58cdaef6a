"""From the fields of a request to an entry of credits; else InvalidRequest. And what the store said against one."""

from decimal import Decimal

from arouter.domain.credits import (
    ID_PREFIX,
    CreditConflict,
    CreditEntry,
    CreditKind,
    TooManyCredits,
    check_amount,
    check_description,
    check_reference,
)
from arouter.domain.errors import Conflict, InvalidRequest
from arouter.domain.ids import named_id
from arouter.domain.money import LARGEST, Picodollars, from_decimal, to_decimal
from arouter.web.api.parameters import invalid
from arouter.wire.credits_json import AddCredit

IDEMPOTENCY_KEY = "Idempotency-Key"


def new_credit(
    wanted: AddCredit, *, organization_id: str, idempotency_key: str | None, now_us: int, entropy: bytes
) -> CreditEntry:
    """A new entry."""
    kind = CreditKind(wanted.type)
    description = wanted.description if isinstance(wanted.description, str) else _words(kind)
    reference = wanted.reference if isinstance(wanted.reference, str) else None
    for name, text, check in (
        ("description", description, check_description),
        ("reference", reference, check_reference),
        (IDEMPOTENCY_KEY, idempotency_key, check_reference),
    ):
        if text is not None:
            try:
                check(text)
            except ValueError as exc:
                raise invalid(name, str(exc)) from exc
    return CreditEntry(
        id=new_id(entropy),
        organization_id=organization_id,
        created_at_us=now_us,
        kind=kind,
        amount=_amount(kind, wanted.amount),
        description=description,
        reference=reference,
        idempotency_key=idempotency_key,
    )


def new_id(entropy: bytes) -> str:
    """The id of an entry."""
    return named_id(ID_PREFIX, entropy)


def refused(problem: CreditConflict | TooManyCredits) -> InvalidRequest:
    """What the store said against an entry, as the client is told it."""
    if isinstance(problem, TooManyCredits):
        return invalid("amount", f"is too much: {problem}")
    param = "reference" if problem.name == "reference" else IDEMPOTENCY_KEY
    return Conflict(
        f"`{param}`: the entry {problem.entry.id} has the same one and says something else. Nothing was added.",
        param=param,
        metadata={"id": problem.entry.id},
    )


def _amount(kind: CreditKind, amount: Decimal) -> Picodollars:
    most = to_decimal(LARGEST)
    # The size is compared before any arithmetic: 1e999999999 is one short line of JSON.
    if not amount.is_finite() or not -most <= amount <= most:
        raise invalid("amount", f"must be an amount of dollars, at most {most:f}")
    exact = from_decimal(amount)
    if to_decimal(exact) != amount:
        raise invalid("amount", "has more than twelve decimals")
    try:
        check_amount(kind, exact)
    except ValueError as exc:
        raise invalid("amount", str(exc)) from exc
    return exact


def _words(kind: CreditKind) -> str:
    return "Top-up" if kind is CreditKind.TOP_UP else kind.value.capitalize()

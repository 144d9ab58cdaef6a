"""Money: an integer number of picodollars (10⁻¹² US dollars), never a float.

A price of $0.000001 per million tokens is one picodollar per token, so every price with up to six decimals per
million tokens multiplies without a remainder. The few finer ones (a rate per hour, a converted currency) are
rounded once per record, half to even. Unknown money is None, which is not zero.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext
from typing import NewType

Picodollars = NewType("Picodollars", int)

PICODOLLARS_PER_DOLLAR = 10**12
ZERO = Picodollars(0)
LARGEST = Picodollars(2**63 - 1)
"""About 9.2 million dollars: what one stored amount can hold. Sums are not bound by it."""

DECIMALS = 12
"""Of a dollar, in picodollars."""


def from_decimal(dollars: Decimal) -> Picodollars:
    """Dollars to picodollars, rounded half to even where the twelfth decimal does not suffice."""
    with localcontext(prec=60):
        return Picodollars(int((dollars * PICODOLLARS_PER_DOLLAR).to_integral_value(ROUND_HALF_EVEN)))


def from_text(dollars: str) -> Picodollars:
    """A decimal number of dollars as text (`"12.50"`, `"8.6e-05"`). ValueError if it is not a finite number."""
    try:
        amount = Decimal(dollars)
    except InvalidOperation as exc:
        raise ValueError(f"not an amount of dollars: {dollars!r}") from exc
    if not amount.is_finite():
        raise ValueError(f"not an amount of dollars: {dollars!r}")
    return from_decimal(amount)


def to_decimal(amount: Picodollars | int) -> Decimal:
    """Picodollars to dollars, exactly."""
    with localcontext(prec=60):
        return Decimal(amount).scaleb(-DECIMALS)


def to_text(amount: Picodollars | int) -> str:
    """Picodollars as dollars with exactly the digits needed and no exponent: `1234500000` → `0.0012345`.

    It is a valid JSON number, and it is what every view of the ledger shows.
    """
    if 0 < amount < PICODOLLARS_PER_DOLLAR:
        return "0." + str(amount).zfill(DECIMALS).rstrip("0")
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), PICODOLLARS_PER_DOLLAR)
    if not rest:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{rest:012d}".rstrip("0")


def in_line(amounts: Sequence[int]) -> list[str]:
    """Picodollars as a column of dollars: exact, with as many decimals as the finest needs and at least two."""
    exact = [to_text(amount) for amount in amounts]
    decimals = max([2, *(len(text.partition(".")[2]) for text in exact)])
    return [f"{to_decimal(amount):,.{decimals}f}" for amount in amounts]

"""Numbers in JSON whose digits must survive."""

from typing import Annotated, overload

import msgspec

from arouter.domain.money import to_text

Dollars = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "number"})]
"""A JSON number of US dollars with its exact decimal digits; it never passes through a float."""


def dollars(amount: int | None) -> msgspec.Raw | None:
    """Picodollars as a JSON number; None for unknown."""
    return None if amount is None else exact_dollars(amount)


def exact_dollars(amount: int) -> msgspec.Raw:
    """Picodollars as a JSON number."""
    return msgspec.Raw(to_text(amount).encode())


@overload
def milliseconds(duration_us: int) -> float: ...
@overload
def milliseconds(duration_us: int | None) -> float | None: ...
def milliseconds(duration_us: int | None) -> float | None:
    """Microseconds as milliseconds. A float shows three decimals without loss up to a hundred years."""
    return None if duration_us is None else duration_us / 1000

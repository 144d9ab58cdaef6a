"""Money is an integer number of picodollars, and its texts and decimals are the same amount."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain import money

AMOUNTS = st.integers(min_value=-(10**24), max_value=10**24)


@given(AMOUNTS)
def test_text_says_exactly_the_amount(amount: int) -> None:
    assert money.from_text(money.to_text(amount)) == amount


@given(AMOUNTS)
def test_decimal_says_exactly_the_amount(amount: int) -> None:
    assert money.from_decimal(money.to_decimal(amount)) == amount


@given(AMOUNTS)
def test_text_is_a_json_number_without_exponent_or_spare_digits(amount: int) -> None:
    text = money.to_text(amount)
    assert json.loads(text, parse_float=Decimal, parse_int=Decimal) == money.to_decimal(amount)
    assert set(text) <= set("-0123456789.")
    assert "." not in text or text[-1] not in "0."


@given(AMOUNTS, AMOUNTS)
def test_order_is_kept(left: int, right: int) -> None:
    assert (money.to_decimal(left) < money.to_decimal(right)) == (left < right)


@pytest.mark.parametrize(
    ("dollars", "amount"),
    [
        ("0", 0),
        ("-0", 0),
        ("1", 10**12),
        ("12.50", 12_500_000_000_000),
        ("8.6e-05", 86_000_000),
        ("0.000000000001", 1),
        ("-0.0012345", -1_234_500_000),
        ("9223372.036854775807", money.LARGEST),
        (" 1 ", 10**12),
    ],
)
def test_text_is_read_exactly(dollars: str, amount: int) -> None:
    assert money.from_text(dollars) == amount


@pytest.mark.parametrize(
    ("dollars", "amount"),
    [
        ("0.0000000000005", 0),
        ("0.0000000000015", 2),
        ("0.0000000000025", 2),
        ("0.00000000000250000001", 3),
        ("-0.0000000000015", -2),
        ("0.00000000000049999999999999999999", 0),
    ],
)
def test_beyond_the_twelfth_decimal_is_rounded_half_to_even(dollars: str, amount: int) -> None:
    assert money.from_decimal(Decimal(dollars)) == amount


@pytest.mark.parametrize("dollars", ["", "a dollar", "1,5", "$1", "NaN", "Infinity", "-inf", "0x10"])
def test_what_is_not_an_amount_is_refused(dollars: str) -> None:
    with pytest.raises(ValueError, match="not an amount of dollars"):
        money.from_text(dollars)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (1, "0.000000000001"), (-1, "-0.000000000001"), (10**12, "1"), (1_234_500_000, "0.0012345")],
)
def test_text_has_the_digits_needed(amount: int, text: str) -> None:
    assert money.to_text(amount) == text


@given(st.lists(AMOUNTS, min_size=1))
def test_a_column_is_exact_and_no_wider_than_it_must_be(amounts: list[int]) -> None:
    shown = money.in_line(amounts)
    assert [money.from_text(text.replace(",", "")) for text in shown] == amounts
    (decimals,) = {len(text.partition(".")[2]) for text in shown}
    assert decimals == 2 or any(not text.endswith("0") for text in shown)


def test_a_column_has_cents_and_thousands() -> None:
    assert money.in_line([0, 1234 * 10**12]) == ["0.00", "1,234.00"]
    assert money.in_line([10**9, 5 * 10**12]) == ["0.001", "5.000"]
    assert money.in_line([]) == []

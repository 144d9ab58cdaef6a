"""Seconds and characters are read exactly, and nothing else is taken for them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.providers.quantity import LARGEST_QUANTITY, characters_usage, quantity_in


@pytest.mark.parametrize(
    ("raw", "quantity"),
    [
        (b'{"type":"duration","seconds":9}', ("audio_hours", Fraction(9, 3600))),
        (b'{"type":"duration","seconds":0.1}', ("audio_hours", Fraction(1, 36000))),
        (b'{"seconds":1E1,"type":"duration","x":null}', ("audio_hours", Fraction(10, 3600))),
        (b'{"type":"duration","seconds":0}', ("audio_hours", Fraction(0))),
        (b'{"type":"characters","characters":7}', ("characters", Fraction(7))),
        (b'{"type":"tokens","seconds":9}', None),
        (b'{"seconds":9}', None),
        (b'{"type":"duration"}', None),
        (b'{"type":"duration","seconds":-1}', None),
        (b'{"type":"duration","seconds":1e10}', None),
        (b'{"type":"duration","seconds":"NaN"}', None),
        (b'{"type":"characters","characters":1.5}', None),
        (b'{"prompt_tokens":5}', None),
        (b"[]", None),
        (b"", None),
    ],
)
def test_a_usage_object(raw: bytes, quantity: tuple[str, Fraction] | None) -> None:
    assert quantity_in(raw) == quantity


@given(st.integers(0, LARGEST_QUANTITY))
def test_what_is_counted_here_is_read_here(count: int) -> None:
    assert quantity_in(characters_usage(count)) == ("characters", Fraction(count))


@given(st.binary())
def test_no_bytes_raise(raw: bytes) -> None:
    quantity_in(raw)
    quantity_in(b'{"type":"duration","seconds":' + raw + b"}")

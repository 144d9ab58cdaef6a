"""A JSON object as Google's servers read it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import InvalidRequest
from arouter.wire.gemini_generate.fields import ProtoFields, camel, standard_base64, strict_base64


@pytest.mark.parametrize(
    ("name", "told"),
    [("top_p", "topP"), ("topP", "topP"), ("a_b_c", "aBC"), ("_a", "_a"), ("$ref", "$ref"), ("", ""), ("a_", "a_")],
)
def test_names(name: str, told: str) -> None:
    assert camel(name) == told


@pytest.mark.parametrize(("written", "read"), [(40, 40), (40.0, 40), ("40", 40), ("-1", -1), (None, None)])
def test_whole_numbers(written: object, read: int | None) -> None:
    assert ProtoFields({"top_k": written}).integer("topK") == read


@pytest.mark.parametrize("written", [1.5, "1.5", "x", "", "٣", True, "1" * 40, [], float("inf")])
def test_what_is_no_whole_number(written: object) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        ProtoFields({"topK": written}, "a").integer("topK")
    assert refusal.value.param == "a.topK"


@pytest.mark.parametrize(("written", "read"), [(1, 1), (0.5, 0.5), ("0.5", 0.5), ("1e-3", 0.001), (None, None)])
def test_numbers(written: object, read: float | None) -> None:
    assert ProtoFields({"topP": written}).number("topP") == read


@pytest.mark.parametrize("written", ["x", "NaN", "Infinity", "1e999", True, []])
def test_what_is_no_number(written: object) -> None:
    with pytest.raises(InvalidRequest):
        ProtoFields({"topP": written}).number("topP")


@given(st.binary(max_size=30), st.booleans(), st.booleans())
def test_base64_of_either_alphabet(data: bytes, url_safe: bool, padded: bool) -> None:
    written = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    plain = base64.b64encode(data).decode()
    assert standard_base64(written if padded else written.rstrip("=")) == plain
    assert strict_base64(written) == plain


@pytest.mark.parametrize("text", ["A", "AAAAA", "no base64!", "é", "AA\n==", "===="])
def test_what_is_no_base64(text: str) -> None:
    assert standard_base64(text) is None
    assert strict_base64(text) is None


def test_bits_behind_the_last_byte_are_mended() -> None:
    assert standard_base64("AAAA00") == "AAAA00=="
    assert strict_base64("AAAA00") == "AAAA0w=="

"""The arguments of calls as objects, in the digits in which they were written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import InvalidRequest
from arouter.providers.arguments import as_object

VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())


@given(st.dictionaries(st.text(), VALUES), st.sampled_from([None, 1]))
def test_any_object_is_its_own_text(arguments: dict[str, object], indent: int | None) -> None:
    text = json.dumps(arguments, indent=indent)
    assert bytes(as_object(text, "here")) == text.encode()


@pytest.mark.parametrize("text", ['{"a": 1.50}', '{"a":123456789012345678901234567890.10}', ' {"a":1,"a":2} '])
def test_no_digit_changes(text: str) -> None:
    assert bytes(as_object(text, "here")) == text.encode()


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_no_text_is_an_empty_object(text: str) -> None:
    assert bytes(as_object(text, "here")) == b"{}"


@pytest.mark.parametrize("text", ["[]", "null", "7", '"{}"', "{", '{"a":}', "{} {}", "\ud800", "[" * 100_000])
def test_anything_else_is_refused_by_its_place(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        as_object(text, "messages[1].tool_calls[0].function.arguments")
    assert refused.value.param == "messages[1].tool_calls[0].function.arguments"

"""Values compare and hash by their fields, and are made by keyword."""

import pytest

from arouter.domain.usage import Usage


def test_equal_fields_are_equal_values() -> None:
    assert Usage(input_tokens=1) == Usage(input_tokens=1) != Usage(input_tokens=2)
    assert len({Usage(input_tokens=1), Usage(input_tokens=1), Usage(input_tokens=None)}) == 2


def test_a_value_is_made_by_keyword_and_holds_nothing_else() -> None:
    with pytest.raises(TypeError):
        Usage(1)  # type: ignore[call-arg]
    assert not hasattr(Usage(input_tokens=1), "__dict__")

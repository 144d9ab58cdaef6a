"""Values compare and hash by their fields, and are made by keyword."""

from dataclasses import field, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.usage import Usage
from arouter.domain.value import constructor, unfilled, value


def test_equal_fields_are_equal_values() -> None:
    assert Usage(input_tokens=1) == Usage(input_tokens=1) != Usage(input_tokens=2)
    assert len({Usage(input_tokens=1), Usage(input_tokens=1), Usage(input_tokens=None)}) == 2


def test_a_value_is_made_by_keyword_and_holds_nothing_else() -> None:
    with pytest.raises(TypeError):
        Usage(1)  # type: ignore[call-arg]
    assert not hasattr(Usage(input_tokens=1), "__dict__")


COUNTS = st.none() | st.integers()


@given(st.fixed_dictionaries({}, optional={field.name: COUNTS for field in fields(Usage)}))
def test_a_constructor_makes_what_the_class_makes(counts: dict[str, int | None]) -> None:
    made = constructor(Usage)(**counts)
    assert type(made) is Usage
    assert made == Usage(**counts)


def test_a_constructor_takes_the_names_that_the_class_takes() -> None:
    new_usage = constructor(Usage)
    for wrong in ({"tokens": 1}, {"input_tokens": 1, "more": 2}):
        with pytest.raises(TypeError):
            new_usage(**wrong)


def test_a_class_that_does_more_has_no_constructor() -> None:
    @value(frozen=True, slots=True, kw_only=True)
    class Listed:
        names: list[str] = field(default_factory=list)

    with pytest.raises(ValueError, match="Listed"):
        constructor(Listed)


@given(st.fixed_dictionaries({field.name: COUNTS for field in fields(Usage)}))
def test_an_unfilled_value_whose_fields_are_all_set_is_what_the_class_makes(counts: dict[str, int | None]) -> None:
    made = unfilled(Usage)
    for name, count in counts.items():
        setattr(made, name, count)
    assert type(made) is Usage
    assert made == Usage(**counts)


def test_a_field_that_was_forgotten_is_not_there() -> None:
    with pytest.raises(AttributeError):
        assert unfilled(Usage).input_tokens is None

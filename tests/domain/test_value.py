"""Values compare and hash by their fields, and are made by keyword."""

from dataclasses import field, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.usage import Usage
from arouter.domain.value import constructor, unfilled, value


@value(frozen=True, slots=True, kw_only=True)
class Place:
    north: int | None = None
    east: int | None = None
    height: int | None = None


def test_equal_fields_are_equal_values() -> None:
    assert Usage(input_tokens=1) == Usage(input_tokens=1) != Usage(input_tokens=2)
    assert len({Usage(input_tokens=1), Usage(input_tokens=1), Usage(input_tokens=None)}) == 2


def test_a_value_is_made_by_keyword_and_holds_nothing_else() -> None:
    with pytest.raises(TypeError):
        Usage(1)  # type: ignore[call-arg]
    assert not hasattr(Usage(input_tokens=1), "__dict__")


COORDINATES = st.none() | st.integers()


@given(st.fixed_dictionaries({}, optional={field.name: COORDINATES for field in fields(Place)}))
def test_a_constructor_makes_what_the_class_makes(coordinates: dict[str, int | None]) -> None:
    made = constructor(Place)(**coordinates)
    assert type(made) is Place
    assert made == Place(**coordinates)


def test_a_constructor_takes_the_names_that_the_class_takes() -> None:
    new_place = constructor(Place)
    for wrong in ({"up": 1}, {"north": 1, "more": 2}):
        with pytest.raises(TypeError):
            new_place(**wrong)


def test_a_class_that_does_more_has_no_constructor() -> None:
    @value(frozen=True, slots=True, kw_only=True)
    class Listed:
        names: list[str] = field(default_factory=list)

    with pytest.raises(ValueError, match="Listed"):
        constructor(Listed)


@given(st.fixed_dictionaries({field.name: COORDINATES for field in fields(Place)}))
def test_an_unfilled_value_whose_fields_are_all_set_is_what_the_class_makes(coordinates: dict[str, int | None]) -> None:
    made = unfilled(Place)
    for name, coordinate in coordinates.items():
        setattr(made, name, coordinate)
    assert type(made) is Place
    assert made == Place(**coordinates)


def test_a_field_that_was_forgotten_is_not_there() -> None:
    with pytest.raises(AttributeError):
        assert unfilled(Place).north is None

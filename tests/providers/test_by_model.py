"""A fact is found out once for each name, unless the name is too long to be remembered."""

import pytest

from arouter.providers.by_model import LONGEST_NAME, by_model


def test_a_fact_is_found_once_for_each_name_that_is_not_too_long() -> None:
    asked: list[str] = []

    @by_model
    def size(model: str) -> int:
        asked.append(model)
        return len(model)

    longest, longer = "m" * LONGEST_NAME, "m" * (LONGEST_NAME + 1)
    assert [size(name) for name in ("a", "bb", "a", longest, longest)] == [1, 2, 1, LONGEST_NAME, LONGEST_NAME]
    assert asked == ["a", "bb", longest]
    assert size(longer) == size(longer) == LONGEST_NAME + 1
    assert asked[3:] == [longer, longer]


def test_a_refusal_is_made_anew() -> None:
    @by_model
    def refused(model: str) -> int:
        raise ValueError(model)

    raised = []
    for _ in range(2):
        with pytest.raises(ValueError, match="m") as refusal:
            refused("m")
        raised.append(refusal.value)
    assert raised[0] is not raised[1]

"""The whole cost of a request that was asked for more than once."""

import pytest

from arouter.domain.attempt import Attempt, whole_cost
from arouter.domain.money import Picodollars
from arouter.domain.usage import Usage


def failed(cost: int | None, *, used: bool = True) -> Attempt:
    return Attempt(
        provider="openai",
        model="gpt",
        http_status=500,
        error_code="upstream_error",
        latency_us=1,
        usage=Usage(input_tokens=1) if used else None,
        cost=None if cost is None else Picodollars(cost),
    )


UNUSED = failed(None, used=False)


@pytest.mark.parametrize(
    ("own", "used", "tried", "whole"),
    [
        (None, False, (), None),
        (None, True, (), None),
        (0, True, (), 0),
        (7, True, (UNUSED, UNUSED), 7),
        (7, True, (failed(2), UNUSED, failed(3)), 12),
        (7, True, (failed(2), failed(None)), None),
        (None, True, (failed(2),), None),
        (None, False, (failed(2), UNUSED), 2),
        (None, False, (UNUSED,), None),
    ],
)
def test_the_whole_is_known_if_all_that_was_used_has_a_price(
    own: int | None, used: bool, tried: tuple[Attempt, ...], whole: int | None
) -> None:
    assert whole_cost(None if own is None else Picodollars(own), used=used, tried=tried) == whole

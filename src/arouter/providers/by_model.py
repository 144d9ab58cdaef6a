"""Facts that follow from a model's name alone, each found out once: every request asks for them."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

LONGEST_NAME = 256
"""What follows from a longer name is not remembered: names come from clients."""
REMEMBERED_NAMES = 1024

Fact = TypeVar("Fact")


def by_model(find: Callable[[str], Fact]) -> Callable[[str], Fact]:
    """Decorates a pure function of a model's name. What it raises is not remembered."""
    remembered = lru_cache(maxsize=REMEMBERED_NAMES)(find)

    def found(model: str) -> Fact:
        return remembered(model) if len(model) <= LONGEST_NAME else find(model)

    found.__doc__ = find.__doc__
    return found

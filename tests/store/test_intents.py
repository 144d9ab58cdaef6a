"""When the intent of a request is handed over: late, with others' records, or never."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from arouter.domain.record import Opening
from arouter.store.intents import Intents
from tests.conformance.samples import opening


class Ticks:
    """A loop that only keeps what is to be called later."""

    def __init__(self) -> None:
        self._later: list[Callable[[], None]] = []

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Any:
        self._later.append(call)
        return self

    def pass_one(self) -> None:
        later, self._later = self._later, []
        for call in later:
            call()

    @property
    def waiting(self) -> int:
        return len(self._later)


class Handed:
    """What was handed over, in its order."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def __call__(self, openings: list[Opening]) -> None:
        self.ids += [one.id for one in openings]


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def handed() -> Handed:
    return Handed()


@pytest.fixture
def intents(ticks: Ticks, handed: Handed) -> Intents:
    made = Intents(handed)
    made.start(cast(asyncio.AbstractEventLoop, ticks))
    return made


def test_a_request_that_ends_at_once_has_none(intents: Intents, ticks: Ticks, handed: Handed) -> None:
    intents.add(opening("a"))
    assert intents.drop("a")
    for _ in range(4):
        ticks.pass_one()
    assert (handed.ids, intents.count, ticks.waiting) == ([], 0, 0)


def test_it_goes_by_itself_after_three_ticks(intents: Intents, ticks: Ticks, handed: Handed) -> None:
    intents.add(opening("a"))
    for _ in range(2):
        ticks.pass_one()
    assert handed.ids == []
    ticks.pass_one()
    assert (handed.ids, intents.count, ticks.waiting) == (["a"], 1, 0)
    assert not intents.drop("a")
    assert intents.count == 0


def test_it_goes_with_the_record_of_another(intents: Intents, ticks: Ticks, handed: Handed) -> None:
    intents.add(opening("old"))
    ticks.pass_one()
    intents.add(opening("young"))
    ticks.pass_one()
    intents.add(opening("other"))
    assert intents.drop("other")
    assert handed.ids == ["old"]
    ticks.pass_one()
    ticks.pass_one()
    assert handed.ids == ["old", "young"]


def test_it_does_not_go_with_its_own_record(intents: Intents, ticks: Ticks, handed: Handed) -> None:
    intents.add(opening("a"))
    ticks.pass_one()
    ticks.pass_one()
    assert intents.drop("a")
    assert (handed.ids, intents.count) == ([], 0)


def test_each_is_handed_over_once(intents: Intents, ticks: Ticks, handed: Handed) -> None:
    intents.add(opening("a"))
    intents.add(opening("a"))
    for _ in range(2):
        ticks.pass_one()
        intents.add(opening("a"))
    for _ in range(4):
        ticks.pass_one()
    assert handed.ids == ["a"]


def test_opened_again_after_it_was_handed_over_there_is_one_to_forget(intents: Intents, handed: Handed) -> None:
    intents.add(opening("a"))
    intents.flush()
    intents.add(opening("a"))
    assert not intents.drop("a")
    assert (handed.ids, intents.count) == (["a"], 0)


def test_all_at_once(intents: Intents, ticks: Ticks, handed: Handed) -> None:
    for name in ("due", "old", "young"):
        intents.add(opening(name))
        if name != "young":
            ticks.pass_one()
    intents.flush()
    assert sorted(handed.ids) == ["due", "old", "young"]
    assert intents.count == 3

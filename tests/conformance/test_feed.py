"""What every ledger tells whoever copies it: all that was written, in the order of writing, each time the same."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from arouter.domain.money import Picodollars
from arouter.store.feed import BEGINNING, Changes, ForeignPosition, Position, Stretch
from tests.conformance.backends import Backend
from tests.conformance.samples import BARE, FULL, ZEROS, adjust, adjustment, append, record


def stretches(backend: Backend, *, limit: int = 100, after: Position = BEGINNING) -> list[Stretch]:
    found: list[Stretch] = []
    while (one := backend.run(backend.store.feed.after(after, limit=limit))) is not None:
        found.append(one)
        after = one.until
    return found


def read(backend: Backend, some: Sequence[Stretch]) -> list[Changes]:
    return [backend.run(backend.store.feed.read(one)) for one in some]


def records_in(some: Sequence[Changes]) -> list[str]:
    return [one.record.opening.id for changes in some for one in changes.records]


def adjustments_in(some: Sequence[Changes]) -> list[tuple[str, int | None, int | None]]:
    return [
        (one.adjustment.id, one.cost_before, one.adjustment.cost) for changes in some for one in changes.adjustments
    ]


def write_a_little(backend: Backend) -> None:
    append(backend, FULL, BARE)
    backend.clock.now_us += 10
    append(backend, ZEROS)
    adjust(backend, adjustment("adj-1", "gen-full", 5), adjustment("adj-2", "gen-zero", None))
    backend.clock.now_us += 10
    append(backend, record("gen-1"), record("gen-2"), record("gen-3"))
    adjust(backend, adjustment("adj-3", "gen-full", 7), adjustment("adj-4", "gen-full", 9))


def test_of_nothing_there_is_nothing(backend: Backend) -> None:
    assert stretches(backend) == []
    assert backend.run(backend.store.feed.size_after(BEGINNING)) == 0
    assert list(backend.run(backend.store.feed.expired_days())) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_everything_comes_once_whatever_is_asked_for_at_a_time(backend: Backend, limit: int) -> None:
    write_a_little(backend)
    found = read(backend, stretches(backend, limit=limit))
    assert records_in(found) == ["gen-full", "gen-bare", "gen-zero", "gen-1", "gen-2", "gen-3"]
    assert adjustments_in(found) == [
        ("adj-1", FULL.cost, 5),
        ("adj-2", 0, None),
        ("adj-3", 5, 7),
        ("adj-4", 7, 9),
    ]
    assert [one.no for changes in found for one in changes.adjustments] == [1, 2, 3, 4]


def test_records_come_as_they_were_written_and_adjustments_with_their_record(backend: Backend) -> None:
    write_a_little(backend)
    (changes,) = read(backend, stretches(backend))
    assert [one.record for one in changes.records[:3]] == [FULL, BARE, ZEROS]
    first = changes.adjustments[0]
    assert first.adjustment == adjustment("adj-1", "gen-full", 5)
    assert first.target.record == FULL
    assert (first.target.written_at_us, first.written_at_us) == (backend.clock() - 20, backend.clock() - 10)


def test_a_stretch_is_the_same_after_more_was_written(backend: Backend) -> None:
    write_a_little(backend)
    found = stretches(backend, limit=3)
    before = read(backend, found)
    append(backend, record("gen-later"))
    adjust(backend, adjustment("adj-later", "gen-full", 11))
    assert read(backend, found) == before
    later = read(backend, stretches(backend, after=found[-1].until))
    assert (records_in(later), adjustments_in(later)) == (["gen-later"], [("adj-later", 9, 11)])


def test_a_stretch_tells_since_when_something_may_be_missing(backend: Backend) -> None:
    started_us = backend.clock()
    write_a_little(backend)
    assert backend.run(backend.store.feed.settled_us()) == backend.clock()
    for limit in (1, 2, 3):
        some = stretches(backend, limit=limit)
        assert some[-1].as_of_us == backend.clock()
        for one in some[:-1]:
            later = read(backend, stretches(backend, after=one.until))
            missing = [each.written_at_us for changes in later for each in changes.records]
            missing += [each.written_at_us for changes in later for each in changes.adjustments]
            assert min(missing) >= one.as_of_us
    append(backend, record("gen-x"))
    assert stretches(backend)[-1].as_of_us == started_us + 20


def test_the_size_is_how_much_is_left(backend: Backend) -> None:
    write_a_little(backend)
    first = stretches(backend, limit=2)[0]
    assert backend.run(backend.store.feed.size_after(BEGINNING)) == 10
    assert backend.run(backend.store.feed.size_after(first.until)) == 8


def test_a_place_of_another_ledger_is_refused(backend: Backend) -> None:
    write_a_little(backend)
    place = stretches(backend)[-1].until
    for foreign in (replace(place, mark="00"), replace(place, transaction=place.transaction + 7)):
        with pytest.raises(ForeignPosition):
            backend.run(backend.store.feed.after(foreign, limit=1))


def test_a_place_is_good_after_a_restart(backend: Backend) -> None:
    write_a_little(backend)
    place = stretches(backend, limit=3)[0].until
    backend.restart()
    found = read(backend, stretches(backend, after=place))
    assert Picodollars(9) in [one.adjustment.cost for changes in found for one in changes.adjustments]
    assert "gen-full" not in records_in(found)

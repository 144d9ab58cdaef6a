"""Several processes beside one database: who looks at the files of another one misses nothing, whatever that does
meanwhile, and what the dead left is booked."""

import fcntl
import os
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.arrival_files import (
    ArrivalFiles,
    has_groups_above,
    is_dead,
)
from arouter.store.sqlite.arrivals import book_all
from arouter.store.sqlite.connections import transaction
from tests.conformance.backends import sqlite
from tests.conformance.samples import append, ids, record
from tests.store.kept_files import (
    Keeper,
    Meanwhile,
    at_every_call,
    booked,
    booked_through,
    files_of,
    numbers,
    prepared,
    waits,
)

CALLS = (os.open, os.pread, os.fstat, os.stat, os.close, fcntl.flock)
"""What reading a pair asks of the system."""


# ---------------------------------------------------------------- who looks


def test_an_older_view_is_told_at_every_step(keeper: Keeper, path: str) -> None:
    """A view in which less is booked than is now misses something, also once all is booked and written over."""
    last = 0
    for step in range(40):
        if step % 3:
            last += 1
            keeper.keep(f"gen-{last}", error_code="x" * (step % 7))
        else:
            keeper.book(meanwhile=lambda step=step: keeper.keep(f"gen-m-{step}"))  # type: ignore[misc]
            last += 1
        assert [has_groups_above(path, keeper.no, above) for above in range(last)] == [True] * last
        assert not has_groups_above(path, keeper.no, last)


@pytest.mark.parametrize("rounds", range(1, 5))
@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize("ahead", range(3))
def test_who_looks_misses_nothing_whatever_the_owner_does_meanwhile(
    path: str, rounds: int, long: bool, ahead: int
) -> None:
    """Between any two calls of the system the owner books and goes on to write over what was there."""

    def look(meanwhile: Meanwhile) -> None:
        keeper = Keeper(path).claim()
        for each in range(ahead):
            keeper.files.keep([prepared("gen-1")], b"ahead", 1)
            keeper.files.booked(keeper.files.take(each)[1])
        keeper.files.keep([prepared("gen-1")], b"acknowledged before the view", 1)

        def owner() -> None:
            for each in range(rounds):
                keeper.files.booked(keeper.files.take(ahead + each)[1])
                keeper.files.keep([prepared("gen-1")], b"other" * (20 if long else 0), 1)

        no = keeper.no
        with meanwhile(owner):
            told = has_groups_above(path, no, ahead)
        assert told
        keeper.end()

    assert at_every_call(look, CALLS) > 4


@pytest.mark.parametrize("side", range(2))
def test_who_looks_misses_nothing_behind_groups_that_another_one_booked(path: str, side: int) -> None:
    """They are still in the file, before the one that waits, when the owner hears of it and begins anew."""

    def look(meanwhile: Meanwhile) -> None:
        keeper = Keeper(path).claim()
        for each in range(side):
            keeper.files.keep([prepared("gen-1")], b"ahead", 1)
            keeper.files.booked(keeper.files.take(each)[1])
        for _ in range(3):
            keeper.files.keep([prepared("gen-1")], b"booked by another one", 1)
        keeper.files.keep([prepared("gen-1")], b"acknowledged before the view", 1)

        def owner() -> None:
            everything = side + 4
            keeper.files.booked(keeper.files.take(everything)[1])
            keeper.files.keep([prepared("gen-1")], b"over all of it" * 20, 1)

        no = keeper.no
        with meanwhile(owner):
            told = has_groups_above(path, no, side + 3)
        assert told
        keeper.end()

    assert at_every_call(look, CALLS) > 4


def test_who_looks_misses_nothing_of_a_process_that_ends_meanwhile(path: str) -> None:
    """It books, and takes its files with it."""
    count = 0

    def look(meanwhile: Meanwhile) -> None:
        nonlocal count
        count += 1
        keeper = Keeper(path).claim()
        keeper.keep(f"gen-{count}")
        no = keeper.no
        with meanwhile(keeper.end_in_peace):
            told = has_groups_above(path, no, 0)
        assert told
        keeper.end()

    assert at_every_call(look, CALLS) > 4


def test_what_is_kept_by_a_process_that_dies_while_others_book_is_booked(path: str) -> None:
    """Also if it is kept behind the look that found nothing, and the process is dead before the next one."""
    acknowledged: list[str] = []

    def book(meanwhile: Meanwhile) -> None:
        keeper = Keeper(path).claim()
        other = Keeper(path)
        other.book()

        def owner() -> None:
            assert keeper.keep(f"gen-{len(acknowledged)}")
            acknowledged.append(f"gen-{len(acknowledged)}")
            keeper.files.leave()

        with meanwhile(owner):
            other.book()
        keeper.end()
        other.book()
        other.book()
        other.end()

    assert at_every_call(book, CALLS) > 4
    assert booked(path) == acknowledged
    assert booked_through(path) == {}


# ---------------------------------------------------------------- the dead


def test_a_pair_is_dead_once_its_process_lets_go_of_it(path: str) -> None:
    keeper = Keeper(path).claim()
    no = keeper.no
    assert [is_dead(path, no), is_dead(path, no)] == [False, False]
    keeper.end()
    assert is_dead(path, no)
    assert is_dead(path, 1), "one without files"


def test_a_pair_of_a_dead_process_goes_once_all_of_it_is_booked_and_committed(path: str, tmp_path: Path) -> None:
    keeper = Keeper(path).claim()
    no = keeper.no
    keeper.keep("gen-1")
    keeper.end()
    other = Keeper(path)
    other.book(fails=True)
    assert numbers(path, no) == [1]
    with closing(apsw.Connection(path)) as connection, transaction(connection):
        # Also twice in one transaction: it may still be rolled back.
        other = Keeper(path)
        arrivals = Keeper(path).arrivals
        arrivals.book(connection)
        arrivals.book(connection)
        assert len(files_of(path, no)) == 2
    assert booked(path) == ["gen-1"]
    assert booked_through(path) == {no: 1}
    other.book()
    assert booked_through(path) == {}
    assert [each.name for each in tmp_path.glob("*-arrivals-*")] == []
    assert booked(path) == ["gen-1"]
    other.end()


def test_a_pair_of_a_living_process_stays(keeper: Keeper, path: str) -> None:
    other = Keeper(path)
    for _ in range(3):
        other.book()
    assert len(files_of(path, keeper.no)) == 2
    assert keeper.keep("gen-1")
    other.book()
    assert booked(path) == ["gen-1"]
    other.end()


def test_a_database_without_its_files_opens_and_reads(path: str, tmp_path: Path) -> None:
    keeper = Keeper(path).claim()
    keeper.keep("gen-1")
    keeper.book()
    keeper.keep("gen-2")
    copy = tmp_path / "copy"
    copy.mkdir()
    with closing(apsw.Connection(str(copy / "arouter.db"))) as target:
        with target.backup("main", keeper.connection, "main") as job:
            job.step()
        assert len(target.execute("SELECT * FROM arrival_files").fetchall()) == 1
    backend = sqlite(copy)
    assert ids(backend) == ["gen-1"]
    append(backend, record("gen-3"))
    assert {*ids(backend)} == {"gen-1", "gen-3"}
    assert backend.run(backend.ledger.check()).problems == ()
    backend.stop()
    assert len(files_of(path, keeper.no)) == 2
    keeper.end()


def test_a_store_takes_its_files_with_it(tmp_path: Path) -> None:
    backend = sqlite(tmp_path)
    for no in range(3):
        append(backend, record(f"gen-{no}"))
    backend.stop()
    assert [each.name for each in tmp_path.glob("*-arrivals-*")] == []
    assert booked(tmp_path / "arouter.db") == ["gen-0", "gen-1", "gen-2"]


def test_a_booking_of_nobody_in_particular_finds_what_the_dead_left(path: str) -> None:
    for no in range(3):
        keeper = Keeper(path).claim()
        keeper.at_us = 10 - no
        keeper.keep(f"gen-{no}")
        keeper.end()
    assert waits(path)
    with closing(apsw.Connection(path)) as connection, transaction(connection):
        book_all(connection)
    assert booked(path) == ["gen-2", "gen-1", "gen-0"], "in the order of their times"
    assert not waits(path)
    SqliteStore.open(path, clock=lambda: 1)
    assert booked(path) == ["gen-2", "gen-1", "gen-0"]


def test_two_pairs_of_one_process_are_two(path: str) -> None:
    one, other = Keeper(path).claim(), Keeper(path).claim()
    assert isinstance(one.files, ArrivalFiles)
    assert one.no != other.no
    one.keep("gen-1")
    other.keep("gen-2")
    one.book()
    assert sorted(booked(path)) == ["gen-1", "gen-2"]
    other.book()
    assert len(booked(path)) == 2
    one.end()
    other.end()

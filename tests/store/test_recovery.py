"""What dead processes left open, while others die: a record that was acknowledged stays what it is, and no intent is
forgotten."""

from collections.abc import Iterator
from contextlib import closing

import apsw
import pytest

from arouter.store.sqlite.appender import Appender
from arouter.store.sqlite.connections import transaction
from arouter.store.sqlite.recovery import recover, who_is_dead
from tests.store.kept_files import Registered, booked, opened


class Process(Registered):
    """One that opens what its intents say, and recovers."""

    def recover(self, dead: set[int] | None) -> int:
        """As one command of the writer: what waits is booked, then comes what was asked for."""
        if dead is None:
            return 0
        with transaction(self.connection):
            self.arrivals.book(self.connection)
            self.meanwhile()
            count = recover(self.connection, Appender(), dead=dead, now_us=77, written_at_us=2)
        self.arrivals.committed()
        return count

    def look(self) -> set[int] | None:
        return who_is_dead(self.connection, self.path)


def status_of(path: str, record_id: str) -> str:
    with closing(apsw.Connection(path)) as connection:
        sql = "SELECT text FROM records JOIN names ON no = status_no WHERE id = ?"
        return str(connection.execute(sql, (record_id,)).get)


@pytest.fixture
def survivor(path: str) -> Iterator[Process]:
    made = Process(path)
    yield made
    made.die()


def test_what_a_dead_process_kept_is_recovered_once(path: str, survivor: Process) -> None:
    victim = Process(path)
    victim.keep("gen-1", opened=["gen-1", "gen-2"])
    assert survivor.look() is None, "it lives"
    victim.die()
    assert [survivor.recover(survivor.look()) for _ in range(3)] == [1, 0, 0]
    assert (status_of(path, "gen-1"), status_of(path, "gen-2")) == ("success", "interrupted")
    assert opened(path) == []


@pytest.mark.parametrize("is_row", [False, True])
def test_who_dies_during_a_recovery_is_left_to_the_next_one(path: str, survivor: Process, is_row: bool) -> None:
    first, second = Process(path), Process(path)
    second.keep(opened=["gen-ends", "gen-runs"])
    if is_row:
        survivor.book()
    first.die()
    dead = survivor.look()

    def die() -> None:
        assert second.keep("gen-ends", opened=["gen-late"])
        second.die()

    survivor.meanwhile = die  # type: ignore[method-assign]
    assert survivor.recover(dead) == 0
    survivor.meanwhile = lambda: None  # type: ignore[method-assign]
    assert [survivor.recover(survivor.look()) for _ in range(2)] == [2, 0]
    assert booked(path)[0] == "gen-ends"
    assert [status_of(path, f"gen-{name}") for name in ("ends", "runs", "late")] == ["success", *["interrupted"] * 2]
    assert opened(path) == []


def test_two_that_found_the_same_dead_recover_once(path: str, survivor: Process) -> None:
    other, victim = Process(path), Process(path)
    victim.keep(opened=["gen-1"])
    victim.die()
    found = survivor.look(), other.look()
    assert (survivor.recover(found[0]), other.recover(found[1])) == (1, 0)
    assert booked(path) == ["gen-1"]
    other.die()

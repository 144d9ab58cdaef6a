"""Writers take turns: who waits is next, and who sits on the turn holds nobody up for ever."""

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

from arouter.store.sqlite.turns import PATIENCE_S, Turns


@contextmanager
def turns(path: Path) -> Iterator[Turns]:
    made = Turns(str(path / "ledger.db"))
    try:
        yield made
    finally:
        made.close()


def test_nobody_writes_beside_another_and_nobody_writes_twice_while_another_waits(tmp_path: Path) -> None:
    order: list[str] = []
    at_work: list[str] = []
    ready = threading.Barrier(2)

    def write(name: str) -> None:
        with turns(tmp_path) as mine:
            ready.wait()
            for _ in range(50):
                with mine.taken():
                    at_work.append(name)
                    time.sleep(0.002)
                    assert at_work == [name]
                    at_work.clear()
                    order.append(name)

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(order) == 100
    changes = sum(one != other for one, other in pairwise(order))
    # 99 when they alternate strictly; a thread that the machine holds back before it asks loses that turn.
    assert changes > 80


def test_one_that_sits_on_the_turn_is_waited_for_only_so_long(tmp_path: Path) -> None:
    with turns(tmp_path) as stuck, turns(tmp_path) as other, ExitStack() as held:
        held.enter_context(stuck.taken())
        started_s = time.monotonic()
        with other.taken():
            assert PATIENCE_S <= time.monotonic() - started_s < 2 * PATIENCE_S
        held.close()
        started_s = time.monotonic()
        with other.taken():
            assert time.monotonic() - started_s < PATIENCE_S


def test_who_has_just_written_stands_behind_the_next_and_who_has_rested_takes_a_free_turn(tmp_path: Path) -> None:
    """The place of the next is taken by one that never takes the turn."""
    with turns(tmp_path) as mine, (tmp_path / "ledger.db-turn-next").open("w") as place:
        fcntl.flock(place, fcntl.LOCK_EX)
        started_s = time.monotonic()
        with mine.taken():
            assert time.monotonic() - started_s < PATIENCE_S
        started_s = time.monotonic()
        with mine.taken():
            assert time.monotonic() - started_s >= PATIENCE_S


def test_the_turn_ends_with_what_is_raised_in_it_and_with_whoever_had_it(tmp_path: Path) -> None:
    with turns(tmp_path) as one, turns(tmp_path) as other:
        with suppress(OSError), one.taken():
            raise OSError
        started_s = time.monotonic()
        with other.taken():
            pass
        one.close()
        with one.taken():
            one_s = time.monotonic() - started_s
    assert one_s < PATIENCE_S

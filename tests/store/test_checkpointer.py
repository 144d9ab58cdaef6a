"""The write-ahead log stays near its bound, whoever writes however fast."""

import threading
import time
from pathlib import Path

import apsw
import pytest

from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.bound import MOST_PAGES, PAGE_BYTES, LogBound
from arouter.store.sqlite.checkpointer import MOST_BYTES, Checkpointer, wal_bytes
from arouter.store.sqlite.connections import Durability, connect_writer
from arouter.store.sqlite.turns import Turns


def test_the_bounds_are_what_is_promised() -> None:
    assert MOST_BYTES == 64 * 1024 * 1024
    assert MOST_PAGES * PAGE_BYTES == 96 * 1024 * 1024


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = str(tmp_path / "arouter.db")
    SqliteStore.open(path, clock=lambda: 0)
    return path


@pytest.mark.parametrize("processes", [1, 2])
def test_writers_that_never_rest_do_not_let_the_log_grow(path: str, processes: int) -> None:
    """Several times the bound is written; whatever is in the log, the file stays below twice the bound."""
    filling = [threading.Thread(target=fill, args=(path, 40_000 // processes)) for _ in range(processes)]
    apsw.Connection(path).execute("CREATE TABLE filling (content BLOB)")
    for each in filling:
        each.start()
    most = 0
    while any(each.is_alive() for each in filling):
        most = max(most, wal_bytes(path))
        time.sleep(0.005)
    assert MOST_BYTES < most < 2 * MOST_BYTES
    assert Path(path).stat().st_size > 2 * MOST_BYTES


def fill(path: str, pages: int) -> None:
    """What a process does that writes so many pages."""
    bound = LogBound()
    turns = Turns(path)
    checkpointer = Checkpointer(path, Durability.RELAXED, bound)
    connection = writer(path, bound)
    content = bytes(PAGE_BYTES)
    checkpointer.start()
    for _ in range(pages // 250):
        with bound.writing(), turns.taken():
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO filling VALUES (?)", [(content,)] * 250)
            connection.execute("COMMIT")
    checkpointer.stop()
    connection.close()
    turns.close()
    assert checkpointer.last_error is None


def test_a_reader_of_an_old_state_stops_neither_the_writer_nor_later_the_checkpointer(path: str) -> None:
    bound = LogBound()
    checkpointer = Checkpointer(path, Durability.RELAXED, bound)
    connection = writer(path, bound)
    connection.execute("CREATE TABLE filling (content BLOB)")
    reader = apsw.Connection(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM filling").fetchall()
    checkpointer.start()

    def write(rounds: int) -> None:
        for _ in range(rounds):
            with bound.writing():
                connection.execute("INSERT INTO filling VALUES (zeroblob(8000000))")

    write(14)
    assert wal_bytes(path) > MOST_PAGES * PAGE_BYTES
    reader.close()
    write(4)
    before = wal_bytes(path)
    write(4)
    checkpointer.stop()
    connection.close()
    assert wal_bytes(path) <= before
    assert checkpointer.last_error is None


def test_the_writer_waits_for_a_turn_and_a_turn_for_the_writer() -> None:
    bound = LogBound()
    done: list[str] = []

    def write() -> None:
        with bound.writing():
            done.append("write")

    with bound.taken():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(0.05)
        assert done == []
        done.append("turn")
    thread.join()
    assert done == ["turn", "write"]


def test_the_first_of_failures_in_a_row_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    bound = LogBound()
    nowhere = str(tmp_path / "gone" / "arouter.db")
    checkpointer = Checkpointer(nowhere, Durability.STRICT, bound, lambda failure: told.append(failure.detail or ""))
    checkpointer.start()
    for _ in range(3):
        bound.committed(MOST_PAGES)
        with bound.writing():  # which waits until the checkpointer has tried
            pass
    checkpointer.stop()
    assert [text.split(":")[0] for text in told] == ["CantOpenError"]
    assert checkpointer.last_error is not None


def writer(path: str, bound: LogBound) -> apsw.Connection:
    connection = connect_writer(path, Durability.RELAXED)

    def committed(connection: apsw.Connection, database: str, pages: int) -> int:
        bound.committed(pages)
        return apsw.SQLITE_OK

    connection.set_wal_hook(committed)
    return connection

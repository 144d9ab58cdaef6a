"""Who may have open records: whoever holds its lock is alive, however its number came to it."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from arouter.store.sqlite.connections import transaction
from arouter.store.sqlite.owners import Owner, living_owners


@pytest.fixture
def connection(path: str) -> Iterator[apsw.Connection]:
    with closing(apsw.Connection(path)) as made:
        yield made


def test_one_is_alive_until_it_lets_go(path: str, connection: apsw.Connection) -> None:
    owner = Owner(path, 1)
    assert owner.register(connection) == owner.register(connection) == 1
    assert living_owners(connection, path) == ({1}, set())
    owner.forget()
    assert living_owners(connection, path) == (set(), {1})


def test_a_number_that_was_rolled_back_is_the_next_ones_and_its_lock_too(
    path: str, connection: apsw.Connection
) -> None:
    for after_s in (0.0, 0.0005, 0.001, 0.005, 0.02):
        first, second = Owner(path, 1), Owner(path, 2)
        connection.execute("BEGIN IMMEDIATE")
        first.register(connection)
        connection.execute("ROLLBACK")

        def let_go(first: Owner = first, after_s: float = after_s) -> None:
            time.sleep(after_s)
            first.forget()

        thread = threading.Thread(target=let_go)
        thread.start()
        with transaction(connection):
            number = second.register(connection)
        thread.join()
        assert living_owners(connection, path) == ({number}, set())
        second.forget()
        connection.execute("DELETE FROM owners")


def test_without_a_lock_there_is_no_number(path: str, connection: apsw.Connection) -> None:
    lock = Path(f"{path}-owner-1")
    lock.mkdir()
    owner = Owner(path, 1)
    with transaction(connection):
        with pytest.raises(IsADirectoryError):
            owner.register(connection)
        assert owner.number is None
    assert living_owners(connection, path) == (set(), set())
    lock.rmdir()
    owner.register(connection)
    owner.forget()


def test_who_comes_by_a_link_is_seen_by_others(path: str, connection: apsw.Connection, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    owner = Owner(str(link), 1)
    owner.register(connection)
    assert living_owners(connection, path) == living_owners(connection, str(link)) == ({1}, set())
    owner.forget()

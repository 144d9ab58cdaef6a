"""What was read of a file is read again when somebody has committed, and not before."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.store.sqlite.lasting import Lasting
from arouter.store.sqlite.readers import Readers


class File:
    """A table of numbers, and how often they were summed up."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.writer = apsw.Connection(path)
        self.writer.pragma("journal_mode", "wal")
        self.writer.execute("CREATE TABLE numbers (number INTEGER)")
        self.looks = 0

    def add(self, number: int) -> None:
        self.writer.execute("INSERT INTO numbers VALUES (?)", (number,))

    def total(self, connection: apsw.Connection) -> int:
        self.looks += 1
        return int(connection.execute("SELECT coalesce(sum(number), 0) FROM numbers").get)


def nothing_arrived() -> None:
    raise AssertionError("nobody has anything booked")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    made = File(str(tmp_path / "a.db"))
    yield made
    made.writer.close()


def test_it_is_read_again_after_a_commit_only(file: File) -> None:
    async def play() -> None:
        readers = Readers(file.path, nothing_arrived)
        total = Lasting(readers, file.total)
        for number in range(1, 4):
            file.add(number)
            assert [await total.read() for _ in range(3)] == [number * (number + 1) // 2] * 3
            assert file.looks == number
        file.writer.execute("BEGIN IMMEDIATE")
        file.add(100)
        assert await total.read() == 6
        file.writer.execute("COMMIT")
        assert await total.read() == 106
        assert file.looks == 4
        readers.close()

    asyncio.run(play())


def test_a_commit_while_it_is_read_is_seen_the_next_time(file: File) -> None:
    def slow(connection: apsw.Connection) -> int:
        found = file.total(connection)
        if file.looks == 1:
            file.add(7)
        return found

    async def play() -> None:
        readers = Readers(file.path, nothing_arrived)
        total = Lasting(readers, slow)
        assert [await total.read() for _ in range(3)] == [0, 7, 7]
        assert file.looks == 2
        readers.close()

    asyncio.run(play())


def test_who_cannot_read_is_told_so_each_time(tmp_path: Path) -> None:
    async def play() -> None:
        readers = Readers(str(tmp_path / "none.db"), nothing_arrived)
        assert readers.commits() is None
        nothing = Lasting(readers, lambda connection: None)
        for _ in range(2):
            with pytest.raises(StorageUnavailable):
                await nothing.read()
        readers.close()

    asyncio.run(play())

"""Connections that are opened at once on a new file."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

from arouter.store.sqlite.connections import Durability, connect_writer, migrate, prepare_file

AT_ONCE = 6
FILES = 60


def test_all_of_several_that_open_a_new_file_at_once_can_write_to_it(tmp_path: Path) -> None:
    together = Barrier(AT_ONCE)

    def set_up(path: str) -> tuple[str, int]:
        together.wait()
        prepare_file(path)
        with closing(connect_writer(path, Durability.RELAXED)) as connection:
            return str(connection.pragma("journal_mode")), migrate(connection)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(FILES):
            modes, versions = zip(*pool.map(set_up, [str(tmp_path / f"{number}.db")] * AT_ONCE), strict=True)
            assert set(modes) == {"wal"}
            assert len(set(versions)) == 1
